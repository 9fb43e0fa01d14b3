"""Building what a release is made of: once for the same inputs, whole or not at all, kept as long as it is needed."""

import asyncio
import json
import os
import sys
from pathlib import Path

import pytest

from tasks.adapters.artifacts import (
    MANIFEST,
    Artifact,
    BuildFailed,
    artifact_digest,
    artifact_folder,
    build_artifact,
    forget_old_artifacts,
    read_settings,
)
from tasks.adapters.snapshots import Snapshot
from tasks.core.delivery import DeliverySettings

COUNT = "import pathlib, os; p = pathlib.Path(os.environ['COUNTER']); p.write_text(p.read_text() + 'x')"


@pytest.fixture
def snapshot(tmp_path: Path) -> Snapshot:
    tree = tmp_path / "tree"
    (tree / "back end" / "static").mkdir(parents=True)
    (tree / "back end" / "static" / "page.html").write_text("<p>hello</p>")
    (tmp_path / "counter").write_text("")
    files = {"back end/static/page.html": "1", "docs/index.md": "2"}
    return Snapshot(
        "shop", "shop", tree, tmp_path / "c", tmp_path / "e", "f" * 40, "main", is_dirty=False, files=files, notes=()
    )


def settings(tmp_path: Path, **changes: object) -> DeliverySettings:
    component = {
        "directory": "back end",
        "build": [[sys.executable, "-c", COUNT]],
        "build_environment": {"COUNTER": str(tmp_path / "counter"), "INTO": "{artifact}"},
        "keep": ["static"],
        "command": ["serve"],
    }
    return DeliverySettings.model_validate({"components": {"web": component | changes}})


async def built(snapshot: Snapshot, delivery: DeliverySettings, tmp_path: Path) -> Artifact:
    return await build_artifact(
        snapshot, delivery, state=tmp_path / "state", logs=tmp_path / "logs", path=(), timeout_seconds=20
    )


async def test_the_same_inputs_are_built_once(snapshot: Snapshot, tmp_path: Path) -> None:
    """A second build of the same inputs is the first one, also when both are asked for at once."""
    delivery = settings(tmp_path)

    one, two = await asyncio.gather(built(snapshot, delivery, tmp_path), built(snapshot, delivery, tmp_path))

    assert one.digest == two.digest
    assert {one.is_reused, two.is_reused} == {False, True}
    assert (tmp_path / "counter").read_text() == "x"
    assert (one.folder / "web" / "static" / "page.html").read_text() == "<p>hello</p>"
    assert read_settings(tmp_path / "state", one.digest) == delivery


async def test_an_interrupted_build_is_not_believed(snapshot: Snapshot, tmp_path: Path) -> None:
    """A folder without its manifest is built anew, with nothing of what was in it."""
    delivery = settings(tmp_path)
    folder = artifact_folder(tmp_path / "state", artifact_digest(snapshot, delivery))
    (folder / "web").mkdir(parents=True)
    (folder / "web" / "half").touch()

    artifact = await built(snapshot, delivery, tmp_path)

    assert not artifact.is_reused
    assert not (folder / "web" / "half").exists()


async def test_an_interpreter_that_has_gone(snapshot: Snapshot, tmp_path: Path) -> None:
    """A build whose virtual environment points to an interpreter that is not there any more is built anew."""
    artifact = await built(snapshot, settings(tmp_path), tmp_path)
    venv = artifact.folder / "web" / "venv"
    (venv / "bin").mkdir(parents=True)
    (venv / "pyvenv.cfg").touch()
    (venv / "bin" / "python").symlink_to(tmp_path / "gone")

    assert not (await built(snapshot, settings(tmp_path), tmp_path)).is_reused


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"build": [[sys.executable, "-c", "raise SystemExit('no memory')"]]},
            "exited with 1: no memory; its output is",
        ),
        ({"build": [["no-such-program"]]}, "no-such-program could not be started"),
        (
            {"build": [[sys.executable, "-c", "import time; time.sleep(60)"]], "directory": "back end"},
            "was stopped after",
        ),
        ({"keep": ["dist"]}, "dist is not there after the build"),
        ({"directory": "nowhere"}, "the target has no folder nowhere"),
    ],
)
async def test_builds_that_fail(snapshot: Snapshot, tmp_path: Path, changes: dict[str, object], said: str) -> None:
    """A build that fails says which component, why, and where its output is, and leaves nothing to believe in."""
    delivery = settings(tmp_path, **changes)
    with pytest.raises(BuildFailed, match=said) as failed:
        await build_artifact(
            snapshot, delivery, state=tmp_path / "state", logs=tmp_path / "logs", path=(), timeout_seconds=2
        )

    assert str(failed.value).startswith("web")
    assert not (artifact_folder(tmp_path / "state", artifact_digest(snapshot, delivery)) / MANIFEST).exists()


async def test_builds_see_no_secrets(snapshot: Snapshot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A build command sees the common variables and its own, and no token of the user."""
    monkeypatch.setenv("GITHUB_TOKEN", "secret")
    code = "import json, os; print(json.dumps(dict(os.environ)))"
    artifact = await built(snapshot, settings(tmp_path, build=[[sys.executable, "-c", code]]), tmp_path)
    seen = json.loads((tmp_path / "logs" / "build-web-1.log").read_text())

    assert "GITHUB_TOKEN" not in seen
    assert seen["INTO"] == str(artifact.folder)


def test_what_makes_a_digest(snapshot: Snapshot, tmp_path: Path) -> None:
    """Files of the components, their commands and their configuration count; files elsewhere do not."""
    delivery = settings(tmp_path)
    same = artifact_digest(snapshot, delivery)
    elsewhere = Snapshot(**{**vars(snapshot), "files": {**snapshot.files, "docs/index.md": "3"}})
    within = Snapshot(**{**vars(snapshot), "files": {**snapshot.files, "back end/new.py": "4"}})

    assert artifact_digest(elsewhere, delivery) == same
    assert artifact_digest(within, delivery) != same
    assert artifact_digest(snapshot, settings(tmp_path, command=["serve", "--fast"])) != same
    assert artifact_digest(snapshot, settings(tmp_path, environment={"A": "1"})) != same


def test_a_build_that_is_gone(tmp_path: Path) -> None:
    """Going back to a build that is not on this machine any more is refused with what to do."""
    with pytest.raises(BuildFailed, match="is not on this machine any more: build it again"):
        read_settings(tmp_path, "sha256:" + "0" * 64)


def test_old_builds_go_and_needed_ones_stay(tmp_path: Path) -> None:
    """What a record may need stays, and of the others the youngest."""
    for age, name in enumerate(("needed", "young", "old", "oldest")):
        folder = tmp_path / "artifacts" / name
        folder.mkdir(parents=True)
        (folder / MANIFEST).touch()
        os.utime(folder, (1000 - age, 1000 - age))

    forget_old_artifacts(tmp_path, needed=["sha256:needed"], kept=1)

    assert sorted(path.name for path in (tmp_path / "artifacts").iterdir()) == ["needed", "young"]
