"""What a case needs around it: the lab's advisory service, Trivy's database, an image."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from tasks.core.security.scanner import DATABASE, Scanner
from tasks.core.security.sightings import Category
from tests.adapters.scanners.performing import Surroundings
from tests.adapters.scanners.scan_cases import Answer, Case
from tests.lab.advisories import Mood, advising
from tests.lab.safety_database import write_safety_database
from tests.lab.trivy_database import write_database

# The options by which the scanners are told where to ask.
NO_DATABASE = "no database"
ASKED_AT = {
    "osv_url": ("{advisories}",),
    "registry": ("{advisories}",),
    "login_url": ("{advisories}",),
    "database": (DATABASE,),
}


@contextmanager
def surroundings(case: Case, folder: Path) -> Iterator[Surroundings]:
    """Only what the case's scanner needs is started."""
    if case.scanner.needs_database:
        yield Surroundings(database=write_database(folder) if case.service != NO_DATABASE else None)
        return
    if not case.scanner.needs_network:
        yield Surroundings()
        return
    is_safety = case.scanner.name == "safety" and case.service != NO_DATABASE
    mood = Mood.WELL if case.service == NO_DATABASE else Mood(case.service or Mood.WELL)
    with advising(mood) as service:
        database = write_safety_database(folder) if is_safety else None
        yield Surroundings(advisories=service.address, database=database)


def bait_case(scanner: Scanner, asked: Mapping[str, tuple[str, ...]] | None = None) -> Case:
    """The scanner's bait as a case, with the options `asked` of the real scan."""
    assert scanner.bait
    bait, is_image = scanner.bait, Category.CONTAINER in scanner.categories
    return Case(
        scanner=scanner,
        name="bait",
        answer=Answer.FINDINGS,
        files={} if bait.commits or is_image else bait.files,
        image_files=bait.files if is_image else {},
        commits=(dict(bait.files),) if bait.commits else (),
        scan=replace(bait.scan, options={**ASKED_AT, **(asked or {}), **bait.scan.options}),
        rules=bait.rules,
    )
