"""Findings on their way to GitHub's Security tab, asked for by whoever asks GitHub for everything else.

What becomes of it is words in the report: an upload that fails changes no verdict.
"""

import os
from collections.abc import Mapping

from prefect import task
from prefect.cache_policies import NO_CACHE

from tasks.adapters.code_scanning import SecurityTab, UploadLater, UploadRefused, upload_sarif
from tasks.adapters.forges import forge_address
from tasks.adapters.github_access import access_of
from tasks.core.forge.words import ForgeRefused
from tasks.core.origin import Origin
from tasks.retrying import RETRIED, TemporaryError
from tasks.workplace import Workplace


async def upload_to_tab(parts: tuple[str, ...], place: Workplace, origin: Origin | None) -> str:
    """What became of it."""
    tab = security_tab(place, origin, os.environ)
    if isinstance(tab, str):
        return f"NOT UPLOADED: {tab}"
    try:
        for part in parts:
            await upload_part(tab, part)
    except (UploadRefused, TemporaryError) as failed:
        return f"NOT UPLOADED: {failed}"
    return f"{len(parts)} SARIF files processed, for {tab.ref} at {tab.commit[:12]}"


def security_tab(place: Workplace, origin: Origin | None, base: Mapping[str, str]) -> SecurityTab | str:
    """Where the findings go, or why they cannot go anywhere.

    A run that comes from GitHub goes back where it came from, whatever its configuration names.
    """
    try:
        access, snapshot = access_of(forge_address(base), base), place.snapshot
    except ForgeRefused as refused:
        return str(refused)
    named = place.settings.security.github.repository or base.get("GITHUB_REPOSITORY", "")
    repository = origin.repository if origin else named
    if origin and origin.pull_request:
        ref = f"refs/pull/{origin.pull_request}/head"
    else:
        ref = f"refs/heads/{snapshot.branch}" if snapshot.branch else ""
    if access is None:
        return "GITHUB_TOKEN is not set, nor TOWPATH_GITHUB_APP_ID with TOWPATH_GITHUB_APP_KEY"
    if not repository:
        return "set security.github.repository to owner/name"
    if snapshot.is_dirty:
        return "the work tree has changes that no commit has"
    if not ref:
        return "the revision is on no branch"
    return SecurityTab(access=access, repository=repository, commit=snapshot.revision, ref=ref)


@task(name="upload SARIF", cache_policy=NO_CACHE, **RETRIED)
async def upload_part(tab: SecurityTab, part: str) -> str:
    """Raises TemporaryError, which is tried again, and UploadRefused, which is not."""
    try:
        return await upload_sarif(tab, part, tool="Towpath")
    except UploadLater as later:
        raise TemporaryError(str(later)) from later
