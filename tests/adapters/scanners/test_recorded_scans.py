"""Every scanner's parser on the recorded output of the real scanner, whole and cut short."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.adapters.scanners.all_cases import CASES
from tests.adapters.scanners.scan_cases import RECORDINGS, Answer, Case, assert_as_expected, recorded


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_a_recorded_run_reads_as_what_it_was(case: Case) -> None:
    """What the real scanner once printed reads as the findings, gaps and notes of its case, and as nothing else."""
    scan = recorded(case)

    assert_as_expected(case, scan.exit_code, scan.output)


def test_no_recording_is_without_a_case() -> None:
    """Each recorded folder belongs to a case, so that none is kept that no test reads."""
    folders = {str(path.parent.relative_to(RECORDINGS)) for path in RECORDINGS.glob("*/*/exit_code")}

    assert folders == {case.id for case in CASES}


@settings(max_examples=400, deadline=None)
@given(st.sampled_from([case for case in CASES if case.answer is not Answer.CLEAN]), st.data())
def test_cutting_an_output_never_makes_it_clean(case: Case, data: st.DataObject) -> None:
    """A run that was not clean does not become clean when one of its streams ends early."""
    scan = recorded(case)
    stream = data.draw(st.sampled_from(sorted(scan.streams)))
    length = data.draw(st.integers(0, len(scan.streams[stream])))

    answer, _ = case.judge(scan.exit_code, scan.cut(stream, length))

    assert answer is not Answer.CLEAN


# One finding a line, or nothing at all: cut between two lines it is whole, and its exit code tells the rest.
_OF_LINES = frozenset({"yarn-audit", "trufflehog"})
_WHOLE = [
    case for case in CASES if case.answer in (Answer.CLEAN, Answer.FINDINGS) and case.scanner.name not in _OF_LINES
]


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(_WHOLE), st.data())
def test_a_report_cut_short_is_no_report(case: Case, data: st.DataObject) -> None:
    """A report that ends before its last character, blanks aside, cannot be read, whatever stands in its first part."""
    scan = recorded(case)
    stream = case.scanner.reports[0] if case.scanner.reports else "stdout"
    length = data.draw(st.integers(0, len(scan.streams[stream].rstrip()) - 1))

    answer, _ = case.judge(scan.exit_code, scan.cut(stream, length))

    assert answer is Answer.UNREADABLE
