"""What an environment keeps on disk: locks, intents, records, questions, canaries; and what becomes of damaged ones."""

import errno
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tasks.adapters import permits, state
from tasks.adapters.approvals import (
    Pending,
    abort_asked,
    all_pending,
    ask_for_abort,
    forget_abort,
    outcome_of,
    withdraw,
    write_pending,
)
from tasks.adapters.canary_logs import append, begin_log, logs_of, read_log
from tasks.adapters.daemons import birth_of
from tasks.adapters.grounds import Ground, NameRefused, known_grounds
from tasks.adapters.intents import (
    beat,
    boot_id,
    forget_intent,
    machine_seconds,
    read_heartbeat,
    read_intent,
    write_intent,
)
from tasks.adapters.ledger import current_record, find_record, next_number, read_records, write_record
from tasks.adapters.permits import Holder, changing, holder_of, lift_hold, put_hold, seize, take
from tasks.core.approval import ApprovalRequest
from tasks.core.canary_log import CanaryLog
from tasks.core.canary_settings import CanarySettings
from tasks.core.counters import Counters, Snapshot
from tasks.core.intent import Intent
from tasks.core.platform import Permit, PermitRevoked, PlatformTrouble
from tasks.core.records import Ending, Kind
from tasks.core.safekeeping import EnvironmentBusy, Hold
from tests.core.deliveries import a_record, a_release


@pytest.fixture
def ground(tmp_path: Path) -> Ground:
    return Ground(tmp_path, "shop", "production")


def holder(who: str, *, pid: int | None = None) -> Holder:
    chosen = os.getpid() if pid is None else pid
    return Holder(f"token of {who}", who, "canary of v1.1.0", "run-1", chosen, birth_of(chosen), time.time())


def dead_process() -> Holder:
    """A holder that lived, took the lock, and was killed."""
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    held = holder("the dead", pid=child.pid)
    child.send_signal(signal.SIGKILL)
    child.wait()
    return held


def test_one_change_at_a_time(ground: Ground) -> None:
    """While one holds the environment, another is refused with that holder's name, reason and run."""
    take(ground.folder, "production", holder("Ada"))

    with pytest.raises(EnvironmentBusy) as busy:
        take(ground.folder, "production", holder("Grace"))

    assert "production is being changed by Ada since" in str(busy.value)
    assert "canary of v1.1.0, run run-1" in str(busy.value)


def test_a_lock_is_given_back(ground: Ground) -> None:
    """After its holder gave it back, the next may take it; one that was taken away is left with its new holder."""
    first = take(ground.folder, "production", holder("Ada"))
    permits.release(ground.folder, first)
    second = take(ground.folder, "production", holder("Grace"))
    permits.release(ground.folder, first)

    held = holder_of(ground.folder)
    assert held is not None
    assert held.token == second.token


def test_a_dead_holder_keeps_nothing(ground: Ground) -> None:
    """The lock of a process that was killed is taken over."""
    take(ground.folder, "production", dead_process())

    assert take(ground.folder, "production", holder("Grace")) == Permit("production", "token of Grace")


def test_a_recycled_process_number_is_not_its_holder(ground: Ground) -> None:
    """A lock is not held by whoever got its holder's process number later."""
    dead = dead_process()
    stranger = Holder(dead.token, dead.who, dead.reason, dead.run, os.getpid(), dead.birth, dead.since)
    take(ground.folder, "production", stranger)

    assert take(ground.folder, "production", holder("Grace")).token == "token of Grace"


def test_a_permit_that_was_taken_away(ground: Ground) -> None:
    """Once the guard has seized the environment, a change under the old permit is refused and names the guard."""
    permit = take(ground.folder, "production", holder("Ada"))
    seize(ground.folder, "production", holder("the guard"), token="token of Ada")

    with pytest.raises(PermitRevoked, match="was taken from this run: the guard"), changing(ground.folder, permit):
        pytest.fail("a change under a revoked permit must not begin")


def test_the_guard_takes_no_other_change(ground: Ground) -> None:
    """What the guard looked at is what it takes away; a change that began meanwhile is left alone."""
    first = take(ground.folder, "production", holder("Ada"))
    permits.release(ground.folder, first)
    other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        take(ground.folder, "production", holder("Grace", pid=other.pid))
        with pytest.raises(EnvironmentBusy, match="is being changed by Grace"):
            seize(ground.folder, "production", holder("the guard"), token=first.token)
    finally:
        other.kill()
        other.wait()


