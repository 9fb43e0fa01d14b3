"""Which records and builds of an environment in a cluster are kept."""

from hypothesis import given
from hypothesis import strategies as st

from tasks.core.cluster.records import builds_needed, forgotten
from tasks.core.records import Ending, Record
from tests.core.deliveries import a_record, a_release

histories = st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(Ending)), max_size=30)


def _records(history: list[tuple[str, Ending]]) -> list[Record]:
    return [
        a_record(number, a_release(f"v{letter}", artifact="sha256:" + letter * 64), ending=ending)
        for number, (letter, ending) in enumerate(history, start=1)
    ]


@given(histories, st.integers(1, 12))
def test_what_is_forgotten(history: list[tuple[str, Ending]], kept: int) -> None:
    """The oldest go, never one of the last `kept`, never the present release or the one before it; no gap is left."""
    records = _records(history)
    gone = forgotten(records, kept)
    left = records[len(gone) :]

    assert list(gone) == records[: len(gone)]
    assert len(left) >= min(kept, len(records))
    released = [each.release.digest for each in reversed(records) if each.ending is Ending.RELEASED]
    needed = list(dict.fromkeys(released))[:2]
    assert set(needed) <= {each.release.digest for each in left if each.ending is Ending.RELEASED}
    first = left[0] if left else None
    is_bound = first is not None and first.ending is Ending.RELEASED and first.release.digest in needed
    assert len(left) <= kept or is_bound or not gone


def test_builds() -> None:
    """Builds stay of what was released and is on record, and of what the last change was about."""
    records = _records([("a", Ending.RELEASED), ("b", Ending.FAILED), ("c", Ending.ROLLED_BACK)])
    assert builds_needed(records) == {"sha256:" + letter * 64 for letter in "ac"}
