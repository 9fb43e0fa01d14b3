"""The line at which an image's build failed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.core.build_failure import failing_line

DOCKERFILE = """\
ARG BASE=python:3.12
# The tools.
FROM ${BASE} AS build
ENV A=1
RUN true \\
    # A reason.
    && false
COPY nothing /nothing

FROM ${BASE}
LABEL a=b
WORKDIR /app
COPY --from=build /app /app
"""


@pytest.mark.parametrize(
    ("log", "line"),
    [
        pytest.param("#9 [build 2/3] RUN true && false\n#9 ERROR: exit code: 1\n", 5, id="a step over several lines"),
        pytest.param("#9 [build 3/3] COPY nothing /nothing\n#9 ERROR: not found\n", 8, id="after it"),
        pytest.param("#9 [stage-1 3/3] COPY --from\n#9 ERROR: not found\n", 13, id="a stage without a name"),
        pytest.param("#7 [build 2/3] RUN a\n#8 [build 3/3] COPY b\n#8 ERROR: x\n", 8, id="only the step that failed"),
        pytest.param(
            "#9 ERROR: x\n------\nDockerfile:7\n----------\n   7 | >>> RUN false\n", 7, id="said by the engine"
        ),
        pytest.param("ERROR: dockerfile parse error on line 4: unknown instruction: RUNN\n", 4, id="a parse error"),
        pytest.param("ERROR: dockerfile parse error line 4: unknown instruction: RUNN\n", 4, id="an old parse error"),
        pytest.param("#2 [internal] load metadata\n#2 ERROR: no such image\n", None, id="no step"),
        pytest.param("#9 [other 2/3] RUN a\n#9 ERROR: x\n", None, id="an unknown stage"),
        pytest.param("#9 [build 9/9] RUN a\n#9 ERROR: x\n", None, id="an unknown step"),
        pytest.param("all went well\n", None, id="no failure"),
    ],
)
def test_the_line_is_named_when_it_is_certain(log: str, line: int | None) -> None:
    assert failing_line(log, DOCKERFILE) == line


def test_a_single_stage_goes_without_a_name() -> None:
    assert failing_line("#5 [2/2] RUN false\n#5 ERROR: exit code: 1\n", "FROM a\nRUN false\n") == 2


@given(st.text(), st.text())
def test_no_log_and_no_dockerfile_is_too_strange(log: str, dockerfile: str) -> None:
    failing_line(log, dockerfile)
    failing_line(f"#1 [2/2] {log}\n#1 ERROR: x", dockerfile)
