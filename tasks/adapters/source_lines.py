"""The lines around a sighting in the code, read to tell the place by them; they are hashed and not kept."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from tasks.core.security.fragments import context_of
from tasks.core.security.results import ScanResult
from tasks.core.security.sightings import Flaw, Sighting

# A source file that is longer was not written by a person, and its lines need not be told apart.
_READ_BYTES = 16 << 20


def with_contexts(result: ScanResult, tree: Path) -> ScanResult:
    """The result with the context of every flaw whose line can be read below `tree`."""
    paths = {sighting.spot.path for sighting in result.sightings if isinstance(sighting.subject, Flaw)}
    lines = {path: _lines(tree, path) for path in paths}
    return result.model_copy(update={"sightings": tuple(_placed(each, lines) for each in result.sightings)})


def _placed(sighting: Sighting, lines: Mapping[str, list[str]]) -> Sighting:
    known = lines.get(sighting.spot.path)
    if not known or sighting.spot.context:
        return sighting
    return replace(sighting, spot=replace(sighting.spot, context=context_of(known, sighting.spot.line)))


def _lines(tree: Path, path: str) -> list[str]:
    """Nothing for what is no plain file inside the tree: a scanner's report may name any path."""
    place = tree / path
    with suppress(OSError, ValueError):
        if place.resolve().is_relative_to(tree.resolve()) and place.is_file() and not place.is_symlink():
            with place.open("rb") as stream:
                return stream.read(_READ_BYTES).decode("utf-8", "replace").splitlines()
    return []
