"""The one door to other programs.

Every tool is started here: an argument list (never a shell string), an environment that is an allow-list, output to
files, a deadline, and a supervising process on a lifeline, so that the tool and everything it started are gone when
Towpath is done with it, is cancelled, or is killed.

`run` promises an `Ending` for whatever a tool does; it raises nothing but the cancellation of its own task. A token of
the user must never reach a tool that was not declared to need it.
"""

import asyncio
import atexit
import errno
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import IO

from tasks.adapters.allowed_variables import Need, clean_environment

__all__ = ["Bounds", "Command", "Completion", "Ending", "Need", "clean_environment", "kill_all", "run", "warm_up"]

_LIFELINE = Path(__file__).with_name("lifeline.py")
_EXCERPT_BYTES = 16 * 1024
_ATTEMPTS = 3


class Ending(StrEnum):
    """How a tool's run ended; only EXITED says anything about what the tool found."""

    EXITED = "exited"
    SIGNALLED = "signalled"
    TIMED_OUT = "timed-out"
    NOT_FOUND = "not-found"
    OUTPUT_TOO_BIG = "output-too-big"
    UNWRITABLE = "unwritable"


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """What the kernel holds a tool to: cgroup.procs files to join, and limits by the names of module `resource`."""

    groups: tuple[str, ...] = ()
    limits: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Command:
    """One tool run. `log` takes standard error, and standard output too unless `stdout` names a file of its own.

    `is_own` is for programs that run nothing of the target's, not even its configuration: they need no room where
    strangers get one. `writes` are the folders that a room must let it write to, beside those of the run.
    """

    argv: tuple[str, ...]
    directory: Path
    log: Path
    stdout: Path | None = None
    stdin: Path = Path(os.devnull)
    timeout_seconds: float
    environment: Mapping[str, str] = field(default_factory=dict)
    needs: frozenset[Need] = frozenset()
    grace_seconds: float = 2.0
    max_output_bytes: int = 1 << 30
    bounds: Bounds = Bounds()
    is_own: bool = False
    writes: tuple[Path, ...] = ()


@dataclass(frozen=True)
class Completion:
    """How it ended and what it cost. `head` and `tail` are of the log, `detail` one line unless the tool exited."""

    ending: Ending
    exit_code: int | None = None
    signal_number: int | None = None
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    peak_memory_bytes: int = 0
    output_bytes: int = 0
    head: str = ""
    tail: str = ""
    detail: str = ""


@dataclass(frozen=True)
class _Report:
    """The supervisor's last words, as `lifeline.py` writes them."""

    reason: str
    status: int
    errno: int
    seconds: float
    cpu_seconds: float
    peak_memory_bytes: int


_live: set[socket.socket] = set()


def kill_all() -> None:
    """Kill every tool of this process now; safe to call from a signal handler."""
    for lifeline in tuple(_live):
        _live.discard(lifeline)
        _cut(lifeline)


def _cut(lifeline: socket.socket) -> None:
    # NOTE: not close(): the supervisor reads the end of the stream and still reports how the tool ended.
    with suppress(OSError):
        lifeline.shutdown(socket.SHUT_WR)


_through: ContextVar[Callable[[Command], Command] | None] = ContextVar("starting_through", default=None)


@contextmanager
def starting_through(change: Callable[[Command], Command]) -> Iterator[None]:
    """Everything that the current context starts is changed by this first, until it ends."""
    token = _through.set(change)
    try:
        yield
    finally:
        _through.reset(token)


async def run(command: Command) -> Completion:
    """Run one tool to its end. A cancelled task kills the tool and waits for its end before it gives way."""
    if (change := _through.get()) is not None:
        if not command.directory.is_dir():
            return Completion(Ending.UNWRITABLE, detail=f"no such directory: {command.directory}")
        command = change(command)
    with ExitStack() as files:
        try:
            log, output = _open_outputs(command, files)
        except OSError as error:
            return _unwritable(error, command.log)
        if not command.directory.is_dir():
            return Completion(Ending.UNWRITABLE, detail=f"no such directory: {command.directory}")
        try:
            with command.stdin.open("rb") as given:
                words = await _supervise(command, given, output, log)
        except OSError as error:
            detail = f"{command.argv[0]} could not be started: {error.strerror or error}"
            return Completion(Ending.NOT_FOUND, detail=detail)
    return _completion(command, words)


