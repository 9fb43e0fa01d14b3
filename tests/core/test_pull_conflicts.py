"""Conflicts: what git says, and what is made of it."""

import pytest

from tasks.core.outcome import Verdict
from tasks.core.pull_requests.conflicts import Conflict, judge_conflicts, read_merge
from tasks.core.tools.contract import Unreadable
from tests.core.pull_changes import change_of, changed

TREE = "a" * 40


def test_a_clean_merge_has_no_conflict() -> None:
    """A tree, and messages of files that merged by themselves, are no conflict."""
    assert read_merge(f"{TREE}\0") == ()
    assert read_merge(f"{TREE}\0\0" + "1\0a b.py\0Auto-merging\0Auto-merging a b.py\n\0") == ()


def test_conflicts_are_named_with_their_messages() -> None:
    """Each conflicted path is named once, with git's message for it."""
    stages = "".join(f"100644 {TREE} {stage}\tä b.py\0" for stage in (1, 2, 3))
    messages = "1\0ä b.py\0Auto-merging\0Auto-merging\n\0" + "1\0ä b.py\0CONFLICT (contents)\0CONFLICT (content): x\n\0"

    assert read_merge(f"{TREE}\0{stages}\0{messages}") == (Conflict("ä b.py", "CONFLICT (content): x"),)


@pytest.mark.parametrize("text", ["", "fatal: no\0", "xyz"])
def test_anything_else_is_unreadable(text: str) -> None:
    """Output without a tree is not taken for a clean merge."""
    with pytest.raises(Unreadable):
        read_merge(text)


def test_verdicts() -> None:
    """Conflicts and markers fail, no common commit is an error, and a clean merge passes."""
    change = change_of("a.py")
    marked = change_of(changed("a.py", markers=(3, 5)))
    clash = (Conflict("a.py", "CONFLICT"),)

    assert judge_conflicts(change, (), (), check_id="x").verdict is Verdict.PASSED
    assert judge_conflicts(change, None, (), check_id="x").verdict is Verdict.ERROR
    assert [place.line for place in judge_conflicts(marked, (), (), check_id="x").problems] == [3, 5]
    failed = judge_conflicts(change, clash, ("1234567 feat: other",), check_id="x")
    assert failed.verdict is Verdict.FAILED
    assert "a.py, changed there by 1234567 feat: other" in failed.reason
