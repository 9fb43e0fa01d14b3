"""Asks git about a repository, and never lets a repository answer with a program of its own.

Git runs through the subprocess door with hooks, file-system monitors and prompts switched off. Nothing here writes to
the repository asked about: not its files, not its index (not even to refresh it), not its configuration. What git
says in anger is turned once, here, into a line that names the place and the way out.

Names are the bytes git has, carried through `os.fsdecode`, whatever their encoding.
"""

import asyncio
import os
import re
import tempfile
from collections.abc import Awaitable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tasks.adapters import process
from tasks.adapters.process import Command, Ending, Need

_NEUTRAL = (
    *("-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false", "-c", "protocol.ext.allow=never"),
    *("-c", "gc.auto=0", "-c", "maintenance.auto=false", "-c", "advice.detachedHead=false"),
    *("-c", "core.quotePath=false", "-c", "status.relativePaths=false"),
)
_QUIET = {
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_LFS_SKIP_SMUDGE": "1",
    "GCM_INTERACTIVE": "never",
    "LC_ALL": "C.UTF-8",
}
_ANSWER_SECONDS = 120.0
_FETCH_SECONDS = 900.0


class TargetRefused(Exception):
    """The target cannot be delivered as it is; the text says what, where and what to do, in one line."""


class TemporaryFailure(TargetRefused):
    """The same target may well be there in a minute."""


class GitError(Exception):
    """Git said no; `errors` is what it wrote to standard error."""

    def __init__(self, *, errors: str, ending: Ending = Ending.EXITED) -> None:
        super().__init__(errors)
        self.errors = errors
        self.ending = ending


@dataclass(frozen=True)
class Listing:
    """What a work tree holds: paths relative to `root`, tracked or neither tracked nor ignored."""

    root: Path
    paths: frozenset[str]
    revision: str
    branch: str | None
    is_dirty: bool
    absent_submodules: tuple[str, ...] = ()
    nested_repositories: tuple[str, ...] = ()


def _own_variables(*, has_network: bool) -> dict[str, str]:
    """The user's own git settings; never GIT_DIR and its kind, with which a hook would point us at another tree."""
    prefixes = ("GIT_CONFIG_", "GIT_SSH", "GIT_ASKPASS", "SSH_") if has_network else ("GIT_CONFIG_",)
    return {name: value for name, value in os.environ.items() if name.startswith(prefixes)}


async def git(
    *arguments: str,
    directory: Path,
    environment: Mapping[str, str] | None = None,
    stdin: bytes = b"",
    has_network: bool = False,
    exit_codes: frozenset[int] = frozenset({0}),
) -> bytes:
    """Git's standard output; raises GitError unless it exits with one of `exit_codes`."""
    with tempfile.TemporaryDirectory(prefix="towpath-git-") as folder:
        given = Path(folder, "in")
        given.write_bytes(stdin)
        done = await process.run(
            Command(
                argv=("git", *_NEUTRAL, *arguments),
                directory=directory,
                log=Path(folder, "errors"),
                stdout=Path(folder, "out"),
                stdin=given,
                timeout_seconds=_FETCH_SECONDS if has_network else _ANSWER_SECONDS,
                environment=_own_variables(has_network=has_network) | _QUIET | dict(environment or {}),
                needs=frozenset({Need.NETWORK}) if has_network else frozenset(),
                is_own=True,
            )
        )
        if done.ending is Ending.EXITED and done.exit_code in exit_codes:
            return Path(folder, "out").read_bytes()
        raise GitError(errors=(done.detail or done.tail).strip(), ending=done.ending)


async def line_of(*arguments: str, directory: Path) -> str:
    return os.fsdecode((await git(*arguments, directory=directory)).removesuffix(b"\n"))


async def list_work_tree(directory: Path) -> Listing:
    """Everything under one directory of a work tree that a commit of all of it would hold."""
    status, entries = await both(
        git("status", "--porcelain=v2", "--branch", "-z", "--", ".", directory=directory),
        git("ls-files", "-z", "-t", "--stage", "--cached", "--others", "--exclude-standard", directory=directory),
    )
    revision, branch, is_dirty = _parse_status(status)
    paths, submodules = _parse_entries(entries)
    absent: list[str] = []
    for submodule in sorted(submodules):
        inner = directory / submodule
        if (inner / ".git").exists() and not inner.is_symlink():
            listing = await list_work_tree(inner)
            paths |= {f"{submodule}/{path}" for path in listing.paths}
            absent.extend(f"{submodule}/{path}" for path in listing.absent_submodules)
        else:
            absent.append(submodule)
    nested = sorted(path for path in paths if path.endswith("/"))
    return Listing(
        directory, frozenset(paths.difference(nested)), revision, branch, is_dirty, tuple(absent), tuple(nested)
    )


