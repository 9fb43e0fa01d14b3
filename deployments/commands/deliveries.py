"""`towpath deliveries`: what the webhook door received, what became of it, and having it done once more."""

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "action", nargs="?", default="list", choices=["list", "show", "redeliver"], help="what to do (default: list)"
    )
    parser.add_argument("id", nargs="?", default="", help="a delivery, for show and redeliver; its beginning will do")
    parser.add_argument("--limit", type=int, default=20, help="how many to list (default: %(default)s)")


def run(chosen: argparse.Namespace) -> int:
    from deployments.delivery_listing import tell

    return tell(chosen.action, chosen.id, limit=chosen.limit)
