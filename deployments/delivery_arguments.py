"""Words that several delivery commands take. Nothing heavy is imported here: help must be quick."""

import argparse
from pathlib import Path


def add_request_arguments(parser: argparse.ArgumentParser) -> None:
    """Those of every flow that starts from a target."""
    parser.add_argument("target", help="folder in a git work tree, or a git URL")
    add_person_arguments(parser)
    parser.add_argument(
        "--override", default="", metavar="REASON", help="pass over gates that are not green, on record"
    )
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a setting over towpath.toml's")


def add_person_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--by", default="", metavar="NAME", help="who asks for it; recorded as claimed (default: your login)"
    )
    parser.add_argument("--reason", default="", help="what for, for the record")
    parser.add_argument(
        "--wait",
        type=float,
        default=0.0,
        metavar="SECONDS",
        help="wait so long while somebody else changes the environment",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the record; its form is docs/record.md")
    parser.add_argument("--plain", action="store_true", help="one line per event instead of the live view")


def add_environment_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("environment", help="staging, production, ...")
    add_target_argument(parser)
    add_cluster_argument(parser)


def add_target_argument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--target", metavar="NAME", help="the target's name; not needed while there is only one")


def add_cluster_argument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--cluster",
        default="",
        metavar="CONTEXT/NAMESPACE",
        help="kubernetes: where it lies, when this home never delivered to it; remembered",
    )


def add_answer_arguments(parser: argparse.ArgumentParser) -> None:
    """Those of whoever answers a question."""
    parser.add_argument("run", help="the run's id, or its beginning; towpath status lists those that wait")
    parser.add_argument("--by", required=True, metavar="NAME", help="your name; recorded as claimed, not proved")
    parser.add_argument("--reason", default="", help="why")
