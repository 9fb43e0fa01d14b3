"""The container engine, a real one: images are built, live or die, and nothing is left of them."""

import asyncio
import gc
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tasks.adapters import images
from tasks.adapters.container_engine import RUN_LABEL, connect, engine_address
from tasks.adapters.images import Engine, EngineError, EngineMissing, ImageBuild, ImageTrial, TrialResult, inside
from tasks.adapters.process import Completion, Ending
from tasks.core.build_failure import failing_line
from tests.lab.engine import LabEngine

if TYPE_CHECKING:
    from docker.models.containers import Container

pytest_plugins = ["tests.lab.pytest_engine"]
ROOT = Path(images.__file__).parents[2]
SHOP = ROOT / "examples" / "shop"
TAG = "towpath-test/subject:latest"
RUN = "run-of-test-images"
SERVE = 'CMD ["python3", "-m", "http.server", "8000"]\n'


def until(condition: Callable[[], bool], *, seconds: float = 30.0) -> None:
    """Wait on a condition with a deadline."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition was not met in time"
        time.sleep(0.02)


def containers_of(run_id: str) -> "list[Container]":
    with connect() as engine:
        return engine.client.containers.list(all=True, filters={"label": f"{RUN_LABEL}={run_id}"})


def images_of(run_id: str) -> list[str]:
    with connect() as engine:
        return [str(image.id) for image in engine.client.images.list(filters={"label": f"{RUN_LABEL}={run_id}"})]


@pytest.fixture
def engine(lab_engine: LabEngine) -> Iterator[LabEngine]:
    """The engine, and the promise that a test leaves nothing in it."""
    yield lab_engine
    left = containers_of(RUN)
    asyncio.run(images.sweep(frozenset()))
    assert left == []


def build(folder: Path, engine: LabEngine, dockerfile: str, *, run_id: str = RUN, tag: str = TAG) -> Completion:
    folder.mkdir(exist_ok=True)
    (folder / "Dockerfile").write_text(f"FROM {engine.python_image}\n{dockerfile}")
    (folder / ".dockerignore").write_text("build.log\n")
    return asyncio.run(
        images.build_image(
            ImageBuild(
                dockerfile=folder / "Dockerfile",
                context=folder,
                tag=tag,
                run_id=run_id,
                network=engine.network,
                secrets=engine.secrets,
                timeout_seconds=300,
                log=folder / "build.log",
            )
        )
    )


def attempt(*, port: int | None = None, path: str | None = None, seconds: float = 20.0) -> TrialResult:
    trial = ImageTrial(reference=TAG, run_id=RUN, port=port, health_path=path, start_seconds=seconds)
    return asyncio.run(images.try_image(trial))


def outcome(folder: Path, engine: LabEngine, dockerfile: str, **trial: float | str) -> TrialResult:
    built = build(folder, engine, dockerfile)
    assert (built.ending, built.exit_code) == (Ending.EXITED, 0), built.tail
    return attempt(**trial)  # type: ignore[arg-type]


@pytest.mark.engine
def test_the_engine_is_found_with_its_versions(engine: LabEngine, tmp_path: Path) -> None:
    found = asyncio.run(images.find_engine(tmp_path / "log"))

    assert isinstance(found, Engine)
    assert found.version[0].isdigit()
    assert found.buildx_version.startswith(("v", "0"))


@pytest.mark.parametrize(
    ("programs", "reason"),
    [
        pytest.param({}, "not installed", id="no client"),
        pytest.param({"docker": "echo 'Cannot connect to the daemon' >&2; exit 1"}, "Cannot connect", id="no daemon"),
        pytest.param({"docker": "[ $1 = version ] && echo 28.2 || exit 1"}, "no buildx", id="no buildx"),
    ],
)
def test_what_is_missing_of_an_engine_is_said(
    programs: dict[str, str], reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, script in programs.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))

    found = asyncio.run(images.find_engine(tmp_path / "log"))

    assert isinstance(found, EngineMissing)
    assert reason in found.reason
    assert found.remedy


# The SDK leaves a socket that it could not connect to the garbage collector, which complains.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_no_engine_is_an_error_of_the_engine_not_of_the_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/nobody.sock")

    with pytest.raises(EngineError):
        attempt()
    gc.collect()


@pytest.mark.parametrize(
    ("endpoint", "address"),
    [
        ("", "127.0.0.1"),
        ("unix:///run/docker.sock", "127.0.0.1"),
        ("npipe:////./pipe/docker_engine", "127.0.0.1"),
        ("tcp://localhost:2375", "127.0.0.1"),
        ("tcp://engine:2376", "engine"),
        ("ssh://me@builder", "builder"),
    ],
)
def test_published_ports_are_looked_for_where_the_engine_is(endpoint: str, address: str) -> None:
    assert address == engine_address(endpoint)


@pytest.mark.engine
def test_an_image_that_answers_on_its_health_path_is_healthy(engine: LabEngine, tmp_path: Path) -> None:
    result = outcome(tmp_path, engine, SERVE, port=8000, path="/etc/hostname")

    assert (result.is_healthy, result.reason.split(" (")[0]) == (True, "GET /etc/hostname answers 200")


@pytest.mark.engine
def test_the_port_is_the_one_that_the_image_exposes(engine: LabEngine, tmp_path: Path) -> None:
    assert outcome(tmp_path, engine, f"EXPOSE 8000\n{SERVE}", path="/").is_healthy


@pytest.mark.engine
@pytest.mark.parametrize("expose", ["", "EXPOSE 8000 9000\n"])
def test_a_port_that_cannot_be_known_is_asked_for(engine: LabEngine, tmp_path: Path, expose: str) -> None:
    with pytest.raises(EngineError, match="set its port"):
        outcome(tmp_path, engine, f"{expose}{SERVE}", path="/")


@pytest.mark.engine
def test_the_images_own_healthcheck_decides_without_a_health_path(engine: LabEngine, tmp_path: Path) -> None:
    check = "HEALTHCHECK --interval=1s --retries=1 CMD"

    assert outcome(tmp_path, engine, f"{check} true\n{SERVE}").is_healthy
    failed = outcome(tmp_path, engine, f"{check} echo no database; exit 1\n{SERVE}")

    assert not failed.is_healthy
    assert "its HEALTHCHECK fails: no database" in failed.reason


@pytest.mark.engine
def test_an_image_without_any_check_has_to_stay_alive(engine: LabEngine, tmp_path: Path) -> None:
    result = outcome(tmp_path, engine, SERVE, seconds=1)

    assert result.is_healthy
    assert "no health check" in result.reason


@pytest.mark.engine
def test_a_broken_dockerfile_is_named_with_its_line(engine: LabEngine, tmp_path: Path) -> None:
    built = build(tmp_path, engine, "RUN true\nRUN echo precious words && exit 3\n")

    assert (built.ending, built.exit_code) == (Ending.EXITED, 1)
    assert "precious words" in built.tail
    assert failing_line(built.tail, (tmp_path / "Dockerfile").read_text()) == 3


@pytest.mark.engine
def test_a_crash_is_told_with_its_exit_code_and_last_words(engine: LabEngine, tmp_path: Path) -> None:
    result = outcome(tmp_path, engine, "CMD echo no such table >&2; echo stopping; exit 7\n", port=8000, path="/")

    assert not result.is_healthy
    assert "it exited with code 7: no such table" in result.reason
    assert sorted(result.log_tail.split("\n")[:2]) == ["no such table", "stopping"]


@pytest.mark.engine
def test_a_command_that_is_not_there_is_the_images_fault(engine: LabEngine, tmp_path: Path) -> None:
    result = outcome(tmp_path, engine, 'CMD ["no-such-program"]\n')

    assert not result.is_healthy
    assert "no-such-program" in result.reason


@pytest.mark.engine
def test_one_that_never_gets_healthy_is_told_with_what_it_answered(engine: LabEngine, tmp_path: Path) -> None:
    result = outcome(tmp_path, engine, SERVE, port=8000, path="/no/such/page", seconds=2)

    assert not result.is_healthy
    assert "GET /no/such/page answers 404" in result.reason
    assert "/no/such/page" in result.log_tail


@pytest.mark.engine
def test_a_container_has_no_privileges_and_bounded_memory(engine: LabEngine, tmp_path: Path) -> None:
    show = "grep -E 'CapEff|NoNewPrivs' /proc/self/status"
    result = outcome(tmp_path, engine, f"USER 10001\nCMD {show}\n")

    assert "CapEff:\t0000000000000000" in result.log_tail
    assert "NoNewPrivs:\t1" in result.log_tail


@pytest.mark.engine
def test_too_much_memory_is_said_and_hurts_nobody(engine: LabEngine, tmp_path: Path) -> None:
    result = outcome(tmp_path, engine, 'CMD ["python3", "-c", "x = bytearray(3 << 30)"]\n')

    assert not result.is_healthy
    assert "out of its 1g of memory" in result.reason


@pytest.mark.engine
def test_a_cancelled_trial_leaves_no_container(engine: LabEngine, tmp_path: Path) -> None:
    build(tmp_path, engine, SERVE)

    async def cancelled() -> float:
        trial = ImageTrial(reference=TAG, run_id=RUN, port=8000, health_path="/never", start_seconds=60)
        task = asyncio.create_task(images.try_image(trial))
        await asyncio.to_thread(until, lambda: bool(containers_of(RUN)))
        began = time.monotonic()
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        return time.monotonic() - began

    assert asyncio.run(cancelled()) < 2.0
    assert containers_of(RUN) == []


@pytest.mark.engine
def test_what_a_killed_run_left_is_swept_and_nothing_else(engine: LabEngine, tmp_path: Path) -> None:
    build(tmp_path, engine, SERVE, run_id="killed")
    build(tmp_path / "other", engine, f"ENV OTHER=1\n{SERVE}", run_id="alive", tag="towpath-test/alive")
    program = (
        "import asyncio; from tasks.adapters.images import *; "
        f"asyncio.run(try_image(ImageTrial(reference='{TAG}', run_id='killed', port=8000, health_path='/never')))"
    )
    victim = subprocess.Popen([sys.executable, "-c", program], cwd=ROOT)
    until(lambda: bool(containers_of("killed")))
    os.kill(victim.pid, signal.SIGKILL)
    victim.wait()

    removed = asyncio.run(images.sweep(frozenset({"alive"})))

    assert [what.split()[0] for what in removed] == ["container", "image"]
    assert (containers_of("killed"), images_of("killed")) == ([], [])
    assert len(images_of("alive")) == 1


@pytest.mark.engine
def test_an_image_is_removed_once_and_again(engine: LabEngine, tmp_path: Path) -> None:
    build(tmp_path, engine, SERVE)

    for _ in range(2):
        asyncio.run(images.remove_image(TAG))

    assert images_of(RUN) == []


@pytest.mark.engine
@pytest.mark.parametrize(("name", "port", "path"), [("backend", 8000, "/healthz"), ("frontend", 8080, "/")])
def test_the_shops_images_are_built_and_healthy(
    engine: LabEngine, tmp_path: Path, name: str, port: int, path: str
) -> None:
    built = asyncio.run(
        images.build_image(
            ImageBuild(
                dockerfile=SHOP / name / "Dockerfile",
                context=SHOP / name,
                tag=TAG,
                run_id=RUN,
                build_arguments=engine.build_arguments(name),
                network=engine.network,
                secrets=engine.secrets,
                timeout_seconds=600,
                log=tmp_path / "log",
            )
        )
    )
    assert built.exit_code == 0, built.tail

    assert attempt(port=port, path=path).is_healthy
    assert attempt().is_healthy, "its own HEALTHCHECK agrees"


def test_a_link_out_of_the_tree_is_not_followed(tmp_path: Path) -> None:
    """A Dockerfile that is a link to a file of the machine is refused, since errors of a build quote what they read."""
    (tmp_path / "secret").write_text("machine example.org password x")
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "Dockerfile").symlink_to(tmp_path / "secret")

    with pytest.raises(EngineError, match="Dockerfile is a link out of the repository"):
        inside(tmp_path / "tree", "Dockerfile")
    assert inside(tmp_path / "tree", ".") == tmp_path / "tree"
