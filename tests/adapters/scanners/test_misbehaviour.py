"""Scanners that break: whatever a program does instead of its work, it is an error that names it, and never a pass."""

from datetime import timedelta
from pathlib import Path

import pytest

from tasks.adapters.confinement import Most
from tasks.adapters.programs import ProgramMissing
from tasks.adapters.scanner_programs import ScannerProgram, find_scanner
from tasks.adapters.scanner_runs import ScanOrder, run_scanner
from tasks.adapters.scanners.catalogue import SCANNERS
from tasks.adapters.vulnerability_database import DatabaseUnusable, ensure_database
from tasks.core.outcome import Verdict
from tasks.core.security.scanner import Scan, Scanner
from tasks.core.security.settings import SecuritySettings, TrivySettings
from tasks.security.baiting import try_bait
from tests.lab.registry import registry
from tests.lab.trivy_database import push_database

_MOST = Most(memory_bytes=256 << 20, processes=24, cpu_seconds=20, file_bytes=8 << 20)
_WAYS = {
    "crashes": "kill -9 $$",
    "hangs": "exec /bin/sleep 60",
    "prints nothing": "exit 0",
    "prints half": """printf '{"results": [{"id'""",
    "exits unknown": "exit 99",
}


# What yarn prints when it has found nothing: only its bait tells silence from a clean answer.
_SILENT_WHEN_CLEAN = ("yarn-audit", "prints nothing")
_EACH = [pytest.param(scanner, id=name) for name, scanner in SCANNERS.items()]
_CASES = [
    pytest.param(scanner, way, id=f"{name}-{way}")
    for name, scanner in SCANNERS.items()
    for way in _WAYS
    if (name, way) != _SILENT_WHEN_CLEAN
]


@pytest.mark.parametrize(("scanner", "way"), _CASES)
async def test_a_scanner_that_breaks_is_an_error(scanner: Scanner, way: str, tmp_path: Path) -> None:
    """A scanner that crashes, hangs, says nothing or half, or exits with an unknown code is an error naming it."""
    order = _order(scanner, _stand_in(scanner, _WAYS[way], tmp_path), tmp_path)

    outcome = (await run_scanner(order)).belief.outcome

    assert outcome.verdict is Verdict.ERROR
    assert scanner.name in outcome.reason, outcome.reason


@pytest.mark.parametrize("scanner", _EACH)
async def test_a_silent_scanner_does_not_take_its_bait(scanner: Scanner, tmp_path: Path) -> None:
    """A scanner that is silent whatever it sees is an error before it is asked about the target, and is not kept."""
    order = _order(scanner, _stand_in(scanner, "exit 0", tmp_path), tmp_path)
    for _ in range(2):
        outcome = await try_bait(order, database="")
        assert outcome.verdict is Verdict.ERROR
        assert "known finding" in outcome.reason


@pytest.mark.parametrize("scanner", [SCANNERS[name] for name in ("codeql", "trufflehog")], ids=lambda each: each.name)
async def test_a_scanner_that_is_not_here_says_how_to_get_it(
    scanner: Scanner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What Towpath cannot bring is missing with a remedy."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ProgramMissing) as missing:
        await find_scanner(scanner, state=tmp_path, log=tmp_path / "log")
    assert missing.value.trouble.remedy


async def test_a_scanner_that_cannot_be_installed_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With no registry that answers, a pinned scanner is missing, and half an installation is not taken for one."""
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    monkeypatch.setenv("UV_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("UV_DEFAULT_INDEX", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("UV_HTTP_TIMEOUT", "2")
    for _ in range(2):
        with pytest.raises(ProgramMissing) as missing:
            await find_scanner(SCANNERS["gitleaks-tree"], state=tmp_path, log=tmp_path / "log")
        assert missing.value.trouble.reason


async def test_another_binary_than_the_pinned_one_is_refused(tmp_path: Path) -> None:
    """A repackaged binary whose digest is not the pinned one is never started."""
    found = await find_scanner(SCANNERS["gitleaks-tree"], state=tmp_path, log=tmp_path / "log")
    assert "repackaged" in found.origin
    Path(found.argv[0]).write_bytes(b"#!/bin/sh\nexit 0\n")
    with pytest.raises(ProgramMissing, match="not the one that was pinned"):
        await find_scanner(SCANNERS["gitleaks-tree"], state=tmp_path, log=tmp_path / "log")


@pytest.mark.parametrize(
    ("age", "words"),
    [(timedelta(hours=60), "60 h old, at most 48 h allowed"), (timedelta(hours=-5), "which is not yet")],
)
async def test_a_database_of_another_day_is_refused(age: timedelta, words: str, tmp_path: Path) -> None:
    """A stale database, and one from the future, is an error that says what to do; Trivy would use both in silence."""
    with registry(tmp_path / "registry") as address:
        settings = _trivy(push_database(address, age=age))
        with pytest.raises(DatabaseUnusable, match=words) as unusable:
            await ensure_database(settings, state=tmp_path, log=tmp_path / "log")
    assert unusable.value.trouble.remedy


async def test_a_database_that_cannot_be_fetched_is_used_while_it_is_young(tmp_path: Path) -> None:
    """A refused registry is an error without a database, and a remark beside one that is young enough."""
    with registry(tmp_path / "registry") as address:
        settings = _trivy(push_database(address, age=timedelta(hours=30)))
        found = await ensure_database(settings, state=tmp_path, log=tmp_path / "log")
        assert found.said == "30 h old"
    again = await ensure_database(settings, state=tmp_path, log=tmp_path / "log")
    assert again.identity == found.identity
    assert "could not be refreshed" in again.said
    with pytest.raises(DatabaseUnusable, match="could not be fetched"):
        await ensure_database(settings, state=tmp_path / "other", log=tmp_path / "log")


def _trivy(reference: str) -> SecuritySettings:
    return SecuritySettings(trivy=TrivySettings(database=reference, insecure=True))


def _stand_in(scanner: Scanner, body: str, folder: Path) -> ScannerProgram:
    program = folder / "bin" / scanner.program
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\n{body}\n")
    program.chmod(0o755)
    return ScannerProgram((str(program),), "1", "stand-in", (program.parent,))


def _order(scanner: Scanner, program: ScannerProgram, folder: Path) -> ScanOrder:
    (folder / "tree").mkdir()
    return ScanOrder(
        scanner=scanner,
        program=program,
        scan=scanner.bait.scan if scanner.bait else Scan(),
        state=folder / "state",
        tree=folder / "tree",
        log=folder / "log",
        timeout_seconds=1,
        most=_MOST,
        max_output_bytes=1 << 20,
        salt=b"salt",
    )
