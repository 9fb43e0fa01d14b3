"""The beginning of a delivery: the target's snapshot and settings, and which change is meant."""

from contextlib import AsyncExitStack

from tasks.adapters.commits import is_version
from tasks.core.delivery import DeliverySettings
from tasks.core.records import Gate, Kind
from tasks.core.release import Release
from tasks.delivery.change import Asked, Change, refuse_unknown_environment
from tasks.delivery.permission import Permission
from tasks.delivery.releasing import ground_of
from tasks.delivery.request import DeliveryRequest
from tasks.opening import open_workplace
from tasks.retrying import BadInput
from tasks.workplace import Workplace

_SLACK_SECONDS = 900.0


async def open_delivery(held: AsyncExitStack, request: DeliveryRequest) -> Workplace:
    """The target as it is delivered. Raises BadInput when it says nothing of how."""
    place = await open_workplace(held, request)
    delivery = place.settings.delivery
    for environment in (delivery.staging, delivery.production):
        refuse_unknown_environment(delivery, environment)
    return place


def change_of(
    kind: Kind,
    place: Workplace,
    request: DeliveryRequest,
    release: Release,
    gates: tuple[Gate, ...],
    *,
    permission: Permission | None = None,
) -> Asked:
    """The change of one environment that this run asks for."""
    delivery = place.settings.delivery
    environment = delivery.staging if kind is Kind.CD else delivery.production
    return Asked(
        kind=kind,
        ground=ground_of(place, environment),
        release=release,
        delivery=delivery,
        gates=gates,
        who=request.who,
        why=request.why,
        override=request.override,
        run=place.run_id,
        folder=place.folder,
        longest_seconds=longest_seconds(kind, delivery),
        wait_seconds=request.wait_seconds,
        expected_stable=permission.stable if permission else None,
        approvals=permission.answers if permission else (),
        source=place.snapshot.source,
    )


def must_stand_beside(change: Change) -> Change:
    """A canary needs a stable release to be compared with. Raises BadInput."""
    if change.replaced is None:
        where = change.ground.environment
        raise BadInput(
            f"nothing runs in {where} that a canary could stand beside: towpath production TARGET VERSION first"
        )
    if change.replaced.digest == change.release.digest:
        raise BadInput(f"{change.release.version} is what runs in {change.ground.environment} already")
    return change


def tag_of(version: str) -> str:
    """The one ref that a version may come from: a tag, whatever branches are called. Raises BadInput."""
    if not is_version(version):
        raise BadInput(f"{version} is no version: production takes version tags only, for instance v1.4.0")
    return f"refs/tags/{version}"


def longest_seconds(kind: Kind, delivery: DeliverySettings) -> float:
    """When the guard ends the change at the latest: everything that has a deadline of its own, and some slack."""
    starts = max(component.start_seconds for component in delivery.components.values())
    steps = 2 * starts + delivery.tests.timeout_seconds + delivery.verification.settle_seconds + _SLACK_SECONDS
    if delivery.database is not None:
        steps += 7 * delivery.database.timeout_seconds + delivery.tests.timeout_seconds + starts
    if kind is Kind.CANARY:
        canary = delivery.canary
        steps += 2 * canary.longest_seconds + len(canary.steps) * canary.step_seconds
        steps += delivery.approvals.expires_seconds
    return steps
