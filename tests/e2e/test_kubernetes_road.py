"""The shop's whole road on a real cluster: images, staging, production with a proved backup, canaries good and bad."""

import json
import secrets
import shutil
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import pytest

from tasks.core.records import Ending, Kind, Record
from tests.e2e.delivery_stage import LONG_WATCH, Delivered, setting
from tests.e2e.kubernetes_shop import host_of, make_cluster_shop
from tests.e2e.repositories import git
from tests.e2e.stage import Stage
from tests.lab.cluster.facts import Cluster, Gateway
from tests.lab.front_door import front_door

pytest_plugins = ["tests.lab.pytest_cluster"]
pytestmark = [pytest.mark.long, pytest.mark.server, pytest.mark.timeout(1800)]

RENAMING = """
from alembic import op

revision, down_revision = "0003", "0002"


def upgrade() -> None:
    op.rename_table("products", "goods")


def downgrade() -> None:
    op.rename_table("goods", "products")
"""


class Shop:
    """The shop, delivered from one home to two namespaces."""

    def __init__(self, stage: Stage, repository: Path, cluster: Cluster, name: str, urls: dict[str, str]) -> None:
        self.stage, self.repository, self.cluster, self.name, self.urls = stage, repository, cluster, name, urls
        self.environment = {"KUBECONFIG": str(cluster.kubeconfig), **cluster.builder}

    def run(self, command: str, *words: str) -> "subprocess.CompletedProcess[str]":
        said = self.stage.towpath(command, str(self.repository), *words, extras=self.environment)
        return subprocess.CompletedProcess([command, *words], said.exit_code, said.output, said.errors)

    def must(self, command: str, *words: str) -> None:
        done = self.run(command, *words)
        assert done.returncode == 0, f"{command} {words}:\n{done.stdout[-3000:]}\n{done.stderr[-2000:]}"

    def records(self, environment: str = "production") -> tuple[Record, ...]:
        return Delivered(self.stage, self.repository, "shop", environment).records()

    def pods(self, environment: str) -> dict[str, list[str]]:
        """The images of the pods of each component, by their own word."""
        told = self.cluster.run(
            "-n", f"{self.name}-{environment}", "get", "pods", "-l", "towpath.dev/role", "-o", "json"
        )
        found: dict[str, list[str]] = {}
        for pod in json.loads(told)["items"]:
            if "deletionTimestamp" not in pod["metadata"]:
                component = pod["metadata"]["labels"]["towpath.dev/component"]
                found.setdefault(component, []).append(pod["spec"]["containers"][0]["image"])
        return found

    def weights(self) -> list[tuple[str, int]]:
        told = self.cluster.run("-n", f"{self.name}-production", "get", "httproute", "shop", "-o", "json")
        rules = json.loads(told)["spec"]["rules"]
        return [(each["name"], each["weight"]) for each in rules[0]["backendRefs"]]

    @contextmanager
    def visitors(self, per_second: float = 50.0) -> Iterator[Counter[int]]:
        """Requests all the time, and how they were answered."""
        over, found = threading.Event(), Counter[int]()

        def ask() -> None:
            with httpx.Client(base_url=self.urls["production"], timeout=10.0) as client:
                while not over.wait(4 / per_second):
                    found[client.get("/api/products").status_code] += 1

        threads = [threading.Thread(target=ask) for _ in range(4)]
        for thread in threads:
            thread.start()
        try:
            yield found
        finally:
            over.set()
            for thread in threads:
                thread.join()


@pytest.fixture(scope="module")
def shop(
    tmp_path_factory: pytest.TempPathFactory, cluster: Cluster, gateway: Gateway, registry_address: str
) -> Iterator[Shop]:
    """The shop has been to staging and to production as v1.0.0."""
    folder, name = tmp_path_factory.mktemp("kubernetes"), f"shop{secrets.token_hex(3)}"
    stage = Stage(folder, folder / "home")
    namespaces = [f"{name}-{environment}" for environment in ("staging", "production")]
    with ExitStack() as held:
        urls = {
            each: held.enter_context(front_door(gateway.address, host_of(name, each)))
            for each in ("staging", "production")
        }
        for namespace in namespaces:
            cluster.run("create", "namespace", namespace)
            held.callback(cluster.run, "delete", "namespace", namespace, "--wait=false")
            password = f"--from-literal=password={secrets.token_hex(12)}"
            cluster.run("-n", namespace, "create", "secret", "generic", "shop-database", password)
        held.callback(stage.towpath, "down")
        repository = make_cluster_shop(folder / "shop", name, cluster, gateway, urls=urls, registry=registry_address)
        made = Shop(stage, repository, cluster, name, urls)
        made.must("cd", "--ref", "v1.0.0")
        made.must("production", "v1.0.0")
        yield made
    shutil.rmtree(stage.home / "targets", ignore_errors=True)


def test_staging_and_production_run_the_same(shop: Shop) -> None:
    """What staging has had is what production runs, by digest and in the numbers asked for; both are on record."""
    staging, production = shop.records("staging")[0], shop.records()[0]

    assert (staging.kind, staging.ending) == (Kind.CD, Ending.RELEASED)
    assert (production.kind, production.ending) == (Kind.PRODUCTION, Ending.RELEASED)
    assert staging.release.artifact == production.release.artifact
    assert production.release.schema_revision == "0002"
    pods = shop.pods("production")
    assert {name: len(images) for name, images in pods.items()} == {"backend": 3, "frontend": 2}
    images = {name: set(found) for name, found in pods.items()}
    assert {name: set(found) for name, found in shop.pods("staging").items()} == images
    assert all("@sha256:" in image for found in images.values() for image in found)
    assert [step.name for step in staging.steps][-2:] == ["target tests", "take over"]
    assert "create StatefulSet postgres" in next(step.said for step in staging.steps if step.name == "surroundings")
    assert httpx.get(f"{shop.urls['production']}/healthz").json()["release"] == "v1.0.0"


