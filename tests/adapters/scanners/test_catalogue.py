"""The catalogue of scanners, and what it holds every one of them to."""

import re

import pytest

from tasks.adapters.scanners.catalogue import SCANNERS, scanner_named
from tasks.core.security.scanner import Origin, Scan, Scanner
from tasks.core.security.settings import ScannerSettings
from tasks.core.settings import Settings
from tasks.core.tools.contract import Meaning, Output, Unreadable
from tests.adapters.scanners.installed_scanners import LOCKS

_EVERY = [pytest.param(scanner, id=name) for name, scanner in SCANNERS.items()]
# With yarn silence is the clean answer; what it looked at is then what its lock file pins, here nothing.
_SILENT_WHEN_CLEAN = "yarn-audit"


@pytest.mark.parametrize("scanner", _EVERY)
def test_silence_is_never_clean(scanner: Scanner) -> None:
    """A scanner that printed and wrote nothing is unreadable, or has looked at nothing."""
    scan = scanner.bait.scan if scanner.bait and scanner.name != _SILENT_WHEN_CLEAN else Scan()
    try:
        reading = scanner.read(Output("", ""), scan)
    except Unreadable:
        return

    assert scanner.name == _SILENT_WHEN_CLEAN
    assert reading.looked_at == 0


@pytest.mark.parametrize("scanner", _EVERY)
def test_an_unknown_exit_code_is_failure(scanner: Scanner) -> None:
    """No exit code outside the table, a signal's among them, says that the scanner did its work."""
    assert {scanner.meaning(code) for code in range(256) if code not in scanner.exits} == {Meaning.BROKEN}
    assert not {2, 126, 127, 137, 139} & scanner.exits.keys()


@pytest.mark.parametrize("scanner", _EVERY)
def test_what_cannot_be_installed_has_a_remedy(scanner: Scanner) -> None:
    """A scanner is pinned for installation, or says how a person gets it; and each has a bait."""
    assert scanner.bait is not None
    if scanner.origin is Origin.NOWHERE:
        assert scanner.remedy
    else:
        assert re.fullmatch(r"\d+\.\d+.*", scanner.version)


@pytest.mark.parametrize("scanner", [one for one in SCANNERS.values() if one.origin is Origin.PYTHON])
def test_the_pin_is_that_of_the_lock(scanner: Scanner) -> None:
    """The version a scanner declares is the one its lock file installs."""
    assert f"\n{scanner.package}=={scanner.version} " in f"\n{(LOCKS / f'{scanner.package}.txt').read_text()}"


def test_an_own_scanner_takes_no_known_name() -> None:
    """A configured scanner is found by its name, and one that is called like a known one does not replace it."""
    own = ScannerSettings(command=("true",))
    settings = Settings(name="shop", scanners={"semgrep": own, "bandit": own})

    assert scanner_named("semgrep", settings).program == "true"
    assert scanner_named("bandit", settings) is SCANNERS["bandit"]


def test_an_unset_registry_is_the_users_own() -> None:
    """Where no registry is configured none is named, so that each program asks where it always does."""
    scan = Scan(options={"registry": ("",)})
    for name in ("npm-audit", "pnpm-audit", "yarn-audit", "bun-audit"):
        scanner = SCANNERS[name]
        words = [*scanner.arguments(scan), *scanner.variables(scan)]
        assert not [word for word in words if "registry" in word.lower()]


def test_the_first_yarn_is_refused_by_name() -> None:
    """A lock file of yarn 1, which yarn 4 cannot audit, is an error that says so."""
    with pytest.raises(Unreadable, match="yarn 1"):
        SCANNERS["yarn-audit"].read(Output("", ""), Scan(options={"manager": ("yarn 1",)}))
