"""Answers on their way to the run that waits: what the server says is waited for, believed, or told to the person."""

import asyncio
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from deployments import answering
from deployments.answering import Answered, IsIn, answer
from tasks.adapters.approvals import Pending, all_pending, take_proof, write_pending
from tasks.adapters.grounds import Ground
from tasks.adapters.live_runs import hold_run
from tasks.core.approval import Answer, ApprovalRequest, Decision
from tasks.core.forge.words import ForgeLater, ForgeRefused
from tasks.core.outcome import ExitCode
from tests.core.deliveries import a_release

RELEASE = a_release("v1.1.0")
RUN = "0f0f0f0f-0000-4000-8000-000000000001"
ACCEPT = (200, {"status": "ACCEPT", "details": {"type": "accept_details"}})
NOT_PAUSED = (200, {"status": "ABORT", "details": {"reason": "Cannot resume a flow run that is not paused."}})
NOT_VALID = (200, {"status": "REJECT", "details": {"reason": "Validation failed for field 'digest'"}})
BUSY = (503, {"exception_message": "Service Unavailable"})


@dataclass
class Server:
    """Says one thing after the other, the last of them for ever; `asked` is what it was sent."""

    says: list[tuple[int, dict[str, Any]]] = field(default_factory=lambda: [ACCEPT])
    asked: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    url: str = ""

    def turn(self) -> tuple[int, dict[str, Any]]:
        return self.says.pop(0) if len(self.says) > 1 else self.says[0]


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    found = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            found.asked.append((self.path, json.loads(body)))
            status, said = found.turn()
            text = json.dumps(said).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class calls it so
            """Nothing: the tests look at what was asked."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        found.url = f"http://127.0.0.1:{listening.server_port}/api"
        monkeypatch.setenv("PREFECT_API_URL", found.url)
        thread = Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield found
        listening.shutdown()
        thread.join()


@pytest.fixture
def ground(tmp_path: Path) -> Iterator[Ground]:
    """Production, where somebody is asked about a release by a run that lives."""
    found = Ground(tmp_path, "shop", "production")
    ask(found, RUN)
    with hold_run(tmp_path, RUN):
        yield found


def ask(ground: Ground, run: str, *, needed: int = 1, approvers: tuple[str, ...] = ()) -> None:
    request = ApprovalRequest(
        run=run,
        target=ground.target,
        environment=ground.environment,
        question="Promote?",
        version=RELEASE.version,
        digest=RELEASE.digest,
        needed=needed,
        approvers=approvers,
        asked_at=time.time(),
        expires_at=time.time() + 3600,
    )
    write_pending(ground, Pending(request=request))


def approve(ground: Ground, run: str = RUN, *, by: str = "Bob") -> Answered:
    return asyncio.run(answer(ground.state, run, Decision.APPROVE, by=by, reason="seen"))


def test_form(ground: Ground, server: Server) -> None:
    """What counts is handed to the run as its form wants it, with the digest of the release that waits."""
    said = approve(ground, RUN[:8])

    assert said.exit_code is ExitCode.PASSED
    assert "approved by Bob (names as claimed)" in said.said
    form = {"decision": "approve", "by": "Bob", "reason": "seen", "digest": RELEASE.digest}
    assert server.asked == [(f"/api/flow_runs/{RUN}/resume", {"run_input": form})]


@pytest.mark.parametrize(
    "says",
    [
        pytest.param([BUSY, BUSY, ACCEPT], id="busy"),
        pytest.param([NOT_PAUSED, ACCEPT], id="not-paused-yet"),
        pytest.param([BUSY, NOT_PAUSED, BUSY, ACCEPT], id="both"),
    ],
)
def test_again(ground: Ground, server: Server, says: Sequence[tuple[int, dict[str, Any]]]) -> None:
    """A server that is busy, and a run that has not paused yet, are asked again; the answer is taken once."""
    server.says[:] = says
    said = approve(ground)

    assert said.exit_code is ExitCode.PASSED
    assert len(server.asked) == len(says)


def test_not_valid(ground: Ground, server: Server) -> None:
    """What the form does not take is told with the server's reason, and never for a success."""
    server.says[:] = [NOT_VALID]
    said = approve(ground)

    assert said.exit_code is ExitCode.ERROR
    assert "Validation failed for field 'digest'" in said.said
    assert len(server.asked) == 1


