"""What images are called."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.core.image_tags import labels_of, repository_of, tag_of, tags_of

SHA = "0123456789abcdef0123456789abcdef01234567"


@pytest.mark.parametrize(
    ("known", "tags"),
    [
        ({}, ()),
        ({"version": "v1.4.0"}, ("1.4.0", "1.4", "1")),
        ({"version": "1.4.0"}, ("1.4.0", "1.4", "1")),
        ({"version": "v1.4.0-rc.1"}, ("1.4.0-rc.1",)),
        ({"version": "v1.4.0+build.5"}, ("1.4.0_build.5", "1.4", "1")),
        ({"version": "release-7"}, ()),
        ({"branch": "main", "is_default_branch": True}, ("main", "latest")),
        ({"branch": "feature/Ünïcode & more"}, ("feature-n-code-more",)),
        ({"branch": "-.-"}, ()),
    ],
)
def test_tags(known: dict[str, object], tags: tuple[str, ...]) -> None:
    """The commit first; versions by parts, pre-releases whole, branches as they may be written, latest for one."""
    assert tags_of(revision=SHA, **known) == ("sha-0123456789ab", *tags)  # type: ignore[arg-type]


@given(st.text(max_size=300))
def test_any_branch_is_a_tag_or_none(name: str) -> None:
    """Whatever a branch is called, its tag keeps to the distribution specification's grammar."""
    tag = tag_of(name)
    assert tag == "" or re.fullmatch(r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}", tag)


def test_repositories_and_labels() -> None:
    """Names of repositories are lower case; a label without a value is left out."""
    assert repository_of("ghcr.io/Acme/", "The Shop", "backend") == "ghcr.io/acme/the-shop-backend"
    labels = labels_of(title="t", source="", revision=SHA, version="v1", created="2026-01-01T00:00:00Z")
    assert labels["org.opencontainers.image.revision"] == SHA
    assert "org.opencontainers.image.source" not in labels
