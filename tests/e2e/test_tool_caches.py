"""The caches that mypy, ruff, black, ESLint, tsc and pytest keep between runs make them quicker, and decide nothing."""

import shutil
from pathlib import Path

import pytest

from tests.e2e.faults import FAULTS
from tests.e2e.stage import Run, Stage

pytestmark = [pytest.mark.server, pytest.mark.timeout(600)]
PLANTED = [fault for fault in FAULTS if fault.name in ("lint error", "ESLint error")]
OFF = ("pytest", "smoke", "coverage", "test", "build")
ONLY = ("--no-cache", *[word for name in OFF for word in ("--set", f'checks.{name}={{enabled=false, reason="slow"}}')])


def said(run: Run) -> dict[str, tuple[str, str]]:
    """Each check's verdict and reason."""
    return {check["id"]: (check["verdict"], check["reason"]) for check in run.report["checks"]}


def caches_of(stage: Stage) -> list[Path]:
    found = [folder for folder in (stage.home / "targets").glob("*/slot-*/caches/*") if any(folder.iterdir())]
    assert found, "the tools have kept nothing"
    return found


def corrupt(folder: Path) -> None:
    """Every file half its size and scrambled, as a crash or a bad disk leaves it."""
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink():
            content = path.read_bytes()
            path.write_bytes(bytes(byte ^ 0x5A for byte in content[: len(content) // 2]))


def test_damaged_caches_change_no_verdict(stage: Stage, shop: Path) -> None:
    """With its tools' caches corrupted or gone, what passed passes and what failed fails, at the same places."""
    for fault in PLANTED:
        fault.edit(shop)
    first = stage.ci(shop, *ONLY)
    again = []
    for damage in (corrupt, shutil.rmtree):
        for folder in caches_of(stage):
            damage(folder)
        again.append(stage.ci(shop, *ONLY))

    assert first.ending_in("failed") == {"backend/ruff", "frontend/eslint"}
    assert first.ending_in("passed") == {"backend/black", "backend/mypy", "frontend/typescript"}
    assert [said(run) for run in again] == [said(first)] * 2
