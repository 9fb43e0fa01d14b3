"""Running one scanner over one target in its confinement, and reading what it left.

What a scanner prints never touches the disk: secret scanners print secrets. It goes to a file in memory, is read into
sightings whose secrets are fingerprints, and is gone. The log that is kept is scrubbed of every value that was seen.
"""

import hashlib
import hmac
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from tasks.adapters.allowed_variables import clean_environment
from tasks.adapters.confinement import Most, Room, bounded, entered, means
from tasks.adapters.examination import finished_of
from tasks.adapters.process import Bounds, Command, Completion, Ending, Need, run
from tasks.adapters.scanner_programs import ScannerProgram
from tasks.adapters.scratch import scratch_folder
from tasks.adapters.state import write_atomically
from tasks.core.conclusion import Finished, telling
from tasks.core.outcome import Outcome, Verdict
from tasks.core.security.believing import Belief, believe, is_bill
from tasks.core.security.scanner import DATABASE, HISTORY, IMAGE, SCRATCH, TARGET, Scan, Scanner
from tasks.core.security.sightings import Leak, Sighting
from tasks.core.tools.contract import Output, first_lines

_READABLE_BYTES = 256 << 20
_LOG_BYTES = 4 << 20
_FINGERPRINT_DIGITS = 32
_CERTIFICATES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "NODE_EXTRA_CA_CERTS")
_NOT_SEEN = ("PATH", "HOME", "TMPDIR", "USER", "LOGNAME", "XDG_CACHE_HOME")


@dataclass(frozen=True, kw_only=True)
class ScanOrder:
    """One scan that is ready to run. `salt` keeps fingerprints of secrets from being looked up in a table."""

    scanner: Scanner
    program: ScannerProgram
    scan: Scan
    state: Path
    tree: Path
    history: Path | None = None
    database: Path | None = None
    image: Path | None = None
    log: Path
    timeout_seconds: float
    most: Most
    max_output_bytes: int
    salt: bytes = field(repr=False)


@dataclass(frozen=True)
class Scanned:
    """What came of it; `unenforced` names the protections this machine could not give."""

    belief: Belief
    completion: Completion
    unenforced: tuple[str, ...]


async def run_scanner(order: ScanOrder) -> Scanned:
    """Run it to its end. Never raises for what the scanner does."""
    with scratch_folder(order.state) as scratch, bounded(order.most) as bounds, _memory(scratch) as stdout:
        room = _room(order, scratch)
        _furnish(order.scan, order.scanner, scratch)
        prepared = await _prepare(order, room, bounds, stdout)
        if prepared is not None and (prepared.ending is not Ending.EXITED or prepared.exit_code):
            belief, completion = _unprepared(order, prepared), prepared
        else:
            completion = await run(_command(order, order.scanner.arguments(order.scan), room, bounds, stdout))
            belief = _read(order, completion, scratch, stdout, room)
    return Scanned(_kept(belief, order), completion, means().missing)


@dataclass(frozen=True)
class Bill:
    """How listing materials went: what kept it from that, empty when nothing did."""

    completion: Completion
    trouble: str = ""


async def list_materials(order: ScanOrder, file: Path) -> Bill | None:
    """Write the CycloneDX bill of materials of what was scanned; None for a scanner that lists none."""
    if order.scanner.lists_materials is None:
        return None
    listing = replace(order, log=order.log.with_suffix(".materials.log"))
    with scratch_folder(order.state) as scratch, bounded(order.most) as bounds, _memory(scratch) as stdout:
        room = _room(listing, scratch)
        _furnish(order.scan, order.scanner, scratch)
        done = await run(_command(listing, order.scanner.lists_materials(), room, bounds, stdout))
        text = _text(stdout)
    if done.ending is not Ending.EXITED or done.exit_code or not is_bill(text):
        said = done.detail or first_lines(telling(done.tail), 1) or "it is not CycloneDX"
        return Bill(done, f"no bill of materials: {said}")
    write_atomically(file, text)
    return Bill(done)


async def _prepare(order: ScanOrder, room: Room, bounds: Bounds, stdout: Path) -> Completion | None:
    if order.scanner.prepares is None:
        return None
    return await run(_command(order, order.scanner.prepares(order.scan), room, bounds, stdout))


def _unprepared(order: ScanOrder, completion: Completion) -> Belief:
    said = completion.detail or first_lines(telling(completion.tail), 2)
    outcome = Outcome(Verdict.ERROR, f"{order.scanner.name} could not get ready: {said or completion.exit_code}")
    return Belief(outcome)


def _command(order: ScanOrder, arguments: tuple[str, ...], room: Room, bounds: Bounds, stdout: Path) -> Command:
    argv, directory, variables = _words(order, arguments, room)
    return Command(
        argv=argv,
        directory=directory,
        log=order.log,
        stdout=stdout,
        timeout_seconds=order.timeout_seconds,
        environment=variables,
        max_output_bytes=order.max_output_bytes,
        bounds=bounds,
        # NOTE: in a room already.
        is_own=True,
    )


def _room(order: ScanOrder, scratch: Path) -> Room:
    places = {HISTORY: order.history, DATABASE: order.database, IMAGE: order.image}
    given = {inside: outside for inside, outside in places.items() if outside is not None}
    authorities = certificates() if order.scanner.needs_network else {}
    return Room(
        readable={TARGET: order.tree, **given, **unsystematic(order.program.parts), **authorities},
        writable={SCRATCH: scratch},
        has_network=order.scanner.needs_network,
    )


def unsystematic(parts: tuple[Path, ...]) -> dict[str, Path]:
    """A program's parts at their own places, but for those that every room has."""
    return {str(part): part for part in parts if not _is_system(part)}


