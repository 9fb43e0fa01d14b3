"""A private copy of the target, so that checks see one state of it and never touch the original.

A target is a folder inside a git work tree, or an address git can fetch from; with a ref it is that commit's tree,
fetched into a cached mirror. Whatever cannot be delivered is refused in one line that says what to do.

The target itself is never written to, not its files, its index nor its configuration, and no credentials that stand
in an address are ever shown.
"""

import asyncio
import hashlib
import os
import re
import shutil
import threading
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

from tasks.adapters import git, locks, slots
from tasks.adapters.git import GitError, Listing, TargetRefused, TemporaryFailure

__all__ = ["Snapshot", "TargetRefused", "TemporaryFailure", "open_snapshot"]

_ADDRESS = re.compile(r"^(https?|ssh|git|file)://|^[\w.-]+@[\w.-]+:")
# What git says of a mirror that a crash of the machine has damaged.
_DAMAGE = re.compile(
    r"corrupt|bad object|bad tree|object file .* is empty|unable to read|missing (blob|tree|commit)|not a git repo|"
    r"index-pack failed|did not send all necessary objects|invalid object|unable to parse object|bad revision|too small"
)
_T = TypeVar("_T")


@dataclass(frozen=True)
class Snapshot:
    """One state of the target, alone in its slot. `files` maps each path to a digest of content and executable bit."""

    name: str
    source: str
    tree: Path
    caches: Path
    environments: Path
    revision: str
    branch: str | None
    is_dirty: bool
    files: Mapping[str, str]
    notes: tuple[str, ...]


@asynccontextmanager
async def open_snapshot(target: str, *, ref: str | None, state: Path) -> AsyncIterator[Snapshot]:
    """The target as it is now (or at `ref`), in a slot of its own until the context ends."""
    async with AsyncExitStack() as held:
        try:
            snapshot = await _open(target, ref=ref, state=state.absolute(), held=held)
        except GitError as failure:
            raise git.refusal(failure, target) from failure
        except slots.UnreadableError as error:
            raise TargetRefused(f"{_shown(str(error))} may not be read: give this user the right to") from error
        except OSError as error:
            where = _shown(os.fsdecode(error.filename or state))
            raise TargetRefused(
                f"{where} could not be written: {error.strerror}; make room or set TOWPATH_HOME"
            ) from error
        yield snapshot


async def _open(target: str, *, ref: str | None, state: Path, held: AsyncExitStack) -> Snapshot:
    address = _address(target)
    directory = None if address else _directory(target)
    source = address or str(directory)
    name = _name(source)
    slot = held.enter_context(locks.hold_slot(state / "targets" / f"{name}-{_short_hash(source)}"))
    for folder in ("caches", "environments"):
        (slot / folder).mkdir(exist_ok=True)
    if directory is not None and ref is None:
        found = await _from_work_tree(directory, slot)
    else:
        mirror = mirror_of(source, state=state)
        found = await _from_mirror(mirror, source=source, is_address=directory is None, ref=ref, slot=slot)
    return Snapshot(
        name=name,
        source=git.mask(target),
        tree=slot / "tree",
        caches=slot / "caches",
        environments=slot / "environments",
        revision=found.revision,
        branch=found.branch,
        is_dirty=found.is_dirty,
        files=found.synced.files,
        notes=tuple(_notes(found)),
    )


@dataclass(frozen=True)
class _Found:
    """What stands in the slot and where it came from."""

    synced: slots.Synced
    revision: str
    branch: str | None
    is_dirty: bool
    is_mirrored: bool
    nested_repositories: tuple[str, ...] = ()


async def _from_work_tree(directory: Path, slot: Path) -> _Found:
    listing = await git.list_work_tree(directory)
    synced = await _sync(listing, slot)
    is_dirty = listing.is_dirty or synced.has_vanished
    return _Found(
        synced,
        listing.revision,
        listing.branch,
        is_dirty,
        is_mirrored=False,
        nested_repositories=listing.nested_repositories,
    )


def mirror_of(source: str, *, state: Path) -> Path:
    """Where the commits fetched from an address or a folder are kept."""
    return state / "mirrors" / f"{_short_hash(source)}.git"


def origin_of(target: str) -> tuple[str, bool]:
    """Where a target's commits come from, and whether that is an address; else it is a folder. Raises TargetRefused."""
    address = _address(target)
    return address or str(_directory(target)), address is not None


def _address(target: str) -> str | None:
    """The address to fetch from, when the target is one; a bare repository named *.git on this machine is."""
    if _ADDRESS.match(target):
        return target
    path = Path(target).absolute()
    return str(path) if target.endswith(".git") and path.is_dir() and not (path / ".git").exists() else None


def _directory(target: str) -> Path:
    path = Path(target).expanduser()
    try:
        resolved = path.resolve(strict=True)
    except (OSError, RuntimeError, ValueError) as error:
        raise TargetRefused(f"{_shown(target)} does not exist: name a folder or a git address") from error
    if not resolved.is_dir():
        raise TargetRefused(f"{_shown(target)} is not a folder: name the folder it lies in")
    return resolved


