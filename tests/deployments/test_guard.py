"""The guard's promises, on real files and real permits, with a platform that does nothing it was not asked for."""

import asyncio
import json
import os
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

import pytest

from deployments import guard
from deployments.cli import main
from tasks.adapters import permits
from tasks.adapters.approvals import Pending, all_pending, write_pending
from tasks.adapters.daemons import birth_of
from tasks.adapters.grounds import Ground
from tasks.adapters.intents import beat, boot_id, machine_seconds, read_intent, write_intent
from tasks.adapters.ledger import read_records, write_record
from tasks.adapters.local_safekeeping import local_safekeeping
from tasks.adapters.outbox import waiting
from tasks.adapters.permits import Holder
from tasks.adapters.platforms.guarded import Guarded, GuardedPlaces
from tasks.core.approval import ApprovalRequest
from tasks.core.counters import Snapshot
from tasks.core.intent import Heartbeat, Intent
from tasks.core.notices import NotificationSettings
from tasks.core.outcome import ExitCode
from tasks.core.platform import EnvironmentStatus, Permit, PermitRevoked, PlatformTrouble, Role
from tasks.core.records import Ending, Kind
from tasks.core.release import Release
from tests.core.deliveries import a_record, a_release

STABLE, CANDIDATE = a_release("v1.0.0"), a_release("v1.1.0", artifact="sha256:" + "d" * 64)
TOKEN = "the flow's"


@dataclass
class Undoing:
    """A platform that keeps what was done to it under a valid permit; `troubles` are raised first, one a call."""

    ground: Ground
    stable: Release | None = STABLE
    troubles: list[PlatformTrouble] = field(default_factory=list)
    done: list[str] = field(default_factory=list)

    @property
    def has_surroundings(self) -> bool:
        raise AssertionError("the guard surrounds nothing")

    async def preview(self, release: Release) -> tuple[str, ...]:
        raise AssertionError("the guard asks nobody")

    async def surround(self, permit: Permit, release: Release) -> None:
        raise AssertionError("the guard surrounds nothing")

    async def put(self, permit: Permit, release: Release, replicas: dict[str, int]) -> None:
        raise AssertionError("the guard puts nothing")

    async def scale(self, permit: Permit, role: Role, replicas: dict[str, int]) -> None:
        raise AssertionError("the guard scales nothing")

    async def set_weight(self, permit: Permit, candidate_percent: float) -> None:
        with permits.changing(self.ground.folder, permit):
            self._fail()
            self.done.append(f"{candidate_percent:g} %")

    async def promote(self, permit: Permit) -> None:
        raise AssertionError("the guard promotes nothing")

    async def remove(self, permit: Permit) -> None:
        with permits.changing(self.ground.folder, permit):
            self._fail()
            self.done.append("remove")

    async def status(self, environment: str) -> EnvironmentStatus:
        return EnvironmentStatus(environment, "http://127.0.0.1:1", self.stable, CANDIDATE, 0.0, ())

    async def snapshot(self, environment: str) -> Snapshot:
        raise AssertionError("the guard measures nothing")

    async def recent(self, environment: str, seconds: float) -> tuple[Snapshot, ...]:
        raise AssertionError("the guard measures nothing")

    def _fail(self) -> None:
        if self.troubles:
            raise self.troubles.pop(0)


@pytest.fixture
def ground(tmp_path: Path) -> Ground:
    found = Ground(tmp_path, "shop", "production")
    found.folder.mkdir(parents=True)
    return found


def under_way(
    ground: Ground,
    *,
    kind: Kind = Kind.CANARY,
    deadline: float = 3600.0,
    boot: str | None = None,
    run: str = "run-1",
    source: str = "",
) -> Intent:
    """A change that has begun, whose flow is this very process."""
    me, now = os.getpid(), machine_seconds()
    holder = Holder(TOKEN, "Ann", "a canary", run, me, birth_of(me), time.time())
    permits.take(ground.folder, ground.environment, holder)
    intent = Intent(
        token=TOKEN,
        target=ground.target,
        source=source,
        environment=ground.environment,
        kind=kind,
        release=CANDIDATE,
        run=run,
        who="Ann",
        why="more colours",
        boot=boot_id() if boot is None else boot,
        began=now - 100,
        began_at=time.time() - 100,
        deadline=now + deadline,
    )
    write_intent(ground, intent)
    return intent


def last_beat(ground: Ground, *, seconds_ago: float, token: str = TOKEN) -> None:
    sign = Heartbeat(token=token, boot=boot_id(), at=machine_seconds() - seconds_ago)
    (ground.folder / "heartbeat.json").write_text(sign.model_dump_json())


def ask(ground: Ground) -> None:
    request = ApprovalRequest(
        run="run-1",
        target=ground.target,
        environment=ground.environment,
        question="Promote?",
        version=CANDIDATE.version,
        digest=CANDIDATE.digest,
        asked_at=time.time(),
        expires_at=time.time() + 3600,
    )
    write_pending(ground, Pending(request=request))


