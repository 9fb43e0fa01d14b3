"""Which release records of an environment in a cluster are kept, where there is room for so many and no more."""

from collections.abc import Sequence

from tasks.core.records import Ending, Record

_NEVER_FORGOTTEN_RELEASES = 2


def forgotten(records: Sequence[Record], kept: int) -> tuple[Record, ...]:
    """The oldest ones, that are neither among the last `kept` nor as young as the release before the present one."""
    return tuple(records[: max(0, min(len(records) - kept, _first_needed(records)))])


def _first_needed(records: Sequence[Record]) -> int:
    """The place of the record that a rollback goes back to, else of the present release; all may go without any."""
    place, digests = len(records), set[str]()
    for number in reversed(range(len(records))):
        record = records[number]
        if record.ending is not Ending.RELEASED or record.release.digest in digests:
            continue
        place = number
        digests.add(record.release.digest)
        if len(digests) == _NEVER_FORGOTTEN_RELEASES:
            break
    return place


def builds_needed(records: Sequence[Record]) -> frozenset[str]:
    """Of every release that one could go back to, and of what the last change was about."""
    released = {record.release.artifact for record in records if record.ending is Ending.RELEASED}
    return frozenset(released | {record.release.artifact for record in records[-1:]})
