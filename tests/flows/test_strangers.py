"""A fork that attacks: its code runs, allowed by a maintainer, and nothing gets out or stays behind.

Given a repository whose checks run what the pull request holds, when a fork fills that with an attack, then the base's
gates decide, and neither logs, reports nor any folder but its own hold a trace of it.
"""

import json
import os
import shutil
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from flows.ci import ci
from flows.pr_checks import pr_checks
from flows.security import security
from tasks.adapters import sealing
from tasks.adapters.confinement import Means
from tasks.core.origin import Origin
from tasks.core.outcome import Verdict
from tasks.core.tiers import tier_of
from tests.adapters.real_git import git
from tests.e2e.repositories import make_shop
from tests.flows.conftest import Target

pytestmark = [
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.skipif(not shutil.which("bwrap"), reason="rooms are made by bubblewrap"),
]
ATTACK = Path(__file__).with_name("attack.py").read_text()
# As a scanner would never take it for a key, but as nothing else has it.
SECRET = "the-crown-jewels-of-" + "this-test"


class Scene:
    """The target, a fork's head over it, and what must stay as it is."""

    def __init__(self, target: Target, tmp_path: Path, listener: socket.socket) -> None:
        self.target, self.home, self.listener = target, tmp_path / "home", listener
        secrets = tmp_path / "netrc"
        secrets.write_text(SECRET)
        self.home.mkdir(exist_ok=True)
        (self.home / "door.toml").write_text(f"# {SECRET}\n")
        port = str(listener.getsockname()[1])
        attack = ["python3", "attack.py", str(secrets), str(self.home), str(target.folder), port]
        target.configure({"attack": attack, "gate": ["test", "!", "-e", "forbidden"]})
        target.write({"attack.py": ""})
        self.commit("base")
        git(target.folder, "checkout", "--quiet", "-b", "fork")
        target.write({"attack.py": ATTACK, "forbidden": "x", "towpath.toml": "[run]\n"})
        self.head = self.commit("feat: harmless")
        git(target.folder, "checkout", "--quiet", "main")
        self.origin = Origin(repository="acme/shop", commit=self.head, pull_request=7, base="main", is_trusted=False)
        self.tier = self.home / "untrusted" / tier_of(self.origin)

    def commit(self, message: str) -> str:
        git(self.target.folder, "add", "--all")
        git(self.target.folder, "commit", "--quiet", "--message", message)
        return git(self.target.folder, "rev-parse", "HEAD")

    async def run(self, **arguments: Any) -> Any:
        return await self.target.run(ref=self.head, origin=self.origin, **arguments)

    def said(self) -> str:
        """All that runs of the fork have kept, but for the fork's own files."""
        kept = [path for path in (self.tier / "reports").rglob("*") if path.is_file()]
        return "".join(path.read_bytes().decode("utf-8", "replace") for path in kept)

    def has_called_home(self) -> bool:
        with suppress(BlockingIOError):
            self.listener.accept()[0].close()
            return True
        return False


