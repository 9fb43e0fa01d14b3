"""TruffleHog (v3) over a history, by its documented command line and output: no registry carries it, so it was not run.

It solves that TruffleHog exits 0 with findings unless told otherwise, and prints the secrets it finds. It promises that
a scan without its own closing summary is no scan, and that fewer findings than the summary counts are not all of them.
It must never verify a secret: that would send it to whoever the secret is for.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from tasks.adapters.scanners.report_shapes import below_target, expected_shape, leak
from tasks.core.security.scanner import HISTORY, Bait, Origin, Scan, Scanner, ScanReading
from tasks.core.security.sightings import Category, Rating, Severity, Sighting, Spot
from tasks.core.tools.contract import Meaning, Output, Unreadable

_FAILED = re.compile(r"encountered errors during scan|unable to resolve ref|error scanning", re.IGNORECASE)
_KEPT = ("Raw", "RawV2", "Redacted")


def arguments(scan: Scan) -> tuple[str, ...]:
    """Options: `base`, the commit after which the range begins; `branch`. The whole history without them."""
    since = ("--since-commit", scan.first("base")) if scan.first("base") else ()
    branch = ("--branch", scan.first("branch")) if scan.first("branch") else ()
    asked = ("--json", "--no-update", "--no-verification", "--fail", "--fail-on-scan-errors")
    return ("git", f"file://{HISTORY}", *asked, *since, *branch)


def read(output: Output, scan: Scan) -> ScanReading:
    if _FAILED.search(output.log):
        raise Unreadable("its log tells of errors during the scan")
    with expected_shape("its JSON lines"):
        summary = _summary(output.log)
        rows = [json.loads(line) for line in output.stdout.splitlines() if line.strip()]
        counted = int(summary["verified_secrets"]) + int(summary["unverified_secrets"])
        if len(rows) < counted:
            raise Unreadable(f"it counts {counted} findings and names {len(rows)}")
        return ScanReading(
            sightings=tuple(_sighting(row) for row in rows),
            looked_at=int(summary["chunks"]),
            secrets=frozenset(value for row in rows for value in _values(row)),
        )


def _summary(log: str) -> Mapping[str, Any]:
    """With --json its log is of JSON lines too, the last of them saying what was scanned."""
    for line in reversed(log.splitlines()):
        if '"finished scanning"' in line:
            summary: Mapping[str, Any] = json.loads(line)
            return summary
    raise Unreadable("its log does not say that it finished scanning")


def _values(row: Mapping[str, Any]) -> Iterator[str]:
    yield from (row[name] for name in _KEPT if row.get(name))


def _sighting(row: Mapping[str, Any]) -> Sighting:
    place = row["SourceMetadata"]["Data"]["Git"]
    kind = row["DetectorName"]
    return Sighting(
        scanner="trufflehog",
        category=Category.SECRET,
        rule=kind,
        title=f"Possible secret: {kind}",
        rating=Rating(severity=Severity.UNKNOWN, source="trufflehog"),
        spot=Spot(path=below_target(place["file"]), line=place.get("line") or None, commit=place["commit"]),
        subject=leak(row["Raw"], kind),
        remedy="revoke it: what was committed once must be taken for known",
    )


def _bait() -> Bait:
    token = "gh" + "p_" + "R4nd0mB1tsOfNoUse" + "4Any1AtAll8675309x2"
    return Bait(files={"bait.txt": f"token: {token}\n"}, scan=Scan(), rules=frozenset({"Github"}), commits=True)


TRUFFLEHOG = Scanner(
    name="trufflehog",
    program="trufflehog",
    categories=(Category.SECRET,),
    origin=Origin.NOWHERE,
    exits={0: Meaning.RAN, 183: Meaning.FINDINGS},
    arguments=arguments,
    read=read,
    needs_history=True,
    bait=_bait(),
    remedy="install TruffleHog v3 from its releases; no package registry carries it",
)
