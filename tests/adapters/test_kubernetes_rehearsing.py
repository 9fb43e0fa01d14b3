"""One instance of a component on a real cluster for some seconds: reached, and gone; or why it did not get ready."""

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest

from tasks.adapters.platforms.kubernetes.rehearsing import Trial, instance_at_work
from tasks.adapters.platforms.kubernetes.requests import Cluster
from tasks.core.cluster.documents import Part
from tasks.core.cluster.jobs import with_variables
from tasks.core.database import DatabaseTrouble
from tests.lab.cluster import facts

pytest_plugins = ["tests.lab.pytest_cluster"]

SERVING = """
import os, http.server
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers(); self.wfile.write(os.environ["WHERE"].encode())
http.server.HTTPServer(("", 8000), Answer).serve_forever()
"""


@pytest.fixture
def there(cluster: facts.Cluster, namespace: str) -> Cluster:
    return Cluster(cluster.context, namespace, str(cluster.kubeconfig))


def trial(there: Cluster, image: str, script: str, tmp_path: Path, **changes: Any) -> Trial:
    container = {
        "name": "web",
        "image": image,
        "command": ["python3", "-c", script],
        "env": [{"name": "NAME", "value": "shop"}, {"name": "WHERE", "value": "live"}],
        "readinessProbe": {"httpGet": {"path": "/", "port": 8000}, "periodSeconds": 1},
    } | changes.pop("container", {"ports": [{"containerPort": 8000}]})
    template = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [container]}}
    spec = {"selector": {"matchLabels": {"app": "web"}}, "template": template}
    deployment = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": spec}
    return Trial(
        cluster=there,
        part=with_variables(Part("web", deployment, (), None), {"WHERE": "$(NAME) copy"}),
        version="v1",
        state=tmp_path,
        start_seconds=changes.pop("start_seconds", 60.0),
        longest_seconds=300.0,
    )


async def asked(made: Trial, tmp_path: Path) -> str:
    async with instance_at_work(made, log=tmp_path / "log") as address, httpx.AsyncClient(trust_env=False) as client:
        return (await client.get(address)).text


def jobs(there: Cluster) -> list[str]:
    found = asyncio.run(there.list("batch/v1", "Job"))
    return [each["metadata"]["name"] for each in found if "deletionTimestamp" not in each["metadata"]]


def test_it_is_reached_and_goes(there: Cluster, cluster: facts.Cluster, tmp_path: Path) -> None:
    """It has the variables of the trial over its own, answers on this machine, and leaves nothing."""
    assert asyncio.run(asked(trial(there, cluster.images.python, SERVING, tmp_path), tmp_path)) == "shop copy"
    assert jobs(there) == []


@pytest.mark.parametrize(
    ("script", "changes", "why"),
    [
        ("raise SystemExit('no such column')", {}, "v1 does not get ready on the migrated schema: .*no such column"),
        ("import time; time.sleep(60)", {"start_seconds": 4.0}, "v1 does not get ready on the migrated schema"),
        (SERVING, {"container": {}}, "declares no containerPort"),
    ],
)
def test_it_does_not_get_ready(
    there: Cluster, cluster: facts.Cluster, tmp_path: Path, script: str, changes: dict[str, Any], why: str
) -> None:
    """An instance that crashes, hangs, or cannot be asked is trouble with its last words, and gone."""
    with pytest.raises(DatabaseTrouble, match=why):
        asyncio.run(asked(trial(there, cluster.images.python, script, tmp_path, **changes), tmp_path))
    assert jobs(there) == []
