"""Functions and their measures, by lizard, from a file's text; nothing of it is run."""

from collections.abc import Iterator

import lizard

from tasks.core.pull_requests.complexity import Function

MEASURED = (".py", ".ts", ".tsx", ".js", ".jsx", ".mjs", ".cjs")
# lizard knows these only by the ordinary ending.
_READ_AS = {".mjs": ".js", ".cjs": ".js"}


def measure_functions(path: str, text: str) -> tuple[Function, ...]:
    """The functions of one file; none of a file that lizard does not understand."""
    return tuple(_measured(path, text)) if text.strip() else ()


def _measured(path: str, text: str) -> Iterator[Function]:
    ending = f".{path.rpartition('.')[2]}"
    name = f"file{_READ_AS.get(ending, ending)}"
    # NOTE: lizard reads the last line only when it ends.
    for function in lizard.analyze_file.analyze_source_code(name, f"{text.rstrip()}\n\n").function_list:
        yield Function(
            path=path,
            name=function.name,
            line=function.start_line,
            cyclomatic=function.cyclomatic_complexity,
            length=function.length,
            parameters=function.parameter_count,
        )
