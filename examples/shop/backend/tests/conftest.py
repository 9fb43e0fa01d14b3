"""Every test under unit/, integration/ or smoke/ carries its folder's marker."""

from pathlib import Path

import pytest

KINDS = {"unit", "integration", "smoke"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    root = Path(__file__).parent
    for item in items:
        kind = item.path.relative_to(root).parts[0]
        if kind not in KINDS:
            raise pytest.UsageError(f"{item.path} is in none of {', '.join(sorted(KINDS))}")
        item.add_marker(kind)
