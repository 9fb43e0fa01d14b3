"""Planning over a snapshot: read its manifests, let core decide. No Prefect here, so that `towpath plan` is quick."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace

from tasks.adapters.snapshots import Snapshot
from tasks.core.discovery import discover, wanted_texts
from tasks.core.plan import Plan
from tasks.core.planning import make_plan
from tasks.core.projects import Discovery, Texts
from tasks.core.settings import Settings, read_settings

# No manifest a person wrote is longer; a lock file of a large monorepo may be.
_MANIFEST_BYTES = 32 * 1024 * 1024


def plan_snapshot(snapshot: Snapshot, settings: Settings) -> Plan:
    """The plan of a snapshot. Raises SettingsRefused where the configuration does not fit what is there."""
    plan = make_plan(projects_of(snapshot, settings), settings)
    environments = [replace(place, inputs=_present(place.inputs, snapshot)) for place in plan.environments]
    return Plan(tuple(environments), plan.checks, (*snapshot.notes, *plan.notes))


def projects_of(snapshot: Snapshot, settings: Settings) -> Discovery:
    """What projects a snapshot holds."""
    return discover(Texts(frozenset(snapshot.files), manifests_of(snapshot)), settings.projects)


def _present(inputs: tuple[str, ...], snapshot: Snapshot) -> tuple[str, ...]:
    return tuple(path for path in inputs if path in snapshot.files)


def settings_of(snapshot: Snapshot, overrides: tuple[str, ...]) -> Settings:
    """The target's configuration. Raises SettingsRefused."""
    return read_settings(manifests_of(snapshot, ("towpath.toml", "pyproject.toml")), overrides)


def manifests_of(snapshot: Snapshot, names: tuple[str, ...] | None = None) -> Mapping[str, str]:
    """The text of the files that planning reads."""
    wanted = wanted_texts(snapshot.files) if names is None else [name for name in names if name in snapshot.files]
    texts: dict[str, str] = {}
    for name in wanted:
        with suppress(OSError):
            path = snapshot.tree / name
            if path.stat().st_size <= _MANIFEST_BYTES:
                texts[name] = path.read_text("utf-8", "replace")
    return texts
