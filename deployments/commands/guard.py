"""`towpath guard`: undo changes whose flow is gone; `towpath up` starts one in the background."""

import argparse

from deployments import guard


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """It takes none: it guards every environment of this home until it is stopped."""


def run(chosen: argparse.Namespace) -> int:
    return guard.main()
