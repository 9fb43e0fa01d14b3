"""detect-secrets over the files of a target.

It solves that detect-secrets exits 0 whatever it finds, counts nothing, and runs the plugins and filters a baseline
names, which are code of the target. It promises a count of the files it opened, that the hashes of the target's
baseline are subtracted here, and said, and that two files' tokens are two leaks though it hashes only their prefix. It
must never be handed the target's baseline.
"""

import re
from collections.abc import Mapping
from typing import Any

from tasks.adapters.scanners.report_shapes import below_target, counted, expected_shape, json_report, leak
from tasks.core.security.scanner import Bait, Origin, Scan, Scanner, ScanReading
from tasks.core.security.sightings import Category, Leak, Rating, Severity, Sighting, Spot
from tasks.core.tools.contract import Meaning, Output, Unreadable

# What only its verbose log says. The worker processes share one log, so a line is looked for, not a whole layout.
_OPENED = re.compile(r"Checking file: (.+)")
_UNOPENED = re.compile(r"Unable to open file: (.+)")
_ALLOWED = re.compile(r"Skipping \w+ due to `detect_secrets\.filters\.allowlist\.")
# Kinds whose hash is that of a prefix or a heading: it is the same for every value, and tells no two of them apart.
_SAME_HASH = frozenset({"GitHub Token", "GitLab Token", "Private Key"})
_HASH = re.compile(r"[0-9a-f]{40}")


def arguments(scan: Scan) -> tuple[str, ...]:
    """Options: `baseline_hashes`, pairs of path and hash with a tab between, taken from the target's baseline."""
    return ("-v", "scan", "--all-files", "--no-verify", *scan.paths)


def read(output: Output, scan: Scan) -> ScanReading:
    report = json_report(output.stdout)
    accepted = frozenset(scan.option("baseline_hashes"))
    with expected_shape("its JSON report"):
        if not report["plugins_used"]:
            raise Unreadable("it says that it looked for no kind of secret")
        rows = [row for rows in report["results"].values() for row in rows]
        known = [row for row in rows if _entry(row) in accepted]
        sightings = tuple(_sighting(row) for row in rows if row not in known)
    return ScanReading(
        sightings=sightings,
        looked_at=len(set(_OPENED.findall(output.log))),
        skipped=tuple(f"{below_target(path)}: it could not be opened" for path in _UNOPENED.findall(output.log)),
        notes=_notes(known, len(_ALLOWED.findall(output.log))),
    )


def _entry(row: Mapping[str, Any]) -> str:
    return f"{below_target(row['filename'])}\t{row['hashed_secret']}"


def _notes(known: list[Mapping[str, Any]], allowed: int) -> tuple[str, ...]:
    notes = [f"{counted(len(known), 'finding')} accepted by the target's baseline"] if known else []
    notes += [
        f"{below_target(row['filename'])}: the baseline's entry accepts every {row['type']} there, "
        "since its hash is the same for all"
        for row in known
        if row["type"] in _SAME_HASH
    ]
    notes += [f"{counted(allowed, 'finding')} suppressed by allowlist comments"] if allowed else []
    return tuple(notes)


def _leak(row: Mapping[str, Any]) -> Leak:
    digest, kind = row["hashed_secret"], row["type"]
    if kind in _SAME_HASH:
        return leak(f"{digest} in {below_target(row['filename'])}", kind)
    return Leak(fingerprint=digest, kind=kind)


def _sighting(row: Mapping[str, Any]) -> Sighting:
    if not _HASH.fullmatch(row["hashed_secret"]):
        raise Unreadable("its JSON report holds something else than hashes")
    return Sighting(
        scanner="detect-secrets",
        category=Category.SECRET,
        rule=row["type"],
        title=f"Possible secret: {row['type']}",
        rating=Rating(severity=Severity.UNKNOWN, source="detect-secrets"),
        spot=Spot(path=below_target(row["filename"]), line=row["line_number"]),
        subject=_leak(row),
        remedy="revoke it, take it out of the file, and read it from the environment",
    )


_BAIT = Bait(
    files={"bait.ini": "key = " + "AK" + "IA" + "QYLPMN5HHHFPZAM2" + "\n"},
    scan=Scan(),
    rules=frozenset({"AWS Access Key"}),
)
DETECT_SECRETS = Scanner(
    name="detect-secrets",
    program="detect-secrets",
    categories=(Category.SECRET,),
    origin=Origin.PYTHON,
    package="detect-secrets",
    version="1.5.0",
    exits={0: Meaning.RAN},
    arguments=arguments,
    read=read,
    bait=_BAIT,
)
