"""From what a target holds to what will be run over it.

Every check that could be expected appears in the plan: one that will not run is there with its reason, so that a
report never leaves a reader wondering whether mypy passed or was forgotten.
"""

from collections.abc import Iterable
from dataclasses import replace

from tasks.core.backend_checks import plan_backends
from tasks.core.frontend_checks import plan_frontends
from tasks.core.outcome import Outcome, Verdict
from tasks.core.plan import CheckKind, Inputs, Plan, PlannedCheck
from tasks.core.projects import Discovery, Image, Trouble
from tasks.core.reproduction import reproduce
from tasks.core.settings import CheckSettings, ImageSettings, Settings, SettingsRefused

_SHOWN = 3


def make_plan(discovery: Discovery, settings: Settings) -> Plan:
    """The plan of a target, each check with the configuration's word on it. Raises SettingsRefused."""
    environments, checks = plan_backends(discovery, settings)
    node_environments, node_checks = plan_frontends(discovery, settings)
    found = [*checks, *node_checks, *image_checks(discovery.images, settings), *_troubles(discovery.troubles)]
    own = _own_checks(settings, known=found)
    decided = [_with_settings(check, settings) for check in [*found, *own]]
    used = {check.environment for check in decided if check.settled is None}
    kept = tuple(place for place in [*environments, *node_environments] if place.id in used)
    managers = {place.id: place.manager for place in kept}
    said = tuple(replace(check, reproduce=reproduce(check, managers.get(check.environment or ""))) for check in decided)
    return Plan(kept, said, _notes(discovery))


def _notes(discovery: Discovery) -> tuple[str, ...]:
    """What was left out, a line per reason with the first places and how many more there are."""
    by_reason: dict[str, list[str]] = {}
    for place, why in sorted(discovery.left_out.items()):
        by_reason.setdefault(why, []).append(place)
    return tuple(f"left out {_listed(places)}: {why}" for why, places in by_reason.items())


def _listed(places: list[str]) -> str:
    more = f" and {len(places) - _SHOWN} more" if len(places) > _SHOWN else ""
    return ", ".join(places[:_SHOWN]) + more


def image_checks(images: Iterable[Image], settings: Settings) -> list[PlannedCheck]:
    """A check for each image found or declared. Raises SettingsRefused for settings of one that is not there."""
    found = {image.name: image for image in images}
    declared = {name: Image(name, chosen.dockerfile, chosen.context or ".") for name, chosen in settings.images.items()}
    unknown = [name for name, image in declared.items() if name not in found and not image.dockerfile]
    if unknown and not settings.projects.exclude:
        names = ", ".join(found) or "none"
        raise SettingsRefused(f"images.{unknown[0]}: no such image was found (found: {names}); give it a dockerfile")
    known = {**declared, **found}
    absent = [_excluded_image(known[name]) for name in unknown]
    return [*absent, *[_image(known[name], settings.images.get(name)) for name in sorted(known) if name not in unknown]]


def _excluded_image(image: Image) -> PlannedCheck:
    """Settings of an image that lies in a folder the configuration leaves out."""
    outcome = Outcome(Verdict.SKIPPED, "its Dockerfile is in no folder that projects.exclude leaves in")
    return PlannedCheck(id=f"images/{image.name}", kind=CheckKind.IMAGE, tool="docker", settled=outcome)


def _image(image: Image, settings: ImageSettings | None) -> PlannedCheck:
    chosen = settings or ImageSettings()
    context = chosen.context or image.context
    placed = Image(image.name, chosen.dockerfile or image.dockerfile, context)
    return PlannedCheck(
        id=f"images/{image.name}",
        kind=CheckKind.IMAGE,
        tool="docker",
        folder=context,
        inputs=Inputs((context, placed.dockerfile)),
        timeout_seconds=chosen.build_timeout_seconds,
        why=f"found {placed.dockerfile}",
        image=placed,
        image_settings=chosen,
    )


def _troubles(troubles: Iterable[Trouble]) -> list[PlannedCheck]:
    return [
        PlannedCheck(
            id=f"target/{trouble.path}",
            why="a manifest that should describe a project",
            settled=Outcome(
                Verdict.ERROR,
                f"{trouble.path} is {trouble.reason}",
                remedy=f"correct {trouble.path}, or add its folder to projects.exclude in towpath.toml",
            ),
        )
        for trouble in troubles
    ]


def _own_checks(settings: Settings, *, known: Iterable[PlannedCheck]) -> list[PlannedCheck]:
    ids = {check.id for check in known}
    names = ids | {check.id.rpartition("/")[2] for check in known}
    unknown = [name for name, chosen in settings.checks.items() if not chosen.command and name not in names]
    if unknown:
        raise SettingsRefused(
            f'checks."{unknown[0]}": no such check here; known: {", ".join(sorted(ids))}; an own check needs a command'
        )
    return [_own(name, chosen, settings) for name, chosen in settings.checks.items() if chosen.command]


def _own(name: str, chosen: CheckSettings, settings: Settings) -> PlannedCheck:
    return PlannedCheck(
        id=name if "/" in name else f"own/{name}",
        tool="own",
        folder=chosen.directory.strip("/") or ".",
        inputs=Inputs(patterns=chosen.inputs),
        options={"command": chosen.command},
        program=chosen.command[:1],
        timeout_seconds=chosen.timeout_seconds or settings.run.check_timeout_seconds,
        why="an own check of the configuration",
    )


def _with_settings(check: PlannedCheck, settings: Settings) -> PlannedCheck:
    chosen = settings.checks.get(check.id) or settings.checks.get(check.id.rpartition("/")[2])
    if chosen is None:
        return check
    seconds = chosen.timeout_seconds or check.timeout_seconds
    timed = replace(check, timeout_seconds=seconds, variables=chosen.environment)
    if chosen.enabled is False:
        return replace(timed, settled=Outcome(Verdict.SKIPPED, f"switched off in the configuration: {chosen.reason}"))
    is_dormant = chosen.enabled and check.settled is not None and check.settled.verdict is Verdict.SKIPPED
    return replace(timed, settled=None, why="switched on in the configuration") if is_dormant else timed
