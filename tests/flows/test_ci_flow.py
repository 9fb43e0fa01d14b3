"""The CI flow on a real Prefect server: what its runs end in, what is remembered, and what a watcher hears."""

from collections.abc import Awaitable
from pathlib import Path
from typing import Any, cast

import pytest
from prefect import flow, task
from prefect.client.schemas.objects import StateType

from deployments.flow_in_terminal import _reason
from tasks.core.outcome import Verdict
from tasks.retrying import RETRIED, BadInput, PermanentError, TemporaryError
from tasks.watching import CheckEnded, CheckStarted, Planned, RunEnded, RunStarted
from tests.flows.conftest import Target

# NOTE: Prefect keeps its clients' sockets for as long as an event loop lives, and leaves them to the collector then.
pytestmark = [
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"),
]
PASSES, FAILS, BREAKS = ["true"], ["sh", "-c", "echo src/a.py:3:4: error: it is not so; exit 1"], ["towpath-nowhere"]


def counted(log: Path, *, code: int = 0) -> list[str]:
    """A command that leaves a line each time it really runs."""
    return ["sh", "-c", f"echo x >> '{log}'; echo it said so; exit {code}"]


def times(log: Path) -> int:
    return len(log.read_text().splitlines()) if log.exists() else 0


class TestVerdicts:
    async def test_passed(self, target: Target) -> None:
        """All passed: Completed with the counts, a task run per check under its name, and the report on disk."""
        target.configure({"one": PASSES, "two": PASSES})
        ran = await target.run()
        states = await ran.task_states(2)

        assert (ran.state.type, ran.state.message) == (StateType.COMPLETED, "2 passed")
        assert ran.report.verdict == Verdict.PASSED
        assert {"own/one": "Completed", "own/two": "Completed"}.items() <= states.items()
        assert {"report.json", "report.md", "junit.xml"} <= {path.name for path in Path(ran.report.folder).iterdir()}

    async def test_failed(self, target: Target) -> None:
        """One failed: Failed with the gate's words, its task run red, and the others still run."""
        target.configure({"good": PASSES, "bad": FAILS})
        ran = await target.run()
        states = await ran.task_states(2)

        assert (ran.state.type, ran.state.name) == (StateType.FAILED, "Failed")
        assert ran.state.message == "1 of 2 checks block: own/bad"
        assert {"own/good": "Completed", "own/bad": "Failed"}.items() <= states.items()
        assert "src/a.py:3:4: error: it is not so" in ran.check("own/bad").reason

    async def test_error(self, target: Target) -> None:
        """One that could not be done: a failed state named Error, which no filter for Completed shows."""
        target.configure({"good": PASSES, "bad": FAILS, "gone": BREAKS})
        ran = await target.run()
        states = await ran.task_states(3)

        assert (ran.state.type, ran.state.name) == (StateType.FAILED, "Error")
        assert ran.report.verdict == Verdict.ERROR
        assert states["own/gone"] == "Error"
        assert "towpath-nowhere could not be started" in ran.check("own/gone").reason

    async def test_hangs(self, target: Target) -> None:
        """A check that hangs is ended at its own deadline, and the others are not kept waiting."""
        more = '[checks.slow]\ncommand = ["sleep", "300"]\ntimeout_seconds = 0.5\n'
        target.configure({"good": PASSES}, more=more)
        ran = await target.run()

        assert ran.check("own/slow").verdict == Verdict.ERROR
        assert "was stopped after its 0.5 s" in ran.check("own/slow").reason
        assert ran.check("own/good").verdict == Verdict.PASSED

    async def test_nothing_to_check(self, target: Target) -> None:
        """A target with nothing to check is an error and no pass."""
        ran = await target.run()

        assert (ran.state.name, ran.state.message) == ("Error", "nothing to check was found here")

    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            ({"target": "/nowhere/at/all"}, "/nowhere/at/all"),
            ({"ref": "nowhere"}, "nowhere"),
            ({"overrides": ["nowhere=1"]}, "unknown key nowhere"),
        ],
    )
    async def test_refused(self, arguments: dict[str, Any], said: str, target: Target) -> None:
        """What cannot begin ends as Error with one line, at once and without a retry."""
        target.configure({"one": PASSES})
        ran = await target.run(**arguments)

        assert (ran.state.type, ran.state.name) == (StateType.FAILED, "Error")
        assert isinstance(_reason(ran.state), BadInput)
        assert said in (ran.state.message or "")
        assert len((ran.state.message or "").splitlines()) == 1

    async def test_fail_fast(self, target: Target) -> None:
        """With fail-fast the first that blocks ends the others, which are errors and not passes."""
        target.configure({"bad": FAILS, "slow": ["sleep", "300"]}, more="[run]\nparallelism = 4\n")
        ran = await target.run(fail_fast=True)

        assert ran.check("own/bad").verdict == Verdict.FAILED
        assert ran.check("own/slow").verdict == Verdict.ERROR
        assert "not run: another check blocked" in ran.check("own/slow").reason

    async def test_without_an_engine(self, target: Target) -> None:
        """Image checks without a container engine are errors, and skipped with a reason only where that is allowed."""
        target.configure({"one": PASSES})
        target.write({"Dockerfile": "FROM scratch\n"})
        strict = await target.run()
        lenient = await target.run(may_lack=["docker"])
        image = next(check.id for check in strict.report.checks if check.id.startswith("images/"))

        assert strict.check(image).verdict == Verdict.ERROR
        assert strict.state.name == "Error"
        assert lenient.check(image).verdict == Verdict.SKIPPED
        assert "no container engine" in lenient.check(image).reason
        assert lenient.state.type == StateType.COMPLETED


