"""What a case of a scanner is: what lies in the target, what is asked, and how the answer must read.

It solves that one table has to serve three times: against the recorded output (quick, anywhere), against the real
scanner, and to make the recordings. A case must never hold a secret as a scanner would find it in our own repository:
such strings are put together when the module is loaded.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from tasks.core.security.scanner import Scan, Scanner, ScanReading
from tasks.core.tools.contract import Meaning, Output, Unreadable

RECORDINGS = Path(__file__).parents[2] / "assets" / "security"


class Answer(StrEnum):
    """What a scanner's output comes to; only `clean` opens a gate."""

    CLEAN = "clean"
    FINDINGS = "findings"
    GAPS = "gaps"
    NOTHING = "nothing was looked at"
    UNREADABLE = "unreadable"
    CONTRADICTORY = "findings by its exit code, none in its report"
    BROKEN = "broken"


@dataclass(frozen=True, kw_only=True)
class Case:
    """`commits` are states of a history, oldest first, None for a file taken away; `service` is the mood it is in."""

    scanner: Scanner
    name: str
    answer: Answer
    files: Mapping[str, str] = field(default_factory=dict)
    commits: tuple[Mapping[str, str | None], ...] = ()
    scan: Scan = field(default_factory=Scan)
    rules: frozenset[str] = frozenset()
    skipped: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    service: str = ""
    image_files: Mapping[str, str] = field(default_factory=dict)

    @property
    def id(self) -> str:
        return f"{self.scanner.name}/{self.name}"

    @property
    def folder(self) -> Path:
        return RECORDINGS / self.id

    def judge(self, exit_code: int, output: Output) -> tuple[Answer, ScanReading | None]:
        """The answer as the runner would take it, and the reading where there is one."""
        if self.scanner.meaning(exit_code) is Meaning.BROKEN:
            return Answer.BROKEN, None
        try:
            reading = self.scanner.read(output, self.scan)
        except Unreadable:
            return Answer.UNREADABLE, None
        if reading.sightings:
            return Answer.FINDINGS, reading
        if self.scanner.meaning(exit_code) is Meaning.FINDINGS:
            return Answer.CONTRADICTORY, reading
        if reading.skipped:
            return Answer.GAPS, reading
        return (Answer.CLEAN if reading.looked_at > 0 else Answer.NOTHING), reading


@dataclass(frozen=True)
class RecordedScan:
    """What one scanner left behind, once, by stream: `stdout`, `log`, and its reports."""

    exit_code: int
    streams: Mapping[str, bytes]

    @property
    def output(self) -> Output:
        return self.output_with(self.streams)

    def output_with(self, streams: Mapping[str, bytes]) -> Output:
        texts = {name: content.decode("utf-8", "replace") for name, content in streams.items()}
        reports = {name: text for name, text in texts.items() if name not in ("stdout", "log")}
        return Output(texts["stdout"], texts["log"], reports)

    def cut(self, stream: str, length: int) -> Output:
        """The output as it would be had this stream ended after so many bytes."""
        return self.output_with({**self.streams, stream: self.streams[stream][:length]})


def recorded(case: Case) -> RecordedScan:
    streams = {path.name: path.read_bytes() for path in case.folder.iterdir() if path.name != "exit_code"}
    return RecordedScan(int((case.folder / "exit_code").read_text()), streams)


def assert_as_expected(case: Case, exit_code: int, output: Output) -> None:
    """The answer, every rule, every gap and every note of the case, and nothing else."""
    answer, reading = case.judge(exit_code, output)
    assert answer == case.answer, (reading, exit_code, output.log[-2000:])
    if reading is None:
        return
    assert case.rules == {sighting.rule for sighting in reading.sightings}
    assert len(case.skipped) == len(reading.skipped), reading.skipped
    assert all(said.startswith(start) for start, said in zip(case.skipped, reading.skipped, strict=True))
    assert case.notes == reading.notes
    _assert_no_secret_is_told(reading)


def _assert_no_secret_is_told(reading: ScanReading) -> None:
    told = repr(reading)
    assert not [value for value in reading.secrets if value in told]
