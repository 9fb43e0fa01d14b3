"""Supervises tools, so that no tool can outlive whoever started it.

Each tool has a supervisor of its own, which holds one end of a socket whose other end belongs to Towpath: while that
is open the tool may run, and when it closes (Towpath is done with it, was killed, or crashed) everything the tool ever
started is killed at once, also what moved to a session of its own. The deadline and the bound on output live here too,
so that a busy or stopped Towpath does not suspend them. A daemon is supervised without a socket (-1): it lives until it
ends or its supervisor is asked to stop.

Run as a script with nothing but the standard library. To start Python for every tool would cost 25 ms each time, so
`process.py` starts one that serves (`serve`), and every supervisor is forked from it.

It must never leave a process behind, and never report an ending it did not see.
"""

# Importing pathlib would add half again to the time it takes to start.
# ruff: noqa: PTH112, PTH123, PTH208

import math
import os
import resource
import select
import signal
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

_POLL_SECONDS = 0.25
_BURY_SECONDS = 5.0
_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_STOPPERS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def _prctl(option: int, value: int) -> None:
    """Without it (not Linux) the tool's own session is still killed; only what left that session is not."""
    if sys.platform.startswith("linux"):
        import ctypes

        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def _parent_of(process: str) -> int:
    try:
        with open(f"/proc/{process}/stat", "rb") as stream:
            # NOTE: the second field is the program's name and may hold spaces and parentheses.
            return int(stream.read().rpartition(b")")[2].split()[1])
    except (OSError, IndexError):
        return 0


def _descendants() -> list[int]:
    children: dict[int, list[int]] = {}
    for entry in os.listdir("/proc") if os.path.isdir("/proc/self") else ():
        if entry.isdigit():
            children.setdefault(_parent_of(entry), []).append(int(entry))
    found = list(children.get(os.getpid(), ()))
    for process in found:
        found.extend(children.get(process, ()))
    return found


def _kill_each(processes: Iterable[int]) -> None:
    for process in processes:
        try:
            os.kill(process, signal.SIGKILL)
        except OSError:
            continue


def _signal_group(group: int, number: int) -> None:
    try:
        os.killpg(group, number)
    except OSError:
        return


def _become(argv: list[str], environment: Mapping[str, str], bounds: Mapping[str, Any]) -> None:
    """In the forked child: shed what the supervisor set up, take on the bounds and turn into the tool.

    `bounds` has `groups`, the cgroup.procs files to join, and `limits`, values by the names of module resource.
    """
    signal.set_wakeup_fd(-1)
    for number in (*_STOPPERS, signal.SIGCHLD, signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)
    for group in bounds.get("groups", ()):
        with open(group, "w") as stream:
            stream.write("0")
    for name, value in bounds.get("limits", {}).items():
        kind = getattr(resource, name)
        hard = resource.getrlimit(kind)[1]
        most = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(kind, (most, most))
    os.execvpe(argv[0], argv, environment)  # noqa: S606


