"""`towpath guard`: undo changes whose flow is gone; `towpath up` starts one in the background."""

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """It takes none: it guards every environment of this home until it is stopped."""


def run(chosen: argparse.Namespace) -> int:
    from deployments import guard

    return guard.main()
