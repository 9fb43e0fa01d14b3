"""The lab's container engine as fixtures: `pytest_plugins = ["tests.lab.pytest_engine"]` in a test module.

Where there is no engine to be had the tests that ask for one are skipped with the reason, except in CI, where that is
an error; tests that can do with one or without ask for `any_engine`.
"""

import os
from collections.abc import Iterator

import pytest

from tests.lab.engine import LabEngine, LabMissingError, running


@pytest.fixture(scope="session")
def _engine_or_reason() -> Iterator[LabEngine | LabMissingError]:
    with pytest.MonkeyPatch.context() as patch:
        try:
            lab = running()
            engine = lab.__enter__()
        except LabMissingError as missing:
            if os.environ.get("CI"):
                raise
            yield missing
            return
        for name, value in engine.environment.items():
            patch.setenv(name, value)
        try:
            yield engine
        finally:
            lab.__exit__(None, None, None)


@pytest.fixture(scope="session")
def lab_engine(_engine_or_reason: LabEngine | LabMissingError) -> LabEngine:
    """A running engine, which this process and what it starts will find."""
    if isinstance(_engine_or_reason, LabMissingError):
        pytest.skip(str(_engine_or_reason))
    return _engine_or_reason


@pytest.fixture(scope="session")
def any_engine(_engine_or_reason: LabEngine | LabMissingError) -> LabEngine | None:
    """The same engine, or None where there is none to be had."""
    return _engine_or_reason if isinstance(_engine_or_reason, LabEngine) else None
