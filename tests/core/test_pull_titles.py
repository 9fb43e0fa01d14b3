"""Titles of pull requests: which pass, and what would be right."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.core.outcome import Verdict
from tasks.core.pull_requests.settings import TitleSettings
from tasks.core.pull_requests.titles import judge_title, suggest_title

TYPES = TitleSettings().types


@pytest.mark.parametrize(
    "title",
    ["feat: add a door", "fix(api)!: größere Türen öffnen", "docs: 文書を直す", "chore: naïve 🚪", "refactor!: x"],
)
def test_conventional_titles_pass(title: str) -> None:
    """Type, scope, breaking mark and a subject in any script are taken."""
    assert judge_title(title, pattern="", types=TYPES).verdict is Verdict.PASSED


@pytest.mark.parametrize(
    ("title", "remedy"),
    [
        ("Add a door", "feat: add a door"),
        ("Fix the hinge.", "fix: fix the hinge"),
        ("Feat: Add a door", "feat: add a door"),
        ("feature(api): add", "feat(api): add"),
        ("feat:add", "feat: add"),
        ("feat : add", "feat: add"),
        (" feat: add", "feat: add"),
        ("feat: add\nmore", "feat: add more"),
        ("Update README", "docs: update README"),
        ("API: add a door", "feat: add a door"),
        ("feat: ", "feat: say what it does"),
    ],
)
def test_other_titles_fail_with_what_would_be_right(title: str, remedy: str) -> None:
    """A title that is not conventional fails, and the remedy is one that is."""
    outcome = judge_title(title, pattern="", types=TYPES)

    assert outcome.verdict is Verdict.FAILED
    assert outcome.remedy == f"change it to: {remedy}"


def test_an_empty_title_fails() -> None:
    """Blank is no title."""
    assert judge_title("  \n", pattern="", types=TYPES).verdict is Verdict.FAILED


@pytest.mark.parametrize(("title", "verdict"), [("JIRA-12 door", Verdict.PASSED), ("door", Verdict.FAILED)])
def test_the_teams_own_pattern(title: str, verdict: Verdict) -> None:
    """A configured pattern stands in the place of Conventional Commits, and is named where it does not match."""
    outcome = judge_title(title, pattern=r"^JIRA-\d+ ", types=TYPES)

    assert outcome.verdict is verdict
    assert verdict is Verdict.PASSED or r"^JIRA-\d+ " in outcome.remedy


@given(st.text(min_size=1, max_size=80).filter(lambda text: bool(text.strip())))
def test_what_is_suggested_passes(title: str) -> None:
    """Whatever the title, the suggested one is accepted."""
    assert judge_title(suggest_title(title, TYPES), pattern="", types=TYPES).verdict is Verdict.PASSED
