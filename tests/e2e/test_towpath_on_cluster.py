"""Towpath itself on a real cluster: built, installed, and runs of the shop as Jobs, the team's and a stranger's."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.repositories import make_shop
from tests.lab.cluster.facts import Cluster
from tests.lab.repository_on_cluster import serve_repository
from tests.lab.towpath_on_cluster import ROOT, OnCluster, Wanted, build_image, installed, until

pytest_plugins = ["tests.lab.pytest_cluster"]
pytestmark = [pytest.mark.long, pytest.mark.timeout(1200)]
ENDED = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")


@pytest.fixture(scope="module")
def towpath(
    tmp_path_factory: pytest.TempPathFactory, cluster: Cluster, registry_address: str
) -> Iterator[tuple[OnCluster, str]]:
    """Towpath in a namespace of its own, and the address of the shop there."""
    folder, namespace = tmp_path_factory.mktemp("on-cluster"), f"towpath-test-own-{os.getpid()}"
    image = build_image(cluster, registry_address, folder)
    cluster.run("create", "namespace", namespace)
    try:
        with installed(cluster, namespace, image, folder, Wanted(has_guard=True)) as made:
            yield made, serve_repository(made, make_shop(folder / "shop"), "shop")
    finally:
        cluster.run("delete", "namespace", namespace, "--wait=false")


def carried_out(api: httpx.Client, deployment: str, target: str) -> dict[str, Any]:
    """A run of CI, when it has ended."""
    found = api.get(f"/deployments/name/ci/{deployment}").raise_for_status().json()["id"]
    parameters = {"target": target, "ref": "main", "may_lack": ["docker"]}
    body = {"parameters": parameters, "state": {"type": "SCHEDULED"}}
    run = api.post(f"/deployments/{found}/create_flow_run", json=body).raise_for_status().json()["id"]

    def ended() -> dict[str, Any] | None:
        told: dict[str, Any] = api.get(f"/flow_runs/{run}").raise_for_status().json()
        return told if told["state"]["type"] in ENDED else None

    return until(ended, seconds=400, what=f"the end of {deployment}")


def test_a_run_of_ci_is_a_job(towpath: tuple[OnCluster, str]) -> None:
    """The shop's CI runs as one Job without a token, ends as it would on a laptop, and its report lies in the home."""
    made, target = towpath
    with made.api() as api:
        run = carried_out(api, "ci", target)
    mark = f"prefect.io/flow-run-id={run['id']}"
    made.kubectl("wait", "--for=condition=Complete", "job", "-l", mark, "--timeout=60s")
    (job,) = made.listed("jobs", "-l", mark)
    reports = made.kubectl("exec", "deployment/webhook", "--", "ls", "/var/lib/towpath/reports")

    assert run["state"]["message"] == "10 passed, 2 skipped"
    assert run["work_pool_name"] == "towpath"
    assert job["status"]["succeeded"] == 1
    assert job["spec"]["template"]["spec"]["automountServiceAccountToken"] is False
    assert [name for name in reports.split() if run["id"][:8] in name]


def test_a_strangers_run_passes_the_gate(towpath: tuple[OnCluster, str]) -> None:
    """A stranger's CI tells of itself through the gate, with nothing of ours mounted and no key among its variables."""
    made, target = towpath
    with made.api() as api:
        run = carried_out(api, "ci-untrusted", target)
    (job,) = made.listed("jobs", "-l", f"prefect.io/flow-run-id={run['id']}")
    pod = job["spec"]["template"]["spec"]

    assert run["state"]["message"] == "10 passed, 2 skipped"
    assert pod["serviceAccountName"] == "stranger"
    names = {variable["name"] for variable in pod["containers"][0]["env"]}
    assert "TOWPATH_ROOM" in names
    assert "PREFECT_API_AUTH_STRING" not in names


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/flow_runs/filter"),
        ("POST", "/deployments/filter"),
        ("GET", "/deployments/name/production/production"),
        ("POST", "/flow_runs/00000000-0000-0000-0000-000000000000/resume"),
        ("POST", "/deployments/00000000-0000-0000-0000-000000000000/create_flow_run"),
        ("POST", "/variables/filter"),
        ("POST", "/block_documents/filter"),
        ("GET", "/work_pools/towpath"),
        ("POST", "/work_pools/towpath/get_scheduled_flow_runs"),
        ("GET", "/events/out"),
    ],
)
def test_the_gate_lets_nothing_else_through(towpath: tuple[OnCluster, str], method: str, path: str) -> None:
    """Through the gate nothing can be listed, begun, answered or taken."""
    with towpath[0].forwarded("gate", 4200) as url:
        answer = httpx.request(method, f"{url}/api{path}", json={}, trust_env=False)
    assert (answer.status_code, answer.text) == (404, "404 page not found\n")


def test_prefects_api_asks_for_the_key(towpath: tuple[OnCluster, str]) -> None:
    """Who has no key is told nothing by Prefect's API."""
    with towpath[0].forwarded("prefect-server", 4200) as url:
        assert httpx.post(f"{url}/api/flow_runs/filter", json={}, trust_env=False).status_code == 401


def test_the_same_file_is_registered_from_elsewhere(towpath: tuple[OnCluster, str], tmp_path: Path) -> None:
    """`prefect deploy --all` with the cluster's profile puts prefect.yaml's deployments into the cluster's pool."""
    made, _ = towpath
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "TOWPATH_"))}
    own = {"PREFECT_HOME": str(tmp_path), "TOWPATH_ROOT": "/opt/towpath", "TOWPATH_TIMEZONE": "Europe/Berlin"}
    with made.api() as api:
        profile = made.profile(str(api.base_url).removesuffix("/api/"), "towpath")
        argv = [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all"]
        done = subprocess.run(argv, cwd=ROOT, env=kept | own | profile, capture_output=True, text=True, timeout=300)
        found = api.get("/deployments/name/security-daily/security-daily").raise_for_status().json()

    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert found["work_pool_name"] == "towpath"
    assert [each["schedule"]["timezone"] for each in found["schedules"]] == ["Europe/Berlin"]


def test_the_guards_leader_has_an_heir(towpath: tuple[OnCluster, str]) -> None:
    """Two guards live by their probe, one of them leads, and when its pod is killed the other does."""
    made, _ = towpath
    made.kubectl("rollout", "status", "deployment/guard", "--timeout=120s")

    first = until(lambda: _leader(made), seconds=60, what="a guard that leads")
    made.kubectl("delete", "pod", first, "--grace-period=0", "--force")
    heir = until(lambda: _leader(made), seconds=60, what="another that leads")

    assert heir != first


def _leader(made: OnCluster) -> str:
    """The pod that the Lease names, while it is there."""
    leases = made.listed("leases", "--field-selector=metadata.name=towpath-guard")
    notes = [lease["metadata"].get("annotations", {}).get("towpath.dev/holder", "") for lease in leases]
    return next((name for name in _names(made, "guard") if any(name in note for note in notes)), "")


def _names(made: OnCluster, app: str) -> list[str]:
    return [str(pod["metadata"]["name"]) for pod in made.listed("pods", "-l", f"app={app}")]
