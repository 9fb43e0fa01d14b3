"""What a case needs around it: the lab's advisory service, Trivy's database, an image."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tasks.core.security.scanner import Scanner
from tests.adapters.scanners.performing import Surroundings
from tests.adapters.scanners.scan_cases import Answer, Case


@contextmanager
def surroundings(case: Case, folder: Path) -> Iterator[Surroundings]:
    yield Surroundings()


def bait_case(scanner: Scanner) -> Case:
    """The scanner's bait as a case."""
    assert scanner.bait
    bait = scanner.bait
    return Case(
        scanner=scanner,
        name="bait",
        answer=Answer.FINDINGS,
        files={} if bait.commits else bait.files,
        commits=(dict(bait.files),) if bait.commits else (),
        scan=bait.scan,
        rules=bait.rules,
    )
