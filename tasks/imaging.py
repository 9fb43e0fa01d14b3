"""Building an image and trying it: built by buildx, started, its health probed, removed."""

import time
from contextlib import suppress

from prefect import task
from prefect.client.schemas.objects import State

from tasks.adapters.container_engine import EngineError
from tasks.adapters.images import (
    Engine,
    EngineMissing,
    ImageBuild,
    ImageTrial,
    build_image,
    find_engine,
    inside,
    remove_image,
    sweep,
    try_image,
)
from tasks.adapters.live_runs import live_and_dead
from tasks.adapters.process import Completion, Ending
from tasks.adapters.state import state_home
from tasks.core.image_conclusion import conclude_build
from tasks.core.outcome import Outcome, Verdict
from tasks.core.plan import PlannedCheck
from tasks.core.results import CheckResult, result_of
from tasks.core.settings import ImageSettings
from tasks.core.tiers import TRUSTED
from tasks.remembering import REMEMBERED, concluded, remembered_failure
from tasks.workplace import Workplace


class ImageOrder:
    """An image check that is ready to run; a plain object like Workplace. `may_lack_engine`: skip without one."""

    def __init__(
        self,
        *,
        check: PlannedCheck,
        place: Workplace,
        engine: Engine | EngineMissing,
        may_lack_engine: bool,
        key: str,
    ) -> None:
        self.check = check
        self.place = place
        self.engine = engine
        self.may_lack_engine = may_lack_engine
        self.key = key


async def order_image(check: PlannedCheck, place: Workplace, *, may_lack_engine: bool, use_cache: bool) -> ImageOrder:
    """Look for an engine and name what the result depends on; without an engine nothing may be remembered."""
    engine = await find_engine(place.log_of(f"engine-{check.id}"))
    if isinstance(engine, Engine):
        await sweep_once(place)
    settings = check.image_settings or ImageSettings()
    key = place.image_key(check, settings) if use_cache and isinstance(engine, Engine) else ""
    return ImageOrder(check=check, place=place, engine=engine, may_lack_engine=may_lack_engine, key=key)


async def sweep_once(place: Workplace) -> None:
    """Remove what runs that were killed have left in the engine, once per run."""
    if not place.has_swept_engine:
        place.has_swept_engine = True
        live, _ = live_and_dead(state_home())
        with suppress(EngineError):
            await sweep(live)


@task(name="image", task_run_name="{order.check.id}", **REMEMBERED)
async def run_image_check(order: ImageOrder) -> CheckResult | State[CheckResult]:
    """The result of building and trying an image; as a state that Prefect shows red when it blocks."""
    result = await remembered_failure(order.key) or await _examine_image(order)
    return await concluded(result, order.key)


async def _examine_image(order: ImageOrder) -> CheckResult:
    """Build and try the image; an engine that fails on the way says nothing about it, and is an error."""
    if isinstance(order.engine, EngineMissing):
        return _without_engine(order, order.engine)
    started = time.monotonic()
    reference = f"towpath-check/{order.check.id.rpartition('/')[2]}:{order.place.run_id[:12]}"
    try:
        outcome = await _built_and_tried(order, reference)
    except EngineError as failed:
        outcome = Outcome(Verdict.ERROR, f"the container engine failed: {failed}", remedy="towpath doctor")
    result = result_of(order.check.id, outcome, tool="docker")
    version = f"{order.engine.version}, buildx {order.engine.buildx_version}"
    seconds = round(time.monotonic() - started, 3)
    log = str(order.place.log_of(order.check.id))
    return result.model_copy(update={"version": version, "seconds": seconds, "log": log})


async def _built_and_tried(order: ImageOrder, reference: str) -> Outcome:
    build = _build(order, reference)
    try:
        completion = await build_image(build)
        dockerfile = build.dockerfile.read_text("utf-8", "replace")
        said = completion.head + completion.tail
        outcome = conclude_build(_ending(completion), said, order.check, dockerfile=dockerfile)
        return await _tried(order, reference) if outcome.verdict is Verdict.PASSED else outcome
    finally:
        with suppress(EngineError):
            await remove_image(reference)


def _without_engine(order: ImageOrder, engine: EngineMissing) -> CheckResult:
    verdict = Verdict.SKIPPED if order.may_lack_engine else Verdict.ERROR
    outcome = Outcome(verdict, f"no container engine found ({engine.reason})", remedy=engine.remedy)
    return result_of(order.check.id, outcome, tool="docker")


def _ending(completion: Completion) -> int | str:
    """The exit code, or in words why there is none."""
    if completion.ending is Ending.EXITED and completion.exit_code is not None:
        return completion.exit_code
    return completion.detail


def _build(order: ImageOrder, reference: str) -> ImageBuild:
    check, settings = order.check, order.check.image_settings or ImageSettings()
    assert check.image is not None
    tree = order.place.snapshot.tree
    return ImageBuild(
        dockerfile=inside(tree, check.image.dockerfile),
        context=inside(tree, check.image.context),
        tag=reference,
        build_arguments=settings.build_arguments,
        secrets=settings.secrets if order.place.tier == TRUSTED else (),
        network=settings.network,
        timeout_seconds=check.timeout_seconds,
        log=order.place.log_of(check.id),
        run_id=order.place.run_id,
    )


async def _tried(order: ImageOrder, reference: str) -> Outcome:
    settings = order.check.image_settings or ImageSettings()
    trial = await try_image(
        ImageTrial(
            reference=reference,
            environment=settings.environment,
            port=settings.port,
            health_path=settings.health_path,
            start_seconds=settings.start_seconds,
            run_id=order.place.run_id,
        )
    )
    verdict = Verdict.PASSED if trial.is_healthy else Verdict.FAILED
    return Outcome(verdict, trial.reason, remedy="" if trial.is_healthy else order.check.reproduce)
