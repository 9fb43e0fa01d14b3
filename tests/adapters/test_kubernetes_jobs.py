"""Commands that run once in a real cluster: their output, their failures, and that only one of a name is at work."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tasks.adapters.platforms.kubernetes.requests import Cluster
from tasks.adapters.platforms.kubernetes.working import JobFailed, run_job
from tasks.core.cluster.documents import Part
from tasks.core.cluster.jobs import job_of
from tasks.core.platform import PlatformTrouble
from tests.lab.cluster import facts

pytest_plugins = ["tests.lab.pytest_cluster"]


@pytest.fixture
def there(cluster: facts.Cluster, namespace: str) -> Cluster:
    return Cluster(cluster.context, namespace, str(cluster.kubeconfig))


def job(image: str, script: str, *, seconds: float = 60.0) -> dict[str, Any]:
    """As it is made from a component's Deployment."""
    container = {
        "name": "web",
        "image": image,
        "args": ["serve"],
        "env": [{"name": "WORD", "value": "from the manifest"}],
        "readinessProbe": {"httpGet": {"path": "/", "port": 80}},
    }
    template = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [container]}}
    spec = {"selector": {"matchLabels": {"app": "web"}}, "template": template}
    deployment = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": spec}
    part = Part("web", deployment, (), None)
    return dict(job_of(part, "work", ("python3", "-c", script), deadline_seconds=seconds))


async def work(there: Cluster, made: dict[str, Any], tmp_path: Path, *, seconds: float = 60.0) -> str:
    return await run_job(there, made, log=tmp_path / "log", deadline_seconds=seconds)


def test_what_it_said(there: Cluster, cluster: facts.Cluster, tmp_path: Path) -> None:
    """A command has the component's variables, its output is kept, and its Job is gone afterwards."""
    script = "import os; print(os.environ['WORD'])"
    assert asyncio.run(work(there, job(cluster.images.python, script), tmp_path)) == "from the manifest\n"
    assert (tmp_path / "log").read_text() == "from the manifest\n"
    assert asyncio.run(work(there, job(cluster.images.python, "print(2)"), tmp_path)) == "2\n"


def test_a_command_that_fails(there: Cluster, cluster: facts.Cluster, tmp_path: Path) -> None:
    """It is not tried again by itself, and its last words are told."""
    script = "print('first', flush=True); raise SystemExit('no such table')"
    with pytest.raises(JobFailed, match="no such table"):
        asyncio.run(work(there, job(cluster.images.python, script), tmp_path))
    assert (tmp_path / "log").read_text().count("first") == 1


def test_one_at_a_time(there: Cluster, cluster: facts.Cluster, tmp_path: Path) -> None:
    """While one of a name is at work another is refused; one that was cancelled is taken away."""

    async def two() -> None:
        first = asyncio.create_task(work(there, job(cluster.images.python, "import time; time.sleep(50)"), tmp_path))
        while not await there.list("batch/v1", "Job"):
            await asyncio.sleep(0.05)
        with pytest.raises(PlatformTrouble, match="work is at work already"):
            await work(there, job(cluster.images.python, "print(1)"), tmp_path)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first

    asyncio.run(two())
    assert asyncio.run(work(there, job(cluster.images.python, "print(3)"), tmp_path)) == "3\n"


def test_a_command_that_hangs(there: Cluster, cluster: facts.Cluster, tmp_path: Path) -> None:
    """At its deadline the cluster ends it, and that is the reason that is told."""
    with pytest.raises(JobFailed, match="DeadlineExceeded"):
        asyncio.run(
            work(there, job(cluster.images.python, "import time; time.sleep(60)", seconds=2), tmp_path, seconds=2)
        )


def test_an_image_that_is_not_there(there: Cluster, cluster: facts.Cluster, tmp_path: Path) -> None:
    """What never will start is told at once and not at the deadline."""
    missing = f"{cluster.images.python.rpartition('/')[0]}/nothing:here"
    with pytest.raises(JobFailed, match="cannot be pulled"):
        asyncio.run(work(there, job(missing, "print(1)"), tmp_path))
