"""What `towpath status` says: background processes, runs, questions; and of one environment all that holds it."""

import asyncio
import json
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from deployments.choosing import NotChosen, chosen_ground, meet_cluster
from deployments.door_daemon import describe_door, is_wanted
from deployments.saying import complain, say
from deployments.server import DaemonStatus, describe
from tasks.adapters.approvals import all_pending
from tasks.adapters.grounds import Ground, known_grounds
from tasks.adapters.keepers import keeper, keeper_log
from tasks.adapters.live_runs import live_and_dead
from tasks.adapters.outbox import waiting
from tasks.adapters.platforms.choosing import platform_of, safekeeping_of
from tasks.adapters.state import state_home
from tasks.core.outcome import ExitCode
from tasks.core.platform import EnvironmentStatus, Instance, PlatformTrouble, Role
from tasks.core.records import current_of

_SHOWN_RUNS = 5
_PATIENCE_SECONDS = 3.0


def say_environment(environment: str, target: str | None, cluster: str) -> int:
    """Its releases and their shares, instances, record, locks and what is under way."""
    try:
        meet_cluster(state_home(), cluster)
        lines = asyncio.run(_environment_lines(chosen_ground(state_home(), environment, target)))
    except NotChosen as reason:
        complain(f"towpath status: {reason}")
        return ExitCode.USAGE
    except PlatformTrouble as trouble:
        complain(f"towpath status: {trouble}")
        return ExitCode.ERROR
    for line in lines:
        say(line)
    return ExitCode.PASSED


def say_all() -> int:
    """Everything of this home in a screenful."""
    state = state_home()
    status = asyncio.run(describe(state))
    say(f"server      {_line(status.server)}")
    say(f"worker      {_line(status.worker)}")
    for name in ("supervisor", "guard"):
        found = keeper(state, name)
        say(f"{name:10}  {f'runs as {found.pid}' if found else f'does not run; log: {keeper_log(state, name)}'}")
    if is_wanted(state):
        say(f"door        {describe_door(state)}")
    live, dead = live_and_dead(state)
    say(f"runs        {len(live)} now" + (f", {len(dead)} died without a word" if dead else ""))
    for line in (
        *_last_runs(state / "reports"),
        *asyncio.run(_short_environments(state)),
        *_waiting(state),
        *_untold(state),
    ):
        say(line)
    say(f"state       {state}")
    return ExitCode.PASSED


def _line(daemon: DaemonStatus) -> str:
    if not daemon.is_running:
        return f"does not run; log: {daemon.log}" if daemon.log.exists() else "does not run"
    answers = "" if daemon.is_answering else ", but does not answer"
    since = f" since {daemon.since:%Y-%m-%d %H:%M}" if daemon.since else ""
    return f"{daemon.url} runs as {daemon.pid}{since}{answers}".strip()


def _last_runs(reports: Path) -> Iterator[str]:
    folders = sorted((folder for folder in reports.glob("*") if folder.is_dir()), reverse=True)
    for folder in folders[:_SHOWN_RUNS]:
        with suppress(OSError, ValueError, KeyError):
            report = json.loads((folder / "report.json").read_text())
            said = f"{report['flow']} of {report['name']}: {report['verdict']}, {report['reason']}"
            yield f"            {report['started']} {said}"


async def _short_environments(state: Path) -> list[str]:
    return [await _short_environment(ground) for ground in known_grounds(state)]


async def _short_environment(ground: Ground) -> str:
    try:
        keeping = safekeeping_of(ground, patience_seconds=_PATIENCE_SECONDS)
        record, holder, hold = await keeping.current(), await keeping.lock.occupant(), await keeping.lock.hold()
    except PlatformTrouble as trouble:
        return f"{ground.environment:10}  {ground.target}: TROUBLE: {trouble}"
    runs = f"{record.release.version}, record {record.number}" if record else "nothing yet"
    busy = f"; under way: {holder}" if holder and holder.is_alive else ""
    held = f"; held by {hold}" if hold else ""
    return f"{ground.environment:10}  {ground.target}: {runs}{busy}{held}"


def _untold(state: Path) -> Iterator[str]:
    for letter in waiting(state):
        what = "given up" if letter.is_given_up else "tried again"
        yield f"NOT TOLD    {letter.message}: {letter.trouble or 'not tried yet'}; {letter.tries} tries, {what}"


def _waiting(state: Path) -> Iterator[str]:
    for found in all_pending(state):
        request = found.pending.request
        left = max(0.0, request.expires_at - time.time())
        counted = f"{len(found.pending.answers)} of {request.needed} approvals"
        yield f"waits       run {request.run}: {request.question} {counted}, {left / 3600:.1f} h left"


async def _environment_lines(ground: Ground) -> list[str]:
    status = await platform_of(ground).status(ground.environment)
    keeping = safekeeping_of(ground)
    records, intent = await keeping.ledger.records(), await keeping.promise.read()
    current = current_of(records)
    lines = [f"{ground.target}/{ground.environment}  {status.url}", *_releases(status)]
    lines += [f"  {_instance(each)}" for each in status.instances]
    if status.note:
        lines.append(f"note        {status.note}")
    if current:
        lines.append(f"record      {current.number} of {len(records)}, {current.ended}, by {current.who}")
    if (holder := await keeping.lock.occupant()) is not None:
        lines.append(
            f"lock        {holder}" + ("" if holder.is_alive else ", which is dead: the next change takes it over")
        )
    if (hold := await keeping.lock.hold()) is not None:
        lines.append(f"held        by {hold}")
    if intent is not None:
        lines.append(
            f"under way   {intent.kind} of {intent.release.version}, run {intent.run}, asked for by {intent.who}"
        )
    return lines


def _releases(status: EnvironmentStatus) -> list[str]:
    stable = f"{status.stable.version}  {status.stable.digest}" if status.stable else "nothing"
    lines = [f"stable      {100 - status.candidate_percent:g} %  {stable}"]
    if status.candidate:
        share = f"{status.candidate_percent:g} %"
        lines.append(f"candidate   {share}  {status.candidate.version}  {status.candidate.digest}")
    return lines


def _instance(instance: Instance) -> str:
    ready = "ready" if instance.is_ready else f"not ready: {instance.note}"
    restarts = f", restarted {instance.restarts} times" if instance.restarts else ""
    role = "" if instance.role is Role.STABLE else f" ({instance.role})"
    return f"{instance.name:28} {instance.version}{role}  {ready}{restarts}"
