"""The small decisions of delivery: freezes, gates, intents, schemas, verification, placeholders, differences."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from tasks.core.counters import Arm, Counters
from tasks.core.delivery_settings import Migrations
from tasks.core.freeze import FreezeWindow, freeze_on
from tasks.core.gates import StageRun, blocking, stage_gate, staging_gate
from tasks.core.intent import Heartbeat, Intent, why_undo
from tasks.core.outcome import Verdict
from tasks.core.placeholders import filled
from tasks.core.platform import Instance, Role
from tasks.core.records import Ending, Kind
from tasks.core.release import Release
from tasks.core.release_differences import differences
from tasks.core.schema import why_not_on
from tasks.core.verification import settle
from tests.core.deliveries import a_record, a_release

WEEKEND = FreezeWindow(start="Fri 16:00", end="Mon 08:00", timezone="Europe/Berlin", reason="nobody is here")
HOLIDAY = FreezeWindow(start="2026-12-24T12:00", end="2027-01-02T08:00", reason="holidays")


@pytest.mark.parametrize(
    ("window", "moment", "is_frozen"),
    [
        pytest.param(WEEKEND, "2026-11-27T14:59:00+00:00", False, id="Friday 15:59 in Berlin"),
        pytest.param(WEEKEND, "2026-11-27T15:00:00+00:00", True, id="Friday 16:00 in Berlin"),
        pytest.param(WEEKEND, "2026-07-03T14:00:00+00:00", True, id="Friday 16:00 in Berlin's summer"),
        pytest.param(WEEKEND, "2026-11-29T12:00:00+00:00", True, id="Sunday"),
        pytest.param(WEEKEND, "2026-11-30T07:00:00+00:00", False, id="Monday 08:00 in Berlin"),
        pytest.param(WEEKEND, "2026-11-25T12:00:00+00:00", False, id="Wednesday"),
        pytest.param(HOLIDAY, "2026-12-24T11:59:59+00:00", False, id="before the holidays"),
        pytest.param(HOLIDAY, "2026-12-25T00:00:00+00:00", True, id="in the holidays"),
        pytest.param(HOLIDAY, "2027-01-02T08:00:00+00:00", False, id="after the holidays"),
    ],
)
def test_freezes(window: FreezeWindow, moment: str, is_frozen: bool) -> None:
    """A freeze holds from its first moment to its last, in the time zone it is written in."""
    said = freeze_on([window], "production", datetime.fromisoformat(moment))

    assert bool(said) == is_frozen
    assert window.reason in said or not is_frozen
    assert not freeze_on([window], "staging", datetime.fromisoformat(moment))


@pytest.mark.parametrize(
    ("start", "end", "said"),
    [
        ("Friday", "Mon 08:00", "both be weekly"),
        ("2026-12-24", "2026-12-23", "start must be before end"),
        ("soon", "later", "soon is no moment"),
        ("Fri 16:00", "2026-12-23", "both be weekly"),
    ],
)
def test_freezes_that_say_nothing(start: str, end: str, said: str) -> None:
    """A freeze that cannot be read is refused, and does not silently never hold."""
    with pytest.raises(ValidationError, match=said):
        FreezeWindow(start=start, end=end, reason="x")


def test_an_unknown_time_zone() -> None:
    """A misspelt time zone is refused."""
    with pytest.raises(ValidationError, match="no time zone Europe/Berln"):
        FreezeWindow(start="Fri 16:00", end="Mon 08:00", timezone="Europe/Berln", reason="x")


@given(st.integers(0, 7 * 24 * 60 - 1), st.integers(0, 7 * 24 * 60 - 1), st.datetimes(timezones=st.just(UTC)))
def test_a_week_is_frozen_or_open(start: int, end: int, moment: datetime) -> None:
    """A weekly freeze and the one from its end to its start cover every moment exactly once."""
    names = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")

    def told(minutes: int) -> str:
        return f"{names[minutes // 1440]} {minutes % 1440 // 60:02}:{minutes % 60:02}"

    one = FreezeWindow(start=told(start), end=told(end), reason="x")
    other = FreezeWindow(start=told(end), end=told(start), reason="x")

    assert (one.is_on(moment) != other.is_on(moment)) or start == end


PASSED = StageRun("ci", Verdict.PASSED, "12 passed", "2026-11-25", is_dirty=False)
FAILED = StageRun("ci", Verdict.FAILED, "1 of 12 checks block", "2026-11-24", is_dirty=False)
SET = StageRun("ci", Verdict.PASSED, "ok", "2026-11-25", is_dirty=False, overrides=("run.parallelism=1",))
DIRTY = StageRun("ci", Verdict.PASSED, "12 passed", "2026-11-25", is_dirty=True)


@pytest.mark.parametrize(
    ("runs", "verdict", "said"),
    [
        pytest.param([PASSED, FAILED], Verdict.PASSED, "12 passed", id="the newest decides"),
        pytest.param([FAILED, PASSED], Verdict.FAILED, "1 of 12", id="also when it failed"),
        pytest.param([SET], Verdict.ERROR, "passed only with run.parallelism=1", id="with other settings"),
        pytest.param([], Verdict.ERROR, "ci ran never on abc: towpath ci", id="never"),
        pytest.param([DIRTY], Verdict.ERROR, "only with uncommitted changes", id="only dirty"),
        pytest.param([DIRTY, FAILED], Verdict.FAILED, "1 of 12", id="a dirty run hides no failure"),
    ],
)
def test_gates(runs: list[StageRun], verdict: Verdict, said: str) -> None:
    """A stage that has not passed on exactly this revision blocks, and the gate says how to run it."""
    gate = stage_gate("ci", runs, revision="abc", how="towpath ci")

    assert (gate.verdict, said in gate.reason) == (verdict, True)
    assert bool(blocking([gate])) == (verdict is not Verdict.PASSED)


def test_only_what_was_in_staging_goes_on() -> None:
    """The last time this very build was in staging decides; another build of the same version does not count."""
    release = a_release("v1.1.0", artifact="sha256:one")
    other = a_record(1, a_release("v1.1.0", artifact="sha256:two"))
    good, bad = a_record(2, release), a_record(3, release, ending=Ending.ROLLED_BACK)

    assert staging_gate([other], release, environment="staging").verdict is Verdict.ERROR
    assert staging_gate([other, good], release, environment="staging").verdict is Verdict.PASSED
    assert staging_gate([other, good, bad], release, environment="staging").verdict is Verdict.FAILED


INTENT = Intent(
    token="mine",
    target="shop",
    environment="production",
    kind=Kind.CANARY,
    release=a_release("v1.1.0"),
    run="run-1",
    who="Ada",
    boot="boot",
    began=100.0,
    began_at=0.0,
    deadline=1000.0,
)


@pytest.mark.parametrize(
    ("beat", "boot", "now", "said"),
    [
        pytest.param(Heartbeat(token="mine", boot="boot", at=200.0), "boot", 215.0, "", id="alive"),
        pytest.param(
            Heartbeat(token="mine", boot="boot", at=200.0), "boot", 215.1, "no sign of life for 15 s", id="old"
        ),
        pytest.param(None, "boot", 110.0, "", id="just begun"),
        pytest.param(None, "boot", 116.0, "no sign of life for 16 s", id="never a sign"),
        pytest.param(Heartbeat(token="other", boot="boot", at=200.0), "boot", 201.0, "no sign of life", id="another's"),
        pytest.param(
            Heartbeat(token="mine", boot="boot", at=1000.0), "boot", 1000.0, "not finished 900 s", id="deadline"
        ),
        pytest.param(Heartbeat(token="mine", boot="boot", at=200.0), "next", 1.0, "machine was restarted", id="reboot"),
        pytest.param(
            Heartbeat(token="mine", boot="boot", at=200.0), "boot", 1.0, "was restarted", id="nameless reboot"
        ),
    ],
)
def test_when_the_guard_steps_in(beat: Heartbeat | None, boot: str, now: float, said: str) -> None:
    """An intent is undone when its own heartbeat is old, its deadline passed, or the machine was restarted."""
    why = why_undo(INTENT, beat, boot=boot, now=now)

    assert said in why
    assert bool(why) == bool(said)


@pytest.mark.parametrize(
    ("migrations", "wanted", "now", "may"),
    [
        (Migrations.FORWARD, "0002", "0002", True),
        (Migrations.FORWARD, "0001", "0002", False),
        (Migrations.FORWARD, "", "0002", False),
        (Migrations.COMPATIBLE, "0001", "0002", True),
        (Migrations.REVERSIBLE, "0001", "0002", True),
    ],
)
def test_schemas_and_going_back(migrations: Migrations, wanted: str, now: str, may: bool) -> None:
    """A release goes back only to a schema it can run on, as the team has declared it."""
    assert (why_not_on(migrations, wanted=wanted, now=now) == "") == may


READY = Instance("backend-2-1", "backend", Role.CANDIDATE, "v2", is_ready=True)


@pytest.mark.parametrize(
    ("before", "after", "instances", "verdict", "said"),
    [
        pytest.param({}, {"a": Counters(100, 1)}, [READY], Verdict.PASSED, "1 of 100 requests failed", id="well"),
        pytest.param({}, {"a": Counters(100, 2)}, [READY], Verdict.FAILED, "more than 1 %", id="errors"),
        pytest.param(
            {"a": Counters(900, 90)}, {"a": Counters(1000, 91)}, [READY], Verdict.PASSED, "1 of 100", id="old ones"
        ),
        pytest.param({"a": Counters(900, 90)}, {"a": Counters(50, 5)}, [READY], Verdict.FAILED, "5 of 50", id="reset"),
        pytest.param({}, {}, [READY], Verdict.PASSED, "no request came", id="no traffic"),
        pytest.param(None, {}, [READY], Verdict.ERROR, "could not be read", id="unreadable"),
        pytest.param({}, None, [READY], Verdict.ERROR, "could not be read", id="unreadable later"),
        pytest.param({}, {}, [], Verdict.ERROR, "no instance", id="nothing there"),
        pytest.param(
            {},
            {},
            [Instance("b", "backend", Role.CANDIDATE, "v2", is_ready=False, note="503")],
            Verdict.FAILED,
            "b (503)",
            id="not ready",
        ),
        pytest.param(
            {},
            {},
            [Instance("b", "backend", Role.CANDIDATE, "v2", is_ready=True, restarts=2)],
            Verdict.FAILED,
            "restarted: b (2)",
            id="restarted",
        ),
    ],
)
def test_verification(
    before: Arm | None, after: Arm | None, instances: list[Instance], verdict: Verdict, said: str
) -> None:
    """A release settles when all its instances stay ready and few enough requests of that time fail."""
    outcome = settle(before, after, instances, max_error_percent=1.0)

    assert (outcome.verdict, said in outcome.reason) == (verdict, True)


def test_placeholders() -> None:
    """Only the known words in braces are replaced; a shell's or a template's own braces are left alone."""
    assert filled("{port} ${HOME} {x} {{port}}", {"port": "80"}) == "80 ${HOME} {x} {80}"


def test_differences_are_told() -> None:
    """What changes for the users is told line by line, and nothing else."""
    old = a_release("v1.0.0", configuration={"backend": {"A": "1", "B": "2"}}, replicas={"backend": 5})
    new = a_release("v1.1.0", configuration={"backend": {"A": "1", "B": "3"}}, replicas={"backend": 6})

    assert differences(old, new) == (
        "version v1.0.0 -> v1.1.0",
        "backend B: 2 -> 3",
        "instances of backend: 5 -> 6",
    )
    secret = a_release("v1.0.0", configuration={"backend": {"DB_PASSWORD": "one", "B": "2"}}, replicas={"backend": 5})
    other = a_release("v1.0.0", configuration={"backend": {"DB_PASSWORD": "two", "B": "2"}}, replicas={"backend": 5})
    assert differences(secret, other) == ("backend DB_PASSWORD: *** -> ***",)
    assert differences(old, old) == ("nothing differs between the two releases",)
    assert differences(None, new)[0].startswith("v1.1.0 is the first release here")


@given(
    st.dictionaries(st.sampled_from("AB"), st.sampled_from("12")),
    st.dictionaries(st.sampled_from("AB"), st.sampled_from("12")),
    st.integers(1, 3),
    st.integers(1, 3),
)
def test_a_digest_is_for_one_release(one: dict[str, str], two: dict[str, str], few: int, many: int) -> None:
    """Two releases have the same digest exactly when configuration, replicas, build and version are the same."""
    first: Release = a_release("v1", configuration={"backend": one}, replicas={"backend": few})
    second: Release = a_release("v1", configuration={"backend": two}, replicas={"backend": many})

    assert (first.digest == second.digest) == (one == two and few == many)
