"""A place in the code, told by its lines."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.core.security.fragments import context_of

CODE = ["import os", "", "def run(name):", "    os.system(name)", "    return 0", "", "run(input())"]
lines = st.lists(st.sampled_from(["", "   ", "a", "b", "\tc"]), max_size=8)


@given(lines, lines)
def test_moved_code_is_the_same_place(above: list[str], below: list[str]) -> None:
    """Whatever is put above and below a fragment and its neighbours, its context stays."""
    assert context_of(CODE, 4) == context_of([*above, *CODE, *below], 4 + len(above))


@given(st.sampled_from(["", "  ", "\t"]), st.integers(0, 3))
def test_blanks_do_not_matter(indent: str, empty: int) -> None:
    """Deeper indentation and empty lines in between change nothing."""
    moved = [indent + CODE[2], *[""] * empty, indent + CODE[3] + " ", *[" "] * empty, indent + CODE[4]]

    assert context_of(CODE, 4) == context_of(moved, 2 + empty)


@pytest.mark.parametrize(
    "other",
    [
        ["def run(name):", "    os.system(name, 1)", "    return 0"],
        ["def run(other):", "    os.system(name)", "    return 0"],
        ["def run(name):", "    os.system(name)", "    return 1"],
    ],
)
def test_other_code_is_another_place(other: list[str]) -> None:
    """Another line, or another one next to it, is another fragment."""
    assert context_of(CODE, 4) != context_of(other, 2)


@pytest.mark.parametrize(("text", "line"), [(CODE, None), (CODE, 0), (CODE, 8), (CODE, -1), ([], 1), (["", " "], 1)])
def test_no_such_line_is_no_context(text: list[str], line: int | None) -> None:
    """A line that is not there, or has nothing in it or near it, has no context."""
    assert context_of(text, line) == ""


def test_a_giant_line_takes_no_time() -> None:
    """Of a line of 50 megabytes only the beginning is looked at."""
    giant = ["x" * 50_000_000] * 3
    started = time.perf_counter()
    for _ in range(100):
        context_of(giant, 2)

    assert time.perf_counter() - started < 1
    assert context_of(["a" * 2000 + "b"], 1) == context_of(["a" * 2000 + "c"], 1)
