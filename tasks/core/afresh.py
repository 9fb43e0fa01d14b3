"""Which checks of a run somebody wants done once more, with nothing remembered, by the names people and forges use."""

from collections.abc import Iterable


def afresh_among(names: Iterable[str], ids: Iterable[str]) -> frozenset[str]:
    """Every check that a name is, or is the end or the beginning of; all of them where a name means none.

    What was asked for must not be answered from memory because it was called by a name that nobody knows.
    """
    known, found = frozenset(ids), set[str]()
    for name in names:
        wanted = name.strip("/ ").casefold()
        meant = {each for each in known if f"/{wanted}/" in f"/{each.casefold()}/"}
        if not meant:
            return known
        found |= meant
    return frozenset(found)
