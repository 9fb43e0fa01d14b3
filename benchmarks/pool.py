"""What the Kubernetes work pool bears: pushes all at once, two workers, one of which is killed in between.

`python -m benchmarks.pool` installs Towpath on the cluster of the tests, serves a copy of the shop there with a branch
for each push, and sends that many signed deliveries to its door at once. Each branch changes the backend, so that its
checks are all done again; the frontend, which no push changes, is answered from what is remembered once it has been
checked. It promises to count what the server and the cluster really have: each push as one run of CI that began once,
ended once and had one Job. Images are not built, since pods have no container engine; the pushes' other runs, of
`security`, are begun in a pool that nobody serves, and only counted.
"""

import argparse
import secrets
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from benchmarks.pool_figures import Figures, Pushed, moment_of, read_figures, run_times
from benchmarks.pool_pushes import send_all
from tests.e2e.repositories import git, make_shop
from tests.lab.cluster.facts import Cluster, of_lab, of_user
from tests.lab.cluster.lifecycle import running
from tests.lab.cluster.places import places
from tests.lab.repository_on_cluster import serve_repository
from tests.lab.towpath_on_cluster import OnCluster, Wanted, build_image, installed, until

DOOR = '[repositories."acme/shop"]\ntarget = "git://git/shop.git"\n'
CHANGED = "backend/src/shop/store.py"
ENDED = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")
_ALL_SECONDS = 3600.0


@contextmanager
def cluster_here() -> Iterator[Cluster]:
    """The user's, else the lab's for as long as it is needed."""
    if own := of_user(places()):
        yield own
        return
    with running() as lab:
        yield of_lab(lab)


def make_branches(folder: Path, number: int) -> tuple[Path, list[str]]:
    """The shop with a branch for each push; their commits."""
    shop, commits = make_shop(folder / "shop"), []
    text = (shop / CHANGED).read_text()
    for at in range(number):
        git(shop, "checkout", "--quiet", "-b", f"topic-{at}", "main")
        (shop / CHANGED).write_text(f"{text}\n\n# Push {at} of the benchmark.\n")
        git(shop, "commit", "--quiet", "--all", f"--message=Push {at}")
        commits.append(git(shop, "rev-parse", "HEAD"))
    git(shop, "checkout", "--quiet", "main")
    return shop, commits


def set_apart(api: httpx.Client) -> None:
    """No container engine is in a pod, and `security` is not what is measured."""
    api.post("/work_pools/", json={"name": "aside", "type": "process", "base_job_template": {}}).raise_for_status()
    changes = {"ci/ci": {"parameters": {"may_lack": ["docker"]}}, "security/security": {"work_pool_name": "aside"}}
    for name, change in changes.items():
        found = api.get(f"/deployments/name/{name}").raise_for_status().json()["id"]
        api.patch(f"/deployments/{found}", json=change).raise_for_status()


def runs_of(api: httpx.Client, name: str) -> list[dict[str, object]]:
    """All runs of a deployment that have the key of a delivery."""
    asked = {"deployments": {"name": {"any_": [name]}}, "limit": 200, "sort": "EXPECTED_START_TIME_ASC"}
    found: list[dict[str, object]] = api.post("/flow_runs/filter", json=asked).raise_for_status().json()
    return [run for run in found if run["idempotency_key"]]


def ended(api: httpx.Client) -> int:
    return sum(run["state_type"] in ENDED for run in runs_of(api, "ci"))


def kill_a_worker(made: OnCluster) -> str:
    """The pod of one of the two workers, at once and without a word to it."""
    name = str(made.listed("pods", "-l", "app=worker")[0]["metadata"]["name"])
    made.kubectl("delete", "pod", name, "--grace-period=0", "--force")
    return name


def measure(made: OnCluster, folder: Path, pushes: int) -> tuple[list[str], Figures]:
    """One push alone on a cold home, one on a warm one, then all the others at once."""
    shop, commits = make_branches(folder, pushes + 2)
    serve_repository(made, shop, "shop")
    with made.api() as api, made.forwarded("webhook", 80) as door:
        set_apart(api)
        alone = []
        for number, kind in enumerate(("cold", "warm")):
            sent = send_all(door, made.webhook_secret, [commits[number]])
            _until_ended(api, number + 1)
            alone.append(f"one alone, {kind:6} {run_times(api, sent.keys[0])}")
            print(alone[-1], flush=True)
        began, cpu = time.monotonic(), moment_of(time.time())
        sent = send_all(door, made.webhook_secret, commits[2:])
        _until_ended(api, 2 + pushes // 3)
        killed = kill_a_worker(made)
        print(f"a worker is killed after {time.monotonic() - began:.0f} s: {killed}", flush=True)
        _until_ended(api, 2 + pushes)
        pushed = Pushed(sent, began, cpu, killed)
        return alone, read_figures(made, api, pushed, runs_of(api, "ci"), runs_of(api, "security"))


def _until_ended(api: httpx.Client, number: int) -> None:
    until(lambda: ended(api) >= number or None, seconds=_ALL_SECONDS, what=f"the end of {number} runs")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pushes", type=int, default=50)
    parser.add_argument("--at-once", type=int, default=2, help="runs that the pool lets go on at once")
    chosen = parser.parse_args()
    namespace = f"towpath-bench-{secrets.token_hex(3)}"
    with cluster_here() as cluster, tempfile.TemporaryDirectory(prefix="towpath-pool-") as place:
        folder = Path(place)
        assert cluster.registry, "TOWPATH_TEST_REGISTRY names no registry that this cluster pulls from"
        image = build_image(cluster, cluster.registry, folder)
        cluster.run("create", "namespace", namespace)
        try:
            with installed(cluster, namespace, image, folder, Wanted(DOOR, chosen.at_once)) as made:
                alone, figures = measure(made, folder, chosen.pushes)
        finally:
            cluster.run("delete", "namespace", namespace, "--wait=false")
    print("\n".join([*alone, *figures.lines]))
    return 0 if figures.is_whole else 1


if __name__ == "__main__":
    sys.exit(main())