def _is_system(part: Path) -> bool:
    return part.is_relative_to("/usr")


def certificates() -> dict[str, Path]:
    """The certificate authorities the user chose, at their own place."""
    named = [Path(os.environ[name]) for name in _CERTIFICATES if os.environ.get(name)]
    return {str(path): path for path in named if path.exists() and not _is_system(path)}


def _furnish(scan: Scan, scanner: Scanner, scratch: Path) -> None:
    (scratch / "home").mkdir()
    for name, content in scan.files.items():
        path = scratch / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, "utf-8", "surrogateescape")
    if scanner.directory.startswith(f"{SCRATCH}/"):
        (scratch / scanner.directory.removeprefix(f"{SCRATCH}/")).mkdir(parents=True, exist_ok=True)


def _words(order: ScanOrder, arguments: tuple[str, ...], room: Room) -> tuple[tuple[str, ...], Path, dict[str, str]]:
    """Command line, working folder and variables: the room's own, or translated where no room can be made."""
    argv = (*order.program.argv, *arguments)
    return entered(argv, room, directory=order.scanner.directory, variables=_variables(order))


def _variables(order: ScanOrder) -> dict[str, str]:
    scanner = order.scanner
    needs = frozenset({Need.NETWORK}) if scanner.needs_network else frozenset[Need]()
    seen = clean_environment(needs=needs, extras={})
    folders = dict.fromkeys([str(Path(order.program.argv[0]).parent), *_node_folder(order), "/usr/local/bin"])
    return {
        **{name: value for name, value in seen.items() if name not in _NOT_SEEN},
        "PATH": os.pathsep.join([*folders, "/usr/bin", "/bin"]),
        "HOME": f"{SCRATCH}/home",
        "LANG": "C.UTF-8",
        "PYTHONDONTWRITEBYTECODE": "1",
        **scanner.variables(order.scan),
        **{name: os.environ[name] for name in scanner.credentials if os.environ.get(name)},
    }


def _node_folder(order: ScanOrder) -> list[str]:
    return [str(part.parent) for part in order.program.parts if part.name == "node"]


@contextmanager
def _memory(scratch: Path) -> Iterator[Path]:
    """A file in memory where the system has it, else in the private folder."""
    if not hasattr(os, "memfd_create"):
        yield scratch / "stdout"
        return
    descriptor = os.memfd_create("towpath-scan")
    try:
        yield Path(f"/proc/self/fd/{descriptor}")
    finally:
        os.close(descriptor)


def _read(order: ScanOrder, completion: Completion, scratch: Path, stdout: Path, room: Room) -> Belief:
    reports = {name: scratch / name for name in order.scanner.reports}
    too_big = next((name for name, path in {"stdout": stdout, **reports}.items() if _size(path) > _READABLE_BYTES), "")
    if too_big:
        return believe(
            order.scanner, Finished(None, f"its {too_big} is more than Towpath reads"), _NO_OUTPUT, order.scan
        )
    output = Output(
        _inside(_text(stdout), room),
        _inside(_text(order.log, _LOG_BYTES), room),
        {name: _inside(_text(path), room) for name, path in reports.items() if _is_plain_file(path)},
    )
    return believe(order.scanner, _finished(completion, order.scanner.name), output, order.scan)


def _finished(completion: Completion, name: str) -> Finished:
    """How it ended, told of the scanner and not of its room, with the settings of this stage as the way out."""
    plain = finished_of(completion)
    finished = replace(plain, trouble=plain.trouble.replace(means().bubblewrap or name, name))
    match completion.ending:
        case Ending.TIMED_OUT:
            return replace(finished, remedy="see its log for where it hangs, or raise security.scan_timeout_seconds")
        case Ending.SIGNALLED:
            return replace(finished, remedy="if it wanted more memory than it may have, raise security.memory_bytes")
        case _:
            return finished


_NO_OUTPUT = Output("", "")


def _is_plain_file(path: Path) -> bool:
    """A scanner that was turned against us may leave a link to a file that it could not read itself."""
    return path.is_file() and not path.is_symlink()


def _inside(text: str, room: Room) -> str:
    """The text with the places as they are in the room, where the scanner saw the real ones."""
    if means().bubblewrap:
        return text
    for inside, outside in {**room.readable, **room.writable}.items():
        text = text.replace(str(outside), inside) if inside.startswith("/") and inside != str(outside) else text
    return text


def _kept(belief: Belief, order: ScanOrder) -> Belief:
    """The belief with nothing left in it that must not be kept; the log is scrubbed too."""
    if belief.reading is None:
        return belief
    _scrub(order.log, belief.reading.secrets)
    sightings = tuple(_salted(sighting, order.salt) for sighting in belief.reading.sightings)
    return replace(belief, reading=replace(belief.reading, sightings=sightings, secrets=frozenset()))


def _salted(sighting: Sighting, salt: bytes) -> Sighting:
    if not isinstance(sighting.subject, Leak):
        return sighting
    digest = hmac.new(salt, sighting.subject.fingerprint.encode(), hashlib.sha256).hexdigest()[:_FINGERPRINT_DIGITS]
    return replace(sighting, subject=replace(sighting.subject, fingerprint=digest))


def _scrub(log: Path, secrets: frozenset[str]) -> None:
    text = _text(log) if secrets else ""
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        text = text.replace(secret, "***")
    if secrets:
        log.write_text(text)


def _text(path: Path, limit: int = _READABLE_BYTES) -> str:
    with suppress(OSError), path.open("rb") as stream:
        return stream.read(limit).decode("utf-8", "replace")
    return ""


def _size(path: Path) -> int:
    with suppress(OSError):
        return path.stat().st_size
    return 0
