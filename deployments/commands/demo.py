"""`towpath demo`: the whole road on the sample shop."""

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--plain", action="store_true", help="one line per event instead of the live view")
    parser.epilog = (
        "It asks on the terminal before a release gets all of the traffic; with YES=1 in the environment, or without a "
        "terminal, it says yes by itself."
    )


def run(chosen: argparse.Namespace) -> int:
    from deployments import demo

    return demo.show(is_plain=chosen.plain)
