"""Every case against the real scanner in its sandbox, and every scanner's bait."""

from pathlib import Path

import pytest

from tasks.adapters.scanners.catalogue import SCANNERS
from tasks.core.security.scanner import Scan
from tests.adapters.scanners.all_cases import CASES
from tests.adapters.scanners.installed_scanners import InstalledScanners, ScannerMissingError
from tests.adapters.scanners.performing import perform
from tests.adapters.scanners.scan_cases import Answer, Case, assert_as_expected
from tests.adapters.scanners.services import bait_case, surroundings

pytestmark = pytest.mark.network
_MODULE = Path(__file__).parents[3] / "examples/shop/terraform"

# Those that can find something at all: a configuration that is broken on purpose has no bait to take.
_SCANNERS = {case.scanner.name: case.scanner for case in CASES if case.answer is Answer.FINDINGS}
_KUBERNETES = bait_case(SCANNERS["checkov"], {"framework": ("kubernetes",)})
_BAITS = [*(bait_case(scanner) for scanner in _SCANNERS.values() if scanner.bait), _KUBERNETES]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_the_real_scanner_answers_as_recorded(case: Case, scanner_tools: InstalledScanners, tmp_path: Path) -> None:
    """The installed scanner, over the case's files, gives the same answer as its recording."""
    try:
        with surroundings(case, tmp_path / "services") as around:
            ran = perform(case, scanner_tools, tmp_path / "case", around)
    except ScannerMissingError as missing:
        pytest.skip(str(missing))

    assert_as_expected(case, ran.exit_code, ran.output)


@pytest.mark.parametrize("case", _BAITS, ids=lambda case: case.id)
def test_the_real_scanner_takes_its_bait(case: Case, scanner_tools: InstalledScanners, tmp_path: Path) -> None:
    """Each scanner reports one of the rules its own bait is declared to have."""
    try:
        with surroundings(case, tmp_path / "services") as around:
            ran = perform(case, scanner_tools, tmp_path / "case", around)
    except ScannerMissingError as missing:
        pytest.skip(str(missing))
    answer, reading = case.judge(ran.exit_code, ran.output)

    assert answer is Answer.FINDINGS, (answer, ran.output.log[-2000:])
    assert reading is not None
    assert case.rules & {sighting.rule for sighting in reading.sightings}


def test_the_shops_terraform_is_clean(scanner_tools: InstalledScanners, tmp_path: Path) -> None:
    """Checkov reads each file of the shop's module and has nothing to say of it."""
    files = {f"terraform/{path.name}": path.read_text() for path in _MODULE.glob("*.tf")}
    scan = Scan(paths=("terraform",), options={"framework": ("terraform",)})
    case = Case(scanner=SCANNERS["checkov"], name="shop", files=files, scan=scan, answer=Answer.CLEAN)
    with surroundings(case, tmp_path / "services") as around:
        ran = perform(case, scanner_tools, tmp_path / "case", around)

    assert len(files) == 4
    assert case.judge(ran.exit_code, ran.output)[0] is Answer.CLEAN, ran.output.log[-2000:]


def test_every_scanner_of_the_cases_has_a_bait() -> None:
    """No scanner's clean answer can be believed without a known finding of its own."""
    assert [scanner.name for scanner in _SCANNERS.values() if scanner.bait is None] == []