async def both(first: Awaitable[bytes], second: Awaitable[bytes]) -> tuple[bytes, bytes]:
    """Two answers at once; when either fails, its failure, once the other has ended too."""
    one, other = await asyncio.gather(first, second, return_exceptions=True)
    if isinstance(one, BaseException):
        raise one
    if isinstance(other, BaseException):
        raise other
    return one, other


def _parse_status(status: bytes) -> tuple[str, str | None, bool]:
    revision, branch, is_dirty = "uncommitted", None, False
    for record in os.fsdecode(status).split("\0"):
        match record.split(" ", 2):
            case ["#", "branch.oid", oid]:
                revision = "uncommitted" if oid == "(initial)" else oid
            case ["#", "branch.head", head]:
                branch = None if head == "(detached)" else head
            case ["#", *_] | [""]:
                continue
            case _:
                is_dirty = True
    return revision, branch, is_dirty


def _parse_entries(entries: bytes) -> tuple[set[str], set[str]]:
    """The files' and the submodules' paths of `ls-files -t --stage`."""
    paths: set[str] = set()
    submodules: set[str] = set()
    for record in filter(None, os.fsdecode(entries).split("\0")):
        tag, _, rest = record.partition(" ")
        if tag == "?":
            paths.add(rest)
            continue
        facts, _, path = rest.partition("\t")
        (submodules if facts.startswith("160000 ") else paths).add(path)
    return paths, submodules


async def resolve(ref: str, *, directory: Path) -> tuple[str, str | None]:
    """The commit a ref names, and the branch when it is one."""
    if ref.startswith("-"):
        raise GitError(errors=f"fatal: {ref} is no ref")
    commit, name = await both(
        git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}", directory=directory),
        git("rev-parse", "--symbolic-full-name", ref, "--", directory=directory),
    )
    full = os.fsdecode(name).splitlines()[0] if name.startswith(b"refs/heads/") else ""
    return commit.decode().strip(), full.removeprefix("refs/heads/") or None


# What git says, and what to say instead; the first that matches counts. `{}` is the target.
_REFUSALS = (
    ("dubious ownership", "{} belongs to another user: git config --global --add safe.directory '{}'"),
    ("not a git repository", "{} is not a git repository: run git init there, or name a folder inside one"),
    # NOTE: outside a repository `git diff` is another program, which does not know this option.
    ("unknown option `cached'", "{} is not a git repository: run git init there, or name a folder inside one"),
    ("must be run in a work tree", "{} has no work tree (a bare repository, or inside .git): add --ref or clone it"),
    ("does not appear to be a git repository", "{} is not a git repository: check the address"),
    ("couldn't find remote ref HEAD", "{} has no commits yet: push one"),
    ("Authentication failed", "{} refused these credentials: log in to it with git once, or use an ssh address"),
    ("could not read Username", "{} asks for credentials: log in to it with git once, or use an ssh address"),
    ("Permission denied", "{} may not be read: check the rights of this user or its ssh key"),
    ("Host key verification failed", "{} has a host key ssh does not know: connect to it with ssh once"),
    ("unable to find remote helper", "{} is of a kind git does not know: use an https or ssh address"),
    ("transport '", "{} is of a kind that is not allowed: use an https or ssh address"),
)
_TEMPORARY = re.compile(
    r"Could not resolve|Failed to connect|Couldn't connect|Connection (refused|reset|timed out|closed)|timed out|"
    r"early EOF|hung up unexpectedly|Network is unreachable|No route to host|Operation too slow|"
    r"(error|returned error):? (429|5\d\d)|SSL_ERROR_SYSCALL|unexpected disconnect|gnutls_handshake|"
    r"Temporary failure in name resolution",
    re.IGNORECASE,
)


def refusal(failure: GitError, target: str) -> TargetRefused:
    """The one line for what git would not do."""
    shown = mask(target)
    said = _last_line(failure.errors).replace(target, shown)
    if failure.ending is Ending.NOT_FOUND:
        return TargetRefused(f"{shown} cannot be read without git: install git ({said})")
    if failure.ending is Ending.UNWRITABLE:
        return TargetRefused(f"{shown} could not be read: {said}; make room or set TMPDIR")
    if failure.ending is Ending.TIMED_OUT or _TEMPORARY.search(failure.errors):
        return TemporaryFailure(f"{shown} could not be reached: {said}; try again, or check the network and the proxy")
    for words, line in _REFUSALS:
        if words in failure.errors:
            return TargetRefused(line.replace("{}", shown))
    return TargetRefused(f"{shown} could not be read: {said or failure.ending}; run git status or git fetch on it")