def test_room_is_put_by(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a full disk the ballast makes room for the one thing that must be written."""
    ground.folder.mkdir(parents=True)
    state.keep_ballast(ground.folder)
    ballast = ground.folder / "ballast"
    real = os.replace

    def full_while_ballast(source: Path, target: Path) -> None:
        if ballast.exists():
            raise OSError(errno.ENOSPC, "No space left on device")
        real(source, target)

    monkeypatch.setattr(Path, "replace", lambda self, target: full_while_ballast(self, target))

    take(ground.folder, "production", holder("the guard"))

    assert not ballast.exists()
    assert (ground.folder / "lock.json").exists()


def test_a_persons_hold(ground: Ground) -> None:
    """A hold keeps every new change but a rollback out until it is lifted, and who did what stays noted."""
    put_hold(ground.folder, Hold("Ada", "incident 12", time.time()))
    with pytest.raises(EnvironmentBusy, match=r"held by Ada since .* \(incident 12\)"):
        take(ground.folder, "production", holder("Grace"))

    passed = take(ground.folder, "production", holder("a rollback"), passes_hold=True)
    permits.release(ground.folder, passed)
    lifted = lift_hold(ground.folder, who="Grace", reason="over")

    assert lifted is not None
    assert lifted.reason == "incident 12"
    noted = [json.loads(line) for line in (ground.folder / "holds.jsonl").read_text().splitlines()]
    assert (noted[0]["held"]["who"], noted[1]["lifted"]["who"]) == ("Ada", "Grace")
    assert take(ground.folder, "production", holder("Grace"))


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b'{"token": 1}', b"\xff\xfe"])
def test_a_damaged_lock_stops_everybody(ground: Ground, damage: bytes) -> None:
    """A lock that cannot be read is not taken for no lock."""
    ground.folder.mkdir(parents=True)
    (ground.folder / "lock.json").write_bytes(damage)

    with pytest.raises(PlatformTrouble, match=r"lock\.json cannot be read"):
        take(ground.folder, "production", holder("Grace"))


def an_intent(permit: Permit) -> Intent:
    return Intent(
        token=permit.token,
        target="shop",
        environment="production",
        kind=Kind.CANARY,
        release=a_release("v1.1.0"),
        run="run-1",
        who="Ada",
        boot=boot_id(),
        began=machine_seconds(),
        began_at=time.time(),
        deadline=machine_seconds() + 60,
    )


def test_an_intent_is_kept_and_forgotten(ground: Ground) -> None:
    """An intent lies on disk with a first heartbeat, is renewed, and goes with its change."""
    permit = take(ground.folder, "production", holder("Ada"))
    intent = an_intent(permit)
    write_intent(ground, intent)
    first = read_heartbeat(ground)
    beat(ground, permit.token)
    second = read_heartbeat(ground)

    assert read_intent(ground) == intent
    assert first is not None
    assert second is not None
    assert second.at > first.at

    forget_intent(ground, permit)
    assert read_intent(ground) is None
    assert read_heartbeat(ground) is None


def test_no_intent_under_a_lost_permit(ground: Ground) -> None:
    """A flow whose permit was taken away can neither promise anything nor forget what was promised."""
    permit = take(ground.folder, "production", holder("Ada"))
    write_intent(ground, an_intent(permit))
    seize(ground.folder, "production", holder("the guard"), token="token of Ada")

    with pytest.raises(PermitRevoked):
        forget_intent(ground, permit)
    with pytest.raises(PermitRevoked):
        write_intent(ground, an_intent(permit))

    assert read_intent(ground) is not None


def test_records_are_numbered_and_chained(ground: Ground) -> None:
    """Each record gets the next number, its predecessor's checksum and its own, and is never written over."""
    one = write_record(ground, a_record(9, a_release("v1.0.0")))
    two = write_record(ground, a_record(9, a_release("v1.1.0"), ending=Ending.ROLLED_BACK))

    assert (one.number, two.number, next_number(ground)) == (1, 2, 3)
    assert two.previous == one.checksum
    assert read_records(ground) == (one, two)
    assert current_record(ground) == one
    assert oct((ground.records / "0001.json").stat().st_mode & 0o777) == "0o444"


def test_records_are_found(ground: Ground) -> None:
    """A record is found by its number, its version (the last that was released), or the beginning of its digest."""
    one = write_record(ground, a_record(1, a_release("v1.0.0")))
    two = write_record(ground, a_record(1, a_release("v1.0.0"), ending=Ending.ROLLED_BACK))

    assert find_record(ground, "2") == two
    assert find_record(ground, "v1.0.0") == one
    assert find_record(ground, one.release.digest[:20]) == one
    assert find_record(ground, "v9") is None


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('"reason": "because"', '"reason": "well done"', "record 1 of production was altered"),
        ('"who": "Ada"', '"who": "Ada", "more": 1', "cannot be read"),
        ("{", "", "cannot be read"),
    ],
)
def test_an_altered_record_is_noticed(ground: Ground, old: str, new: str, said: str) -> None:
    """A record that was edited, or cut, is not read as if nothing had happened."""
    write_record(ground, a_record(1, a_release("v1.0.0")))
    write_record(ground, a_record(1, a_release("v1.1.0")))
    path = ground.records / "0001.json"
    path.chmod(0o644)
    path.write_text(path.read_text().replace(old, new, 1))

    with pytest.raises(PlatformTrouble, match=said):
        read_records(ground)


