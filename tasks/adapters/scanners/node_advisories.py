"""npm, pnpm, yarn and bun auditing a lock file.

It solves that all four exit 1 for findings and for failure alike, and that what lies beside a lock file (.npmrc,
.pnpmfile.cjs, .yarnrc.yml) would be obeyed or run. It promises that only the lock file and package.json are looked at,
and that a failure is told by the report's shape. It must never install anything.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from tasks.adapters.scanners.node_locks import (
    Pins,
    bun_pins,
    first_fix,
    npm_pins,
    pnpm_pins,
    versions_touched,
    yarn_pins,
)
from tasks.adapters.scanners.report_shapes import expected_shape, json_report, severity, unique
from tasks.core.projects import Manager
from tasks.core.security.scanner import SCRATCH, Bait, Origin, Scan, Scanner, ScanReading
from tasks.core.security.sightings import Advisory, Category, Rating, Sighting, Spot
from tasks.core.tools.contract import CLEAN_OR_FINDINGS, Output, Unreadable

# The only folder an audit sees; the plan puts package.json and the lock file there, as scan.files "project/...".
PROJECT = f"{SCRATCH}/project"
NPM_LOCK, PNPM_LOCK, YARN_LOCK, BUN_LOCK = "package-lock.json", "pnpm-lock.yaml", "yarn.lock", "bun.lock"


def npm_arguments(scan: Scan) -> tuple[str, ...]:
    """Options of all four: `registry`, else the program's own; `lock`, the lock file's path in the target."""
    return ("audit", "--package-lock-only", "--json", *_registry(scan))


def pnpm_arguments(scan: Scan) -> tuple[str, ...]:
    return ("audit", "--json", *_registry(scan))


def yarn_arguments(scan: Scan) -> tuple[str, ...]:
    return ("npm", "audit", "--recursive", "--all", "--json")


def bun_arguments(scan: Scan) -> tuple[str, ...]:
    return ("audit", "--json")


def _registry(scan: Scan) -> tuple[str, ...]:
    registry = scan.first("registry").rstrip("/")
    return ("--registry", f"{registry}/") if registry else ()


def npm_variables(scan: Scan) -> Mapping[str, str]:
    """No notices, no second download of itself, and no retries that last longer than the scan may take."""
    return {
        "npm_config_update_notifier": "false",
        "npm_config_fetch_retries": "1",
        "npm_config_fetch_retry_mintimeout": "1000",
        "npm_config_ignore_pnpmfile": "true",
        "npm_config_manage_package_manager_versions": "false",
        "npm_config_package_manager_strict": "false",
    }


def yarn_variables(scan: Scan) -> Mapping[str, str]:
    """YARN_IGNORE_PATH keeps it from running a program the target names."""
    registry = scan.first("registry").rstrip("/")
    plain = {"YARN_UNSAFE_HTTP_WHITELIST": "127.0.0.1"} if registry.startswith("http://127.0.0.1") else {}
    own = {"YARN_ENABLE_TELEMETRY": "0", "YARN_IGNORE_PATH": "1", "YARN_HTTP_RETRY": "1", **plain}
    return {**own, "YARN_NPM_REGISTRY_SERVER": registry} if registry else own


def bun_variables(scan: Scan) -> Mapping[str, str]:
    registry = scan.first("registry").rstrip("/")
    return {"NPM_CONFIG_REGISTRY": registry} if registry else {}


def read_npm(output: Output, scan: Scan) -> ScanReading:
    report = json_report(output.stdout)
    pins = _pins(scan, NPM_LOCK, npm_pins)
    with expected_shape("its JSON report"):
        if "auditReportVersion" not in report:
            raise Unreadable(f"the audit failed: {str(report.get('message') or report)[:200]}")
        rows = [row for one in report["vulnerabilities"].values() for row in one["via"] if isinstance(row, dict)]
        sightings = [
            sighting
            for row in rows
            for sighting in _sightings(
                "npm-audit", scan, pins, row["name"], {**row, "vulnerable_versions": row["range"]}
            )
        ]
        return _reading(sightings, report["metadata"]["dependencies"]["total"])


def read_pnpm(output: Output, scan: Scan) -> ScanReading:
    report = json_report(output.stdout)
    with expected_shape("its JSON report"):
        if "advisories" not in report or "metadata" not in report:
            raise Unreadable(f"the audit failed: {str(report.get('error') or report)[:200]}")
        sightings = [
            sighting
            for row in report["advisories"].values()
            for version in unique([found["version"] for found in row["findings"]])
            for sighting in _sightings(
                "pnpm-audit", scan, frozenset({(row["module_name"], version)}), row["module_name"], row
            )
        ]
        muted = (f"{len(report['muted'])} advisories muted by package.json",) if report["muted"] else ()
    return replace(_reading(sightings, len(_pins(scan, PNPM_LOCK, pnpm_pins))), notes=muted)


def read_yarn(output: Output, scan: Scan) -> ScanReading:
    """A clean audit prints nothing at all, so whatever stands in the log then is a failure."""
    if scan.first("manager") == Manager.YARN_CLASSIC:
        raise Unreadable("the lock file of yarn 1 cannot be audited: take yarn 4, or npm's lock file")
    if not output.stdout.strip() and output.log.strip():
        raise Unreadable(f"the audit failed: {output.log.strip().splitlines()[-1][:200]}")
    rows = [json_report(line) for line in output.stdout.splitlines() if line.strip()]
    pins = _pins(scan, YARN_LOCK, yarn_pins)
    sightings: list[Sighting] = []
    with expected_shape("its JSON report"):
        for name, row in [(row["value"], row["children"]) for row in rows]:
            told = {"title": row["Issue"], "url": row["URL"], "severity": row["Severity"]}
            told["vulnerable_versions"] = row["Vulnerable Versions"]
            there = frozenset((name, version) for version in row["Tree Versions"])
            sightings += _sightings("yarn-audit", scan, there, name, told)
    return _reading(sightings, len(pins))


def read_bun(output: Output, scan: Scan) -> ScanReading:
    report = json_report(output.stdout)
    pins = _pins(scan, BUN_LOCK, bun_pins)
    with expected_shape("its JSON report"):
        if not all(isinstance(rows, list) for rows in report.values()):
            raise Unreadable(f"the audit failed: {str(report)[:200]}")
        found = [(name, row) for name, rows in report.items() for row in rows]
        sightings = [one for name, row in found for one in _sightings("bun-audit", scan, pins, name, row)]
    return _reading(sightings, len(pins))


def _pins(scan: Scan, lock: str, pins: Callable[[str], Pins]) -> Pins:
    return pins(scan.files[f"project/{lock}"]) if f"project/{lock}" in scan.files else frozenset()


def _reading(sightings: list[Sighting], looked_at: int) -> ScanReading:
    return ScanReading(sightings=tuple(sightings), looked_at=looked_at)


def _sightings(scanner: str, scan: Scan, pins: Pins, name: str, row: Mapping[str, Any]) -> Iterator[Sighting]:
    """One for each pinned version the advisory touches; a version nobody could tell is empty."""
    rule = str(row["url"]).rsplit("/", 1)[-1]
    cvss, bad = row.get("cvss") or {}, str(row.get("vulnerable_versions") or "")
    fixes = first_fix(bad)
    for version in versions_touched(pins, name, bad) or ("",):
        yield Sighting(
            scanner=scanner,
            category=Category.DEPENDENCY,
            rule=rule,
            title=row["title"],
            rating=Rating(
                severity=severity(row["severity"]),
                source="ghsa",
                vector=cvss.get("vectorString") or "",
                score=cvss.get("score") or None,
            ),
            spot=Spot(path=scan.first("lock", NPM_LOCK)),
            subject=Advisory(
                ecosystem="npm",
                package=name,
                version=version,
                ids=unique([rule, *row.get("cves", ())]),
                fixed_in=fixes,
            ),
            remedy=f"take {name} {fixes[-1]} or later" if fixes else "",
            url=row["url"],
        )


_MANIFEST = '{"name": "bait", "version": "1.0.0", "dependencies": {"lodash": "4.17.15"}}\n'
# npm's published digest of that package: npm will not audit a lock file without one.
_DIGEST = "sha512-8xOcRHvCjnocdS5cpwXQXVzmmh5e5+saE2QGoeQmbKmRS6J3VQppPOIt0MnmE+4xlZoumy0GPG0D0MVIQbNA1A=="
_NPM_BAIT = f"""{{"name": "bait", "version": "1.0.0", "lockfileVersion": 3, "requires": true, "packages": {{
  "": {{"name": "bait", "version": "1.0.0", "dependencies": {{"lodash": "4.17.15"}}}},
  "node_modules/lodash": {{"version": "4.17.15", "integrity": "{_DIGEST}"}}
}}}}
"""
_PNPM_BAIT = f"""lockfileVersion: '9.0'