def guarded(ground: Ground, platform: Undoing) -> Guarded:
    return Guarded(ground, platform, local_safekeeping(ground))


def look(ground: Ground, platform: Undoing) -> int:
    """How many changes one look of the guard undid."""
    return asyncio.run(guard.look_once(ground.state, lambda _: guarded(ground, platform)))


def set_weight_late(ground: Ground, platform: Undoing) -> None:
    asyncio.run(platform.set_weight(Permit(ground.environment, TOKEN), 50.0))


def left(ground: Ground) -> list[str]:
    return [path.name for path in ground.folder.glob("*.json")]


class TestAlive:
    def test_heartbeat(self, ground: Ground) -> None:
        """While the flow gives signs of life and is in time, the guard does nothing at all, and the flow may go on."""
        intent = under_way(ground)
        platform = Undoing(ground)

        assert look(ground, platform) == 0
        assert (platform.done, read_records(ground), read_intent(ground)) == ([], (), intent)
        set_weight_late(ground, platform)
        assert platform.done == ["50 %"]

    def test_nothing_under_way(self, ground: Ground) -> None:
        """An environment that nobody changes is left alone."""
        platform = Undoing(ground)

        assert look(ground, platform) == 0
        assert platform.done == []

    def test_beating_again(self, ground: Ground) -> None:
        """A flow that was silent and beats again before the guard looks is not touched."""
        under_way(ground)
        last_beat(ground, seconds_ago=60)
        beat(ground, TOKEN)
        platform = Undoing(ground)

        assert look(ground, platform) == 0
        assert platform.done == []


class TestUndoes:
    @pytest.mark.parametrize("kind", [Kind.CD, Kind.CANARY, Kind.PRODUCTION, Kind.ROLLBACK])
    def test_silence(self, ground: Ground, kind: Kind) -> None:
        """When the last sign of life is old: traffic first, then the release; one record; nothing of it is left."""
        intent = under_way(ground, kind=kind)
        ask(ground)
        last_beat(ground, seconds_ago=20)
        platform = Undoing(ground)

        assert look(ground, platform) == 1
        assert platform.done == ["0 %", "remove"]
        (record,) = read_records(ground)
        assert (record.kind, record.ending, record.run) == (Kind.GUARD, Ending.ROLLED_BACK, intent.run)
        assert (record.release, record.replaced) == (CANDIDATE, STABLE.digest)
        assert record.reason == f"the {kind} was undone: its flow gave no sign of life for 20 s"
        assert record.why == "asked for by Ann: more colours"
        assert [step.name for step in record.steps] == ["0 % of the traffic", "take away"]
        assert left(ground) == []
        assert all_pending(ground.state) == ()

    @pytest.mark.parametrize(
        ("deadline", "boot", "said"),
        [
            pytest.param(-1.0, None, "was not finished", id="deadline"),
            pytest.param(3600.0, "an earlier boot", "the machine was restarted", id="restart"),
        ],
    )
    def test_other_reasons(self, ground: Ground, deadline: float, boot: str | None, said: str) -> None:
        """A change past its deadline, or of before a restart, is undone although it seems to be alive."""
        under_way(ground, deadline=deadline, boot=boot)
        platform = Undoing(ground)

        assert look(ground, platform) == 1
        assert said in read_records(ground)[0].reason

    def test_heartbeat_of_another(self, ground: Ground) -> None:
        """The sign of life of another change is none of this one."""
        under_way(ground)
        last_beat(ground, seconds_ago=0, token="another's")
        platform = Undoing(ground)

        assert look(ground, platform) == 1

    def test_fence(self, ground: Ground) -> None:
        """A flow that wakes up late changes nothing any more: its permit is gone before anything was undone."""
        under_way(ground)
        last_beat(ground, seconds_ago=20)
        platform = Undoing(ground)
        look(ground, platform)

        with pytest.raises(PermitRevoked):
            set_weight_late(ground, platform)
        assert platform.done == ["0 %", "remove"]

    def test_once(self, ground: Ground) -> None:
        """What was undone is not undone again."""
        under_way(ground)
        last_beat(ground, seconds_ago=20)
        platform = Undoing(ground)

        assert [look(ground, platform), look(ground, platform)] == [1, 0]
        assert len(read_records(ground)) == 1


class TestTrouble:
    def test_again(self, ground: Ground) -> None:
        """A platform that fails is tried again at the next look; until then the promise and its fence stay."""
        intent = under_way(ground)
        last_beat(ground, seconds_ago=20)
        troubles = [PlatformTrouble("the router does not follow"), PlatformTrouble("nor now")]
        platform = Undoing(ground, troubles=troubles)

        assert look(ground, platform) == 0
        assert (platform.done, read_records(ground), read_intent(ground)) == ([], (), intent)
        with pytest.raises(PermitRevoked):
            set_weight_late(ground, platform)
        assert [look(ground, platform), look(ground, platform)] == [0, 1]
        assert platform.done == ["0 %", "remove"]
        assert len(read_records(ground)) == 1
        assert left(ground) == []

    def test_one_of_two(self, ground: Ground) -> None:
        """An environment that cannot be undone keeps no other from being undone."""
        other = Ground(ground.state, "shop", "staging")
        platforms = {each: Undoing(each) for each in (ground, other)}
        platforms[ground].troubles.append(PlatformTrouble("the router does not follow"))
        for each in platforms:
            under_way(each)
            last_beat(each, seconds_ago=20)

        assert asyncio.run(guard.look_once(ground.state, lambda each: guarded(each, platforms[each]))) == 1
        assert platforms[other].done == ["0 %", "remove"]