class TestMemory:
    async def test_passed_is_cached(self, target: Target, tmp_path: Path) -> None:
        """A check that passed is Cached the second time and does not run; a changed input makes it run."""
        target.configure({"one": counted(tmp_path / "log")})
        await target.run()
        second = await target.run()
        states = await second.task_states(1)
        after_second = times(tmp_path / "log")
        target.write({"new.txt": "x"})
        third = await target.run()

        assert states["own/one"] == "Cached"
        assert second.check("own/one").cached
        assert after_second == 1
        assert times(tmp_path / "log") == 2
        assert not third.check("own/one").cached

    async def test_failed_is_remembered_red(self, target: Target, tmp_path: Path) -> None:
        """A check that failed is remembered too, and is as red as before."""
        target.configure({"bad": counted(tmp_path / "log", code=1)})
        first = await target.run()
        second = await target.run()
        states = await second.task_states(1)

        assert times(tmp_path / "log") == 1
        assert states["own/bad"] == "Failed"
        assert second.state.type == StateType.FAILED
        assert (first.check("own/bad").reason, True) == (second.check("own/bad").reason, second.check("own/bad").cached)

    @pytest.mark.parametrize("code", [126, 137])
    async def test_error_is_not(self, code: int, target: Target, tmp_path: Path) -> None:
        """A check that could not be done is done again."""
        target.configure({"gone": counted(tmp_path / "log", code=code)})
        first = await target.run()
        second = await target.run()

        assert first.check("own/gone").verdict == second.check("own/gone").verdict == Verdict.ERROR
        assert not second.check("own/gone").cached
        assert times(tmp_path / "log") == 2

    async def test_no_cache(self, target: Target, tmp_path: Path) -> None:
        """Asked not to believe earlier results, a run believes none."""
        target.configure({"one": counted(tmp_path / "log")})
        await target.run()
        ran = await target.run(use_cache=False)

        assert times(tmp_path / "log") == 2
        assert not ran.check("own/one").cached

    @pytest.mark.parametrize(
        ("names", "counts"), [(["own/one"], (2, 1)), (["one"], (2, 1)), (["own"], (2, 2)), (["nonsense"], (2, 2))]
    )
    async def test_afresh(self, target: Target, tmp_path: Path, names: list[str], counts: tuple[int, int]) -> None:
        """A check asked for afresh is done again while the others are believed; where no name fits, all are done."""
        target.configure({name: counted(tmp_path / name) for name in ("one", "two")})
        await target.run()
        ran = await target.run(afresh=names)

        assert (times(tmp_path / "one"), times(tmp_path / "two")) == counts
        assert (ran.check("own/one").cached, ran.check("own/two").cached) == (False, counts[1] == 1)

    async def test_only_what_is_read(self, target: Target, tmp_path: Path) -> None:
        """A check that names its inputs is not run again for a file it does not read."""
        more = '[checks.one]\ncommand = ["sh", "-c", "echo x >> \'{}\'"]\ninputs = ["docs"]\n'.format(tmp_path / "log")
        target.configure({}, more=more)
        target.write({"docs/a.md": "a", "src/a.py": "a"})
        await target.run()
        target.write({"src/a.py": "b"})
        unread = await target.run()
        target.write({"docs/a.md": f"b{tmp_path}"})
        read = await target.run()

        assert (unread.check("own/one").cached, read.check("own/one").cached) == (True, False)


class TestWatcher:
    async def test_order(self, target: Target) -> None:
        """A watcher hears of the run, its plan, each check's start before its end, and last the end."""
        target.configure({"one": PASSES, "bad": FAILS})
        ran = await target.run()
        kinds = [type(event) for event in ran.events]
        starts = {event.id: at for at, event in enumerate(ran.events) if isinstance(event, CheckStarted)}
        ends = {event.result.id: at for at, event in enumerate(ran.events) if isinstance(event, CheckEnded)}

        assert [RunStarted, Planned] == kinds[:2]
        assert kinds[-1] is RunEnded
        assert (kinds.count(CheckStarted), kinds.count(CheckEnded)) == (2, 2)
        assert starts.keys() == ends.keys() == {"own/one", "own/bad"}
        assert all(starts[name] < ends[name] for name in starts)

    async def test_refused(self, target: Target) -> None:
        """Of a run that cannot begin it hears only that it began."""
        ran = await target.run(target="/nowhere/at/all")

        assert [RunStarted] == [type(event) for event in ran.events]


@pytest.mark.usefixtures("_prefect")
class TestRetries:
    @pytest.mark.parametrize(("kind", "attempts"), [(TemporaryError, 4), (PermanentError, 1), (ValueError, 1)])
    async def test_kinds(self, kind: type[Exception], attempts: int) -> None:
        """What is temporary is tried three times more, anything else is final at once."""
        tried: list[int] = []

        @task(**{**RETRIED, "retry_delay_seconds": 0, "retry_jitter_factor": None})
        async def attempt() -> None:
            tried.append(1)
            raise kind("away")

        @flow
        async def once() -> None:
            await cast("Awaitable[Any]", attempt(return_state=True))

        await cast("Awaitable[Any]", once(return_state=True))

        assert attempts == len(tried)

    async def test_pauses(self) -> None:
        """The pauses between tries grow, and are never the same for two runs."""
        pauses = RETRIED["retry_delay_seconds"](RETRIED["retries"])

        assert pauses == sorted(set(pauses))
        assert RETRIED["retry_jitter_factor"] > 0
