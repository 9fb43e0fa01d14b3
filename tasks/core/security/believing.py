"""From how a scanner ended and what it left behind to whether its answer is believed.

A scan is done when the exit code is one of the scanner's table, the report can be read and it shows that something was
looked at. What it found is not judged here. Anything else is an error, and an error is never "nothing found".
"""

import json
from dataclasses import dataclass, replace

from tasks.core.conclusion import Finished, telling
from tasks.core.outcome import Outcome, Verdict
from tasks.core.security.scanner import Bait, Scan, Scanner, ScanReading
from tasks.core.tools.contract import Meaning, Output, Unreadable, first_lines


@dataclass(frozen=True)
class Belief:
    """`passed` means the scan was done, whatever it found; `reading` is there only then."""

    outcome: Outcome
    reading: ScanReading | None = None


def believe(scanner: Scanner, finished: Finished, output: Output, scan: Scan) -> Belief:
    """Whether the scanner's answer counts, and what it is."""
    if finished.exit_code is None:
        return _error(finished.trouble or f"{scanner.name} did not finish", finished.remedy)
    if scanner.meaning(finished.exit_code) is Meaning.BROKEN:
        known = "" if finished.exit_code in scanner.exits else ", an exit code it is not known for"
        # NOTE: never what stands on standard output: with some scanners that is where the secrets are.
        said = first_lines(telling(output.log)) or "it said nothing"
        # NOTE: a shell and bubblewrap tell a signal by 128 and its number; that of want of memory is 9.
        remedy = "if it wanted more memory or time than it may have, raise security.memory_bytes or its seconds"
        words = f"{scanner.name} broke (exit code {finished.exit_code}{known}): {said}"
        return _error(words, remedy if finished.exit_code > 128 else "")
    try:
        reading = scanner.read(output, scan)
    except Unreadable as unreadable:
        said = first_lines(telling(output.log), 2)
        words = f"; it said: {said}" if said else ""
        return _error(f"{scanner.name} exited {finished.exit_code}, but {unreadable}{words}")
    return _believed(scanner, finished.exit_code, reading)


def _believed(scanner: Scanner, exit_code: int, reading: ScanReading) -> Belief:
    if not reading.looked_at and not reading.sightings:
        skipped = f"; it skipped {', '.join(reading.skipped[:3])}" if reading.skipped else ""
        return _error(f"{scanner.name} exited {exit_code}, but looked at nothing{skipped}")
    says_findings = scanner.meaning(exit_code) is Meaning.FINDINGS
    if says_findings and not (reading.sightings or reading.skipped or reading.notes):
        return _error(f"{scanner.name} says it found something, but its report names nothing")
    found = f"{len(reading.sightings)} sightings" if reading.sightings else "nothing found"
    return Belief(Outcome(Verdict.PASSED, f"{found} in {reading.looked_at} looked at"), reading)


def took_bait(belief: Belief, bait: Bait) -> Outcome:
    """Whether a scanner reported what was planted for it."""
    if belief.reading is None:
        return replace(belief.outcome, reason=f"it could not scan a known finding: {belief.outcome.reason}")
    if any(sighting.rule in bait.rules for sighting in belief.reading.sightings):
        return Outcome(Verdict.PASSED, "it reports a known finding")
    names = {name for sighting in belief.reading.sightings for name in getattr(sighting.subject, "ids", ())}
    if names & bait.rules:
        return Outcome(Verdict.PASSED, "it reports a known finding")
    wanted = " or ".join(sorted(bait.rules)[:3])
    reason = f"it misses a known finding ({wanted}), so that its silence means nothing"
    return Outcome(Verdict.ERROR, reason, remedy="towpath doctor shows its version and database; update both")


def is_bill(text: str) -> bool:
    """Whether a text is a whole CycloneDX document that lists something."""
    try:
        read = json.loads(text)
        return read["bomFormat"] == "CycloneDX" and isinstance(read["components"], list)
    except (ValueError, KeyError, TypeError, RecursionError):
        return False


def _error(reason: str, remedy: str = "") -> Belief:
    return Belief(Outcome(Verdict.ERROR, reason, remedy=remedy))