def test_never_paused(ground: Ground, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that does not pause in time has not heard the answer, and that is said."""
    monkeypatch.setattr(answering, "_NEXT_PAUSE_SECONDS", 0.6)
    server.says[:] = [NOT_PAUSED]
    said = approve(ground)

    assert said.exit_code is ExitCode.ERROR
    assert "not paused" in said.said
    assert len(server.asked) > 1


def test_no_server(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a server nothing is approved, and the question stays open."""
    monkeypatch.setattr(answering, "_NEXT_PAUSE_SECONDS", 0.3)
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    said = approve(ground)

    assert said.exit_code is ExitCode.ERROR
    assert len(all_pending(ground.state)) == 1


def test_nobody_named(ground: Ground, server: Server) -> None:
    """An answer without a name is refused before anybody hears of it."""
    said = approve(ground, by=" ")

    assert said.exit_code is ExitCode.FAILED
    assert server.asked == []


def test_dead(ground: Ground, server: Server) -> None:
    """An answer to a run that died is refused: the server would take it, and nobody would hear it."""
    dead = f"1{RUN[1:]}"
    ask(ground, dead)
    said = approve(ground, dead)

    assert said.exit_code is ExitCode.FAILED
    assert "nobody would hear it" in said.said
    assert server.asked == []


def test_several(ground: Ground, server: Server) -> None:
    """The beginning of an id that fits several runs is none of them."""
    ask(Ground(ground.state, "shop", "staging"), f"{RUN[:-1]}2")
    said = approve(ground, RUN[:8])

    assert said.exit_code is ExitCode.USAGE
    assert server.asked == []


def test_proof(ground: Ground, server: Server) -> None:
    """A signed answer leaves its proof for the run: good for that name and decision alone, and once."""
    done = asyncio.run(answer(ground.state, RUN, Decision.APPROVE, by="ada", reason="seen", is_proved=True))
    given = Answer(decision=Decision.APPROVE, by="ada", reason="", digest=RELEASE.digest, at=time.time())

    assert "approved by ada (name proved)" in done.said
    assert not take_proof(ground, RUN, given.model_copy(update={"by": "eve"})).is_proved
    assert not take_proof(ground, RUN, given.model_copy(update={"digest": "sha256:other"})).is_proved
    assert take_proof(ground, RUN, given).is_proved
    assert not take_proof(ground, RUN, given).is_proved


def test_no_proof_by_the_command_line(ground: Ground, server: Server) -> None:
    """What is said at the command line leaves no proof."""
    approve(ground, by="ada")
    given = Answer(decision=Decision.APPROVE, by="ada", reason="", digest=RELEASE.digest, at=time.time())

    assert not take_proof(ground, RUN, given).is_proved


class TestTeams:
    """Approvers that are a team at the forge."""

    async def answered(self, ground: Ground, is_in: IsIn | None, *, is_proved: bool = True) -> Answered:
        ask(ground, RUN, approvers=("linus", "@acme/release"))
        return await answer(
            ground.state, RUN, Decision.APPROVE, by="ada", reason="seen", is_proved=is_proved, is_in=is_in
        )

    async def test_member(self, ground: Ground, server: Server) -> None:
        """Who the forge says is in the team may approve, and the proof that goes to the run says by which team."""
        asked: list[str] = []

        async def is_in(team: str) -> bool:
            asked.append(team)
            return True

        said = await self.answered(ground, is_in)
        assert (said.exit_code, asked) == (ExitCode.PASSED, ["acme/release"])
        given = Answer(decision=Decision.APPROVE, by="ada", reason="seen", digest=RELEASE.digest, at=0.0)
        proved = take_proof(ground, RUN, given)
        assert (proved.is_proved, proved.teams) == (True, ("acme/release",))

    async def test_stranger(self, ground: Ground, server: Server) -> None:
        """Who is not in it is refused, and the run hears nothing."""

        async def is_in(_: str) -> bool:
            return False

        said = await self.answered(ground, is_in)
        assert said.exit_code is ExitCode.FAILED
        assert "ada is not among the approvers of production: linus, @acme/release" in said.said
        assert server.asked == []

    @pytest.mark.parametrize(
        ("trouble", "code"),
        [(ForgeRefused("the token may not"), ExitCode.FAILED), (ForgeLater("it is away"), ExitCode.ERROR)],
    )
    async def test_unknown(self, ground: Ground, server: Server, trouble: Exception, code: ExitCode) -> None:
        """What cannot be found out is refused with the reason; a forge that is away may be asked again."""

        async def is_in(_: str) -> bool:
            raise trouble

        said = await self.answered(ground, is_in)
        assert said.exit_code is code
        assert f"which of the approvers' teams ada is in could not be found out: {trouble}" in said.said
        assert server.asked == []

    async def test_claimed(self, ground: Ground, server: Server) -> None:
        """A name as claimed is in no team, and is told how to prove itself."""
        said = await self.answered(ground, None, is_proved=False)
        assert said.exit_code is ExitCode.FAILED
        assert "comment /towpath approve RUN" in said.said
