"""What a release is made of, built once from a snapshot and kept under the digest of all that went into it.

The digest is over the component's files, the commands that build it and the kind of machine, and is known before
anything is built: the same inputs are never built twice, other inputs never share a folder, and it does not depend on
who asks. A folder without its `artifact.json` was interrupted and is built anew, as is one whose interpreter has gone;
any other is never written to again.
"""

import json
import os
import platform
import shutil
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tasks.adapters.installer import find_uv
from tasks.adapters.locks import wait_for_lock
from tasks.adapters.process import Command, Ending, Need, run
from tasks.adapters.snapshots import Snapshot
from tasks.adapters.state import link_or_copy, write_atomically
from tasks.core.delivery import DeliverySettings
from tasks.core.delivery_settings import ComponentSettings
from tasks.core.environments import digest
from tasks.core.placeholders import filled_values, filled_words
from tasks.core.prose import last_line

MANIFEST = "artifact.json"
# Raised when the way of building changes, so that nothing built the old way is taken for the same.
_BUILD_VERSION = 1


class BuildFailed(Exception):
    """A component could not be built; the text says which command, why, and where its output is."""


@dataclass(frozen=True)
class Artifact:
    """A built release: `digest` is `sha256:` and 64 digits, `folder` holds one folder for each component."""

    digest: str
    folder: Path
    is_reused: bool
    seconds: float


def artifact_folder(state: Path, artifact: str) -> Path:
    return state / "artifacts" / artifact.removeprefix("sha256:")


def read_settings(state: Path, artifact: str) -> DeliverySettings:
    """How a built release wants to be delivered. Raises BuildFailed when it is not there any more."""
    path = artifact_folder(state, artifact) / MANIFEST
    try:
        return DeliverySettings.model_validate(json.loads(path.read_bytes())["delivery"])
    except (OSError, ValueError, KeyError) as missing:
        raise BuildFailed(
            f"{artifact[:19]} is not on this machine any more: build it again, towpath cd TARGET --ref VERSION"
        ) from missing


def artifact_digest(snapshot: Snapshot, settings: DeliverySettings) -> str:
    """Over everything that reaches the users: files, build commands, how it is run, and the kind of machine."""
    components = {
        name: [_inputs(snapshot.files, component), component.model_dump(mode="json")]
        for name, component in settings.components.items()
    }
    machine = [platform.system(), platform.machine()]
    how = settings.model_dump(mode="json", include={"database", "tests"})
    return f"sha256:{digest([_BUILD_VERSION, components, how, machine])}"


def _inputs(files: Mapping[str, str], component: ComponentSettings) -> list[tuple[str, str]]:
    prefix = "" if component.directory in (".", "") else f"{component.directory.rstrip('/')}/"
    return sorted((path, content) for path, content in files.items() if path.startswith(prefix))


async def build_artifact(
    snapshot: Snapshot,
    settings: DeliverySettings,
    *,
    state: Path,
    logs: Path,
    path: Iterable[Path],
    timeout_seconds: float,
) -> Artifact:
    """The artifact, built unless it is there. `path` holds folders whose programs builds need. Raises BuildFailed."""
    wanted = artifact_digest(snapshot, settings)
    folder = artifact_folder(state, wanted)
    started = time.monotonic()
    async with wait_for_lock(folder.with_suffix(".lock")):
        if is_reused := _is_whole(folder):
            os.utime(folder)
        else:
            shutil.rmtree(folder, ignore_errors=True)
            for name, component in settings.components.items():
                await _build(name, component, snapshot, folder, logs=logs, path=path, timeout_seconds=timeout_seconds)
            _seal(folder, settings, snapshot)
    return Artifact(wanted, folder, is_reused, time.monotonic() - started)


def _is_whole(folder: Path) -> bool:
    """Built to the end, and the interpreters that its virtual environments point to are still there."""
    if not (folder / MANIFEST).is_file():
        return False
    return all((found.parent / "bin" / "python").exists() for found in folder.glob("*/*/pyvenv.cfg"))


async def _build(
    name: str,
    component: ComponentSettings,
    snapshot: Snapshot,
    folder: Path,
    *,
    logs: Path,
    path: Iterable[Path],
    timeout_seconds: float,
) -> None:
    place, into = snapshot.tree / component.directory, folder / name
    if not place.is_dir():
        raise BuildFailed(f"{name}: the target has no folder {component.directory}: correct its directory")
    into.mkdir(parents=True, exist_ok=True)
    values = {"artifact": str(folder)}
    programs = os.pathsep.join([str(find_uv().parent), *map(str, path), os.environ.get("PATH", os.defpath)])
    for number, words in enumerate(component.build, start=1):
        command = Command(
            argv=filled_words(words, values),
            directory=place,
            log=logs / f"build-{name}-{number}.log",
            timeout_seconds=timeout_seconds,
            environment={"PATH": programs} | filled_values(component.build_environment, values),
            needs=frozenset({Need.NETWORK, Need.REGISTRY}),
        )
        await _must_succeed(name, command)
    for kept in component.keep:
        if not (place / kept).exists():
            raise BuildFailed(f"{name}: {kept} is not there after the build: correct keep or build of the component")
        link_or_copy(place / kept, into / kept)


async def _must_succeed(name: str, command: Command) -> None:
    done = await run(command)
    if done.ending is not Ending.EXITED or done.exit_code != 0:
        last = last_line(done.tail)
        why = done.detail or f"{command.argv[0]} exited with {done.exit_code}: {last[:200]}"
        raise BuildFailed(f"{name} could not be built: {why}; its output is {command.log}")


def _seal(folder: Path, settings: DeliverySettings, snapshot: Snapshot) -> None:
    manifest = {
        "components": {name: each.model_dump(mode="json") for name, each in settings.components.items()},
        "delivery": settings.model_dump(mode="json"),
        "revision": snapshot.revision,
        "built": time.time(),
    }
    write_atomically(folder / MANIFEST, json.dumps(manifest, indent=2) + "\n")


def forget_old_artifacts(state: Path, *, needed: Iterable[str], kept: int) -> None:
    """Delete what no environment may need any more: all but those named and the `kept` youngest."""
    spared = {artifact.removeprefix("sha256:") for artifact in needed}
    folders = [path for path in (state / "artifacts").glob("*") if path.is_dir() and path.name not in spared]
    for folder in sorted(folders, key=lambda path: path.stat().st_mtime, reverse=True)[kept:]:
        (folder / MANIFEST).unlink(missing_ok=True)
        shutil.rmtree(folder, ignore_errors=True)
        folder.with_suffix(".lock").unlink(missing_ok=True)
