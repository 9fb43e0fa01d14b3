"""Whether the release that runs now can live with the next one's schema, tried on this machine.

A copy of the backup is migrated by the new release, and one instance of the old release is started on it. It promises
that neither touches the live database, and that instance and copy are gone when the context ends, however it ends.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from tasks.adapters.artifacts import artifact_folder
from tasks.adapters.daemons import free_port
from tasks.adapters.grounds import Ground
from tasks.adapters.probing import ask
from tasks.adapters.process import Command, Completion, run
from tasks.adapters.scratch import scratch_folder
from tasks.adapters.withheld import SecretMissing, with_secrets
from tasks.core.database import DatabaseTrouble, Rehearsal, SchemaUnbearable
from tasks.core.delivery_settings import ComponentSettings
from tasks.core.placeholders import filled_values, filled_words
from tasks.core.prose import last_line
from tasks.core.release import Release

_LOOK_SECONDS = 0.1
_LONGEST_SECONDS = 86_400.0
_FIRST_PORT = 32_100


class Migrated(Protocol):
    """The copy, as the new release sees it."""

    async def schema_revision(self, *, log: Path) -> str: ...

    async def migrate(self, *, log: Path) -> None: ...


@dataclass(frozen=True)
class Stage:
    """Whose instance is started: the previous release's, of one component of an environment."""

    ground: Ground
    name: str
    component: ComponentSettings
    previous: Release


async def revisions(copy: Migrated, *, log: Path) -> Rehearsal:
    """Migrate the copy, and tell its revision before and after."""
    before = await copy.schema_revision(log=log.with_suffix(".before.log"))
    await copy.migrate(log=log.with_suffix(".migrate.log"))
    return Rehearsal(before, await copy.schema_revision(log=log.with_suffix(".after.log")))


@asynccontextmanager
async def rehearsed_on(
    stage: Stage, placed: Callable[[Path], Migrated], variables: Callable[[Path], Mapping[str, str]], *, log: Path
) -> AsyncIterator[Rehearsal]:
    """`placed` makes the copy in a folder; `variables` lead an instance to it."""
    with scratch_folder(stage.ground.state) as folder:
        copy = await asyncio.to_thread(placed, folder)
        done = await revisions(copy, log=log)
        if done.before == done.after:
            yield done
            return
        port = free_port(_FIRST_PORT)
        command = _instance(stage, folder, port, variables(folder), log=log.with_suffix(".instance.log"))
        async with working(command, stage, f"http://127.0.0.1:{port}") as address:
            yield Rehearsal(done.before, done.after, address)


def _instance(stage: Stage, folder: Path, port: int, over: Mapping[str, str], *, log: Path) -> Command:
    artifact = artifact_folder(stage.ground.state, stage.previous.artifact)
    places = {"port": str(port), "artifact": str(artifact), "data": str(folder)}
    named = {**stage.component.environment, **stage.previous.configuration.get(stage.name, {})}
    try:
        variables = with_secrets(filled_values(named, places), stage.ground.folder)
    except SecretMissing as missing:
        raise DatabaseTrouble(str(missing)) from missing
    own = artifact / stage.name
    return Command(
        argv=filled_words(stage.component.command, places),
        directory=own if own.is_dir() else artifact,
        log=log,
        timeout_seconds=_LONGEST_SECONDS,
        environment={**variables, **over, "PORT": str(port), "RELEASE": stage.previous.version},
    )


@asynccontextmanager
async def working(command: Command, stage: Stage, address: str) -> AsyncIterator[str]:
    """The address, while the command runs and has become ready there. Raises SchemaUnbearable."""
    running = asyncio.create_task(run(command))
    try:
        await _until_ready(running, stage, address)
        yield address
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def _until_ready(running: "asyncio.Task[Completion]", stage: Stage, address: str) -> None:
    deadline, said = time.monotonic() + stage.component.start_seconds, ""
    while time.monotonic() < deadline:
        if running.done():
            ended = running.result()
            said = ended.detail or f"exit code {ended.exit_code}: {last_line(ended.tail)[:200]}"
            break
        answered = await ask(f"{address}{stage.component.ready_path}")
        if answered.status == 200:
            return
        said = answered.trouble or f"it answers {answered.status}"
        await asyncio.sleep(_LOOK_SECONDS)
    raise SchemaUnbearable(f"{stage.previous.version} does not get ready on the migrated schema: {said}")
