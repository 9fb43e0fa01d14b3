"""What keeps an environment safe lies in its namespace: two homes exclude each other, and read the same records."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml

from deployments.cli import main
from tasks.adapters.artifacts import artifact_folder
from tasks.adapters.grounds import Ground
from tasks.adapters.heartbeats import beating
from tasks.adapters.intents import boot_id, machine_seconds
from tasks.adapters.platforms.choosing import meet
from tasks.adapters.platforms.kubernetes.keeping import About, Keeping
from tasks.adapters.platforms.kubernetes.leasing import Watcher
from tasks.adapters.platforms.kubernetes.locking import ClusterLock
from tasks.adapters.platforms.kubernetes.promising import ClusterPromise
from tasks.adapters.platforms.kubernetes.recorded import ClusterLedger, keep_build
from tasks.adapters.platforms.kubernetes.requests import Cluster
from tasks.core.intent import Intent
from tasks.core.outcome import ExitCode
from tasks.core.platform import PermitRevoked, PlatformTrouble
from tasks.core.records import Ending, Kind
from tasks.core.safekeeping import Claim, EnvironmentBusy, Hold
from tests.core.deliveries import a_record, a_release
from tests.lab.cluster import facts
from tests.lab.severed_line import Line

pytest_plugins = ["tests.lab.pytest_cluster"]
AWAY_SECONDS = 20.0


class Home:
    """One machine that knows the environment, by a clock of its own."""

    def __init__(
        self, folder: Path, lab: facts.Cluster, namespace: str, *, kubeconfig: Path, ahead: float = 0.0
    ) -> None:
        self.ground = Ground(folder, "shop", "production")
        self.ground.folder.mkdir(parents=True)
        self.cluster = Cluster(lab.context, namespace, str(kubeconfig))
        self.watcher = Watcher(f"process of {folder.name}", wall=lambda: time.time() + ahead)
        self.lock = ClusterLock(self.cluster, self.ground, self.watcher)
        self.promise = ClusterPromise(self.cluster, self.ground, self.lock)
        self.ledger = ClusterLedger(self.cluster, self.ground)

    def claim(self, token: str = "") -> Claim:
        name = self.ground.state.name
        return Claim(token or name, name, "a canary of v2", "run-1", time.time())

    def intent(self) -> Intent:
        now = machine_seconds()
        return Intent(
            token=self.claim().token,
            target="shop",
            environment="production",
            kind=Kind.CANARY,
            release=a_release("v2"),
            run="run-1",
            who="Ann",
            boot=boot_id(),
            began=now,
            began_at=time.time(),
            deadline=now + 3600.0,
        )


@pytest.fixture
def homes(tmp_path: Path, cluster: facts.Cluster, namespace: str) -> tuple[Home, Home]:
    one, other = [Home(tmp_path / name, cluster, namespace, kubeconfig=cluster.kubeconfig) for name in ("one", "other")]
    return one, other


@pytest.fixture
def namespaces(cluster: facts.Cluster, namespace: str) -> Iterator[tuple[str, str]]:
    """The test's own namespace and a second one."""
    second = f"{namespace}-second"
    cluster.run("create", "namespace", second)
    yield namespace, second
    cluster.run("delete", "namespace", second, "--wait=false")


async def test_two_homes(homes: tuple[Home, Home]) -> None:
    """While one home changes the environment the other is refused as on one machine; then it is let in."""
    one, other = homes
    permit = await one.lock.take(one.claim())

    with pytest.raises(EnvironmentBusy, match=r"production is being changed by one since .*a canary of v2, run run-1"):
        await other.lock.take(other.claim())
    await one.lock.must_hold(permit)
    await one.lock.release(permit)
    theirs = await other.lock.take(other.claim())
    with pytest.raises(PermitRevoked, match=r"was taken from this run: other since .* has it"):
        await one.lock.must_hold(permit)
    await one.lock.release(permit)
    await other.lock.must_hold(theirs)


async def test_at_the_same_moment(homes: tuple[Home, Home]) -> None:
    """Of many that take a free lock at once one gets it."""
    one, other = homes
    claims = [(home, f"{number}") for number in range(4) for home in (one, other)]
    found = await asyncio.gather(
        *(home.lock.take(home.claim(f"{home.ground.state.name} {token}")) for home, token in claims),
        return_exceptions=True,
    )
    refused = [each for each in found if isinstance(each, EnvironmentBusy)]
    assert len(refused) == len(claims) - 1, found


