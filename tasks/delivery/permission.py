"""The approval that production takes before anything is touched: nothing is locked while people are asked."""

import asyncio
import time
from dataclasses import dataclass
from typing import assert_never

from tasks.adapters.grounds import Ground
from tasks.adapters.platforms.choosing import preview_of, safekeeping_for
from tasks.core.approval import Answer, ApprovalRequest, Denied, Granted
from tasks.core.platform import PlatformTrouble
from tasks.core.release import Release
from tasks.core.release_differences import differences
from tasks.delivery.asking import AskingFailed, question
from tasks.delivery.releasing import ground_of
from tasks.delivery.request import DeliveryRequest
from tasks.retrying import NotAllowed, PermanentError
from tasks.workplace import Workplace


@dataclass(frozen=True)
class Permission:
    """Who said yes, and beside which stable release (its digest, empty for none) they were asked."""

    answers: tuple[Answer, ...]
    stable: str


async def ask_for_permission(place: Workplace, request: DeliveryRequest, release: Release) -> Permission | None:
    """Wait for people to approve exactly this release; None when nobody is to be asked. Raises PermanentError."""
    wanted = place.settings.delivery.approvals
    if wanted.needed == 0:
        return None
    ground = ground_of(place, place.settings.delivery.production)
    stable = await _stable(place, ground)
    try:
        changes = await preview_of(ground, place.settings.delivery, release)
    except PlatformTrouble as trouble:
        raise PermanentError(str(trouble)) from trouble
    asked = _request(place, request, release, ground, (*differences(stable, release), *changes))
    async with question(ground, asked, place.settings.delivery.notifications) as hearing:
        try:
            async with asyncio.timeout(wanted.expires_seconds):
                ruling = await asyncio.shield(hearing.verdict)
        except TimeoutError as late:
            raise NotAllowed(f"nobody approved {release.version} within {wanted.expires_seconds:g} s") from late
        except AskingFailed as failed:
            raise PermanentError(str(failed)) from failed
        match ruling:
            case Granted():
                return Permission(tuple(hearing.answers), stable.digest if stable else "")
            case Denied():
                raise NotAllowed(f"{release.version} was rejected by {ruling.by}: {ruling.reason}")
            case _:
                assert_never(ruling)


async def _stable(place: Workplace, ground: Ground) -> Release | None:
    try:
        record = await safekeeping_for(ground, place.settings.delivery).current()
    except PlatformTrouble as trouble:
        raise PermanentError(str(trouble)) from trouble
    return record.release if record else None


def _request(
    place: Workplace, request: DeliveryRequest, release: Release, ground: Ground, changes: tuple[str, ...]
) -> ApprovalRequest:
    wanted, now = place.settings.delivery.approvals, time.time()
    return ApprovalRequest(
        run=place.run_id,
        target=ground.target,
        source=place.snapshot.source,
        environment=ground.environment,
        question=f"Release {release.version} to {ground.environment}?",
        version=release.version,
        digest=release.digest,
        author=release.author,
        needed=wanted.needed,
        approvers=wanted.approvers,
        may_author_approve=wanted.may_author_approve,
        require_proof=wanted.require_proof,
        asked_at=now,
        expires_at=now + wanted.expires_seconds,
        evidence=(
            *changes,
            f"asked for by {request.who}" + (f": {request.why}" if request.why else ""),
        ),
    )
