"""Labels by path, in the words of actions/labeler."""

from typing import Any

import pytest
import yaml

from tasks.core.pull_requests.path_labels import LabelsRefused, labels_by_labeler, labels_by_table
from tests.core.pull_changes import change_of

ANY = "changed-files: [any-glob-to-any-file: '{}']"


@pytest.mark.parametrize(
    ("rules", "paths", "fits"),
    [
        (f"- {ANY.format('docs/**')}", ["docs/a/b.md"], True),
        (f"- {ANY.format('docs/*')}", ["docs/a/b.md"], False),
        (f"- {ANY.format('**/*.md')}", ["README.md"], True),
        (f"- {ANY.format('**')}", [".github/x.yml"], True),
        (f"- {ANY.format('src/ä ö/**')}", ["src/ä ö/ß.py"], True),
        (f"- {ANY.format('*.{js,ts}')}", ["a.ts"], True),
        ("- changed-files: ['docs/**', 'README.md']", ["README.md"], True),
        ("- changed-files: [any-glob-to-all-files: ['docs/**', 'src/**']]", ["docs/a", "src/b"], False),
        ("- changed-files: [any-glob-to-all-files: 'docs/**']", ["docs/a", "docs/b"], True),
        ("- changed-files: [all-globs-to-any-file: ['src/**', '!src/gen/**']]", ["src/a", "src/gen/b"], True),
        ("- changed-files: [all-globs-to-any-file: ['src/**', '!src/gen/**']]", ["docs/a", "src/gen/b"], False),
        ("- changed-files: [all-globs-to-all-files: '!src/gen/**']", ["src/a", "src/gen/b"], False),
        ("- all: [{changed-files: ['src/**', 'docs/**']}]", ["src/a"], False),
        ("- all: [{changed-files: ['src/**', 'docs/**']}]", ["src/a", "docs/b"], True),
        ("- any: [{changed-files: ['src/**']}]\n- all: [{base-branch: '^main$'}]", ["src/a"], True),
        ("- any: [{changed-files: ['src/**']}]\n- all: [{base-branch: '^dev$'}]", ["src/a"], False),
        ("- base-branch: main", ["x"], True),
        ("- head-branch: ['^feature', '^top']", ["x"], True),
        ("- head-branch: '^feature'\n- changed-files: ['src/**']", ["src/a"], True),
        (f"- {ANY.format('**')}", [], False),
        ("- changed-files: [all-globs-to-all-files: '**']", [], False),
    ],
)
def test_rules(rules: str, paths: list[str], fits: bool) -> None:
    """Blocks are joined by and, loose rules by or, and inside changed-files the block's own word counts."""
    found = labels_by_labeler(change_of(*paths), {"label": yaml.safe_load(rules)})

    assert found.wanted == (("label",) if fits else ())
    assert found.pool == ("label",)


@pytest.mark.parametrize(
    "content",
    [
        ["x"],
        {"docs": "docs/**"},
        {"docs": ["docs/**"]},
        {"docs": [{"changed-file": ["x"]}]},
        {"docs": [{"changed-files": [{"any-glob": "x"}]}]},
        {"docs": [{"any": "x"}]},
        {"docs": [{"base-branch": "("}]},
        {"docs": [{"changed-files": [{"any-glob-to-any-file": 3}]}]},
        {1: [{"changed-files": ["x"]}]},
    ],
)
def test_what_cannot_be_understood_is_refused(content: Any) -> None:
    """A rule that is not known is refused in one line, not passed over."""
    with pytest.raises(LabelsRefused, match=r"^\.github/labeler\.yml[^\n]*$"):
        labels_by_labeler(change_of("x"), content)


def test_the_table_of_towpath() -> None:
    """Without labeler.yml a label fits where any of its patterns fits any path."""
    found = labels_by_table(change_of("docs/a.md"), {"docs": ("docs/**",), "code": ("src/**", "*.py")})

    assert (found.wanted, found.pool) == (("docs",), ("docs", "code"))
