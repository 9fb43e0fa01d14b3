"""Given to a target's own pytest by `-p towpath_suites`: writes into the JUnit report which suite a test is marked for.

It runs inside the target's interpreter, whatever its version, and so uses nothing but pytest. It changes no outcome.
"""

import pytest

SUITES = ("unit", "integration", "smoke")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        for marker in item.iter_markers():
            if marker.name in SUITES:
                item.user_properties.append(("suite", marker.name))
                break
