"""The command line.

Every command exits 0 passed, 1 failed, 2 usage or configuration, 3 could not be done; a bad word gets one line and no
traceback. Prefect is imported by the command that runs a flow and by no other: it costs a second.
"""

import argparse
import importlib
import sys
from collections.abc import Sequence
from difflib import get_close_matches
from typing import NoReturn

from deployments.saying import complain
from tasks.core.outcome import ExitCode

_COMMANDS = {
    "ci": "take a repository through CI: format, lint, types, tests, coverage, build, images",
    "security": "scan dependencies, code, images, secrets and infrastructure; one list of findings, one gate",
    "pr": "check a pull request: title, conflicts, complexity, size, coverage, files, benchmarks",
    "plan": "say what ci would run, with which tool version, and why",
    "cd": "build a revision that has passed its gates and release it to staging",
    "canary": "try a release on a share of production's traffic, judged at every scrape",
    "production": "release a version tag to production, with approval, backup and a way back",
    "rollback": "put a recorded release back, whole",
    "approve": "let through the release that a run waits with",
    "reject": "take back the release that a run waits with, or a canary that is under way",
    "replay": "judge past canaries again, by the rules they ran with or by others",
    "history": "list the changes of an environment, from its release records",
    "show": "show one release record, whole",
    "lock": "keep every new change out of an environment",
    "unlock": "let changes into an environment again",
    "guard": "undo changes whose flow is gone; towpath up starts one in the background",
    "webhook": "keep the door open that GitHub's deliveries come in by",
    "deliveries": "list, show and repeat what came in by the webhook door",
    "demo": "show the whole road on the sample shop: CI, staging, production, a good and a bad canary",
    "check": "look at what is staged for commit, as the pre-commit hook does",
    "init": "write a commented towpath.toml from what is found",
    "hooks": "install the pre-commit hook in a repository",
    "doctor": "say what is installed, reachable and missing",
    "up": "start the local Prefect server, a worker, the platform's supervisor and the guard",
    "down": "stop all of them, and the environments that run on this machine",
    "status": "say what runs, what waits for an approval, and how an environment stands",
}
_EPILOG = """exit codes: 0 passed, 1 failed, 2 usage or configuration, 3 could not be done
state (snapshots, builds, environments, records, reports) is kept in $TOWPATH_HOME, by default ~/.local/state/towpath

first steps: towpath plan PATH, then towpath ci PATH; towpath COMMAND --help says more"""


class HelpFormatter(argparse.RawDescriptionHelpFormatter):
    """The same help on every terminal, so that the documentation can be compared with it."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=100, max_help_position=28)
        # NOTE: argparse forgets the indent of subcommands and would break the line after the longest of them.
        self._action_max_length = 14


class Parser(argparse.ArgumentParser):
    """argparse that answers a bad word with one line and the nearest good one."""

    def error(self, message: str) -> NoReturn:
        complain(f"{self.prog}: {_with_nearest(message)}; see {self.prog} --help")
        raise SystemExit(ExitCode.USAGE)


def _with_nearest(message: str) -> str:
    if "invalid choice: " not in message:
        return message
    word = message.split("'")[1] if "'" in message else ""
    close = get_close_matches(word, _COMMANDS, n=1)
    return f"there is no {word!r}" + (f"; did you mean {close[0]}?" if close else f"; known: {', '.join(_COMMANDS)}")


def make_parser(command: str | None = None) -> argparse.ArgumentParser:
    """The parser of all commands, with the arguments of `command` filled in; of every one when it is None."""
    parser = Parser(
        prog="towpath",
        description="From commit to production as Prefect flows, on a laptop or a cluster.",
        epilog=_EPILOG,
        formatter_class=HelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True, parser_class=Parser)
    for name, purpose in _COMMANDS.items():
        child = commands.add_parser(
            name,
            help=purpose,
            description=purpose[0].upper() + purpose[1:] + ".",
            formatter_class=HelpFormatter,
        )
        if command in (None, name):
            importlib.import_module(f"deployments.commands.{name}").add_arguments(child)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    words = list(sys.argv[1:] if argv is None else argv)
    command = next((word for word in words if not word.startswith("-")), None)
    chosen = make_parser(command if command in _COMMANDS else "status").parse_args(words)
    module = importlib.import_module(f"deployments.commands.{chosen.command}")
    try:
        return int(module.run(chosen))
    except KeyboardInterrupt:
        complain("towpath: stopped")
        return 130
    except BrokenPipeError:
        sys.stderr.close()
        return int(ExitCode.ERROR)
    except OSError as refused:
        where = f"{refused.filename}: " if refused.filename else ""
        complain(f"towpath {chosen.command}: {where}{refused.strerror or refused}")
        return int(ExitCode.ERROR)


if __name__ == "__main__":
    sys.exit(main())
