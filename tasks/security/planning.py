"""Planning the scans over a snapshot: read its manifests, look which optional scanners are here, let core decide."""

import os
import shutil
from collections.abc import Mapping
from contextlib import suppress

from prefect import task
from prefect.cache_policies import NO_CACHE

from tasks.adapters.images import EngineMissing, find_engine
from tasks.adapters.node_registry import chosen_registry
from tasks.adapters.scanners.catalogue import SCANNERS
from tasks.core.discovery import discover
from tasks.core.projects import Texts
from tasks.core.security.scan_plan import ScanPlan
from tasks.core.security.scan_planning import WHEN_AVAILABLE, Circumstances, Found, plan_scans
from tasks.core.settings import Settings, SettingsRefused
from tasks.planning import manifests_of
from tasks.request import MayLack
from tasks.retrying import BadInput
from tasks.security.request import SecurityRequest
from tasks.workplace import Workplace

# A manifest longer than this was written by a machine, for a machine.
_YAML_BYTES = 1 << 20
_ALSO = (
    "pnpm-lock.yaml",
    "bun.lock",
    ".secrets.baseline",
    ".gitleaksignore",
    "kustomization.yaml",
    "kustomization.yml",
    "Kustomization",
)


@task(name="plan scans", cache_policy=NO_CACHE)
async def plan_security(
    place: Workplace, request: SecurityRequest, *, base: str = "", reads_history: bool = True
) -> ScanPlan:
    """What to scan. Raises BadInput where the configuration does not fit what is there."""
    contents = place.rules.over({**manifests_of(place.snapshot), **_yaml_and_locks(place)})
    files = frozenset(place.snapshot.files)
    found = Found(
        discovery=discover(Texts(files, contents), place.settings.projects),
        files=files,
        contents=contents,
    )
    head = "" if place.snapshot.revision == "uncommitted" else place.snapshot.revision
    available = available_scanners(place.settings)
    missing = {name: SCANNERS[name].remedy for name in WHEN_AVAILABLE - available}
    circumstances = Circumstances(
        available=available,
        missing=missing,
        npm_registry=chosen_registry(),
        lacks_engine=await _lacks_engine(place, request),
        base=base,
        head=head,
        reads_history=reads_history,
    )
    try:
        plan = plan_scans(found, place.settings, circumstances)
    except SettingsRefused as refused:
        raise BadInput(str(refused)) from refused
    return ScanPlan(plan.scans, (*place.snapshot.notes, *plan.notes))


async def _lacks_engine(place: Workplace, request: SecurityRequest) -> str:
    """Why images are left out; empty where there is an engine, or where they may not be left out."""
    if MayLack.DOCKER not in request.may_lack:
        return ""
    found = await find_engine(place.log_of("engine"))
    return f"no container engine found ({found.reason})" if isinstance(found, EngineMissing) else ""


def available_scanners(settings: Settings) -> frozenset[str]:
    """Which of the scanners that Towpath cannot bring are here."""
    programs = {name for name in WHEN_AVAILABLE - {"safety"} if shutil.which(SCANNERS[name].program)}
    has_safety = bool(os.environ.get("SAFETY_API_KEY") or settings.security.safety_database)
    return frozenset(programs | ({"safety"} if has_safety else set()))


def _yaml_and_locks(place: Workplace) -> Mapping[str, str]:
    texts: dict[str, str] = {}
    for path in place.snapshot.files:
        if path.endswith((".yaml", ".yml")) or path.rpartition("/")[2] in _ALSO:
            with suppress(OSError):
                real = place.snapshot.tree / path
                is_lock = not path.endswith((".yaml", ".yml")) or path.endswith("pnpm-lock.yaml")
                if is_lock or real.stat().st_size <= _YAML_BYTES:
                    texts[path] = real.read_text("utf-8", "replace")
    return texts
