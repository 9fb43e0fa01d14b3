"""Our hook in a team's .pre-commit-config.yaml: added once, nothing else moved."""

import pytest
import yaml

from tasks.core.hooks import HookUnmergeable, with_hook

OTHERS = """# ours
default_stages: [pre-commit]
repos:
  # first
  - repo: https://example.invalid/a
    rev: v1
    hooks:
      - id: a  # keep me

ci:
  skip: [a]
"""


@pytest.mark.parametrize(
    "before",
    [
        "",
        "repos: []\n",
        "repos:\n",
        OTHERS,
        "repos:\n- repo: local\n  hooks:\n  - id: a\n    name: a\n    entry: a\n    language: system\n",
        "fail_fast: true\nrepos:\n  - repo: meta\n    hooks: [{id: identity}]",
    ],
)
def test_added_once(before: str) -> None:
    """The hook is added at the end of the list, everything else stays, and a second time changes nothing."""
    after = with_hook(before)
    old, new = yaml.safe_load(before) or {}, yaml.safe_load(after)

    assert new["repos"][-1]["hooks"][0]["id"] == "towpath"
    assert (old.get("repos") or []) == new["repos"][:-1]
    assert {key: value for key, value in old.items() if key != "repos"} == {
        key: value for key, value in new.items() if key != "repos"
    }
    assert after == with_hook(after)


def test_comments_survive() -> None:
    """A team's comments and blank lines stay where they were."""
    after = with_hook(OTHERS)

    assert all(line in after.splitlines() for line in OTHERS.splitlines())
    assert after.index("# keep me") < after.index("id: towpath") < after.index("ci:")


@pytest.mark.parametrize("text", ["repos: [{repo: local, hooks: []}]\n", "repositories:\n  - a\n"])
def test_other_forms_are_refused(text: str) -> None:
    """A form that text cannot be added to safely is refused with what to do by hand."""
    with pytest.raises(HookUnmergeable, match="by hand"):
        with_hook(text)
