"""The generated parts of the documentation, from the code they speak of, so that they cannot drift apart.

`python -m deployments.reference` writes them anew; a test compares them with what is committed.
"""

import json
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from deployments.cli import make_parser
from deployments.saying import say
from tasks.adapters.state import write_atomically
from tasks.core.approval import Answer
from tasks.core.catalogue import TOOLS
from tasks.core.prose import cell
from tasks.core.pull_requests.report import BenchmarkFigure, PullRequestReport
from tasks.core.records import Gate, Record, Step
from tasks.core.release import Release
from tasks.core.results import CheckResult, Place, Report
from tasks.core.security.findings import Finding, Location, ScannerRating
from tasks.core.security.report import Gap, SecurityReport
from tasks.core.settings import Settings, model_within
from tasks.core.tools.contract import Tool

ROOT = Path(__file__).resolve().parents[1]
_GENERATED = "<!-- Written by `make docs`; edit the code it is made from. -->\n"


def pages() -> dict[str, str]:
    """Every generated file, by its path in the repository."""
    return {
        "docs/configuration.md": configuration_page(),
        "docs/report.md": report_page(),
        "docs/report.schema.json": json.dumps(Report.model_json_schema(), indent=2) + "\n",
        "docs/security-report.schema.json": json.dumps(SecurityReport.model_json_schema(), indent=2) + "\n",
        "docs/pull-request-report.schema.json": json.dumps(PullRequestReport.model_json_schema(), indent=2) + "\n",
        "docs/record.md": record_page(),
        "docs/record.schema.json": json.dumps(Record.model_json_schema(), indent=2) + "\n",
        "docs/tools.md": tools_page(),
        "docs/commands.md": commands_page(),
    }


def configuration_page() -> str:
    parts = [
        "# Configuration",
        "",
        _GENERATED,
        "In `towpath.toml` at the target's root, or under `[tool.towpath]` in pyproject.toml; `--set key.path=value`",
        "goes over both for one run. Everything is optional. A key that is not known is refused by name.",
        *_section("(top level)", Settings),
        *_sections_of(Settings, ""),
    ]
    return "\n".join(parts) + "\n"


def _sections_of(model: type[BaseModel], prefix: str) -> Iterator[str]:
    """Every section below a model, each followed by its own."""
    for name, field in model.model_fields.items():
        if inner := model_within(field.annotation):
            path = f"{prefix}{name}"
            yield from _section(_title(path, field), inner)
            yield from _sections_of(inner, f"{path}.NAME." if _is_named(field) else f"{path}.")


def _is_named(field: FieldInfo) -> bool:
    return get_origin(field.annotation) is Mapping


def _title(path: str, field: FieldInfo) -> str:
    if get_origin(field.annotation) is tuple:
        return f"[[{path}]]"
    return f"[{path}.NAME]" if _is_named(field) else f"[{path}]"


def _section(title: str, model: type[BaseModel]) -> Iterator[str]:
    rows = [
        f"| `{name}` | {_default(field)} | {_bounds(field)} | {cell(field.description or '')} |"
        for name, field in model.model_fields.items()
        if not model_within(field.annotation)
    ]
    yield from ("", f"## `{title}`", "", " ".join((model.__doc__ or "").split()), "")
    if rows:
        yield from ("| key | default | bounds | meaning |", "|---|---|---|---|", *rows)


def _default(field: FieldInfo) -> str:
    value = field.get_default(call_default_factory=True, validated_data={})
    if value is PydanticUndefined:
        return "required"
    if value is None:
        return "unset"
    return f"`{json.dumps(value if not isinstance(value, tuple) else list(value))}`"


def _bounds(field: FieldInfo) -> str:
    signs = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}
    parts = [(sign, getattr(part, name, None)) for part in field.metadata for name, sign in signs.items()]
    return ", ".join(f"{sign} {bound:g}" for sign, bound in parts if bound is not None)


_REPORTS: tuple[tuple[str, type[BaseModel]], ...] = (
    ("Report", Report),
    ("CheckResult", CheckResult),
    ("Place", Place),
    ("SecurityReport", SecurityReport),
    ("Gap", Gap),
    ("Finding", Finding),
    ("ScannerRating", ScannerRating),
    ("Location", Location),
    ("PullRequestReport", PullRequestReport),
    ("BenchmarkFigure", BenchmarkFigure),
)


