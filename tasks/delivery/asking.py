"""Asking people: a paused flow run with a typed form in the UI, the same question on disk for the command line.

Every answer is judged by the same rules, whichever way it came; one that does not count is kept with its reason and
the question stays open. Names are what people claim, but for those that the webhook door has proved.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from http import HTTPStatus
from typing import Annotated, Any, assert_never, cast
from uuid import UUID

from prefect import get_client, pause_flow_run
from prefect.input import RunInput
from prefect.settings import get_current_settings
from prefect.states import Running
from pydantic import AfterValidator, Field, WithJsonSchema, create_model

from tasks.adapters.approvals import Pending, take_proof, withdraw, write_pending
from tasks.adapters.daemons import call
from tasks.adapters.grounds import Ground
from tasks.adapters.outbox import post
from tasks.core.approval import (
    Answer,
    ApprovalRequest,
    Decision,
    Denied,
    Granted,
    Refused,
    Ruling,
    Waiting,
    rule,
)
from tasks.core.notices import Event, Notice, NotificationSettings
from tasks.watching import ApprovalAsked, ApprovalHeard, tell

_POLL_SECONDS = 1.0
_SLACK_SECONDS = 60.0
_RUN_AGAIN_SECONDS = 10.0
_HEALTH_SECONDS = 2.0
_ANSWER_SECONDS = 4.0
_GONE_SECONDS = 16.0


class ApprovalForm(RunInput):
    """What a person fills in. No field has a default: a run that is resumed without an answer is not approved."""

    decision: str = Field(description="yes, in the word of the question, or reject")
    by: str = Field(min_length=1, description="your name; it is recorded as claimed, not proved")
    reason: str = Field(description="why, in your words")
    digest: str = Field(description="the release this is about; an approval counts for no other")


def form_for(request: ApprovalRequest) -> type[ApprovalForm]:
    """The form of one question: the only digest it takes is that of the release in question."""
    only = Field(description=f"the release this is about, {request.version}; an approval counts for no other")
    word = Field(description=f"{request.yes} or {Decision.REJECT}")
    made = create_model(
        "ApprovalForm",
        __base__=ApprovalForm,
        decision=(_one_of(request.yes, Decision.REJECT.value), word),
        digest=(_one_of(request.digest), only),
    )
    return cast("type[ApprovalForm]", made.with_initial_data(description=question_page(request)))


def _one_of(*words: str) -> Any:
    """Text that must be one of these; a choice in the form, since a constant cannot be filled in there."""

    def check(text: str) -> str:
        if text not in words:
            raise ValueError(f"this question takes {' or '.join(words)}")
        return text

    return Annotated[str, AfterValidator(check), WithJsonSchema({"type": "string", "enum": list(words)})]


def question_page(request: ApprovalRequest) -> str:
    """The question with its evidence, as Markdown."""
    lines = [
        f"## {request.question}",
        *(f"- {line}" for line in request.evidence),
        "",
        f"release `{request.digest}`",
        "",
        f"{request.needed} approval(s) needed"
        + (f", by {', '.join(request.approvers)}" if request.approvers else "")
        + f"; expires {time.strftime('%Y-%m-%d %H:%M:%S %Z', time.localtime(request.expires_at))}.",
        "",
        f"At the command line: `towpath approve {request.run} --by NAME` or `towpath reject {request.run} --by NAME`.",
    ]
    return "\n".join(lines)


@asynccontextmanager
async def question(ground: Ground, request: ApprovalRequest, wanted: NotificationSettings) -> AsyncIterator["Hearing"]:
    """The question is open, and answers are heard, until the context ends; then the flow run goes on."""
    write_pending(ground, Pending(request=request))
    tell(ApprovalAsked(request))
    telling = asyncio.create_task(post(ground.state, _notice(ground, request), wanted))
    hearing = Hearing(ground, request)
    listening = asyncio.create_task(hearing.listen())
    try:
        yield hearing
    finally:
        telling.cancel()
        withdraw(ground, request.run, outcome=hearing.outcome())
        listening.cancel()
        with suppress(asyncio.CancelledError):
            await listening
        if hearing.is_paused:
            await _run_again(request.run)


def _notice(ground: Ground, request: ApprovalRequest) -> Notice:
    return Notice(
        event=Event.APPROVAL_WANTED,
        target=ground.target,
        environment=ground.environment,
        version=request.version,
        text=f"{request.question} towpath approve {request.run} --by NAME",
        about=request.run,
        run=request.run,
    )


class Hearing:
    """What people say to one question. `verdict` is set by the answer that decides it, or by what made asking end."""

    def __init__(self, ground: Ground, request: ApprovalRequest) -> None:
        self.request = request
        self.answers: list[Answer] = []
        self.refused: list[str] = []
        self.is_paused = False
        self.verdict: asyncio.Future[Granted | Denied] = asyncio.get_running_loop().create_future()
        self._ground = ground

    def outcome(self) -> str:
        """What became of the question, for whoever answers it when it is closed."""
        if self.verdict.done() and not self.verdict.cancelled() and self.verdict.exception() is None:
            return _told(self.verdict.result())
        if time.time() >= self.request.expires_at:
            return "it expired, and nobody had approved it"
        return "it was withdrawn: the release was taken back"

    async def listen(self) -> None:
        """Hear answers until one decides, or until nobody could be heard any more."""
        parts = [asyncio.create_task(self._hear_all()), asyncio.create_task(_until_server_is_gone())]
        try:
            done, _ = await asyncio.wait(parts, return_when=asyncio.FIRST_COMPLETED)
            for part in done:
                part.result()
        except Exception as failure:  # noqa: BLE001  (whatever keeps people from answering must end the question)
            if not self.verdict.done():
                self.verdict.set_exception(AskingFailed(f"nobody could be asked: {_words_of(failure)}"))

        finally:
            for part in parts:
                part.cancel()
            await asyncio.gather(*parts, return_exceptions=True)

    async def _hear_all(self) -> None:
        while not self.verdict.done():
            self._hear(await self._next_answer())

    async def _next_answer(self) -> Answer:
        self.is_paused = True
        left = max(1.0, self.request.expires_at - time.time()) + _SLACK_SECONDS
        form = form_for(self.request)
        said = await cast("Any", pause_flow_run)(wait_for_input=form, timeout=int(left), poll_interval=_POLL_SECONDS)
        self.is_paused = False
        decision = Decision.APPROVE if said.decision == self.request.yes else Decision.REJECT
        answer = Answer(decision=decision, by=said.by, reason=said.reason, digest=said.digest, at=time.time())
        return take_proof(self._ground, self.request.run, answer)

    def _hear(self, answer: Answer) -> None:
        ruling = rule(self.request, self.answers, answer)
        tell(ApprovalHeard(answer, ruling))
        self._keep(answer, ruling)
        match ruling:
            case Granted() | Denied():
                withdraw(self._ground, self.request.run, outcome=_told(ruling))
                self.verdict.set_result(ruling)
            case Waiting() | Refused():
                pending = Pending(request=self.request, answers=tuple(self.answers), refused=tuple(self.refused))
                write_pending(self._ground, pending)
            case _:
                assert_never(ruling)

    def _keep(self, answer: Answer, ruling: Ruling) -> None:
        if isinstance(ruling, Refused):
            self.refused.append(f"{answer.by}: {ruling.reason}")
        else:
            self.answers.append(answer)


def _told(ruling: Granted | Denied) -> str:
    if isinstance(ruling, Granted):
        return f"it was approved by {', '.join(ruling.by)}"
    return f"it was rejected by {ruling.by}: {ruling.reason}"


def _words_of(failure: Exception) -> str:
    """What went wrong; some of Prefect's own exceptions say nothing, or `None`."""
    said = str(failure)
    return said if said not in ("", "None") else f"the Prefect server did not go along ({type(failure).__name__})"


class AskingFailed(Exception):
    """The question could not be put, or not be kept open."""


async def _until_server_is_gone() -> None:
    """Raises AskingFailed when the server has not answered for a while; Prefect's client tries on for minutes."""
    health, last = f"{get_current_settings().api.url}/health", time.monotonic()
    while True:
        if await call("GET", health, seconds=_ANSWER_SECONDS) == HTTPStatus.OK:
            last = time.monotonic()
        elif (silent := time.monotonic() - last) >= _GONE_SECONDS:
            raise AskingFailed(f"the Prefect server has not answered for {silent:.0f} s, so nobody can approve")
        # NOTE: a server that dies tells nobody.
        await asyncio.sleep(_HEALTH_SECONDS)


async def _run_again(run: str) -> None:
    """The flow run goes on although nobody answered; a server that is gone cannot be told and need not be."""
    with suppress(Exception):
        async with asyncio.timeout(_RUN_AGAIN_SECONDS), get_client() as client:
            await client.set_flow_run_state(UUID(run), Running(), force=True)
