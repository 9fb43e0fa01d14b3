"""Getting ready what a scan looks at beside the files: rendered manifests, an image's archive, the history."""

from collections.abc import Mapping
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from tasks.adapters.container_engine import EngineError
from tasks.adapters.histories import count_commits
from tasks.adapters.images import (
    Engine,
    EngineMissing,
    ImageBuild,
    build_image,
    find_engine,
    inside,
    remove_image,
    save_image,
)
from tasks.adapters.manifests import Renderer, RenderFailed, find_renderer, render_overlay
from tasks.adapters.process import Ending
from tasks.adapters.scratch import scratch_folder
from tasks.core.environments import digest
from tasks.core.outcome import Outcome, Verdict
from tasks.core.security.scan_plan import PlannedScan
from tasks.core.security.scanner import Scan
from tasks.core.settings import ImageSettings
from tasks.core.tiers import TRUSTED
from tasks.imaging import sweep_once
from tasks.security.bench import Bench


@dataclass(frozen=True, kw_only=True)
class Furnished:
    """What a scan is given. `outcome` is set where it cannot be made; `skipped` is what could not be got ready."""

    scan: Scan
    tree: Path
    history: Path | None = None
    image: Path | None = None
    skipped: tuple[str, ...] = ()
    evidence: Mapping[str, str] = field(default_factory=dict)
    outcome: Outcome | None = None


def revision_of(planned: PlannedScan, bench: Bench, *, is_dated: bool) -> str:
    """What the scan depends on beside the files: the commits, and the day where somebody outside is asked."""
    snapshot = bench.place.snapshot
    day = f"{datetime.now(UTC):%Y-%m-%d}" if is_dated else ""
    settings = planned.image_settings.model_dump_json() if planned.image_settings else ""
    history = snapshot.revision if planned.scanner in _HISTORIES else ""
    return digest([day, settings, history])


_HISTORIES = frozenset({"gitleaks-history", "trufflehog"})


async def furnish(held: AsyncExitStack, planned: PlannedScan, bench: Bench) -> Furnished:
    """Make it all; what is temporary goes when `held` is closed. Raises HistoryRefused, ProgramMissing."""
    tree = await bench.view()
    if planned.image is not None:
        return await _with_image(held, planned, bench, tree)
    if planned.overlays or planned.manifests:
        return await _with_manifests(planned, bench, tree)
    if planned.scanner in _HISTORIES:
        history = await bench.history()
        commits = str(await count_commits(history, planned.scan.first("range")))
        scan = replace(planned.scan, options={**planned.scan.options, "commits": (commits,)})
        return Furnished(scan=scan, tree=tree, history=history, evidence={"commits": commits})
    return Furnished(scan=planned.scan, tree=tree)


async def _with_manifests(planned: PlannedScan, bench: Bench, tree: Path) -> Furnished:
    place = bench.place
    # NOTE: no link out of the tree is read, since scanners quote what they are given.
    own = [path for path in planned.manifests if (tree / path).resolve().is_relative_to(tree.resolve())]
    files = {f"rendered/{path}": (tree / path).read_text("utf-8", "replace") for path in own}
    skipped: list[str] = []
    renderer: Renderer | None = None
    for overlay in planned.overlays:
        log = place.log_of(f"render-{overlay}")
        renderer = renderer or await find_renderer(state=place.state, log=log)
        try:
            text = await render_overlay(renderer, overlay, tree, state=place.state, log=log, most=bench.most)
            files[f"rendered/{overlay}/manifests.yaml"] = text
        except RenderFailed as failed:
            skipped.append(str(failed))
    return Furnished(scan=replace(planned.scan, files=files), tree=tree, skipped=tuple(skipped))


async def _with_image(held: AsyncExitStack, planned: PlannedScan, bench: Bench, tree: Path) -> Furnished:
    """The image built (from the engine's cache where CI has built it) and saved; the engine's copy is removed."""
    log = bench.place.log_of(planned.id)
    engine = await bench.once("engine", lambda: find_engine(bench.place.log_of("engine")))
    if isinstance(engine, EngineMissing):
        return Furnished(scan=planned.scan, tree=tree, outcome=_without_engine(engine))
    await sweep_once(bench.place)
    try:
        build = _build(planned, bench, log)
    except EngineError as refused:
        return Furnished(scan=planned.scan, tree=tree, outcome=Outcome(Verdict.ERROR, str(refused)))
    archive = held.enter_context(scratch_folder(bench.place.state)) / "image.tar"
    try:
        done = await build_image(build)
        if done.ending is not Ending.EXITED or done.exit_code:
            reason = f"the image could not be built, so that it could not be scanned (see {log})"
            return Furnished(scan=planned.scan, tree=tree, outcome=Outcome(Verdict.ERROR, reason, remedy="towpath ci"))
        identity = await save_image(build.tag, archive, log=log, timeout_seconds=build.timeout_seconds)
    except EngineError as failed:
        outcome = Outcome(Verdict.ERROR, f"the container engine failed: {failed}", remedy="towpath doctor")
        return Furnished(scan=planned.scan, tree=tree, outcome=outcome)
    finally:
        with suppress(EngineError):
            await remove_image(build.tag)
    named = f"{planned.scan.first('image')}@{identity}"
    scan = replace(planned.scan, options={**planned.scan.options, "image": (named,)})
    return Furnished(scan=scan, tree=tree, image=archive, evidence={"image": named, "engine": _said(engine)})


def _said(engine: Engine) -> str:
    return f"{engine.version}, buildx {engine.buildx_version}"


def _without_engine(engine: EngineMissing) -> Outcome:
    return Outcome(Verdict.ERROR, f"no container engine found ({engine.reason})", remedy=engine.remedy)


def _build(planned: PlannedScan, bench: Bench, log: Path) -> ImageBuild:
    image, settings = planned.image, planned.image_settings or ImageSettings()
    assert image is not None
    tree = bench.place.snapshot.tree
    return ImageBuild(
        dockerfile=inside(tree, image.dockerfile),
        context=inside(tree, image.context),
        tag=f"towpath-security/{image.name}:{bench.place.run_id[:12]}",
        run_id=bench.place.run_id,
        build_arguments=settings.build_arguments,
        secrets=settings.secrets if bench.place.tier == TRUSTED else (),
        network=settings.network,
        timeout_seconds=settings.build_timeout_seconds,
        log=log,
    )
