"""The real scanners, installed once."""

import pytest

from tests.adapters.scanners.installed_scanners import InstalledScanners, installed_scanners


@pytest.fixture(scope="session")
def scanner_tools() -> InstalledScanners:
    return installed_scanners()
