"""`python -m tasks.adapters.platforms.local [STATE]`: the supervisor of the local platform."""

import asyncio
import sys
from pathlib import Path

from tasks.adapters.platforms.local.supervisor import supervise
from tasks.adapters.state import state_home


def main() -> int:
    state = Path(sys.argv[1]).absolute() if len(sys.argv) > 1 else state_home()
    if not asyncio.run(supervise(state)):
        sys.stderr.write(f"the platform in {state} runs already\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
