"""Where Towpath keeps what outlives a run, and how it writes there.

One folder holds everything (snapshots, environments, caches, results, reports, the local server), so that a user can
look at it, move it or delete it whole. A reader never sees half a file: content is written beside and renamed.
"""

import errno
import hashlib
import os
import secrets
import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path


def state_home(environment: Mapping[str, str] = os.environ) -> Path:
    """$TOWPATH_HOME, else $XDG_STATE_HOME/towpath, else ~/.local/state/towpath."""
    if chosen := environment.get("TOWPATH_HOME"):
        return Path(chosen).expanduser().absolute()
    base = environment.get("XDG_STATE_HOME") or str(
        Path(environment.get("HOME", "~")).expanduser() / ".local" / "state"
    )
    return Path(base) / "towpath"


_BALLAST = "ballast"
_BALLAST_BYTES = 256 * 1024


def write_atomically(path: Path, content: str | bytes, *, mode: int = 0o644, is_durable: bool = False) -> None:
    """Write the whole file or leave the old one as it was; a durable one outlives a loss of power.

    On a full disk, the ballast that lies beside the file makes room, once.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    data = content.encode("utf-8", "backslashreplace") if isinstance(content, str) else content
    try:
        _write_beside(path, data, mode, is_durable=is_durable)
    except OSError as full:
        ballast = path.with_name(_BALLAST)
        if full.errno != errno.ENOSPC or not ballast.exists():
            raise
        ballast.unlink()
        _write_beside(path, data, mode, is_durable=is_durable)


def _write_beside(path: Path, data: bytes, mode: int, *, is_durable: bool) -> None:
    beside = path.with_name(f".{path.name[:100]}.{secrets.token_hex(4)}")
    try:
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
            if is_durable:
                stream.flush()
                os.fsync(stream.fileno())
        beside.replace(path)
        if is_durable:
            _sync_folder(path.parent)
    finally:
        beside.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    """The new name is on the disk too, and not only the content."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def keep_ballast(folder: Path) -> None:
    """Have some room put by in the folder, for what must be written there when the disk is full."""
    with suppress(OSError):
        if not (folder / _BALLAST).exists():
            (folder / _BALLAST).write_bytes(b"\0" * _BALLAST_BYTES)


def file_digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def link_or_copy(source: Path, target: Path) -> None:
    """Give a file or folder a second name without copying its content where the file system can."""
    if source.is_dir():
        shutil.copytree(source, target, copy_function=link_or_copy_file, dirs_exist_ok=True)
    elif source.is_file():
        target.parent.mkdir(parents=True, exist_ok=True)
        link_or_copy_file(str(source), str(target))


def link_or_copy_file(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
