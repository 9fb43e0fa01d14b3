"""Keeps a private copy of a folder equal to its source, writing only what differs.

A slot lasts from run to run, since the tools' caches believe in paths and modification times, and belongs to one run
at a time. A sync brings what is new, removes what is gone, and puts back what a tool changed or added; only folders
named node_modules are left alone, for environments live there.

The digests it returns are always of the bytes that stand in the slot. A sync that was killed half-way must never be
taken for a finished one, and nothing is ever written outside the slot, whatever symlinks were left there.
"""

# Plain strings: a tree may hold a hundred thousand files, and each is looked at in every run.
# ruff: noqa: PTH101, PTH103, PTH106, PTH108, PTH115, PTH116, PTH120, PTH211

import hashlib
import itertools
import json
import os
import shutil
import stat
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Set
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from tasks.adapters.state import write_atomically

_LEFT_ALONE = "node_modules"
_LFS_POINTER = b"version https://git-lfs.github.com/spec/v1"
_CHUNK_BYTES = 1 << 20
_MANIFEST_VERSION = 1
# A file written this shortly before a sync may be written again without its times telling (they tick coarsely).
_RACY_NANOSECONDS = 100_000_000
Stamp = tuple[int, int, int, int]


class SyncStoppedError(Exception):
    """The sync was asked to stop; the slot is repaired by the next one."""


class UnreadableError(Exception):
    """A file of the source may not be read."""


@dataclass(frozen=True)
class Record:
    """What stands in the slot for one path; without a `source` stamp it is compared by content next time."""

    digest: str
    source: Stamp | None
    copy: Stamp
    is_pointer: bool = False


@dataclass(frozen=True)
class Synced:
    """What the slot holds now, and what could not be taken over."""

    files: Mapping[str, str]
    has_vanished: bool
    pointers: tuple[str, ...]
    outward_links: tuple[str, ...]
    left_alone: tuple[str, ...]
    absent: tuple[str, ...]


def sync(
    source: Path,
    paths: Iterable[str],
    *,
    slot: Path,
    stop: threading.Event,
    origin: str = "",
    absent: tuple[str, ...] = (),
) -> Synced:
    """Make slot/tree hold exactly these paths of the source.

    Args:
        origin: names a source that never changes, so that a later run may ask `still_holds` instead.
        absent: what the source should have had, remembered with the rest.
    """
    tree, manifest = slot / "tree", slot / "manifest.json"
    tree.mkdir(exist_ok=True)
    started = time.time_ns()
    survey = _Survey(str(source))
    for path in sorted(paths):
        survey.take(path)
    last = _read_manifest(manifest)
    present = _prune(str(tree), "", wanted=survey.wanted.keys(), folders=_folders(survey.wanted))
    records: dict[str, Record] = {}
    for path, found in survey.wanted.items():
        if stop.is_set():
            raise SyncStoppedError
        pair = _Pair(f"{source}/{path}", f"{tree}/{path}", is_link=stat.S_ISLNK(found.st_mode))
        record = _bring(
            pair, found, was=last.files.get(path), copy=present.get(path), fresh=started - _RACY_NANOSECONDS
        )
        if record is None:
            survey.has_vanished = True
        else:
            records[path] = record
    done = _Manifest(origin, records, tuple(survey.outward_links), tuple(survey.left_alone), absent)
    if done != last:
        _write_manifest(manifest, done)
    return _synced(done, has_vanished=survey.has_vanished)


def still_holds(slot: Path, origin: str) -> Synced | None:
    """What the last sync gave, if it was of the same unchanging source and no tool changed a file since."""
    manifest = _read_manifest(slot / "manifest.json")
    if not origin or manifest.origin != origin or not (slot / "tree").is_dir():
        return None
    present = _prune(str(slot / "tree"), "", wanted=manifest.files.keys(), folders=_folders(manifest.files))
    stamps = {path: _stamp(found) for path, found in present.items()}
    if stamps != {path: record.copy for path, record in manifest.files.items()}:
        return None
    return _synced(manifest, has_vanished=False)


def _synced(manifest: "_Manifest", *, has_vanished: bool) -> Synced:
    return Synced(
        files={path: record.digest for path, record in manifest.files.items()},
        has_vanished=has_vanished,
        pointers=tuple(path for path, record in manifest.files.items() if record.is_pointer),
        outward_links=manifest.outward_links,
        left_alone=manifest.left_alone,
        absent=manifest.absent,
    )


