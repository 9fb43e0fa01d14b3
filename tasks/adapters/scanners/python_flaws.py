"""Bandit over a target's Python code.

It solves that bandit exits 0 when it could not parse a file, obeys a `.bandit` file lying in the target, and prints the
passwords it finds. It promises that each file it could not read is named as skipped, that what comments and the
target's configuration suppressed is said, and that no password is in a title. It must never take the target's own
options without saying so.
"""

import re
from collections.abc import Mapping
from typing import Any

from tasks.adapters.scanners.report_shapes import MASK, below_target, counted, expected_shape, json_report, severity
from tasks.core.security.scanner import Bait, Origin, Scan, Scanner, ScanReading
from tasks.core.security.sightings import Category, Flaw, Rating, Sighting, Spot
from tasks.core.tools.contract import CLEAN_OR_FINDINGS, Output

# The rules that print what they found: B105, B106 and B107 say "Possible hardcoded password: 'value'".
_PASSWORD = re.compile(r"^(Possible hardcoded password: )'(.*)'$", re.DOTALL)


def arguments(scan: Scan) -> tuple[str, ...]:
    """Options: `config`, the target's pyproject.toml with [tool.bandit]; `exclude`, paths not looked at.

    An --ini of our own keeps bandit from looking for the target's `.bandit`.
    """
    config = tuple(word for path in scan.option("config") for word in ("-c", path))
    excluded = ("--exclude", ",".join(scan.option("exclude"))) if scan.option("exclude") else ()
    return ("-r", "--quiet", "--format", "json", "--ini", "/dev/null", *config, *excluded, *scan.paths)


def read(output: Output, scan: Scan) -> ScanReading:
    report = json_report(output.stdout)
    with expected_shape("its JSON report"):
        values = [_password(row) for row in report["results"]]
        return ScanReading(
            sightings=tuple(_sighting(row) for row in report["results"]),
            looked_at=len([name for name in report["metrics"] if name != "_totals"]),
            skipped=tuple(f"{below_target(row['filename'])}: {row['reason']}" for row in report["errors"]),
            notes=_notes(report["metrics"]["_totals"], scan),
            secrets=frozenset(value for value in values if value),
        )


def _password(row: Mapping[str, Any]) -> str:
    found = _PASSWORD.match(row["issue_text"])
    return found[2] if found else ""


def _sighting(row: Mapping[str, Any]) -> Sighting:
    number = (row.get("issue_cwe") or {}).get("id")
    lines = row["line_range"] or [row["line_number"]]
    return Sighting(
        scanner="bandit",
        category=Category.CODE,
        rule=row["test_id"],
        title=_PASSWORD.sub(rf"\1{MASK}", row["issue_text"]),
        rating=Rating(severity=severity(row["issue_severity"]), source="bandit"),
        spot=Spot(path=below_target(row["filename"]), line=row["line_number"], end_line=lines[-1]),
        subject=Flaw(cwes=(f"CWE-{number}",) if number else ()),
        url=row["more_info"],
    )


def _notes(totals: Mapping[str, Any], scan: Scan) -> tuple[str, ...]:
    """`nosec` counts lines with a bare comment, `skipped_tests` those whose comment names rules."""
    suppressed = int(totals["nosec"]) + int(totals["skipped_tests"])
    notes = [f"{counted(suppressed, 'finding')} suppressed by nosec comments"] if suppressed else []
    notes += [f"the target's own configuration {path} was obeyed" for path in scan.option("config")]
    return tuple(notes)


_BAIT = Bait(
    files={"bait.py": 'import subprocess\n\nsubprocess.call(input(), shell=True)\neval("1")\n'},
    scan=Scan(),
    rules=frozenset({"B602", "B307"}),
)
BANDIT = Scanner(
    name="bandit",
    program="bandit",
    categories=(Category.CODE,),
    origin=Origin.PYTHON,
    package="bandit",
    version="1.9.4",
    exits=CLEAN_OR_FINDINGS,
    arguments=arguments,
    read=read,
    bait=_BAIT,
)
