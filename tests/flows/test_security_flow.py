"""The security flow on a real Prefect server, with real scanners and an advisory service on loopback."""

import json
import sqlite3
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from prefect.client.schemas.objects import StateType

from flows.security import security
from tasks.adapters.grounds import Ground
from tasks.adapters.ledger import write_record
from tasks.core.outcome import Verdict
from tasks.core.records import Ending, Kind, Record
from tasks.core.release import Release
from tasks.core.security.report import SecurityReport
from tests.adapters.real_git import git
from tests.flows.conftest import Ran, Target
from tests.lab.advisories import AdvisoryService, advising

pytestmark = [
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"),
]
# What these tests are not about, so that they do not install it.
_OFF = tuple(
    f"security.disabled.{name}=not asked here" for name in ("trivy-fs", "bandit", "gitleaks-tree", "detect-secrets")
)


@pytest.fixture
def advisories() -> Iterator[AdvisoryService]:
    with advising() as service:
        yield service


@dataclass
class People:
    """Whoever is told: each message as it came."""

    told: list[dict[str, Any]] = field(default_factory=list)
    address: str = ""
    status: int = 200


@pytest.fixture
def people(monkeypatch: pytest.MonkeyPatch) -> Iterator[People]:
    people = People()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            people.told.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(people.status)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *words: object) -> None:
            """Nobody reads it."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        people.address = f"http://127.0.0.1:{server.server_port}"
        monkeypatch.setenv("TOWPATH_NOTIFY_URL", people.address)
        yield people
        server.shutdown()
        thread.join()


def commit(target: Target, files: dict[str, str]) -> str:
    target.write(files)
    git(target.folder, "add", "--all")
    git(target.folder, "commit", "--quiet", "--message", "change")
    return git(target.folder, "rev-parse", "HEAD")


def vulnerable(version: str) -> dict[str, str]:
    return {"app.py": "print(1)\n", "requirements.txt": f"jinja2=={version}\n", "towpath.toml": 'name = "shop"\n'}


async def scan(target: Target, service: AdvisoryService, **arguments: Any) -> tuple[Ran, SecurityReport]:
    words = [f"security.osv_url={service.address}", *_OFF, *arguments.pop("overrides", [])]
    ran = await target.run(security, overrides=words, **arguments)
    report = ran.report
    assert isinstance(report, SecurityReport)
    return ran, report


def release(home: Path, revision: str) -> None:
    """A record that this revision runs in production."""
    made = Record(
        number=1,
        target="shop",
        environment="production",
        kind=Kind.PRODUCTION,
        ending=Ending.RELEASED,
        reason="because",
        release=Release(version="v1", revision=revision, artifact="sha256:00", replicas={"backend": 1}),
        started="2026-11-25T00:00:00+00:00",
        ended="2026-11-25T00:01:00+00:00",
        seconds=60.0,
        who="Ada",
    )
    write_record(Ground(home, "shop", "production"), made)


async def test_the_gate_blocks_by_level(target: Target, advisories: AdvisoryService) -> None:
    """Given an old package, the run fails at the level asked for and passes below it, naming what nobody looked at."""
    commit(target, vulnerable("2.4.1"))
    ran, report = await scan(target, advisories, block_on="high")
    assert (ran.state.type, ran.state.name) == (StateType.FAILED, "Failed")
    assert report.verdict is Verdict.FAILED
    assert {finding.package for finding in report.findings} == {"jinja2"}
    assert {gap.what for gap in report.not_covered} >= {"dependency/safety", "secret/trufflehog", "code/bandit"}
    again, second = await scan(target, advisories, block_on="critical")
    assert again.state.type is StateType.COMPLETED
    assert [finding.id for finding in second.findings] == [finding.id for finding in report.findings]
    assert all(check.cached for check in second.checks if check.verdict is Verdict.PASSED)


async def test_a_service_that_is_away_is_an_error(target: Target, advisories: AdvisoryService) -> None:
    """Given an advisory service that refuses, the run is an error that says what to do, and is not remembered."""
    commit(target, vulnerable("99.0"))
    away = [f"security.osv_url=http://127.0.0.1:{_closed_port()}"]
    ran, report = await scan(target, advisories, overrides=away)
    assert ran.state.name == "Error"
    check = next(check for check in report.checks if check.id == "dependency/pip-audit")
    assert check.verdict is Verdict.ERROR
    assert "security.osv_url" in check.remedy
    _, healed = await scan(target, advisories)
    assert healed.verdict is Verdict.PASSED


def _closed_port() -> int:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


async def test_what_is_published_against_production_is_told(
    target: Target, advisories: AdvisoryService, people: People, tmp_path: Path
) -> None:
    """Given a release in production, an advisory published later is told once, though no commit has changed."""
    home = tmp_path / "home"
    every = advisories.advisories
    advisories.advisories = every[1:]
    release(home, commit(target, vulnerable("2.4.1")))
    commit(target, vulnerable("99.0"))
    ask = {"watch_production": True, "use_cache": False}
    _, first = await scan(target, advisories, **ask)
    assert first.verdict is Verdict.PASSED
    assert len(people.told) == 1
    await scan(target, advisories, **ask)
    assert len(people.told) == 1
    advisories.advisories = every
    people.status = 500
    _, untold = await scan(target, advisories, **ask)
    assert any("NOT TOLD" in note for note in untold.notes)
    people.status = 200
    _, last = await scan(target, advisories, **ask)
    assert "CVE-2014-1402" in people.told[-1]["text"]
    assert "v1" in people.told[-1]["text"]
    assert any("1 NEW" in note for note in last.notes)


WAIVER = """
[[waivers]]
identity = "pypi/pyyaml/CVE-2020-14343"
owner = "us"
reason = "not reached"
expires = {expires}
"""


async def test_findings_are_new_known_or_fixed_against_the_base(target: Target, advisories: AdvisoryService) -> None:
    """Given a branch that mends one package and adds another, only what it brought is new, and only that blocks."""
    both = {**vulnerable("2.4.1"), "requirements.txt": "jinja2==2.4.1\nrequests==2.30.0\n"}
    commit(target, both)
    git(target.folder, "checkout", "--quiet", "-b", "topic")
    commit(target, {"requirements.txt": "requests==2.30.0\npyyaml==5.3\n"})
    ran, report = await scan(target, advisories, base="main", overrides=["security.findings=new"])
    statuses = {finding.package: (finding.status, finding.blocks) for finding in report.findings}
    assert statuses == {"pyyaml": ("new", False), "requests": ("known", False)}
    assert len(report.fixed) == 3
    assert all(name.startswith("pypi/jinja2/") for name in report.fixed)
    assert ran.state.type is StateType.COMPLETED
    _, strict = await scan(target, advisories, base="main", block_on="medium", overrides=["security.findings=new"])
    assert {finding.package: finding.blocks for finding in strict.findings} == {"pyyaml": True, "requests": False}


async def test_a_waiver_accepts_until_its_day(target: Target, advisories: AdvisoryService) -> None:
    """A waiver in force lets its finding through; one that has expired is reported, and the finding blocks again."""
    tomorrow, yesterday = (datetime.now(UTC).date() + timedelta(days=days) for days in (1, -1))
    files = {**vulnerable("99.0"), "requirements.txt": "pyyaml==5.3\n"}
    commit(target, {**files, ".towpath/waivers.toml": WAIVER.format(expires=tomorrow)})
    _, accepted = await scan(target, advisories, block_on="high")
    assert [finding.status for finding in accepted.findings] == ["waived"]
    assert accepted.verdict is Verdict.PASSED
    commit(target, {".towpath/waivers.toml": WAIVER.format(expires=yesterday)})
    _, expired = await scan(target, advisories, block_on="high")
    assert expired.verdict is Verdict.FAILED
    assert "expired" in expired.waiver_problems[0]


async def test_a_base_that_cannot_be_scanned_decides_nothing(target: Target, advisories: AdvisoryService) -> None:
    """Given a base whose lock cannot be read, the run is an error: neither all new nor all known."""
    broken = {"pyproject.toml": '[project]\nname = "shop"\nversion = "1"\n', "app.py": "", "uv.lock": "package = 3\n"}
    commit(target, {**broken, "towpath.toml": 'name = "shop"\n'})
    git(target.folder, "checkout", "--quiet", "-b", "topic")
    commit(target, {"uv.lock": '[[package]]\nname = "jinja2"\nversion = "99.0"\nsource = { registry = "r" }\n'})
    ran, report = await scan(target, advisories, base="main")
    assert ran.state.name == "Error"
    assert "the base could not be scanned" in report.reason


async def test_a_waiver_that_cannot_be_read_stops_the_run(target: Target, advisories: AdvisoryService) -> None:
    """A waiver without an owner is refused before anything is scanned, in one line."""
    commit(target, {**vulnerable("2.4.1"), ".towpath/waivers.toml": '[[waivers]]\nidentity = "pypi/jinja2/x"\n'})
    ran = await target.run(security, overrides=[f"security.osv_url={advisories.address}", *_OFF])
    assert ran.state.name == "Error"
    assert ".towpath/waivers.toml" in str(ran.state.message)
    assert "\n" not in str(ran.state.message)


async def test_no_secret_is_kept(target: Target, advisories: AdvisoryService, tmp_path: Path) -> None:
    """Given a secret that was committed and taken out again, its value is in no file Towpath keeps but the commits."""
    secret = "ghp_" + "Zq8vT3mLp0XcR7nYb2KdW5sHj9FgA1eUtI4o"
    commit(target, {**vulnerable("99.0"), "key.txt": f"token = {secret}\n"})
    commit(target, {"key.txt": "gone\n"})
    ran, report = await scan(target, advisories)
    assert [finding.category for finding in report.findings] == ["secret"]
    assert ran.state.type is StateType.FAILED
    found = [path for path in (tmp_path / "home").rglob("*") if path.is_file() and secret.encode() in path.read_bytes()]
    assert [path for path in found if not {"mirrors", "targets"} & set(path.parts)] == []
    assert secret not in report.model_dump_json()
    assert secret not in await _database_text()


async def _database_text() -> str:
    """Everything the Prefect server of the tests has written down."""
    from prefect.settings import get_current_settings

    place = Path(str(get_current_settings().home))
    texts = []
    for path in place.rglob("*.db"):
        with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as database:
            texts += list(database.iterdump())
    return "\n".join(texts)