async def test_a_person_keeps_all_out(homes: tuple[Home, Home]) -> None:
    """A hold of one home keeps every home out until any home lifts it; going back passes it."""
    one, other = homes
    await one.lock.put_hold(Hold("Bob", "an incident", time.time()))

    with pytest.raises(EnvironmentBusy, match=r"production is held by Bob since .*\(an incident\): wait, or lift it"):
        await other.lock.take(other.claim())
    await other.lock.release(await other.lock.take(other.claim(), passes_hold=True))
    lifted = await other.lock.lift_hold(Hold("Ann", "it is over", time.time()))
    assert lifted is not None
    assert lifted.who == "Bob"
    assert await one.lock.hold() is None
    await one.lock.take(one.claim())


async def test_the_dead_are_taken_over(tmp_path: Path, cluster: facts.Cluster, namespaces: tuple[str, str]) -> None:
    """A holder that gives no sign of life while it is watched for 15 s has lost the lock, whatever its clock said."""
    await asyncio.gather(
        *(
            _take_over(tmp_path / where, cluster, where, ahead=ahead)
            for where, ahead in zip(namespaces, (0.0, 3600.0), strict=True)
        )
    )


async def _take_over(folder: Path, cluster: facts.Cluster, namespace: str, *, ahead: float) -> None:
    dead = Home(folder / "dead", cluster, namespace, kubeconfig=cluster.kubeconfig, ahead=ahead)
    other = Home(folder / "other", cluster, namespace, kubeconfig=cluster.kubeconfig)
    permit = await dead.lock.take(dead.claim())
    began = time.monotonic()
    while True:
        try:
            await other.lock.take(other.claim())
            break
        except EnvironmentBusy:
            await asyncio.sleep(0.5)
    assert 15.0 <= time.monotonic() - began < 25.0
    with pytest.raises(PermitRevoked):
        await dead.lock.beat(permit)


async def test_alive_by_a_clock_that_is_late(tmp_path: Path, cluster: facts.Cluster, namespace: str) -> None:
    """A holder that lives loses nothing because its clock is an hour late: its signs of life are watched, not read."""
    late = Home(tmp_path / "late", cluster, namespace, kubeconfig=cluster.kubeconfig, ahead=-3600.0)
    other = Home(tmp_path / "other", cluster, namespace, kubeconfig=cluster.kubeconfig)
    permit = await late.lock.take(late.claim())
    async with beating(late.lock, permit):
        with pytest.raises(EnvironmentBusy, match="is being changed by late"):
            await other.lock.take(other.claim())
    await late.lock.must_hold(permit)


@pytest.fixture
def line(tmp_path: Path, cluster: facts.Cluster) -> Iterator[tuple[Line, Path]]:
    """A way to the API that can be cut, and its kubeconfig."""
    told = yaml.safe_load(cluster.kubeconfig.read_text())
    place = told["clusters"][0]["cluster"]
    host = urlsplit(place["server"])
    found = Line(host.hostname or "", host.port or 443)
    place |= {"server": f"https://127.0.0.1:{found.port}", "tls-server-name": host.hostname}
    path = tmp_path / "by-line"
    path.write_text(yaml.safe_dump(told))
    yield found, path
    found.close()


async def test_the_api_is_away(
    tmp_path: Path, cluster: facts.Cluster, namespace: str, homes: tuple[Home, Home], line: tuple[Line, Path]
) -> None:
    """An API that is away from all for 20 s costs a living change nothing; one away from its machine alone ends it."""
    cut, kubeconfig = line
    flow = Home(tmp_path / "flow", cluster, namespace, kubeconfig=kubeconfig)
    near, far = Home(tmp_path / "near", cluster, namespace, kubeconfig=kubeconfig), homes[0]
    permit = await flow.lock.take(flow.claim())
    async with beating(flow.lock, permit):
        await flow.promise.write(flow.intent())
        whys: dict[str, list[str]] = {"near": [], "far": []}
        looking = [asyncio.create_task(_look(home, whys[name])) for name, home in (("near", near), ("far", far))]
        with cut.cut_for(AWAY_SECONDS):
            await asyncio.sleep(AWAY_SECONDS)
        await flow.lock.must_hold(permit)
        await asyncio.sleep(4.0)
        for task in looking:
            task.cancel()
    assert not any(whys["near"])
    assert any("no sign of life for 15 s" in why for why in whys["far"])
    assert whys["far"][-1] == ""