class _Survey:
    """Which of the listed paths can be taken over, as the source stands now."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.wanted: dict[str, os.stat_result] = {}
        self.outward_links: list[str] = []
        self.left_alone: list[str] = []
        self.has_vanished = False
        self._is_folder: dict[str, bool] = {"": True}

    def take(self, path: str) -> None:
        folder = path.rpartition("/")[0]
        if _LEFT_ALONE in path.split("/"):
            self.left_alone.append(path)
            return
        found = self._look(path) if self._is_real(folder) else None
        if found is None:
            self.has_vanished = True
        elif stat.S_ISLNK(found.st_mode) and _leads_outside(path, os.readlink(f"{self.source}/{path}")):
            self.outward_links.append(path)
        elif stat.S_ISREG(found.st_mode) or stat.S_ISLNK(found.st_mode):
            self.wanted[path] = found

    def _look(self, path: str) -> os.stat_result | None:
        try:
            return os.lstat(f"{self.source}/{path}")
        except (FileNotFoundError, NotADirectoryError):
            return None
        except PermissionError as error:
            raise UnreadableError(f"{self.source}/{path}") from error

    def _is_real(self, folder: str) -> bool:
        """Whether it is reached without a symlink: behind one lies what git has not listed."""
        if folder not in self._is_folder:
            found = self._look(folder) if self._is_real(folder.rpartition("/")[0]) else None
            self._is_folder[folder] = found is not None and stat.S_ISDIR(found.st_mode)
        return self._is_folder[folder]


def _leads_outside(path: str, target: str) -> bool:
    """Judged by the text alone; a climb after a descent counts as outside, since the descent may be a symlink."""
    steps = [step for step in target.split("/") if step not in ("", ".")]
    climbs = len(list(itertools.takewhile(lambda step: step == "..", steps)))
    return target.startswith("/") or climbs > path.count("/") or ".." in steps[climbs:]


def _folders(paths: Iterable[str]) -> set[str]:
    folders: set[str] = set()
    for path in paths:
        while (path := path.rpartition("/")[0]) and path not in folders:
            folders.add(path)
    return folders


def _prune(folder: str, prefix: str, *, wanted: Set[str], folders: set[str]) -> dict[str, os.stat_result]:
    """Remove what is not wanted; returns what stands at the wanted paths."""
    if os.stat(folder).st_mode & 0o700 != 0o700:
        os.chmod(folder, 0o755)  # noqa: S103
    present: dict[str, os.stat_result] = {}
    with os.scandir(folder) as entries:
        for entry in sorted(entries, key=lambda entry: entry.name):
            path = prefix + entry.name
            if entry.name == _LEFT_ALONE:
                continue
            if entry.is_dir(follow_symlinks=False):
                present |= _prune(entry.path, f"{path}/", wanted=wanted, folders=folders)
                _remove_folder(entry.path, is_kept=path in folders, is_in_the_way=path in wanted)
            elif path in wanted:
                present[path] = entry.stat(follow_symlinks=False)
            else:
                os.unlink(entry.path)
    return present


def _remove_folder(folder: str, *, is_kept: bool, is_in_the_way: bool) -> None:
    if is_in_the_way:
        shutil.rmtree(folder)
    elif not is_kept:
        with suppress(OSError):
            os.rmdir(folder)


@dataclass(frozen=True)
class _Pair:
    """One path in the source and in the slot."""

    source: str
    copy: str
    is_link: bool


def _bring(
    pair: _Pair, found: os.stat_result, *, was: Record | None, copy: os.stat_result | None, fresh: int
) -> Record | None:
    """Make one copy equal to its source, leaving it untouched when it is; None when the source vanished."""
    is_intact = was is not None and copy is not None and was.copy == _stamp(copy)
    if was is not None and is_intact and was.source == _stamp(found):
        return was
    try:
        digest, is_pointer = _digest(pair.source, is_link=pair.is_link) if copy else ("", False)
        is_equal = copy is not None and digest == (was.digest if was and is_intact else _digest_of_copy(pair))
        if not is_equal:
            digest, is_pointer = _copy(pair, found)
        now = os.lstat(pair.source)
    except (FileNotFoundError, NotADirectoryError):
        with suppress(FileNotFoundError):
            os.unlink(pair.copy)
        return None
    is_settled = _stamp(now) == _stamp(found) and max(found.st_ctime_ns, found.st_mtime_ns) < fresh
    return Record(digest, _stamp(found) if is_settled else None, _stamp(os.lstat(pair.copy)), is_pointer)


def _stamp(found: os.stat_result) -> Stamp:
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino


def _digest(path: str, *, is_link: bool) -> tuple[str, bool]:
    if is_link:
        return _digest_of_link(os.readlink(path)), False
    with _open_source(path) as descriptor:
        return _pour(descriptor, None)


def _digest_of_copy(pair: _Pair) -> str:
    """Of whatever stands there; empty when it is not even of the same kind."""
    found = os.lstat(pair.copy)
    if stat.S_ISLNK(found.st_mode) != pair.is_link or not (pair.is_link or stat.S_ISREG(found.st_mode)):
        return ""
    os.chmod(pair.copy, stat.S_IMODE(found.st_mode) | 0o600) if not pair.is_link else None
    return _digest(pair.copy, is_link=pair.is_link)[0]


def _digest_of_link(target: str) -> str:
    return hashlib.sha256(b"link\0" + os.fsencode(target)).hexdigest()


def _copy(pair: _Pair, found: os.stat_result) -> tuple[str, bool]:
    os.makedirs(os.path.dirname(pair.copy), exist_ok=True)
    # NOTE: never written in place: a tool may have linked the old file into a store of its own.
    with suppress(FileNotFoundError):
        os.unlink(pair.copy)
    if pair.is_link:
        target = os.readlink(pair.source)
        os.symlink(target, pair.copy)
        return _digest_of_link(target), False
    with _open_source(pair.source) as descriptor:
        mode = 0o755 if os.fstat(descriptor).st_mode & stat.S_IXUSR else 0o644
        into = os.open(pair.copy, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        try:
            digest = _pour(descriptor, into)
            os.fchmod(into, mode)
            os.utime(into, ns=(found.st_atime_ns, found.st_mtime_ns))
        finally:
            os.close(into)
    return digest


@contextmanager
def _open_source(path: str) -> Iterator[int]:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except PermissionError as error:
        raise UnreadableError(path) from error
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _pour(descriptor: int, into: int | None) -> tuple[str, bool]:
    """Read it all, into the other file when there is one; returns its digest and whether it is an LFS pointer."""
    is_executable = os.fstat(descriptor).st_mode & stat.S_IXUSR
    digest = hashlib.sha256(b"exec\0" if is_executable else b"file\0")
    is_pointer, is_first = False, True
    while chunk := os.read(descriptor, _CHUNK_BYTES):
        is_pointer = is_first and len(chunk) < 1024 and chunk.startswith(_LFS_POINTER)
        is_first = False
        digest.update(chunk)
        rest = memoryview(chunk)
        while into is not None and rest:
            rest = rest[os.write(into, rest) :]
    return digest.hexdigest(), is_pointer


@dataclass(frozen=True)
class _Manifest:
    """The last finished sync, as it is kept beside the tree."""

    origin: str = ""
    files: Mapping[str, Record] = field(default_factory=dict)
    outward_links: tuple[str, ...] = ()
    left_alone: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()


def _read_manifest(path: Path) -> _Manifest:
    """An empty one when there was no sync or it cannot be read, and then all is compared by content."""
    try:
        read = json.loads(path.read_bytes())
        if read["version"] != _MANIFEST_VERSION:
            return _Manifest()
        files = {name: _record(*fields) for name, fields in read["files"].items()}
        lists = (tuple(map(str, read[name])) for name in ("outward_links", "left_alone", "absent"))
        return _Manifest(str(read["origin"]), files, *lists)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return _Manifest()


def _record(digest: str, source: list[int] | None, copy: list[int], is_pointer: bool) -> Record:
    return Record(digest, _read_stamp(source) if source else None, _read_stamp(copy), is_pointer)


def _read_stamp(numbers: list[int]) -> Stamp:
    size, modified, changed, inode = map(int, numbers)
    return size, modified, changed, inode


def _write_manifest(path: Path, manifest: _Manifest) -> None:
    content = {
        "origin": manifest.origin,
        "outward_links": manifest.outward_links,
        "left_alone": manifest.left_alone,
        "absent": manifest.absent,
        "version": _MANIFEST_VERSION,
        "files": {
            name: (each.digest, each.source, each.copy, each.is_pointer) for name, each in manifest.files.items()
        },
    }
    write_atomically(path, json.dumps(content))
