"""Checkov over Terraform folders and over rendered Kubernetes manifests.

It solves that Checkov exits 0 over a folder that is missing or holds nothing, passes over a manifest it cannot parse
without a word, and obeys a .checkov.yaml in the target, which may name checks to run as code. It promises that every
file it could not read, as far as can be told, is named as skipped. It must never read the target's configuration.
"""

import json
import re
from collections.abc import Iterator, Mapping
from posixpath import commonpath
from typing import Any

from tasks.adapters.scanners.report_shapes import below_target, counted, expected_shape, severity
from tasks.core.security.scanner import SCRATCH, TARGET, Bait, Origin, Scan, Scanner, ScanReading
from tasks.core.security.sightings import Category, Misconfiguration, Rating, Sighting, Spot
from tasks.core.tools.contract import CLEAN_OR_FINDINGS, Output

# Where the plan puts manifests, as scan.files "rendered/...".
RENDERED = "rendered"
# Kinds for which Checkov surely has a check: a manifest of one of these with no check at all was not understood.
_CHECKED_KIND = re.compile(
    r"^\s*\"?kind\"?:\s*\"?(Deployment|StatefulSet|DaemonSet|Job|CronJob|Pod|ReplicaSet)\b", re.MULTILINE
)
_ABSENT = re.compile(r"\[ERROR\]\s+Directory (\S+) does not exist")
_CHECKS = ("failed_checks", "passed_checks", "skipped_checks")


def arguments(scan: Scan) -> tuple[str, ...]:
    """Options: `framework`, terraform (over `paths`) or kubernetes (over the files below `rendered/`).

    Checkov looks for a configuration in what follows a bare `--directory`, and where it starts: neither is the target.
    """
    folder = f"{SCRATCH}/{RENDERED}" if _is_kubernetes(scan) else _common(scan.paths)
    frameworks = scan.option("framework") or ("terraform",)
    return ("--skip-download", "--compact", "--output", "json", "--framework", *frameworks, f"--directory={folder}")


def _is_kubernetes(scan: Scan) -> bool:
    return "kubernetes" in scan.option("framework")


def _common(paths: tuple[str, ...]) -> str:
    """One folder: asked about two, Checkov looks at the first twice and never at the second."""
    return commonpath([TARGET if path == "." else f"{TARGET}/{path}" for path in paths or (".",)])


def read(output: Output, scan: Scan) -> ScanReading:
    with expected_shape("its JSON report"):
        documents = _documents(output)
        reports = [report for report in documents if "results" in report]
        failed = {_identity(check): check for check in _checks(reports, "failed_checks")}
        hidden = {_identity(check) for check in _checks(reports, "skipped_checks")}
        absent = [f"{_shown(path)}: it is not there" for path in _ABSENT.findall(output.log)]
        broken = sorted({path for report in reports for path in report["results"]["parsing_errors"]})
        seen = {_path(check) for name in _CHECKS for check in _checks(reports, name)}
        return ScanReading(
            sightings=tuple(_sighting(check) for check in failed.values()),
            looked_at=max([0, *(report["summary"]["resource_count"] for report in reports)]),
            skipped=(
                *absent,
                *(f"{_shown(path)}: it cannot be parsed" for path in broken),
                *_unrecognised(scan, seen),
            ),
            notes=(f"{counted(len(hidden), 'finding')} suppressed by checkov:skip comments",) if hidden else (),
        )


def _documents(output: Output) -> list[Mapping[str, Any]]:
    """An object, a list of them where there are several frameworks, or an object without results for nothing."""
    if not output.stdout.strip() and _ABSENT.search(output.log):
        return []
    value = json.loads(output.stdout)
    return value if isinstance(value, list) else [value]


def _checks(reports: list[Mapping[str, Any]], name: str) -> Iterator[Mapping[str, Any]]:
    for report in reports:
        yield from report["results"][name]


def _identity(check: Mapping[str, Any]) -> tuple[str, str, str]:
    return check["check_id"], check["resource"], _path(check)


def _path(check: Mapping[str, Any]) -> str:
    return _shown(check["file_abs_path"])


def _shown(path: str) -> str:
    return below_target(path).removeprefix(f"{RENDERED}/")


def _unrecognised(scan: Scan, seen: set[str]) -> Iterator[str]:
    """Manifests of a workload of which no check speaks: what cannot be parsed leaves no other trace."""
    for name, text in scan.files.items() if _is_kubernetes(scan) else ():
        if name.startswith(f"{RENDERED}/") and _shown(name) not in seen and _CHECKED_KIND.search(text):
            yield f"{_shown(name)}: no check speaks of it, so it was not understood"


def _sighting(check: Mapping[str, Any]) -> Sighting:
    """Its severities come with an account only: without one nobody has rated the finding."""
    first, last = check["file_line_range"]
    return Sighting(
        scanner="checkov",
        category=Category.INFRASTRUCTURE,
        rule=check["check_id"],
        title=check["check_name"],
        rating=Rating(severity=severity(check.get("severity")), source="checkov"),
        spot=Spot(path=_path(check), line=first or None, end_line=last or None),
        subject=Misconfiguration(resource=check.get("resource_address") or check["resource"]),
        url=check.get("guideline") or "",
    )


_BAIT_FOLDER = """resource "aws_security_group" "bait" {
  ingress {
    from_port   = 22
    to_port     = 22
    protocol    = "tcp"
    cidr_blocks = ["0.0.0.0/0"]
  }
}
"""
_BAIT_MANIFEST = """apiVersion: v1
kind: Pod
metadata: {name: bait, namespace: bait}
spec:
  containers:
    - {name: bait, image: "bait:latest", securityContext: {privileged: true}}
"""
CHECKOV = Scanner(
    name="checkov",
    program="checkov",
    categories=(Category.INFRASTRUCTURE,),
    origin=Origin.PYTHON,
    package="checkov",
    version="3.3.30",
    exits=CLEAN_OR_FINDINGS,
    arguments=arguments,
    read=read,
    directory=SCRATCH,
    bait=Bait(
        files={"main.tf": _BAIT_FOLDER},
        scan=Scan(files={f"{RENDERED}/bait.yaml": _BAIT_MANIFEST}),
        rules=frozenset({"CKV_AWS_24", "CKV_K8S_16"}),
    ),
)
