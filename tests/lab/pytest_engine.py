"""The lab's container engine as a fixture: `pytest_plugins = ["tests.lab.pytest_engine"]` in a test module.

Where there is no engine to be had the tests are skipped with the reason, except in CI, where that is an error.
"""

import os
from collections.abc import Iterator

import pytest

from tests.lab.engine import LabEngine, LabMissingError, running


@pytest.fixture(scope="session")
def lab_engine() -> Iterator[LabEngine]:
    """A running engine, which this process and what it starts will find."""
    with pytest.MonkeyPatch.context() as patch:
        try:
            lab = running()
            engine = lab.__enter__()
        except LabMissingError as error:
            if os.environ.get("CI"):
                raise
            pytest.skip(str(error))
        for name, value in engine.environment.items():
            patch.setenv(name, value)
        try:
            yield engine
        finally:
            lab.__exit__(None, None, None)
