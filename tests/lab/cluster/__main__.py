"""`python -m tests.lab.cluster up | prepare | down [--purge] | status`."""

import sys
import time

from tests.lab.cluster.facts import of_lab
from tests.lab.cluster.lifecycle import down, is_up, prepare, up
from tests.lab.cluster.places import places
from tests.lab.engine import LabMissingError, say


def main(arguments: list[str]) -> int:
    match arguments:
        case ["up"]:
            began = time.monotonic()
            cluster = of_lab(up())
            for name, value in cluster.environment.items():
                sys.stdout.write(f"export {name}={value if name != 'PATH' else f'{cluster.kubectl.parent}:$PATH'}\n")
            say(f"registry {cluster.registry}, gateway {cluster.gateway.address if cluster.gateway else 'none'}")
            say(f"cluster up in {time.monotonic() - began:.1f} s")
        case ["prepare"]:
            prepare()
        case ["down"]:
            down()
        case ["down", "--purge"]:
            down(purge=True)
        case ["status"]:
            running = is_up(places())
            sys.stdout.write("running\n" if running else "stopped\n")
            return 0 if running else 1
        case _:
            sys.stderr.write("usage: python -m tests.lab.cluster up | prepare | down [--purge] | status\n")
            return 2
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except LabMissingError as error:
        sys.exit(str(error))