importers:

  .:
    dependencies:
      lodash:
        specifier: 4.17.15
        version: 4.17.15

packages:

  lodash@4.17.15:
    resolution: {{integrity: {_DIGEST}}}

snapshots:

  lodash@4.17.15: {{}}
"""
_YARN_BAIT = """__metadata:
  version: 10
  cacheKey: 10c0

"bait@workspace:.":
  version: 0.0.0-use.local
  resolution: "bait@workspace:."
  dependencies:
    lodash: "npm:4.17.15"
  languageName: unknown
  linkType: soft

"lodash@npm:4.17.15":
  version: 4.17.15
  resolution: "lodash@npm:4.17.15"
  languageName: node
  linkType: hard
"""
_BUN_BAIT = f"""{{
  "lockfileVersion": 1,
  "workspaces": {{"": {{"name": "bait", "dependencies": {{"lodash": "4.17.15"}}}}}},
  "packages": {{
    "lodash": ["lodash@4.17.15", "", {{}}, "{_DIGEST}"],
  }}
}}
"""


def _bait(lock: str, text: str) -> Bait:
    files = {"project/package.json": _MANIFEST, f"project/{lock}": text}
    rules = frozenset({"GHSA-p6mc-m468-83gw", "GHSA-35jh-r3h4-6jhm", "GHSA-29mw-wpgm-hmr9"})
    return Bait(files={}, scan=Scan(options={"lock": (lock,)}, files=files), rules=rules)


NPM_AUDIT = Scanner(
    name="npm-audit",
    program="npm",
    categories=(Category.DEPENDENCY,),
    origin=Origin.NOWHERE,
    exits=CLEAN_OR_FINDINGS,
    arguments=npm_arguments,
    read=read_npm,
    variables=npm_variables,
    directory=PROJECT,
    needs_network=True,
    bait=_bait(NPM_LOCK, _NPM_BAIT),
    remedy="install Node.js, which brings npm",
)
PNPM_AUDIT = replace(
    NPM_AUDIT,
    name="pnpm-audit",
    program="pnpm",
    origin=Origin.NODE,
    package="pnpm",
    version="10.34.9",
    arguments=pnpm_arguments,
    read=read_pnpm,
    bait=_bait(PNPM_LOCK, _PNPM_BAIT),
    remedy="install pnpm",
)
YARN_AUDIT = replace(
    PNPM_AUDIT,
    name="yarn-audit",
    program="yarn",
    package="@yarnpkg/cli-dist",
    version="4.18.1",
    arguments=yarn_arguments,
    read=read_yarn,
    variables=yarn_variables,
    bait=_bait(YARN_LOCK, _YARN_BAIT),
    remedy="install yarn 4",
)
BUN_AUDIT = replace(
    PNPM_AUDIT,
    name="bun-audit",
    program="bun",
    package="bun",
    version="1.4.5",
    arguments=bun_arguments,
    read=read_bun,
    variables=bun_variables,
    bait=_bait(BUN_LOCK, _BUN_BAIT),
    remedy="install bun",
)