async def _look(home: Home, whys: list[str]) -> None:
    """As a guard does, and with its patience."""
    home.cluster.patience_seconds = 3.0
    while True:
        try:
            intent = await home.promise.read()
            whys.append(await home.promise.why_undo(intent) if intent else "there is no intent")
        except PlatformTrouble:
            pass
        await asyncio.sleep(1.0)


async def test_records_are_one_chain(homes: tuple[Home, Home]) -> None:
    """Homes write one chain of records, both read all of it, none can be written over, and old ones go."""
    one, other = homes
    for number in range(1, 13):
        home = one if number % 2 else other
        release = a_release(f"v{number}") if number < 3 else a_release("v3")
        ending = Ending.RELEASED if number < 3 else Ending.ROLLED_BACK
        written = await home.ledger.write(a_record(1, release, ending=ending, run=f"run-{number}"))
        assert written.number == number
    records = await one.ledger.records()
    assert [each.run for each in records] == [f"run-{number}" for number in range(1, 13)]
    assert records == await other.ledger.records()

    await other.ledger.forget_old(kept=3)
    assert [each.number for each in await one.ledger.records()] == list(range(1, 13)), (
        "the last two releases are needed"
    )
    for number in (13, 14):
        await one.ledger.write(a_record(1, a_release(f"v{number}"), run=f"run-{number}"))
    await other.ledger.forget_old(kept=3)
    assert [each.number for each in await one.ledger.records()] == [12, 13, 14]


async def test_builds_travel(homes: tuple[Home, Home]) -> None:
    """What one home built is there for another to go back to."""
    one, other = homes
    artifact = "sha256:" + "e" * 64
    folder = artifact_folder(one.ground.state, artifact)
    folder.mkdir(parents=True)
    (folder / "artifact.json").write_text('{"images": {}}')
    await keep_build(one.cluster, one.ground, artifact)

    await other.ledger.fetch_build(artifact)
    there = artifact_folder(other.ground.state, artifact) / "artifact.json"
    assert there.read_text() == '{"images": {}}'


def test_history_from_another_home(
    homes: tuple[Home, Home],
    cluster: facts.Cluster,
    namespace: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A home that never delivered there is told where the environment lies, once, and then has its history and lock."""
    one, _ = homes
    about = About(target="shop", environment="production", url="http://shop.test")
    asyncio.run(Keeping(one.cluster, about).begin())
    asyncio.run(one.ledger.write(a_record(1, a_release("v1"))))
    monkeypatch.setenv("TOWPATH_HOME", str(tmp_path / "third"))
    monkeypatch.setenv("KUBECONFIG", str(cluster.kubeconfig))

    assert main(["history", "production", "--cluster", f"{cluster.context}/{namespace}"]) == ExitCode.PASSED
    assert "released    Ada: because" in capsys.readouterr().out
    assert main(["lock", "production", "--reason", "an incident", "--by", "Bob"]) == ExitCode.PASSED
    hold = asyncio.run(one.lock.hold())
    assert hold is not None
    assert hold.reason == "an incident"
    assert main(["unlock", "production", "--reason", "over", "--by", "Bob"]) == ExitCode.PASSED
    assert main(["history", "production", "--cluster", f"{cluster.context}/default"]) == ExitCode.USAGE
    assert "nothing was delivered there" in capsys.readouterr().err


async def test_meeting_twice(homes: tuple[Home, Home], cluster: facts.Cluster, namespace: str, tmp_path: Path) -> None:
    """Meeting what is known already changes nothing."""
    await Keeping(homes[0].cluster, About(target="shop", environment="production", url="http://shop.test")).begin()
    state = tmp_path / "fourth"
    first = await meet(state, cluster.context, namespace, kubeconfig=str(cluster.kubeconfig))
    before = (first[0].folder / "cluster.json").stat().st_mtime_ns
    assert await meet(state, cluster.context, namespace, kubeconfig=str(cluster.kubeconfig)) == first
    assert (first[0].folder / "cluster.json").stat().st_mtime_ns == before
