"""Plain words to the terminal: results on standard output, trouble on standard error, never a traceback."""

import sys


def say(text: str = "") -> None:
    """One line of result; text that the terminal's encoding lacks is escaped, not fatal."""
    _write(sys.stdout, text)


def complain(text: str) -> None:
    _write(sys.stderr, " ".join(text.splitlines()))


def _write(stream: object, text: str) -> None:
    encoding = getattr(stream, "encoding", None) or "utf-8"
    print(text.encode(encoding, "backslashreplace").decode(encoding), file=stream, flush=True)  # type: ignore[call-overload]
