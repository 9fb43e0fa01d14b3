"""One home of Towpath, one server and one copy of the shop for all end-to-end tests, gone at their end."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.repositories import make_shop, restored
from tests.e2e.stage import NO_ENGINE, TOWPATH, Stage
from tests.lab.engine import LabEngine


@pytest.fixture(scope="session")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A home that nobody has used; its server is started by the first command that needs one."""
    assert TOWPATH.exists(), f"{TOWPATH} is missing: make install"
    folder = tmp_path_factory.mktemp("stage")
    stage = Stage(folder, folder / "home")
    yield stage
    stage.towpath("down")
    # Reports and logs stay for whoever looks into a failure; installed packages are only large.
    shutil.rmtree(stage.home / "targets", ignore_errors=True)


@pytest.fixture(scope="session")
def shop_repository(stage: Stage) -> Path:
    return make_shop(stage.folder / "shop")


@pytest.fixture
def shop(shop_repository: Path) -> Iterator[Path]:
    """The shop in a repository of its own; what a test edits is undone."""
    with restored(shop_repository) as repository:
        yield repository


@pytest.fixture(scope="session")
def engine_words(any_engine: LabEngine | None) -> tuple[str, ...]:
    """What `towpath ci` must be told to build the shop's images on this machine's engine."""
    return shop_on(any_engine) if any_engine else ()


@pytest.fixture(scope="session")
def engine_environment(any_engine: LabEngine | None) -> dict[str, str]:
    return dict(any_engine.environment) if any_engine else NO_ENGINE


def shop_on(engine: LabEngine) -> tuple[str, ...]:
    words: list[str] = []
    for name in ("backend", "frontend"):
        arguments = ", ".join(f'{key} = "{value}"' for key, value in engine.build_arguments(name).items())
        secrets = ", ".join(f'"{secret}"' for secret in engine.secrets)
        chosen = {"build_arguments": f"{{{arguments}}}", "network": f'"{engine.network}"', "secrets": f"[{secrets}]"}
        words += [word for key, value in chosen.items() for word in ("--set", f"images.{name}.{key}={value}")]
    return tuple(words)
