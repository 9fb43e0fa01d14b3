"""Which line of a Dockerfile a build failed at.

Newer engines say it themselves; older ones (20.10, as Debian carries it) only name the step, which is counted here.
A line is named only when it is certain: None is an honest answer.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

_SAID = (
    # "Dockerfile:3" over the excerpt that newer engines print.
    re.compile(r"^[^\s:]+:(\d+)\n-{4,}$", re.MULTILINE),
    re.compile(r"dockerfile parse error (?:on )?line (\d+)", re.IGNORECASE),
)
_FAILED_STEP = re.compile(r"^#(\d+) ERROR", re.MULTILINE)
_STEP = r"^#{number} \[(?:(?P<stage>\S+) +)?(?P<step>\d+)/\d+\] "
_FROM = re.compile(r"FROM\s+(?:--\S+\s+)*\S+(?:\s+AS\s+(?P<name>\S+))?", re.IGNORECASE)
# The instructions that BuildKit counts as steps; the others only change the configuration.
_COUNTED = re.compile(r"(FROM|RUN|COPY|ADD|WORKDIR)\s", re.IGNORECASE)


@dataclass(frozen=True)
class _Instruction:
    line: int
    text: str


def failing_line(log: str, dockerfile: str) -> int | None:
    for pattern in _SAID:
        if said := pattern.search(log):
            return int(said[1])
    failed = _FAILED_STEP.search(log)
    if failed is None:
        return None
    step = re.search(_STEP.format(number=failed[1]), log, re.MULTILINE)
    return None if step is None else _line_of(dockerfile, step["stage"], int(step["step"]))


def _line_of(dockerfile: str, wanted: str | None, step: int) -> int | None:
    stages = _stages(dockerfile)
    name = wanted.lower() if wanted else (next(iter(stages)) if len(stages) == 1 else "")
    counted = stages.get(name, ())
    return counted[step - 1].line if 0 < step <= len(counted) else None


def _stages(dockerfile: str) -> dict[str, list[_Instruction]]:
    """The counted instructions of each stage, under its name or `stage-N`."""
    stages: dict[str, list[_Instruction]] = {}
    current: list[_Instruction] = []
    for instruction in _instructions(dockerfile):
        if start := _FROM.match(instruction.text):
            current = stages.setdefault((start["name"] or f"stage-{len(stages)}").lower(), [])
        if _COUNTED.match(instruction.text):
            current.append(instruction)
    return stages


def _instructions(dockerfile: str) -> Iterator[_Instruction]:
    """Instructions with their continuation lines joined; comments between those do not end them."""
    start, parts = 0, ""
    for number, line in enumerate(dockerfile.splitlines(), start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        start = start or number
        parts += line.strip()
        if parts.endswith("\\"):
            parts = parts[:-1]
            continue
        yield _Instruction(start, parts)
        start, parts = 0, ""