async def _supervise(command: Command, *streams: IO[bytes]) -> str:
    """What the supervisor said from its first word to its end."""
    words = ""
    for _ in range(_ATTEMPTS):
        ours, theirs = socket.socketpair()
        with ours:
            _live.add(ours)
            try:
                with theirs:
                    _start(command, theirs, *streams)
                words = await _until_gone(ours)
                # NOTE: a starter that dies may take a request with it that no supervisor has ever seen.
                if words or ours not in _live:
                    break
            finally:
                _live.discard(ours)
    return words


def _open_outputs(command: Command, files: ExitStack) -> tuple[IO[bytes], IO[bytes]]:
    command.log.parent.mkdir(parents=True, exist_ok=True)
    log = files.enter_context(command.log.open("wb"))
    if command.stdout is None:
        return log, log
    command.stdout.parent.mkdir(parents=True, exist_ok=True)
    return log, files.enter_context(command.stdout.open("wb"))


class _Starter:
    """The one process that supervisors are forked from, since to start Python for every tool would cost 25 ms each."""

    def __init__(self) -> None:
        self.owner = os.getpid()
        self.control, theirs = socket.socketpair()
        with theirs:
            self.process = subprocess.Popen(
                [sys.executable, "-S", "-E", "-I", str(_LIFELINE), "serve", str(theirs.fileno())],
                cwd="/",
                env=clean_environment(needs=frozenset(), extras={}),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )

    def close(self) -> None:
        self.control.close()
        if self.owner == os.getpid():
            # NOTE: a fork of this process may still hold the socket. Its supervisors need no starter to go on.
            self.process.kill()
            self.process.wait()


_starter: _Starter | None = None
_starting = threading.Lock()


@atexit.register
def _end_starter() -> None:
    if _starter is not None:
        _starter.close()


def _ask(descriptors: list[int]) -> None:
    """Hand a request to the starter, which is started when there is none, or none of this process, or it died."""
    global _starter
    with _starting:
        if _starter is not None and _starter.owner == os.getpid():
            with suppress(BrokenPipeError, ConnectionResetError):
                socket.send_fds(_starter.control, [b"+"], descriptors)
                return
            _starter.close()
        _starter = _Starter()
        socket.send_fds(_starter.control, [b"+"], descriptors)


def warm_up() -> None:
    """Begin to start what the first tool would otherwise wait some 30 ms for; returns at once."""
    global _starter
    with suppress(OSError), _starting:
        if _starter is None or _starter.owner != os.getpid():
            _starter = _Starter()


def _start(command: Command, lifeline: socket.socket, *streams: IO[bytes]) -> None:
    request = {
        "argv": command.argv,
        "directory": str(command.directory.absolute()),
        "environment": clean_environment(needs=command.needs, extras=command.environment),
        "timeout": command.timeout_seconds,
        "grace": command.grace_seconds,
        "most_bytes": command.max_output_bytes,
        "bounds": {"groups": command.bounds.groups, "limits": dict(command.bounds.limits)},
    }
    with _nameless_file() as stream:
        stream.write(json.dumps(request).encode())
        stream.flush()
        _ask([stream.fileno(), lifeline.fileno(), *(each.fileno() for each in streams)])


def _nameless_file() -> IO[bytes]:
    """Room for arguments of any length, in memory where the system has it."""
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("towpath-request"), "w+b")
    return tempfile.TemporaryFile()


async def _until_gone(lifeline: socket.socket) -> str:
    """What the supervisor said, once it is gone and its tool with it."""
    loop = asyncio.get_running_loop()
    # NOTE: a bare future and no task, since the end of an event loop cancels every task but not this wait.
    gone: asyncio.Future[None] = loop.create_future()
    words = bytearray()

    def hear() -> None:
        heard = b""
        with suppress(OSError):
            heard = lifeline.recv(4096)
        words.extend(heard)
        if not heard and not gone.done():
            loop.remove_reader(lifeline)
            gone.set_result(None)

    loop.add_reader(lifeline, hear)
    cancelled: asyncio.CancelledError | None = None
    while not gone.done():
        try:
            await asyncio.shield(gone)
        except asyncio.CancelledError as error:
            cancelled = error
            _cut(lifeline)
    _sweep(words.decode())
    if cancelled is not None:
        raise cancelled
    return words.decode()


