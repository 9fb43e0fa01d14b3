"""Checks a team adds itself: any program, judged by its exit code alone."""

from tasks.core.tools.contract import Ecosystem, Invocation, Meaning, Output, Reading, Tool
from tasks.core.tools.javascript import script_problems


def _read(output: Output) -> Reading:
    text = f"{output.log}\n{output.stdout}"
    return Reading(script_problems(text), 1, "done")


def _arguments(invocation: Invocation) -> tuple[str, ...]:
    return invocation.option("command")[1:]


OWN = Tool(
    name="own",
    ecosystem=Ecosystem.OWN,
    package="",
    exits={0: Meaning.RAN},
    other_exits=Meaning.FINDINGS,
    arguments=_arguments,
    read=_read,
)