def _shown(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode().replace("\n", "\\n")


def _name(source: str) -> str:
    last = re.split(r"[/:]", source.rstrip("/"))[-1].removesuffix(".git")
    return re.sub(r"[^A-Za-z0-9._-]+", "-", last).strip("-.")[:60] or "target"


def _short_hash(source: str) -> str:
    return hashlib.sha256(os.fsencode(source)).hexdigest()[:12]


async def _sync(listing: Listing, slot: Path, *, origin: str = "") -> slots.Synced:
    stop = threading.Event()
    absent = listing.absent_submodules
    return await _in_thread(
        lambda: slots.sync(listing.root, listing.paths, slot=slot, stop=stop, origin=origin, absent=absent), stop
    )


async def _in_thread(work: Callable[[], _T], stop: threading.Event) -> _T:
    """A cancelled task waits for its thread, which must not write on in a slot that is somebody else's by then."""
    running = asyncio.get_running_loop().run_in_executor(None, work)
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        stop.set()
        await asyncio.wait({running})
        raise


def _notes(found: _Found) -> list[str]:
    notes, synced = [], found.synced
    for path in synced.absent:
        remedy = "only a folder's own are taken" if found.is_mirrored else "git submodule update --init"
        notes.append(f"submodule {_shown(path)} is not checked out and was left out: {remedy}")
    notes += [f"{_shown(path)} is a git repository of its own and was left out" for path in found.nested_repositories]
    if synced.pointers:
        notes.append(f"{len(synced.pointers)} files are Git LFS pointers, not their content: git lfs pull")
    notes += [f"symlink {_shown(path)} leads out of the target and was left out" for path in synced.outward_links]
    if synced.left_alone:
        notes.append(f"{len(synced.left_alone)} files under node_modules were left out: environments are built there")
    if not synced.files:
        notes.append("there are no files here that git tracks or would track")
    return notes


async def _from_mirror(mirror: Path, *, source: str, is_address: bool, ref: str | None, slot: Path) -> _Found:
    """The asked commit's tree by way of a work tree of the mirror, unless the slot holds it still."""
    checkout = slot / "checkout"
    async with locks.wait_for_lock(mirror.with_suffix(".lock")):
        wanted, synced = await _check_out(mirror, slot, source=source, is_address=is_address, ref=ref)
    if synced is None:
        try:
            root = checkout / wanted.prefix
            if not root.is_dir() or root.resolve() != root.absolute():
                raise TargetRefused(f"{_shown(wanted.prefix)} is no folder at {ref}: name a ref that has it")
            synced = await _sync(await git.list_work_tree(root), slot, origin=wanted.origin)
        finally:
            shutil.rmtree(checkout, ignore_errors=True)
        async with locks.wait_for_lock(mirror.with_suffix(".lock")):
            await git.git("worktree", "prune", directory=mirror)
    return _Found(synced, wanted.revision, wanted.branch, is_dirty=False, is_mirrored=True)


async def _prepare(mirror: Path, checkout: Path) -> None:
    """A mirror that is whole, without what a killed run left in it."""
    if not mirror.exists():
        fresh = mirror.with_suffix(".new")
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(parents=True)
        await git.git("init", "--quiet", "--bare", "--template=", ".", directory=fresh)
        fresh.rename(mirror)
    for lock in [*mirror.glob("*.lock"), *(mirror / "refs").rglob("*.lock")]:
        lock.unlink(missing_ok=True)
    shutil.rmtree(checkout, ignore_errors=True)
    await git.git("worktree", "prune", directory=mirror)


@dataclass(frozen=True)
class _Wanted:
    revision: str
    branch: str | None
    prefix: str = ""

    @property
    def origin(self) -> str:
        return f"{self.revision}:{self.prefix}"


async def _check_out(
    mirror: Path, slot: Path, *, source: str, is_address: bool, ref: str | None
) -> tuple[_Wanted, slots.Synced | None]:
    """Check the asked commit out beside the slot's tree, unless that holds it still; a damaged mirror is made anew."""
    for is_last in (False, True):
        try:
            await _prepare(mirror, slot / "checkout")
            wanted = await (_find_at(mirror, source, ref) if is_address else _find_in(mirror, Path(source), ref))
            synced = await _in_thread(partial(slots.still_holds, slot, wanted.origin), threading.Event())
            if synced is None:
                add = ("worktree", "add", "--quiet", "--detach", "--force", str(slot / "checkout"), wanted.revision)
                await git.git(*add, directory=mirror)
        except GitError as failure:
            if is_last or not _DAMAGE.search(failure.errors):
                raise _unknown_ref(failure, source, ref) from failure
            shutil.rmtree(mirror, ignore_errors=True)
        else:
            return wanted, synced
    raise AssertionError("the last attempt returns or raises")


async def _find_at(mirror: Path, address: str, ref: str | None) -> _Wanted:
    return _Wanted(*await git.fetch_all(mirror, source=address, ref=ref))


async def _find_in(mirror: Path, directory: Path, ref: str | None) -> _Wanted:
    place = ("rev-parse", "--path-format=absolute", "--git-common-dir")
    repository, prefix = await git.both(
        git.git(*place, directory=directory), git.git("rev-parse", "--show-prefix", directory=directory)
    )
    revision, branch = await git.resolve(ref or "HEAD", directory=directory)
    await git.fetch_commit(mirror, source=os.fsdecode(repository.removesuffix(b"\n")), commit=revision)
    return _Wanted(revision, branch, os.fsdecode(prefix.removesuffix(b"\n")))


def _unknown_ref(failure: GitError, source: str, ref: str | None) -> TargetRefused:
    refused = git.refusal(failure, source)
    is_about_ref = not failure.errors or re.search(
        r"couldn't find remote ref (?!HEAD)|is no ref|Needed a single", failure.errors
    )
    if ref is None or not is_about_ref or isinstance(refused, TemporaryFailure):
        return refused
    return TargetRefused(f"{_shown(ref)} names no commit in {git.mask(source)}: git ls-remote shows what there is")
