"""Installations: their commands, their identity, and why they fail."""

import pytest

from tasks.core.environments import Environment
from tasks.core.installs import explain_install
from tasks.core.projects import Manager
from tests.core.targets import SHOP, planned

PYPROJECT = "[project]\nname = 'x'\nrequires-python = '>=3.12'\n[project.optional-dependencies]\ntest = ['pytest']\n"


def environment_of(files: dict[str, str]) -> Environment:
    return planned(files).environments[0]


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"uv.lock": ""}, ["{uv} sync --frozen --extra test"]),
        ({}, ["{uv} venv --no-project {venv} --python >=3.12", "{uv} pip install --python {venv} --editable .[test]"]),
        ({"pdm.lock": ""}, ["{uv} venv --no-project {venv} --python >=3.12", "{uv} tool run --from pdm"]),
        (
            {"poetry.lock": ""},
            [
                "{uv} venv --no-project {venv} --python >=3.12",
                "{uv} tool run --from poetry",
                "{uv} pip install --python {venv} --no-deps --requirements {venv}/",
                "{uv} pip install --python {venv} --no-deps --editable .",
            ],
        ),
    ],
)
def test_commands(files: dict[str, str], expected: list[str]) -> None:
    """Each package manager installs exactly its lock, test dependencies included, into a folder we name."""
    steps = environment_of({"pyproject.toml": PYPROJECT, "tests/test_a.py": "", **files}).steps

    assert len(expected) == len(steps)
    assert all(" ".join(step.argv).startswith(start) for step, start in zip(steps, expected, strict=True))


def test_requirements_files() -> None:
    """A project of requirements files installs the main one and those for tests, not the ones for documents."""
    files = {
        "requirements.txt": "",
        "requirements-dev.txt": "",
        "docs/requirements.txt": "",
        "app.py": "",
        "test_a.py": "",
    }
    install = " ".join(environment_of(files).steps[-1].argv)

    assert "-r {tree}/requirements.txt -r {tree}/requirements-dev.txt" in install
    assert "docs" not in install


@pytest.mark.parametrize(
    ("lock", "command"),
    [
        ("package-lock.json", "npm ci --no-audit --no-fund"),
        ("pnpm-lock.yaml", "npx --yes pnpm@9.1.0 install --frozen-lockfile"),
        ("none", "npm install --no-package-lock --no-audit --no-fund"),
    ],
)
def test_node_commands(lock: str, command: str) -> None:
    """Node packages are installed by the manager of the lock, in the version the project names."""
    files = {"package.json": '{"packageManager": "pnpm@9.1.0", "scripts": {"build": "x"}}', lock: ""}

    assert command == " ".join(environment_of(files).steps[0].argv)


def test_identity() -> None:
    """An environment's identity changes with its lock and its machine, and not with a source file."""
    environment = planned(SHOP).environments[0]
    files = {"backend/uv.lock": "1", "backend/pyproject.toml": "2", "backend/src/shop/__init__.py": "3"}
    identity = environment.fingerprint(files, machine="m")

    assert identity == environment.fingerprint({**files, "backend/src/shop/__init__.py": "4"}, machine="m")
    assert identity != environment.fingerprint({**files, "backend/uv.lock": "5"}, machine="m")
    assert identity != environment.fingerprint(files, machine="n")


@pytest.mark.parametrize(
    ("log", "said", "is_temporary"),
    [
        ("error: Request failed\n  Caused by: error sending request for url (https://x/simple/y/)", "registry", True),
        ("npm error code ECONNREFUSED\nnpm error errno ECONNREFUSED", "registry", True),
        ("npm error network getaddrinfo EAI_AGAIN", "registry", True),
        ("error: HTTP status server error (503 Service Unavailable) for url", "registry", True),
        ("error: No interpreter found for Python >=3.15 in managed installations", "no Python >=3.15", False),
        (
            "npm error `npm ci` can only install packages when your package.json and package-lock.json are in sync",
            "lock",
            False,
        ),
        ("error: The lockfile at `uv.lock` needs to be updated, but `--frozen` was provided", "lock file", False),
        ("OSError: [Errno 28] No space left on device", "disk is full", False),
        ("× No solution found when resolving dependencies:\n  because a>2 conflicts", "could not install", False),
        ("", "it said nothing", False),
    ],
)
def test_why_an_installation_failed(log: str, said: str, is_temporary: bool) -> None:
    """A network that was away is worth another try; what only a person can mend says what to do."""
    trouble = explain_install(Manager.UV, log, ending="", log_path="/log")

    assert said in trouble.reason
    assert is_temporary is trouble.is_temporary
    assert trouble.remedy
