"""pip-audit over the pinned requirements of one environment or lock file.

It solves that pip-audit exits 1 for findings and for every failure, and drops without a word what has an environment
marker that does not apply here. It promises that each requirement it was given and did not look up is named as skipped.
It must never install, resolve or build anything: a requirement's setup.py is an attacker's program.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from tasks.adapters.scanners.report_shapes import expected_shape, json_report, unique
from tasks.core.security.scanner import SCRATCH, Bait, Origin, Scan, Scanner, ScanReading
from tasks.core.security.sightings import Advisory, Category, Rating, Severity, Sighting, Spot
from tasks.core.tools.contract import CLEAN_OR_FINDINGS, Output, Unreadable

REQUIREMENTS = "requirements.txt"
OSV = "https://api.osv.dev"
_NAME = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)", re.MULTILINE)


def arguments(scan: Scan) -> tuple[str, ...]:
    """Files: `requirements.txt`, `name==version` lines. Options: `osv_url`, a service's base; `lock`, its source."""
    address = scan.first("osv_url", OSV).rstrip("/")
    return (
        *("--requirement", f"{SCRATCH}/{REQUIREMENTS}", "--no-deps", "--disable-pip"),
        *("--vulnerability-service", "osv", "--osv-url", f"{address}/v1/query", "--timeout", "30"),
        *("--progress-spinner", "off", "--cache-dir", f"{SCRATCH}/cache", "--format", "json"),
    )


def read(output: Output, scan: Scan) -> ScanReading:
    report = json_report(output.stdout)
    lock = scan.first("lock", REQUIREMENTS)
    with expected_shape("its JSON report"):
        if "fixes" not in report:
            raise Unreadable("its JSON report has no end")
        rows = report["dependencies"]
        looked_up = [row for row in rows if "skip_reason" not in row]
        told = {_normal(row["name"]) for row in rows}
        skipped = [f"{row['name']}: {row['skip_reason']}" for row in rows if "skip_reason" in row]
        skipped += [f"{name}: it was left out without a reason" for name in _asked(scan) if _normal(name) not in told]
        sightings = tuple(sighting for row in looked_up for sighting in _sightings(row, lock))
    return ScanReading(sightings=sightings, looked_at=len(looked_up), skipped=tuple(skipped))


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _asked(scan: Scan) -> list[str]:
    return _NAME.findall(scan.files.get(REQUIREMENTS, ""))


def _sightings(row: Mapping[str, Any], lock: str) -> Iterator[Sighting]:
    for found in row["vulns"]:
        fixes = tuple(found["fix_versions"])
        yield Sighting(
            scanner="pip-audit",
            category=Category.DEPENDENCY,
            rule=found["id"],
            title=" ".join((found["description"] or found["id"]).split())[:300],
            rating=Rating(severity=Severity.UNKNOWN, source="osv"),
            spot=Spot(path=lock),
            subject=Advisory(
                ecosystem="pypi",
                package=_normal(row["name"]),
                version=row["version"],
                ids=unique([found["id"], *sorted(found["aliases"])]),
                fixed_in=fixes,
            ),
            remedy=f"take {row['name']} {fixes[0]} or later" if fixes else "",
            url=f"https://osv.dev/vulnerability/{found['id']}",
        )


_BAIT = Bait(
    files={},
    scan=Scan(files={REQUIREMENTS: "jinja2==2.4.1\n"}),
    rules=frozenset({"PYSEC-2014-8", "PYSEC-2019-217", "PYSEC-2019-220", "GHSA-462w-v97r-4m45", "CVE-2019-10906"}),
)
PIP_AUDIT = Scanner(
    name="pip-audit",
    program="pip-audit",
    categories=(Category.DEPENDENCY,),
    origin=Origin.PYTHON,
    package="pip-audit",
    version="2.10.1",
    exits=CLEAN_OR_FINDINGS,
    arguments=arguments,
    read=read,
    directory=SCRATCH,
    needs_network=True,
    bait=_BAIT,
)
