"""One home with one server for all delivery tests: a target in production, and nothing under way between tests."""

from collections.abc import Iterator

import pytest

from tests.e2e.delivery_stage import Delivered, make_delivered
from tests.e2e.stage import Stage


@pytest.fixture(scope="session")
def delivered_target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Delivered]:
    """Version v1.0.0 has passed CI, is in staging and in production."""
    folder = tmp_path_factory.mktemp("delivery")
    stage = Stage(folder, folder / "home")
    target = Delivered(stage, make_delivered(folder / "tiny"))
    try:
        for words in (("ci", "--ref", "v1.0.0"), ("cd", "--ref", "v1.0.0"), ("production", "v1.0.0")):
            said = target.run(*words)
            assert said.exit_code == 0, f"{words}: {said.errors or said.output}"
        yield target
    finally:
        target.end_all()
        stage.towpath("down")


@pytest.fixture
def production(delivered_target: Delivered) -> Iterator[Delivered]:
    """Production with nothing under way; what a test started is over when the test is."""
    delivered_target.when_over()
    yield delivered_target
    delivered_target.end_all()
    delivered_target.when_over()