def report_page() -> str:
    parts = [
        "# The report",
        "",
        _GENERATED,
        "`towpath ci --json FILE` writes it; a run also keeps it as `report.json` in its folder, beside `report.md`,",
        "`junit.xml`, `logs/` (the full output of every check) and `files/` (reports the tools wrote).",
        "The JSON Schema is [report.schema.json](report.schema.json). Fields are added, never renamed. What `towpath",
        "security` writes is all of that and more ([security-report.schema.json](security-report.schema.json)).",
    ]
    for title, model in _REPORTS:
        parts += ["", f"## {title}", "", "| field | meaning |", "|---|---|"]
        parts += [f"| `{name}` | {cell(field.description or '')} |" for name, field in model.model_fields.items()]
    return "\n".join(parts) + "\n"


def record_page() -> str:
    parts = [
        "# The release record",
        "",
        _GENERATED,
        "One file for each change of an environment, `delivery/TARGET/ENVIRONMENT/releases/NUMBER.json` in Towpath's",
        "state folder; `towpath history`, `towpath show` and `--json FILE` read it. It is written once, holds the",
        "checksum of the record before it, and is checked each time it is read. Names of people are what they claimed.",
        "The JSON Schema is [record.schema.json](record.schema.json). Fields are added, never renamed.",
    ]
    for title, model in (("Record", Record), ("Release", Release), ("Gate", Gate), ("Answer", Answer), ("Step", Step)):
        parts += ["", f"## {title}", "", "| field | meaning |", "|---|---|"]
        parts += [f"| `{name}` | {cell(field.description or '')} |" for name, field in model.model_fields.items()]
    return "\n".join(parts) + "\n"


def tools_page() -> str:
    rows = [_tool_row(tool) for tool in TOOLS.values()]
    head = [
        "# Tools and what their exit codes mean",
        "",
        _GENERATED,
        "The version a target locks is always taken; the one here is what Towpath brings where it locks none. An exit",
        "code that is not in the table, output that cannot be read, and output that shows that nothing was looked at,",
        "are an `error`.",
        "",
        "| tool | brought version | ran clean | findings | broken |",
        "|---|---|---|---|---|",
    ]
    return "\n".join([*head, *rows]) + "\n"


def _tool_row(tool: Tool) -> str:
    by_meaning: dict[str, list[str]] = {"ran": [], "findings": [], "broken": []}
    for code in range(126):
        by_meaning[tool.meaning(code)].append(str(code))
    shown = {meaning: _shortened(codes) for meaning, codes in by_meaning.items()}
    version = tool.version or ("the target's" if tool.package else "")
    return f"| {tool.name} | {version} | {shown['ran']} | {shown['findings']} | {shown['broken']} and from 126 |"


def _shortened(codes: list[str]) -> str:
    return ", ".join(codes) if len(codes) < 5 else f"{codes[0]} to {codes[-1]}" if _is_run(codes) else "all others"


def _is_run(codes: list[str]) -> bool:
    return int(codes[-1]) - int(codes[0]) == len(codes) - 1


def commands_page() -> str:
    names = re.findall(r"^    (\w+) ", make_parser("").format_help(), re.MULTILINE)
    parts = ["# Commands", "", _GENERATED, *_help("towpath", ["--help"])]
    for name in names:
        parts += _help(f"towpath {name}", [name, "--help"])
    return "\n".join(parts)


def _help(title: str, words: list[str]) -> list[str]:
    return [f"## {title}", "", "```", help_text(words).rstrip(), "```", ""]


def help_text(words: list[str]) -> str:
    """What a command prints for --help, at 100 columns whatever the terminal."""
    parser = make_parser(None)
    if len(words) > 1:
        actions = [action for action in parser._actions if hasattr(action, "choices") and action.dest == "command"]  # noqa: SLF001
        assert actions[0].choices is not None
        parser = dict(actions[0].choices)[words[0]]
    return parser.format_help()


def main() -> int:
    for path, text in pages().items():
        write_atomically(ROOT / path, text)
        say(f"wrote {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
