"""A scanner of the user's own, from [scanners.NAME]: a command that writes SARIF.

It solves that nobody has to wait for Towpath to learn a scanner. It promises the same distrust as for the others: only
the exit codes of the table count, and the report must be there. It must never pass the command through a shell.
"""

from functools import partial

from tasks.core.security.sarif_reading import read_sarif
from tasks.core.security.scanner import SCRATCH, Bait, Origin, Scan, Scanner, ScanReading
from tasks.core.security.settings import ScannerSettings
from tasks.core.security.sightings import Category
from tasks.core.tools.contract import Meaning, Output

_MEANINGS = {"ran": Meaning.RAN, "findings": Meaning.FINDINGS}
# What stands in a command for the folder a scanner may write in; the report is looked for there.
SCRATCH_WORD = "{scratch}"


def own_scanner(name: str, settings: ScannerSettings) -> Scanner:
    """It starts in the target, which it cannot write; `sarif` is standard output or a file below the scratch folder."""
    program, *words = settings.command
    report = "" if settings.sarif == "-" else settings.sarif
    bait = Bait(files=settings.bait, scan=Scan(), rules=frozenset(settings.rules))
    return Scanner(
        name=name,
        program=program,
        categories=(settings.category,),
        origin=Origin.NOWHERE,
        exits={int(code): _MEANINGS[meaning] for code, meaning in settings.exit_codes.items()},
        arguments=partial(_arguments, tuple(words)),
        read=partial(_read, name, settings.category, report),
        reports=(report,) if report else (),
        needs_network=settings.network,
        bait=bait if settings.rules else None,
        version_arguments=(),
        remedy=f"put {program} on PATH, or change scanners.{name}.command",
    )


def _arguments(words: tuple[str, ...], scan: Scan) -> tuple[str, ...]:
    return tuple(word.replace(SCRATCH_WORD, SCRATCH) for word in words)


def _read(name: str, category: Category, report: str, output: Output, scan: Scan) -> ScanReading:
    return read_sarif(output.report(report) if report else output.stdout, name, category)