def _last_line(errors: str) -> str:
    """Git's own complaint, which is its last `fatal:` line, with no line break in it."""
    lines = [line.strip() for line in errors.splitlines() if line.strip()]
    fatal = [line for line in lines if line.startswith(("fatal:", "error:", "ERROR:"))]
    return (fatal or lines or [""])[-1].removeprefix("fatal: ")


_USER_INFO = re.compile(r"^(https?|ftps?)://[^/@]*@|^((?:ssh|git)://[^/@:]*):[^/@]*@")


def mask(source: str) -> str:
    """The address without the credentials somebody put into it."""
    return _USER_INFO.sub(lambda found: f"{found[1]}://***@" if found[1] else f"{found[2]}:***@", source)


def hook_variables(repository: Path) -> dict[str, str]:
    """Which index is being committed, as git tells its hooks (`git commit -a` and `-p` use one of their own)."""
    here = Path.cwd()
    if not (repository == here or repository in here.parents):
        return {}
    names = ("GIT_DIR", "GIT_INDEX_FILE", "GIT_COMMON_DIR", "GIT_OBJECT_DIRECTORY", "GIT_ALTERNATE_OBJECT_DIRECTORIES")
    given = {name: os.environ[name] for name in names if os.environ.get(name)}
    single = {name: str(here / value) for name, value in given.items() if name != names[-1]}
    return given | single


async def staged_files(repository: Path) -> list[str]:
    """Paths from the top of the work tree, as the index being committed has them."""
    repository = repository.resolve()
    try:
        found = await git(
            *("diff", "--cached", "--name-only", "-z", "--diff-filter=ACMRT", "--no-ext-diff", "--ignore-submodules"),
            directory=repository,
            environment=hook_variables(repository),
        )
    except GitError as failure:
        raise refusal(failure, str(repository)) from failure
    return [os.fsdecode(path) for path in found.split(b"\0") if path]


async def export_index(repository: Path, paths: Iterable[str], into: Path) -> None:
    """Write the staged content of these paths (from the top of the work tree, which `repository` is) under `into`."""
    repository = repository.resolve()
    try:
        await git(
            *("checkout-index", "-z", "--stdin", "--quiet", f"--prefix={into.absolute()}/"),
            directory=repository,
            environment=hook_variables(repository),
            stdin=b"".join(os.fsencode(path) + b"\0" for path in paths),
        )
    except GitError as failure:
        raise refusal(failure, str(repository)) from failure


async def fetch_commit(mirror: Path, *, source: str, commit: str) -> None:
    """Bring one commit's tree from a repository on this machine, without its history and without writing to it."""
    with suppress(GitError):
        await git("cat-file", "-e", f"{commit}^{{tree}}", directory=mirror)
        return
    kept = f"{commit}:refs/towpath/{commit}"
    await git("fetch", "--quiet", "--no-tags", "--depth=1", "--", source, kept, directory=mirror, has_network=True)


async def fetch_all(mirror: Path, *, source: str, ref: str | None) -> tuple[str, str | None]:
    """Bring the mirror up to date with an address; returns the commit and the branch asked for."""
    everything = ["+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*"]
    everything += ["+HEAD:refs/towpath/HEAD"] if ref is None else []
    bring = ("fetch", "--quiet", "--prune", "--no-tags", "--force", "--update-head-ok", "--")
    head = git("ls-remote", "--symref", "--", source, "HEAD", directory=mirror, has_network=True)
    named, _ = await both(head, git(*bring, source, *everything, directory=mirror, has_network=True))
    if ref is None:
        commit, _ = await resolve("refs/towpath/HEAD", directory=mirror)
        found = re.match(r"ref: refs/heads/(\S+)\tHEAD", named.decode("utf-8", "replace"))
        return commit, found[1] if found else None
    with suppress(GitError):
        return await resolve(ref, directory=mirror)
    # NOTE: a pull request's head is no branch and no tag; it has to be asked for by its name or its number.
    asked = f"+{ref}:refs/towpath/asked"
    await git("fetch", "--quiet", "--no-tags", "--", source, asked, directory=mirror, has_network=True)
    commit, _ = await resolve("refs/towpath/asked", directory=mirror)
    return commit, None
