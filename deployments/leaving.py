"""Coming and going quickly: imports without garbage collection, and an exit that frees no memory piece by piece."""

import atexit
import gc
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager


class QuickExit:
    """Leaves the process once every other exit handler is done, without freeing memory piece by piece.

    Handlers run last registered first, so this must be made before Prefect is imported: what Prefect still has to send
    at exit is then sent. Freeing a process full of Prefect's modules costs 0.3 s and gives nobody anything.
    """

    def __init__(self) -> None:
        self.code: int | None = None
        atexit.register(self._leave)

    def leave_now(self) -> None:
        """For when the server is gone: Prefect would try for minutes to send it what nobody takes any more."""
        self._leave()

    def _leave(self) -> None:
        if self.code is not None:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(self.code)


@contextmanager
def without_collections() -> Iterator[None]:
    """For imports, which make a great many objects and no garbage; looking for some costs a tenth of their time."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