def test_a_bad_canary_is_taken_back(shop: Shop) -> None:
    """A canary that fails requests is seen, loses its traffic and is gone; the report says by what evidence."""
    before = shop.weights()
    with shop.visitors() as answered:
        done = shop.run("canary", *_variable("SHOP_ERROR_RATE", "0.5"))
    record = shop.records()[-1]

    assert done.returncode == 1, done.stdout + done.stderr
    assert (record.kind, record.ending) == (Kind.CANARY, Ending.ROLLED_BACK)
    assert "error" in record.reason
    assert set(answered) == {200, 500}
    assert shop.weights() == before == [("backend", 1000)]
    assert not [name for name in _objects(shop) if "canary" in name]


def test_a_good_canary_takes_over(shop: Shop) -> None:
    """A canary that is as good is promoted, and not one request of fifty a second fails on the way."""
    with shop.visitors() as answered:
        shop.must("canary", *_variable("SHOP_LATENCY_MS", "1"))
    record = shop.records()[-1]

    assert (record.kind, record.ending) == (Kind.CANARY, Ending.RELEASED)
    assert set(answered) == {200}, answered
    assert sum(answered.values()) > 500
    assert shop.weights() == [("backend", 1000)]
    backup = next(step.said for step in record.steps if step.name == "backup")
    assert "proved" in backup


def test_a_migration_that_breaks_what_runs(shop: Shop) -> None:
    """A release that renames a table under the one that runs passes staging, and is refused by production as it is."""
    source = shop.repository / "backend/src/shop"
    models = source / "models.py"
    models.write_text(models.read_text().replace('"products"', '"goods"').replace("products.id", "goods.id"))
    (source / "migrations/versions/0003_goods.py").write_text(RENAMING)
    git(shop.repository, "add", ".")
    git(shop.repository, "commit", "--quiet", "--message=Call products goods")
    git(shop.repository, "tag", "v1.1.0")
    shop.must("cd", "--ref", "v1.1.0")
    before = shop.pods("production")
    with shop.visitors() as answered:
        done = shop.run("production", "v1.1.0")
    record = shop.records()[-1]

    assert done.returncode == 1, done.stdout + done.stderr
    assert record.ending is Ending.ROLLED_BACK
    assert "the migration 0002 -> 0003 breaks v1.0.0, which still runs" in record.reason
    assert set(answered) == {200}
    assert shop.pods("production") == before
    listing = ("exec", "statefulset/postgres", "--", "psql", "-U", "shop", "-AtXc", "select datname from pg_database")
    assert "rehearsal" not in shop.cluster.run("-n", f"{shop.name}-production", *listing)


def test_a_release_that_is_never_healthy(shop: Shop) -> None:
    """A release whose pods never get ready is taken away by itself, says what the probe said, and nobody notices."""
    before = shop.pods("production")
    with shop.visitors() as answered:
        done = shop.run("canary", *_variable("SHOP_REFUSE_READINESS", "1"))
    record = shop.records()[-1]

    assert done.returncode == 1
    assert record.ending is Ending.ROLLED_BACK
    assert "503" in record.reason
    assert set(answered) == {200}
    assert shop.pods("production") == before


def test_the_run_that_is_killed(shop: Shop) -> None:
    """When a canary's flow is killed with -9 the guard takes the traffic back, and then the canary."""
    canary = shop.stage.start(
        "canary", str(shop.repository), *_variable("SHOP_LATENCY_MS", "2"), *LONG_WATCH, extras=shop.environment
    )
    try:
        deadline = time.monotonic() + 120
        while dict(shop.weights()).get("backend-canary") != 500:
            assert canary.process.poll() is None, canary.output.read_text()
            assert time.monotonic() < deadline, canary.output.read_text()
            time.sleep(0.2)
    finally:
        canary.process.kill()
    canary.process.wait()
    killed = time.monotonic()
    while shop.weights() != [("backend", 1000)] or [name for name in _objects(shop) if "canary" in name]:
        assert time.monotonic() - killed < 40, shop.weights()
        time.sleep(0.2)

    assert "guard" in shop.records()[-1].who


def test_back_from_another_machine(shop: Shop) -> None:
    """A home that never delivered there goes back to the release before, and both homes read the same history."""
    before = shop.records()
    other = Stage(shop.stage.folder, shop.stage.folder / "other-home")
    where = f"{shop.cluster.context}/{shop.name}-production"
    try:
        said = other.towpath(
            "rollback", "production", "--cluster", where, "--reason", "try another machine", extras=shop.environment
        )
    finally:
        other.towpath("down")
    assert said.exit_code == 0, said.output + said.errors
    record = shop.records()[-1]

    assert (record.kind, record.ending, record.number) == (Kind.ROLLBACK, Ending.RELEASED, before[-1].number + 1)
    earlier = [each.release.digest for each in before if each.ending is Ending.RELEASED]
    assert record.release.digest in earlier
    assert record.release.digest != earlier[-1]


def _variable(name: str, value: str) -> tuple[str, ...]:
    return ("--ref", "v1.0.0", *setting(f"environments.production.variables.backend.{name}", f'"{value}"'))


def _objects(shop: Shop) -> list[str]:
    kinds = "deployments,services,httproutes,ingresses"
    told = shop.cluster.run("-n", f"{shop.name}-production", "get", kinds, "-o", "name")
    return told.split()


def test_the_repository_is_as_it_was(shop: Shop) -> None:
    """Nothing of all this was written into the repository."""
    assert git(shop.repository, "status", "--porcelain") == ""
