"""What the command line does on a GitHub Actions runner: findings at their lines, and the report as the step's summary.

Tools' output is shown to a runner that was told to obey nothing meanwhile.
"""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from deployments.saying import say

if TYPE_CHECKING:
    from tasks.core.results import Report


def is_on_runner() -> bool:
    return os.environ.get("GITHUB_ACTIONS") == "true"


@contextmanager
def unheard() -> Iterator[None]:
    """Whatever is printed in this context is no command."""
    if not is_on_runner():
        yield
        return
    # NOTE: not at the top, since what it knows of reports takes its time to import, and --help must not wait.
    from tasks.core.forge.workflow_commands import deaf, hearing

    token = secrets.token_hex(16)
    say(deaf(token))
    try:
        yield
    finally:
        say(hearing(token))


def tell_runner(report: "Report") -> None:
    """Annotations, and the report's page as the step's summary."""
    if not is_on_runner():
        return
    from tasks.core.forge.workflow_commands import commands_of

    for line in commands_of(report):
        say(line)
    if summary := os.environ.get("GITHUB_STEP_SUMMARY"):
        with suppress(OSError), Path(summary).open("a", encoding="utf-8") as stream:
            stream.write((Path(report.folder) / "report.md").read_text("utf-8", "replace") + "\n")