def test_a_record_taken_out_is_noticed(ground: Ground) -> None:
    """A gap in the middle of the records breaks their chain."""
    for version in ("v1", "v2", "v3"):
        write_record(ground, a_record(1, a_release(version)))
    (ground.records / "0002.json").unlink()

    with pytest.raises(PlatformTrouble, match="record 3 of production does not follow 1"):
        read_records(ground)


REQUEST = ApprovalRequest(
    run="run-1",
    target="shop",
    environment="production",
    question="Promote?",
    version="v1.1.0",
    digest="sha256:a",
    asked_at=0.0,
    expires_at=1.0,
)


def test_questions_are_open_while_they_may_be_answered(ground: Ground) -> None:
    """A question is found from anywhere while it is open, keeps what was answered, and goes when it is over."""
    write_pending(ground, Pending(request=REQUEST, refused=("Eve: not among the approvers",)))
    (found,) = all_pending(ground.state)

    assert found.pending.refused == ("Eve: not among the approvers",)
    assert found.ground == ground

    withdraw(ground, "run-1", outcome="it expired")
    withdraw(ground, "run-1", outcome="it never was")
    assert all_pending(ground.state) == ()
    assert outcome_of(ground.state, "run") == "it expired"
    assert outcome_of(ground.state, "other") == ""


def test_a_canary_is_asked_back(ground: Ground) -> None:
    """A wish to take a canary back is for that canary's run alone, until it is forgotten."""
    ask_for_abort(ground, "run-1", by="Ada", reason="pager")

    assert abort_asked(ground, "run-1") == "Ada asked for it: pager"
    assert abort_asked(ground, "run-2") == ""

    forget_abort(ground)
    assert abort_asked(ground, "run-1") == ""


def test_a_canary_is_read_back_as_it_was(ground: Ground) -> None:
    """A recorded canary gives the same snapshots again, and one cut short in the middle of a line all but that line."""
    head = CanaryLog(
        target="shop",
        environment="production",
        run="run-1",
        release=a_release("v1.1.0"),
        stable="v1.0.0",
        settings=CanarySettings(steps=(5.0, 50.0)),
        started="2026-11-25T00:00:00+00:00",
    )
    history = (Snapshot(-5.0, 0.0, {}, {"a": Counters(1, 0)}),)
    looks = (
        Snapshot(0.0, 0.1, {"c": Counters(5, 1, 2, -3.0, (1.0, 5.0))}, None, (0.1,)),
        Snapshot(5.0, 0.1, None, {"a": Counters(9, 0, buckets=(2.0, 9.0))}, (0.1,)),
    )
    folder = ground.canaries / "one"
    begin_log(folder, head, history)
    for look in looks:
        append(folder, look)

    assert read_log(folder) == (head, (*history, *looks))
    with (folder / "snapshots.jsonl").open("a") as stream:
        stream.write('{"at": 10.0, "sha')
    assert read_log(folder) == (head, (*history, *looks))
    assert logs_of(ground) == (folder,)


def test_a_canary_without_a_head_is_none(ground: Ground) -> None:
    """What cannot be read is left out, not replayed as something else."""
    folder = ground.canaries / "one"
    folder.mkdir(parents=True)
    (folder / "canary.json").write_text(json.dumps({"version": 1}))

    assert read_log(folder) is None


def test_grounds(ground: Ground) -> None:
    """Every environment of every target of a home is known, and a name that leads elsewhere is refused."""
    ground.folder.mkdir(parents=True)
    (ground.folder.parent.parent / "mutex").touch()
    (ground.folder.parent / "production copy").mkdir()

    assert known_grounds(ground.state) == (ground,)
    for name in ("../up", "", "a/b", ".hidden", "x" * 64):
        with pytest.raises(NameRefused):
            Ground(ground.state, "shop", name)
