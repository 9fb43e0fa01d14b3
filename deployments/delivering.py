"""What the delivery commands share: the server, Prefect, the flow under a display, the question on a terminal."""

import argparse
import asyncio
import os
import select
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deployments.answering import answer
from deployments.leaving import QuickExit, without_collections
from deployments.saying import complain, say
from deployments.server import ServerUnavailable, ensure_server
from deployments.target_runs import prefect_environment
from tasks.adapters.state import state_home, write_atomically
from tasks.core.approval import ApprovalRequest, Decision
from tasks.core.outcome import ExitCode
from tasks.delivery.request import named

if TYPE_CHECKING:
    from deployments.flow_in_terminal import Ended
    from tasks.watching import Event


class Prompter:
    """Asks on the terminal what the flow asks for; an answer given elsewhere makes the question go away."""

    def __init__(self, state: Path, watch: Callable[["Event"], None], *, is_asking: bool, by: str) -> None:
        self._state = state
        self._watch = watch
        self._is_asking = is_asking
        self._by = by
        self._request: ApprovalRequest | None = None

    def hear(self, event: "Event") -> None:
        from tasks.core.approval import Denied, Granted
        from tasks.watching import ApprovalAsked, ApprovalHeard, DeliveryEnded

        if isinstance(event, ApprovalAsked):
            self._request = event.request
        if isinstance(event, DeliveryEnded) or (
            isinstance(event, ApprovalHeard) and isinstance(event.ruling, Granted | Denied)
        ):
            self._request = None
        self._watch(event)

    def idle(self) -> None:
        """Look whether a line was typed; called by the main thread a few times a second."""
        if not self._is_asking or self._request is None or not select.select([sys.stdin], [], [], 0)[0]:
            return
        word, _, reason = sys.stdin.readline().strip().partition(" ")
        if word.lower() not in ("y", "yes", "n", "no"):
            say("type y or n, and a reason if you like")
            return
        decision = Decision.APPROVE if word.lower().startswith("y") else Decision.REJECT
        request, self._request = self._request, None
        done = asyncio.run(
            answer(self._state, request.run, decision, by=self._by, reason=reason, digest=request.digest)
        )
        if done.exit_code is not ExitCode.PASSED:
            complain(done.said)
            self._request = request


def request_words(chosen: argparse.Namespace) -> dict[str, Any]:
    """What every flow that starts from a target is told beside the target, from the words of its command."""
    return {
        "who": chosen.by,
        "why": chosen.reason,
        "override": chosen.override,
        "wait_seconds": chosen.wait,
        "overrides": chosen.set,
        "return_state": True,
    }


def run_delivery(name: str, chosen: argparse.Namespace, flow_of: Callable[[], Callable[[], Any]]) -> int:
    """Run a flow in this process. `flow_of` imports Prefect and gives what starts the run."""
    if chosen.json is not None and not chosen.json.absolute().parent.is_dir():
        complain(f"towpath {name}: {chosen.json.parent} is no folder: make it first")
        return ExitCode.USAGE
    if chosen.json is not None:
        # NOTE: a run that is refused writes no record, and an older one must not be taken for its.
        chosen.json.unlink(missing_ok=True)
    state = state_home()
    try:
        address = asyncio.run(ensure_server(state, on_progress=say))
    except ServerUnavailable as unavailable:
        complain(f"towpath {name}: {unavailable}")
        return ExitCode.ERROR
    os.environ.update(prefect_environment(state, address.api_url))
    leave = QuickExit()
    ended = _run(name, chosen, flow_of, state)
    if chosen.json is not None and ended.record is not None:
        write_atomically(chosen.json.absolute(), ended.record.model_dump_json(indent=2) + "\n")
    leave.code = ended.exit_code
    if ended.is_server_gone:
        leave.leave_now()
    return ended.exit_code


def _run(name: str, chosen: argparse.Namespace, flow_of: Callable[[], Callable[[], Any]], state: Path) -> "Ended":
    with without_collections():
        from deployments.flow_in_terminal import run_flow
        from deployments.live_delivery import make_delivery_display

        start = flow_of()
    with make_delivery_display(is_plain=chosen.plain) as display:
        is_asking = sys.stdin.isatty() and sys.stdout.isatty()
        prompter = Prompter(state, display.hear, is_asking=is_asking, by=named(getattr(chosen, "by", "")))
        return run_flow(name, start, state, prompter, idle=prompter.idle)