class Supervisor:
    """One tool, from its start to the death of everything it started."""

    def __init__(self, *, lifeline: int, timeout: float, grace: float, most_bytes: int) -> None:
        self.lifeline = lifeline
        self.timeout = timeout
        self.grace = grace
        self.most_bytes = most_bytes
        self.tool = 0
        self.status: int | None = None

    def start(self, argv: list[str], environment: Mapping[str, str], bounds: Mapping[str, Any]) -> int:
        """Start the tool in a session of its own; returns the errno when it could not be started, else 0."""
        failure, failed = os.pipe()
        supervisor = os.getpid()
        self.tool = os.fork()
        if self.tool == 0:
            try:
                os.setsid()
                _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
                if os.getppid() == supervisor:
                    _become(argv, environment, bounds)
            except OSError as error:
                os.write(failed, b"%d" % (error.errno or 1))
            finally:
                os._exit(127)
        os.close(failed)
        errno = os.read(failure, 16)
        os.close(failure)
        return int(errno or 0)

    def watch(self, wakeup: int) -> str:
        """Wait for the end of the tool, or for a reason to end it."""
        until, why_stopped = time.monotonic() + self.timeout, ""
        poll = select.poll()
        poll.register(wakeup, select.POLLIN)
        if self.lifeline >= 0:
            poll.register(self.lifeline, select.POLLIN | select.POLLHUP)
        while True:
            left = until - time.monotonic()
            if left <= 0 and why_stopped:
                return why_stopped
            if left <= 0:
                _signal_group(self.tool, signal.SIGTERM)
                why_stopped, left = "timed-out", self.grace
                until = time.monotonic() + left
            for descriptor, _ in poll.poll(1000 * min(_POLL_SECONDS, left) + 1):
                if descriptor == self.lifeline:
                    return "cut"
                if set(os.read(wakeup, 512)) & set(_STOPPERS) and not why_stopped:
                    _signal_group(self.tool, signal.SIGTERM)
                    why_stopped, until = "cut", time.monotonic() + self.grace
            self.reap()
            if self.status is not None:
                return why_stopped or "ended"
            if self.output_bytes() > self.most_bytes:
                return "too-big"

    def reap(self) -> bool:
        """Collect whatever died; returns whether any child is left."""
        while True:
            try:
                process, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return False
            if process == 0:
                return True
            if process == self.tool:
                self.status = status

    def output_bytes(self) -> int:
        return sum({(stat.st_dev, stat.st_ino): stat.st_size for stat in (os.fstat(1), os.fstat(2))}.values())

    def bury(self) -> None:
        """Kill the tool's session and every descendant until none is left."""
        _signal_group(self.tool, signal.SIGKILL)
        until = time.monotonic() + _BURY_SECONDS
        while self.reap() and time.monotonic() < until:
            _kill_each(_descendants())
            time.sleep(0.002)

    def tell(self, line: str) -> None:
        try:
            os.write(self.lifeline, line.encode())
        except OSError:
            return  # Whoever started us is gone: there is nobody to tell, and the tool dies all the same.


def _listen_to_signals() -> int:
    """Signals become bytes in a pipe, so that one poll waits for everything."""
    wakeup, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    for number in (*_STOPPERS, signal.SIGCHLD):
        signal.signal(number, lambda *_: None)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    return wakeup


def supervise(
    supervisor: Supervisor, argv: list[str], environment: Mapping[str, str], bounds: Mapping[str, Any]
) -> None:
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)
    wakeup = _listen_to_signals()
    start = time.monotonic()
    errno = supervisor.start(argv, environment, bounds)
    supervisor.tell(f"started {supervisor.tool}\n")
    reason = "not-started" if errno else supervisor.watch(wakeup)
    seconds = time.monotonic() - start
    supervisor.bury()
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    peak = used.ru_maxrss if sys.platform == "darwin" else used.ru_maxrss * 1024
    status = -1 if supervisor.status is None else supervisor.status
    supervisor.tell(f"{reason} {status} {errno} {seconds:.6f} {used.ru_utime + used.ru_stime:.6f} {peak}\n")


def serve(control: int) -> None:
    """Turn each request into a supervisor of its own until nobody can ask any more."""
    import json
    import socket

    # NOTE: supervisors nobody waits for must not stay behind as zombies.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(fileno=control) as requests:
        while True:
            _, received, _, _ = socket.recv_fds(requests, 1, 5)
            if not received:
                return
            if os.fork() == 0:
                try:
                    requests.close()
                    _supervise_request(json.loads, *received)
                finally:
                    os._exit(0)
            for descriptor in received:
                os.close(descriptor)


def _supervise_request(
    parse: Callable[[bytes], dict[str, Any]], request: int, lifeline: int, stdin: int, stdout: int, stderr: int
) -> None:
    os.setsid()
    os.set_inheritable(lifeline, False)
    with os.fdopen(request, "rb") as stream:
        stream.seek(0)
        asked = parse(stream.read())
    for number, descriptor in enumerate((stdin, stdout, stderr)):
        os.dup2(descriptor, number)
        os.close(descriptor)
    supervisor = Supervisor(
        lifeline=lifeline, timeout=asked["timeout"], grace=asked["grace"], most_bytes=asked["most_bytes"]
    )
    supervisor.tell("here\n")
    os.chdir(asked["directory"])
    supervise(supervisor, asked["argv"], asked["environment"], asked["bounds"])


def main(arguments: list[str]) -> None:
    if arguments[0] == "serve":
        serve(int(arguments[1]))
    else:
        daemon = Supervisor(lifeline=-1, timeout=math.inf, grace=float(arguments[1]), most_bytes=1 << 62)
        supervise(daemon, arguments[2:], os.environ, {})


if __name__ == "__main__":
    main(sys.argv[1:])
