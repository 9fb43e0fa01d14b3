"""The Kubernetes API goes away at each step of a release: the step waits, or says so, and nothing is half-done."""

from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from tasks.adapters.platforms.kubernetes.platform import KubernetesPlatform
from tasks.core.platform import PlatformTrouble, Role
from tests.adapters.kubernetes_stage import Stage
from tests.lab.cluster.facts import Cluster, Gateway
from tests.lab.severed_line import Line

pytest_plugins = ["tests.lab.pytest_cluster"]
# Twenty for what must not wait, taking the traffic away; the others wait for the same thing in the same way.
AWAY_SECONDS = {"weigh": 20.0, "promote": 5.0, "remove": 5.0}
Step = Callable[[Stage, KubernetesPlatform], Coroutine[Any, Any, None]]


@pytest.fixture
def stage(tmp_path: Path, cluster: Cluster, gateway: Gateway, namespace: str) -> Stage:
    made = Stage(tmp_path, cluster, gateway, namespace)
    made.run(made.platform.begin())
    return made


@contextmanager
def by_line(stage: Stage, tmp_path: Path, *, patience_seconds: float) -> Iterator[tuple[Line, KubernetesPlatform]]:
    """The same environment by a line that can be cut."""
    told = yaml.safe_load(stage.lab.kubeconfig.read_text())
    place = told["clusters"][0]["cluster"]
    host = urlsplit(place["server"])
    line = Line(host.hostname or "", host.port or 443)
    place |= {"server": f"https://127.0.0.1:{line.port}", "tls-server-name": host.hostname}
    path = tmp_path / "by-line"
    path.write_text(yaml.safe_dump(told))
    try:
        yield line, stage.another(kubeconfig=str(path), patience_seconds=patience_seconds)
    finally:
        line.close()


def ready(stage: Stage, *, percent: float) -> None:
    """A stable release, and a candidate that has this share."""
    stage.deliver(stage.release("v1"))
    stage.put(stage.release("v2"))
    stage.until_ready(Role.CANDIDATE)
    stage.run(stage.platform.set_weight(stage.permit, percent))


async def weigh(stage: Stage, platform: KubernetesPlatform) -> None:
    await platform.set_weight(stage.permit, 0.0)


async def promote(stage: Stage, platform: KubernetesPlatform) -> None:
    await platform.promote(stage.permit)


async def remove(stage: Stage, platform: KubernetesPlatform) -> None:
    await platform.remove(stage.permit)


@pytest.mark.parametrize(("step", "then"), [(weigh, "v1"), (promote, "v2"), (remove, "v1")])
def test_the_api_is_away_for_a_while(stage: Stage, tmp_path: Path, step: Step, then: str) -> None:
    """Away for seconds at the beginning of a step, the step is done as if nothing had been."""
    ready(stage, percent=50.0)
    with by_line(stage, tmp_path, patience_seconds=45.0) as (line, platform):
        stage.run(platform.status("production"))
        with line.cut_for(AWAY_SECONDS[step.__name__]):
            stage.run(step(stage, platform))
    stage.until_seen(then)
    stage.until(lambda status: stage.answers(20) == {then: 20} and bool(status.stable))


@pytest.mark.parametrize(("step", "then"), [(promote, "v2"), (remove, "v1")])
def test_the_api_stays_away(stage: Stage, tmp_path: Path, step: Step, then: str) -> None:
    """When it stays away the step says so in one line, and the same step again brings the whole of it about."""
    ready(stage, percent=50.0)
    with by_line(stage, tmp_path, patience_seconds=1.0) as (line, platform):
        stage.run(platform.status("production"))
        line.cut()
        with pytest.raises(PlatformTrouble, match=r"^the cluster of context \S+ .*, for 1 s$"):
            stage.run(step(stage, platform))
        line.mend()
        stage.run(step(stage, platform))
    status = stage.until(lambda status: stage.answers(20) == {then: 20} and status.candidate is None)
    assert status.stable is not None
    assert status.stable.version == then
    assert not [name for name in stage.objects() if "canary" in name]
