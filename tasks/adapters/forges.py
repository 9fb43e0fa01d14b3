"""Which forge a run's origin is at, and who asks there: the one place that knows there is only GitHub so far.

The address comes from the machine (GITHUB_API_URL, for GitHub Enterprise) and never from a target's configuration: a
pull request could otherwise have the token sent to an address of its own.
"""

import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from tasks.core.forge.words import Forge, NoAccess
from tasks.core.origin import Origin

_GITHUB = "https://api.github.com"


def forge_address(base: Mapping[str, str] = os.environ) -> str:
    return base.get("GITHUB_API_URL") or _GITHUB


@asynccontextmanager
async def forge_of(origin: Origin, base: Mapping[str, str] = os.environ) -> AsyncIterator[Forge]:
    """The forge until the context ends. Raises ForgeLater, ForgeRefused, and NoAccess without a token."""
    # NOTE: not at the top: it takes a third of a second, and most runs come from no forge.
    from tasks.adapters.github import GitHubForge
    from tasks.adapters.github_access import access_of, connected

    access = access_of(forge_address(base), base)
    if access is None:
        raise NoAccess("GITHUB_TOKEN is not set, nor TOWPATH_GITHUB_APP_ID with TOWPATH_GITHUB_APP_KEY")
    async with connected(access, origin.repository, for_stranger=not origin.is_trusted) as connection:
        yield GitHubForge(connection)


async def own_login(base: Mapping[str, str] = os.environ) -> str:
    """By which person's name our token comments and labels; empty where we are a program, or nobody.

    Raises ForgeLater, ForgeRefused.
    """
    from tasks.adapters.github import GitHubForge
    from tasks.adapters.github_access import access_of, connected

    access = access_of(forge_address(base), base)
    if access is None or not access.token:
        return ""
    async with connected(access, "") as connection:
        return await GitHubForge(connection).own_login()
