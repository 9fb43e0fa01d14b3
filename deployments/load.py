"""`python -m deployments.load URL PER_SECOND SECONDS FILE`: steady load on an environment of this machine."""

import asyncio
import signal
import sys
from pathlib import Path

from deployments.saying import complain
from tasks.adapters.load import LoadRefused, send_and_tell
from tasks.core.outcome import ExitCode


async def _main(url: str, per_second: float, seconds: float, tally_file: Path) -> int:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    try:
        await send_and_tell(url, per_second=per_second, seconds=seconds, tally_file=tally_file, stop=stop)
    except LoadRefused as refused:
        complain(str(refused))
        return ExitCode.USAGE
    return ExitCode.PASSED


if __name__ == "__main__":
    sys.exit(asyncio.run(_main(sys.argv[1], float(sys.argv[2]), float(sys.argv[3]), Path(sys.argv[4]))))
