"""The pins of Node's lock files, and which of them a range of bad versions touches."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.adapters.scanners.node_locks import bun_pins, first_fix, npm_pins, pnpm_pins, versions_touched, yarn_pins

_PINS = frozenset({("lodash", "4.17.15"), ("lodash", "3.10.1"), ("@vue/shared", "3.5.0")})
_NPM = """{"packages": {"": {"version": "1.0.0"}, "node_modules/lodash": {"version": "4.17.15"},
"node_modules/a/node_modules/lodash": {"version": "3.10.1"}, "node_modules/@vue/shared": {"version": "3.5.0"},
"node_modules/own": {"link": true}}}"""
_PNPM = """packages:

  '@vue/shared@3.5.0':
    resolution: {integrity: sha512-a}

  lodash@4.17.15:
    resolution: {integrity: sha512-a}

  lodash@3.10.1:
    resolution: {integrity: sha512-a}

snapshots:

  lodash@4.17.15: {}
"""
_YARN = """"own@workspace:.":
  resolution: "own@workspace:."

"@vue/shared@npm:^3.0.0":
  resolution: "@vue/shared@npm:3.5.0"

"lodash@npm:4":
  resolution: "lodash@npm:4.17.15"

"lodash@npm:3":
  resolution: "lodash@npm:3.10.1"
"""
_BUN = """{"workspaces": {"": {"name": "own"}}, "packages": {
    "@vue/shared": ["@vue/shared@3.5.0", "", {}, "sha512-a"],
    "lodash": ["lodash@4.17.15", "", {}, "sha512-a"],
    "a/lodash": ["lodash@3.10.1", "", {}, "sha512-a"],
}}"""


def test_each_format_gives_the_same_pins() -> None:
    """The four formats of one set of packages are read as that set, workspaces and links left out."""
    assert npm_pins(_NPM) == pnpm_pins(_PNPM) == yarn_pins(_YARN) == bun_pins(_BUN) == _PINS


@pytest.mark.parametrize(
    ("bad", "touched"),
    [
        ("<4.17.19", ("3.10.1", "4.17.15")),
        (">=4.0.0 <4.17.19", ("4.17.15",)),
        ("<3.10.2 || >=5.0.0", ("3.10.1",)),
        ("<=3.10.1", ("3.10.1",)),
        ("4.17.15", ("4.17.15",)),
        ("whatever this is", ("3.10.1", "4.17.15")),
        ("", ("3.10.1", "4.17.15")),
    ],
)
def test_which_pinned_versions_a_range_touches(bad: str, touched: tuple[str, ...]) -> None:
    """A plain range picks its versions; one that is not understood picks them all."""
    assert versions_touched(_PINS, "lodash", bad) == touched


@given(st.text(max_size=30))
def test_no_range_drops_an_advisory(bad: str) -> None:
    """Whatever a range says, a pinned package it is told of keeps at least one touched version."""
    assert versions_touched(_PINS, "lodash", bad)


def test_the_first_fix_is_where_a_range_ends() -> None:
    """Each open upper end of a range is a version that mends; a closed one is not."""
    assert first_fix(">=1.0.0 <1.2.6 || >=2.0.0 <2.1.0") == ("1.2.6", "2.1.0")
    assert first_fix("<=4.0.0") == ()
