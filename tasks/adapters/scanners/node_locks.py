"""What a Node lock file pins, as far as an audit's answer leaves it open.

It solves that npm and bun name a package and a range of bad versions but not the version that is there, and that yarn
and bun count nothing. It promises every pinned version of a lock file of npm, pnpm, yarn (berry) and bun. It must
never drop an advisory because a range was not understood: then every pinned version counts as touched.
"""

import json
import re
from collections.abc import Mapping

from tasks.adapters.scanners.report_shapes import expected_shape

Pins = frozenset[tuple[str, str]]

_PNPM = re.compile(r"^  '?((?:@[^@\s/]+/)?[^@\s'(]+)@([^'(:\s]+)'?:\n    resolution:", re.MULTILINE)
_YARN = re.compile(r'^  resolution: "((?:@[^@"/]+/)?[^@"]+)@npm:([^":]+)', re.MULTILINE)
_BUN = re.compile(r'^\s+"[^"]+": \["((?:@[^@"/]+/)?[^@"]+)@(\d[^"]*)"', re.MULTILINE)
_BOUND = re.compile(r"(<=|>=|<|>|=)?\s*v?(\d+(?:\.\d+)*)(-[0-9A-Za-z.-]+)?")


def npm_pins(lock: str) -> Pins:
    with expected_shape("the lock file"):
        packages: Mapping[str, Mapping[str, str]] = json.loads(lock)["packages"]
        named = {
            (one.get("name") or place.rsplit("node_modules/", 1)[-1], one["version"])
            for place, one in packages.items()
            if place and "version" in one
        }
    return frozenset(named)


def pnpm_pins(lock: str) -> Pins:
    return frozenset(_PNPM.findall(lock))


def yarn_pins(lock: str) -> Pins:
    return frozenset(_YARN.findall(lock))


def bun_pins(lock: str) -> Pins:
    return frozenset(_BUN.findall(lock))


def versions_touched(pins: Pins, package: str, bad: str) -> tuple[str, ...]:
    """The pinned versions within a range of npm's; all of them where the range or a version is not plain numbers."""
    pinned = sorted(version for name, version in pins if name == package)
    return tuple(version for version in pinned if _within(version, bad)) or tuple(pinned)


def first_fix(bad: str) -> tuple[str, ...]:
    """The version a range of bad ones ends before, where it says one."""
    return tuple(found[1] for found in re.finditer(r"<\s*(\d[^\s|<>]*)", bad))


def _within(version: str, bad: str) -> bool:
    return any(_within_all(version, part) for part in bad.split("||"))


def _within_all(version: str, part: str) -> bool:
    bounds = _BOUND.findall(part)
    if "-" in version or not bounds or _BOUND.sub("", part).strip(" ,"):
        return True
    return all(_holds(_numbers(version), sign, _numbers(number)) for sign, number, _ in bounds)


def _holds(version: tuple[int, ...], sign: str, bound: tuple[int, ...]) -> bool:
    return {
        "<": version < bound,
        "<=": version <= bound,
        ">": version > bound,
        ">=": version >= bound,
    }.get(sign, version == bound)


def _numbers(text: str) -> tuple[int, ...]:
    numbers = [int(number) for number in re.findall(r"\d+", text.split("+")[0])]
    return tuple([*numbers, 0, 0, 0][: max(3, len(numbers))])
