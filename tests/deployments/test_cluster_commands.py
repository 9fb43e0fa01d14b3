"""The two commands of the cluster's pods, where they cannot do their work."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def said(module: str, *words: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    argv = [sys.executable, "-m", module, *words]
    return subprocess.run(argv, cwd=ROOT, env=kept | variables, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize(
    ("module", "words", "variables", "line"),
    [
        ("deployments.schema", (), {}, "names no PostgreSQL database"),
        (
            "deployments.schema",
            (),
            {"PREFECT_SERVER_DATABASE_CONNECTION_URL": "sqlite+aiosqlite://"},
            "names no PostgreSQL",
        ),
        ("deployments.registering", ("pools",), {}, "PREFECT_API_URL is not set"),
        ("deployments.registering", (), {}, "usage: python -m deployments.registering FOLDER"),
    ],
)
def test_what_is_missing_is_said_in_one_line(
    module: str, words: tuple[str, ...], variables: dict[str, str], line: str
) -> None:
    """A pod that lacks its settings ends with 2 and one line that names them."""
    done = said(module, *words, **variables)

    assert (done.returncode, done.stdout) == (2, "")
    assert line in done.stderr
    assert done.stderr.count("\n") == 1