def _sweep(words: str) -> None:
    """A supervisor that was itself killed leaves its tool's session to us."""
    match [line.split() for line in words.splitlines()]:
        case [["here"], ["started", tool]]:
            with suppress(OSError):
                os.killpg(int(tool), signal.SIGKILL)


def _completion(command: Command, words: str) -> Completion:
    report = _parse(words)
    head, tail = _excerpts(command.log)
    paths = {command.log, command.stdout or command.log}
    ending, detail = _judge(command, report)
    if (full := _full_disk(paths)) and ending is not Ending.OUTPUT_TOO_BIG:
        ending, detail = Ending.UNWRITABLE, full
    exited = ending is Ending.EXITED
    return Completion(
        ending=ending,
        exit_code=os.waitstatus_to_exitcode(report.status) if exited else None,
        signal_number=_signal_of(report),
        seconds=report.seconds,
        cpu_seconds=report.cpu_seconds,
        peak_memory_bytes=report.peak_memory_bytes,
        output_bytes=sum(_size(path) for path in paths),
        head=head,
        tail=tail,
        detail=detail,
    )


def _parse(words: str) -> _Report:
    for line in words.splitlines():
        match line.split():
            case [reason, status, number, seconds, cpu_seconds, peak]:
                return _Report(reason, int(status), int(number), float(seconds), float(cpu_seconds), int(peak))
    return _Report("supervisor-lost", -1, 0, 0.0, 0.0, 0)


def _signal_of(report: _Report) -> int | None:
    if report.status < 0:
        return signal.SIGKILL if report.reason in ("cut", "supervisor-lost") else None
    code = os.waitstatus_to_exitcode(report.status)
    return -code if code < 0 else None


def _judge(command: Command, report: _Report) -> tuple[Ending, str]:
    name = command.argv[0]
    match report.reason:
        case "not-started":
            return Ending.NOT_FOUND, f"{name} could not be started: {os.strerror(report.errno)}"
        case "timed-out":
            return Ending.TIMED_OUT, f"{name} was stopped after its {command.timeout_seconds:g} s"
        case "too-big":
            return Ending.OUTPUT_TOO_BIG, f"{name} was killed: it wrote more than {command.max_output_bytes} bytes"
        case "cut":
            return Ending.SIGNALLED, f"{name} was killed because Towpath is stopping"
        case "ended":
            number = _signal_of(report)
            if number is None:
                return Ending.EXITED, ""
            return Ending.SIGNALLED, f"{name} was killed by signal {number} ({signal.strsignal(number)})"
        case _:
            return Ending.SIGNALLED, f"{name} was killed: its supervising process died"


def _excerpts(log: Path) -> tuple[str, str]:
    try:
        with log.open("rb") as stream:
            head = stream.read(_EXCERPT_BYTES)
            stream.seek(max(0, os.fstat(stream.fileno()).st_size - _EXCERPT_BYTES))
            tail = stream.read(_EXCERPT_BYTES)
    except OSError:
        return "", ""
    return head.decode("utf-8", "replace"), tail.decode("utf-8", "replace")


def _size(path: Path) -> int:
    with suppress(OSError):
        return path.stat().st_size
    return 0


def _full_disk(paths: set[Path]) -> str:
    """A tool's output cut short by a full disk must not be read as all it had to say."""
    for path in paths:
        with suppress(OSError):
            room = os.statvfs(path)
            if room.f_blocks and not (room.f_bavail if os.geteuid() else room.f_bfree):
                return f"no space left to write {path}"
    return ""


def _unwritable(error: OSError, log: Path) -> Completion:
    reason = os.strerror(error.errno or errno.EIO)
    return Completion(Ending.UNWRITABLE, detail=f"{error.filename or log} could not be written: {reason}")