@pytest.fixture
def scene(target: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    for name in ("GH_TOKEN", "NPM_TOKEN", "UV_INDEX_PASSWORD", "TOWPATH_WEBHOOK_SECRETS", "CODECOV_TOKEN"):
        monkeypatch.setenv(name, SECRET)
    monkeypatch.delenv("GITHUB_TOKEN", raising=False)
    monkeypatch.setenv("UV_INDEX_URL", f"http://someone:{SECRET}@127.0.0.1:9/simple")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        yield Scene(target, tmp_path, listener)


async def test_nothing_gets_out(scene: Scene) -> None:
    """Variables, processes, files, network, engine and remote are out of reach of a fork's code, which did run."""
    ran = await scene.run(flow=ci)

    (told,) = scene.tier.glob("reports/*/files/own-attack/stdout")
    log = told.read_text()
    assert ran.check("own/attack").verdict is Verdict.PASSED
    for what in ("secret file", "configuration of the door", "network", "pushing", "engine"):
        assert f"{what}: kept out" in log
    assert "variables: got" in log
    assert "PREFECT" not in log
    assert SECRET not in scene.said()
    assert str(os.getpid()) not in log.partition("processes: ")[2].partition("\n")[0]
    assert not scene.has_called_home()
    assert git(scene.target.folder, "branch", "--list", "planted") == ""


async def test_an_installation_reaches_registries_alone(scene: Scene) -> None:
    """What a fork has its installation run cannot reach this machine, and the log says where it wanted to go."""
    port = scene.listener.getsockname()[1]
    calling = (
        f"require('net').connect({port}, '127.0.0.1').on('error', e => console.log('straight: ' + e.code));"
        f"require('http').get({{host: 'localhost', port: process.env.http_proxy.split(':')[2], path: 'http://127.0.0.1:{port}/'}},"
        " r => console.log('by the proxy: ' + r.statusCode))"
    )
    package = {
        "name": "x",
        "version": "1.0.0",
        "scripts": {"preinstall": f'node -e "{calling}"; exit 1', "test": "true"},
    }
    lock = {"name": "x", "version": "1.0.0", "lockfileVersion": 3, "packages": {"": {"name": "x", "version": "1.0.0"}}}
    git(scene.target.folder, "checkout", "--quiet", "fork")
    scene.target.write({"package.json": json.dumps(package), "package-lock.json": json.dumps(lock)})
    scene.head = scene.commit("feat: a package")
    git(scene.target.folder, "checkout", "--quiet", "main")
    scene.origin = scene.origin.model_copy(update={"commit": scene.head})
    await scene.run(flow=ci)

    said = scene.said()
    assert "straight: ECONNREFUSED" in said
    assert "by the proxy: 403" in said
    assert f"127.0.0.1:{port} is no registry" in said
    assert not scene.has_called_home()


async def test_nothing_is_left_behind(scene: Scene) -> None:
    """Not a byte is written outside the fork's own slot, so that no trusted run finds anything of it."""
    await scene.run(flow=ci)

    planted = [path for path in scene.home.rglob("planted") if "targets" not in path.parts]
    assert planted == []
    assert not list((scene.home / "reports").glob("*"))
    git(scene.target.folder, "merge", "--quiet", "--ff-only", "fork")
    git(scene.target.folder, "checkout", "--quiet", "main", "--", ".")
    scene.target.write({"towpath.toml": git(scene.target.folder, "show", "main~1:towpath.toml") + "\n"})
    scene.commit("chore: the same content, by us")
    trusted = await scene.target.run(ci)
    assert not any(check.cached for check in trusted.report.checks)


async def test_the_bases_gates_decide(scene: Scene) -> None:
    """A fork that takes the gate out of towpath.toml is held to the gate that the base has."""
    ran = await scene.run(flow=ci)

    assert ran.check("own/gate").verdict is Verdict.FAILED
    assert ran.report.verdict is Verdict.FAILED
    assert any("towpath.toml" in note for note in ran.report.notes)


async def test_the_other_flows_hold_too(scene: Scene) -> None:
    """Security and the pull request's own checks run a stranger's head and show no secret either."""
    await scene.run(flow=security, base="main", overrides=["security.scanners=['bandit']"])
    await scene.run(flow=pr_checks, base="main", overrides=["pull_requests.coverage.wait_seconds=0"])

    assert SECRET not in scene.said()
    assert not scene.has_called_home()
    assert not list((scene.home / "reports").glob("*"))


async def test_without_rooms_nothing_runs(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no room can be made a stranger's change is refused in one line, and its code is not run."""
    monkeypatch.setattr(sealing, "means", lambda: Means("", (), ("everything",)))
    ran = await scene.run(flow=ci)

    assert ran.state.is_failed()
    assert "install bubblewrap" in str(ran.state.message)
    assert not list(scene.tier.glob("reports/*/logs/own-attack.log"))


@pytest.mark.network
@pytest.mark.timeout(600)
async def test_an_honest_fork_passes(target: Target, tmp_path: Path) -> None:
    """Installing, building and testing a whole shop works from inside the rooms, with the same verdicts as outside."""
    shop = make_shop(tmp_path / "shop")
    head = git(shop, "rev-parse", "HEAD")
    origin = Origin(repository="acme/shop", commit=head, pull_request=8, base="main", is_trusted=False)
    ran = await target.run(ci, target=str(shop), ref=head, origin=origin, may_lack=["docker"])

    verdicts = {check.id: check.verdict for check in ran.report.checks}
    assert {name for name, verdict in verdicts.items() if verdict.blocks} == set()
    passed = {name for name, verdict in verdicts.items() if verdict is Verdict.PASSED}
    assert passed >= {"backend/pytest", "backend/mypy", "frontend/build", "frontend/test", "frontend/eslint"}
