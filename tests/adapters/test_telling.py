"""Words to the outside: notifications, answers to paused runs, load; against real servers on this machine."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tasks.adapters.flow_runs import LateRun, ServerBusy, ServerSilent, api_of, bury, late_runs, resume
from tasks.adapters.load import LoadRefused, Tally, read_tally, send, send_and_tell
from tasks.adapters.notifications import NotTold, tell_people
from tasks.adapters.probing import ask
from tests.adapters.listening_server import Heard, hearing


@pytest.fixture
def heard() -> Iterator[Heard]:
    with hearing() as made:
        yield made


async def told(environment: dict[str, str]) -> str:
    return await tell_people("v1 is out", {"version": "v1"}, variable="NOTIFY", timeout_seconds=2, base=environment)


async def test_people_are_told(heard: Heard) -> None:
    """The message goes to the address with its facts, and the answer says so."""
    assert await told({"NOTIFY": f"{heard.url}/hook/secret"}) == "told, answer 200"
    assert heard.bodies == [{"text": "v1 is out", "version": "v1"}]


async def test_nobody_to_tell() -> None:
    """Without an address nobody is told, and that is said."""
    assert await told({}) == "nobody was told: NOTIFY is not set"


@pytest.mark.parametrize("address", ["http://127.0.0.1:9/hook/secret", "nonsense secret", "{heard}/hook/secret"])
async def test_an_address_that_does_not_work(heard: Heard, address: str) -> None:
    """An address that refuses is trouble, and the trouble does not show the address, which may hold a secret."""
    heard.status = 500
    with pytest.raises(NotTold) as failure:
        await told({"NOTIFY": address.replace("{heard}", heard.url)})

    assert "secret" not in str(failure.value)


async def test_a_paused_run_is_answered(heard: Heard) -> None:
    """An answer is handed over as the form's input, and the server's word on it is told."""
    heard.answer = {"status": "ACCEPT"}
    taken = await resume(heard.url, "run-1", {"decision": "approve"})

    assert taken.is_accepted
    assert heard.paths == ["/flow_runs/run-1/resume"]
    assert heard.bodies == [{"run_input": {"decision": "approve"}}]


@pytest.mark.parametrize(
    ("answer", "is_paused"),
    [
        ({"status": "REJECT", "details": {"reason": "Validation failed for field 'digest'"}}, True),
        ({"status": "ABORT", "details": {"reason": "Cannot resume a flow run that is not paused."}}, False),
    ],
)
async def test_an_answer_that_is_not_taken(heard: Heard, answer: dict[str, object], is_paused: bool) -> None:
    """What the server does not accept is not taken for accepted, and a run that is not paused is told apart."""
    heard.answer = answer
    taken = await resume(heard.url, "run-1", {})

    assert (taken.is_accepted, taken.is_paused) == (False, is_paused)
    assert taken.reason


@pytest.mark.parametrize(
    ("status", "kind"), [(503, ServerBusy), (500, ServerBusy), (404, ServerSilent), (422, ServerSilent)]
)
async def test_servers_that_do_not_answer(heard: Heard, status: int, kind: type[Exception]) -> None:
    """A busy server may be asked again; one that refuses may not."""
    heard.status = status
    with pytest.raises(ServerSilent) as failure:
        await resume(heard.url, "run-1", {})

    assert type(failure.value) is kind


async def test_no_server_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a server, that is said in one line."""
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    with pytest.raises(ServerSilent, match="towpath up starts it"):
        api_of(tmp_path)
    with pytest.raises(ServerBusy):
        await bury("http://127.0.0.1:9", "run-1", "gone")


async def test_a_run_is_buried(heard: Heard) -> None:
    """A run whose process died is set to Crashed, whatever state it is in."""
    await bury(heard.url, "run-1", "gone")

    assert heard.bodies[0]["force"] is True
    assert heard.bodies[0]["state"] == {"type": "CRASHED", "name": "Crashed", "message": "gone"}


async def test_load_is_counted(heard: Heard, tmp_path: Path) -> None:
    """Every request of the load is counted with its answer, here and on disk."""
    stop = asyncio.Event()
    tally = await send_and_tell(heard.url, per_second=100, seconds=0.5, tally_file=tmp_path / "tally", stop=stop)

    assert tally.requests == len(heard.paths) > 30
    assert tally.failed == 0
    assert read_tally(tmp_path / "tally") == tally


async def test_failed_load_is_counted(heard: Heard) -> None:
    """Answers of 500 and missing answers are failures, each by its kind."""
    heard.status = 500
    answered, unanswered = Tally(), Tally()
    await send(heard.url, per_second=50, seconds=0.1, tally=answered, stop=asyncio.Event())
    await send("http://127.0.0.1:9", per_second=50, seconds=0.1, tally=unanswered, stop=asyncio.Event())

    assert answered.failed == answered.by_status["500"] == answered.requests
    assert unanswered.failed == unanswered.unanswered["ConnectError"] == unanswered.requests


@pytest.mark.parametrize("url", ["http://example.com", "http://10.0.0.1", "http://192.168.1.1:8080/x"])
async def test_load_stays_on_this_machine(url: str) -> None:
    """No load is ever sent to another machine."""
    with pytest.raises(LoadRefused):
        await send(url, per_second=1, seconds=1, tally=Tally(), stop=asyncio.Event())


async def test_asking_a_running_environment(heard: Heard) -> None:
    """A probe tells the status, or why there is none."""
    heard.status = 503

    assert (await ask(heard.url)).status == 503
    assert (await ask("http://127.0.0.1:9")).trouble


def late(number: int, *, is_scheduled: bool = True) -> dict[str, object]:
    at = f"2026-11-01T03:{number % 60:02}:00Z"
    return {"id": f"id-{number}", "name": f"night-{number}", "expected_start_time": at, "auto_scheduled": is_scheduled}


class TestLateRuns:
    """What the server tells of runs that nobody took up."""

    NOW = datetime(2026, 11, 2, tzinfo=UTC)

    async def test_all_pages(self, heard: Heard) -> None:
        """Every page is read, and runs that somebody began himself are left out."""
        page = [late(number, is_scheduled=number == 7) for number in range(200)]
        heard.first = [page, [*page[:1], late(300)]]
        found = await late_runs(f"{heard.url}/api", before=self.NOW)

        assert found == tuple(
            LateRun(f"id-{number}", f"night-{number}", datetime(2026, 11, 1, 3, number % 60, tzinfo=UTC))
            for number in (7, 300)
        )
        assert [body["offset"] for body in heard.bodies] == [0, 200]

    @pytest.mark.parametrize("answer", [{"a": 1}, [1], [{"id": "1", "auto_scheduled": True}]])
    async def test_another_answer(self, heard: Heard, answer: object) -> None:
        """An answer of another shape is none."""
        heard.answer = answer
        with pytest.raises(ServerSilent):
            await late_runs(f"{heard.url}/api", before=self.NOW)