def holder_dies(ground: Ground) -> None:
    """The lock stays and names a process that is gone."""
    held = json.loads((ground.folder / "lock.json").read_text())
    (ground.folder / "lock.json").write_text(json.dumps(held | {"birth": "long ago"}))


class TestFilesLost:
    def test_intent(self, ground: Ground) -> None:
        """A candidate whose promise cannot be read and whose flow is dead is taken away, on record."""
        under_way(ground)
        (ground.folder / "intent.json").write_text("{")
        holder_dies(ground)
        platform = Undoing(ground)

        assert look(ground, platform) == 1
        assert platform.done == ["remove"]
        (record,) = read_records(ground)
        assert (record.kind, record.ending, record.release) == (Kind.GUARD, Ending.ROLLED_BACK, CANDIDATE)
        assert "no readable intent" in record.reason
        assert left(ground) == []

    def test_intent_of_living(self, ground: Ground) -> None:
        """A flow that lives is not taken its canary because somebody else cannot read what it promised."""
        under_way(ground)
        (ground.folder / "intent.json").write_text("{")
        platform = Undoing(ground)

        assert look(ground, platform) == 0
        assert platform.done == []

    def test_lock(self, ground: Ground) -> None:
        """A lock that cannot be read keeps the guard from nothing: nobody can change anything under it."""
        under_way(ground)
        last_beat(ground, seconds_ago=20)
        (ground.folder / "lock.json").write_text("{")
        platform = Undoing(ground)

        assert look(ground, platform) == 1
        assert platform.done == ["0 %", "remove"]
        assert left(ground) == []

    def test_taken_meanwhile(self, ground: Ground) -> None:
        """A promise of before says nothing of a living change that has the environment now: that is left alone."""
        under_way(ground)
        last_beat(ground, seconds_ago=20)
        living = os.getppid()
        other = Holder("another's", "Bob", "a deploy", "run-2", living, birth_of(living), time.time())
        (ground.folder / "lock.json").write_text(json.dumps(asdict(other)))
        platform = Undoing(ground)

        assert look(ground, platform) == 0
        assert (platform.done, read_records(ground)) == ([], ())


class TestDone:
    def test_recorded(self, ground: Ground) -> None:
        """A flow that died after it had made the release stable and had said so gets no second record."""
        under_way(ground)
        last_beat(ground, seconds_ago=20)
        write_record(ground, a_record(1, CANDIDATE))
        look(ground, Undoing(ground, stable=CANDIDATE))

        assert len(read_records(ground)) == 1
        assert left(ground) == []

    def test_not_recorded(self, ground: Ground) -> None:
        """What a flow made stable before it died, and did not come to say, is put on record as released."""
        under_way(ground)
        last_beat(ground, seconds_ago=20)
        look(ground, Undoing(ground, stable=CANDIDATE))

        (record,) = read_records(ground)
        assert (record.ending, record.release) == (Ending.RELEASED, CANDIDATE)
        assert "had made it the stable release" in record.reason


def test_people_are_told(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whom a change wanted told is told also by a guard whose home never saw what was built."""
    monkeypatch.setenv("WHOM", "http://127.0.0.1:9/nobody-listens")
    wanted = NotificationSettings(url_variable="WHOM", timeout_seconds=1.0)
    write_intent(ground, under_way(ground).model_copy(update={"notifications": wanted}))
    last_beat(ground, seconds_ago=20)

    assert look(ground, Undoing(ground)) == 1
    (letter,) = waiting(ground.state)
    assert "rolled-back" in letter.message


@pytest.mark.parametrize("words", [["--context", "prod"], ["--namespace", "shop"], ["--role", "guard"]], ids=" ".join)
def test_half_a_cluster(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """A cluster is guarded by context and namespace; one without the other is told in a line."""
    assert main(["guard", *words]) == ExitCode.USAGE
    assert "--context NAME and --namespace NAME, both" in capsys.readouterr().err


def test_an_environment_that_cannot_be_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of an environment whose platform cannot be told the guard says so at each look, and goes on to the others."""
    for name in ("aside", "other"):
        ground = Ground(tmp_path, "shop", name)
        ground.folder.mkdir(parents=True)
        (ground.folder / "cluster.json").write_text("{broken")
    assert asyncio.run(guard.look_once(tmp_path, GuardedPlaces().of)) == 0

    said = "".join(capsys.readouterr())
    assert all(f"shop/{name}: not undone yet" in said for name in ("aside", "other"))
    assert "cluster.json cannot be read" in said
