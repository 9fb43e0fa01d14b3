"""A clean view of a snapshot for scanners: its own files and nothing that an installation has put beside them."""

import shutil
from contextlib import suppress
from pathlib import Path

from tasks.adapters.snapshots import Snapshot
from tasks.adapters.state import link_or_copy_file


def make_view(snapshot: Snapshot, place: Path) -> Path:
    """The snapshot's files under `place`, which is made anew. Links stay links; content is shared, not copied."""
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    made = {place}
    for path in snapshot.files:
        source, target = snapshot.tree / path, place / path
        if target.parent not in made:
            target.parent.mkdir(parents=True, exist_ok=True)
            made.add(target.parent)
        with suppress(FileNotFoundError):
            if source.is_symlink():
                target.symlink_to(source.readlink())
            else:
                link_or_copy_file(str(source), str(target))
    return place
