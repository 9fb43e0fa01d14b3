"""`towpath webhook`: the door that GitHub's deliveries come in by, in the foreground."""

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument(
        "--port", type=int, default=8088, help="port to listen on; 0 takes a free one (default: %(default)s)"
    )


def run(chosen: argparse.Namespace) -> int:
    from deployments.door_process import serve
    from deployments.saying import complain, say
    from tasks.adapters.group_commit import StoreBroken
    from tasks.adapters.state import state_home
    from tasks.core.door_settings import DoorRefused
    from tasks.core.outcome import ExitCode

    try:
        serve(state_home(), chosen.host, chosen.port, on_open=lambda url: say(f"door  {url}/github"))
    except DoorRefused as refused:
        complain(f"towpath webhook: {refused}")
        return ExitCode.USAGE
    except StoreBroken as broken:
        complain(f"towpath webhook: {broken}")
        return ExitCode.ERROR
    except OverflowError:
        complain(f"towpath webhook: {chosen.port} is no port: 0 to 65535 are")
        return ExitCode.USAGE
    return ExitCode.PASSED
