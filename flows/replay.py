"""Replay: recorded canaries -> the judge and the rollout machine under other rules -> what they would have decided.

Promises: nothing is touched; the rules are judged on metrics that were really measured, beside what really happened.
"""

from contextlib import AsyncExitStack
from typing import Annotated, Any

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed
from pydantic import Field

from tasks.concluding import refused
from tasks.delivery.replaying import judge_again, publish_replay, read_rules
from tasks.naming import run_name
from tasks.opening import open_run
from tasks.retrying import PermanentError


@flow(name="replay", flow_run_name=run_name("replay canaries of {environment}"), persist_result=False)
async def replay(
    target: Annotated[str, Field(min_length=1)],
    environment: Annotated[str, Field(min_length=1)] = "production",
    rules: list[str] = [],  # noqa: B006  (Prefect copies defaults, and the form needs a list)
    newest: Annotated[int, Field(ge=1, le=10_000)] = 50,
) -> State[Any]:
    """Say what a canary policy would have decided on past canaries, and when.

    Args:
        target: the target's name, as towpath status shows it
        environment: where the canaries ran
        rules: settings under delivery.canary as key=value, for instance judge.alpha=0.01; none means each one's own
        newest: how many canaries, counted from the last
    """
    async with AsyncExitStack() as held:
        run = open_run(held)
        try:
            settings = await read_rules(tuple(rules))
            backtest = await judge_again(run, target, environment, settings, newest)
        except PermanentError as reason:
            return refused(reason)
        await publish_replay(run, target, environment, backtest, tuple(rules))
    return Completed(
        message=f"{len(backtest.replayed)} canaries, {backtest.agreeing} would have gone the same way, "
        f"{backtest.unreadable} could not be read"
    )
