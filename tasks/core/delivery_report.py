"""A record as a page for people: what happened, why, what to do, and how long each step took."""

from tasks.core.prose import cell, flat
from tasks.core.records import Record

_MARKS = {True: "✓", False: "✗"}


def delivery_page(record: Record) -> str:
    """Markdown."""
    release = record.release
    lines = [
        f"# {release.version} in {record.environment}: {record.ending}",
        "",
        f"**{flat(record.reason)}**",
        "",
        *([f"To do: {flat(record.remedy)}", ""] if record.remedy else []),
        "| | |",
        "|---|---|",
        *(f"| {name} | {cell(value)} |" for name, value in _facts(record)),
        *_gates(record),
        *_approvals(record),
        *_evidence(record),
        *_steps(record),
    ]
    return "\n".join(lines) + "\n"


def _facts(record: Record) -> list[tuple[str, str]]:
    release = record.release
    facts = [
        ("record", f"{record.number} of {record.target}/{record.environment}, by the flow {record.kind}"),
        ("release", f"`{release.digest}`"),
        ("commit", f"`{release.revision}` by {release.author or 'an unknown author'}"),
        ("built", f"`{release.artifact}`"),
        ("schema", release.schema_revision or "none"),
        ("instances", ", ".join(f"{number} {name}" for name, number in release.replicas.items())),
        ("replaced", f"`{record.replaced}`" if record.replaced else "nothing: it is the first"),
        ("asked for by", f"{record.who} (claimed, not proved){f': {record.why}' if record.why else ''}"),
        ("time", f"{record.started} to {record.ended}, {record.seconds:.1f} s"),
        ("run", record.run),
    ]
    return [*facts, *([("gates passed over", record.override)] if record.override else [])]


def _gates(record: Record) -> list[str]:
    if not record.gates:
        return []
    rows = [f"| {gate.name} | {gate.verdict} | {cell(gate.reason)} |" for gate in record.gates]
    return ["", "## Gates", "", "| gate | verdict | why |", "|---|---|---|", *rows]


def _approvals(record: Record) -> list[str]:
    if not record.approvals:
        return []
    rows = [
        f"| {cell(each.by)} ({'proved' if each.is_proved else 'claimed'}) | {each.decision} | {cell(each.reason)} |"
        for each in record.approvals
    ]
    return ["", "## Approvals", "", "| by | decision | reason |", "|---|---|---|", *rows]


def _evidence(record: Record) -> list[str]:
    if not record.evidence:
        return []
    rows = [f"| {name} | {cell(value)} |" for name, value in record.evidence.items()]
    return ["", "## Evidence", "", "| | |", "|---|---|", *rows]


def _steps(record: Record) -> list[str]:
    rows = [
        f"| {_MARKS[step.is_well]} | {step.name} | {step.seconds:.1f} s | {cell(step.said)} |" for step in record.steps
    ]
    return ["", "## Steps", "", "| | step | time | |", "|---|---|---|---|", *rows]
