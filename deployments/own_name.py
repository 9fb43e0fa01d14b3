"""By which name we act on the forge, so that the door does not answer what we did ourselves.

The door must answer while the forge is away: until the name is known, nothing is taken for our own.
"""

import asyncio
import logging

from tasks.adapters.forges import own_login
from tasks.core.forge.words import ForgeLater, ForgeRefused

_log = logging.getLogger("towpath.door")
_AGAIN_SECONDS = 60.0


class OwnName:
    """`login` is empty until it is known, and for a program, whose name says what it is."""

    def __init__(self) -> None:
        self.login = ""

    async def learn(self) -> None:
        """Ask until the forge has answered."""
        while True:
            try:
                self.login = await own_login()
            except ForgeLater as later:
                _log.warning("whose token ours is, is not known yet: %s", later)
                await asyncio.sleep(_AGAIN_SECONDS)
            except ForgeRefused as refused:
                _log.warning("whose token ours is, cannot be known: %s", refused)
                return
            else:
                return
