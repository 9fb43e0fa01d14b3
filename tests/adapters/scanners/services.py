"""What a case needs around it: the lab's advisory service, Trivy's database, an image."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from tasks.core.security.scanner import Scanner
from tasks.core.security.sightings import Category
from tests.adapters.scanners.performing import Surroundings
from tests.adapters.scanners.scan_cases import Answer, Case
from tests.lab.advisories import Mood, advising
from tests.lab.trivy_database import write_database

# The options by which the scanners are told where to ask.
ASKED_AT = {"osv_url": ("{advisories}",), "registry": ("{advisories}",)}


@contextmanager
def surroundings(case: Case, folder: Path) -> Iterator[Surroundings]:
    """Only what the case's scanner needs is started."""
    if case.scanner.needs_database:
        yield Surroundings(database=write_database(folder) if case.service != "no database" else None)
        return
    if not case.scanner.needs_network:
        yield Surroundings()
        return
    with advising(Mood(case.service or Mood.WELL)) as service:
        yield Surroundings(advisories=service.address)


def bait_case(scanner: Scanner) -> Case:
    """The scanner's bait as a case."""
    assert scanner.bait
    bait, is_image = scanner.bait, Category.CONTAINER in scanner.categories
    return Case(
        scanner=scanner,
        name="bait",
        answer=Answer.FINDINGS,
        files={} if bait.commits or is_image else bait.files,
        image_files=bait.files if is_image else {},
        commits=(dict(bait.files),) if bait.commits else (),
        scan=replace(bait.scan, options={**ASKED_AT, **bait.scan.options}),
        rules=bait.rules,
    )
