import argparse


def add_arguments(p: argparse.ArgumentParser) -> None: ...
def run(c: argparse.Namespace) -> int:
    return 0
