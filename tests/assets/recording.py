"""How a recorded run of a tool lies on disk, and how a test reads it back.

A recording is a folder `tests/assets/TOOL/CASE`: exit code, standard output, log and report files, byte for byte as
Towpath's own door received them, except that machine paths are written /tree (where it ran) and /tools.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tasks.core.catalogue import TOOLS
from tasks.core.tools.contract import Output, Tool

ASSETS = Path(__file__).parent
_STREAMS = ("stdout", "log")


@dataclass(frozen=True)
class Recording:
    """What one tool left behind, once, by stream: `stdout`, `log`, and its report files by name."""

    tool: Tool
    case: str
    exit_code: int
    streams: dict[str, bytes]

    @property
    def id(self) -> str:
        return f"{self.tool.name}/{self.case}"

    @property
    def output(self) -> Output:
        return self.output_with(self.streams)

    def output_with(self, streams: dict[str, bytes]) -> Output:
        texts = {name: content.decode("utf-8", "replace") for name, content in streams.items()}
        reports = {name: text for name, text in texts.items() if name not in _STREAMS}
        return Output(texts["stdout"], texts["log"], reports)

    def cut(self, stream: str, length: int) -> Output:
        """The output as it would be had this stream ended after so many bytes."""
        return self.output_with({**self.streams, stream: self.streams[stream][:length]})


def recording(tool: str, case: str) -> Recording:
    folder = ASSETS / tool / case
    streams = {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.name != "exit_code"}
    return Recording(TOOLS[tool], case, int((folder / "exit_code").read_text()), streams)


def all_recordings() -> Iterator[Recording]:
    for path in sorted(ASSETS.glob("*/*/exit_code")):
        yield recording(path.parent.parent.name, path.parent.name)
