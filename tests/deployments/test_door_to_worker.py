"""From a delivery to a flow that a worker runs, with a real Prefect: once each, and strangers told apart."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from deployments.server import ensure_server, start_worker, stop_all
from tests.core.github_events import HEAD, comment, pull_request
from tests.deployments.door import OpenDoor, open_door, until

pytestmark = [pytest.mark.timeout(300), pytest.mark.server]
FLOW = """
import json, os
from pathlib import Path
from prefect import flow

@flow
def pr_checks(target: str, ref: str, base: str, title: str, origin: dict) -> None:
    names = ("TOWPATH_HOME", "GITHUB_TOKEN")
    seen = {name: os.environ.get(name) for name in names} | {"origin": origin, "ref": ref}
    beside = Path(target) / f"{origin['pull_request']}.part"
    beside.write_text(json.dumps(seen))
    beside.rename(beside.with_suffix(".json"))
"""
PREFECT_YAML = """
name: door
pull:
- prefect.deployments.steps.set_working_directory:
    directory: "{{ $TOWPATH_ROOT }}"
deployments:
- name: pr-checks
  entrypoint: door_flows.pr_checks
  enforce_parameter_schema: true
  work_pool: {name: local}
"""


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenDoor]:
    """A door before a Prefect server whose worker has tokens and runs what says what it sees."""
    home, root, seen = (tmp_path_factory.mktemp(name) for name in ("home", "root", "seen"))
    (root / "door_flows.py").write_text(FLOW)
    (root / "prefect.yaml").write_text(PREFECT_YAML)
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("PREFECT_API_URL", raising=False)
        patch.setenv("GITHUB_TOKEN", "a-token-of-the-team")
        address = asyncio.run(ensure_server(home, on_progress=lambda _: None))
        try:
            asyncio.run(start_worker(home, address, root=root))
            settings = f'[repositories."acme/shop"]\ntarget = "{seen}"\n'
            with open_door(home, api=address.api_url, settings=settings) as opened:
                yield opened
        finally:
            asyncio.run(stop_all(home))


def seen_by(door: OpenDoor, number: int) -> Path:
    target = (door.home / "door.toml").read_text().split('"')[3]
    return Path(target) / f"{number}.json"


def test_stranger(door: OpenDoor) -> None:
    """A fork's change waits for a maintainer; allowed, it runs and its flow is told that it is a stranger's."""
    door.post(pull_request("edited", number=7, head="mallory/shop"), "stranger-001", "pull_request")
    until(lambda: "held" in door.towpath("deliveries", "show", "stranger-001").stdout)
    assert not seen_by(door, 7).exists()
    door.post(comment(f"/towpath ok {HEAD}"), "stranger-002", "issue_comment")
    until(lambda: seen_by(door, 7).exists())
    seen = json.loads(seen_by(door, 7).read_text())

    assert seen["origin"]["is_trusted"] is False
    assert seen["ref"] == HEAD


def test_one_of_the_team(door: OpenDoor) -> None:
    """A change of the repository's own runs as the worker is, and asks nobody."""
    door.post(pull_request("edited", number=8), "team-0000001", "pull_request")
    until(lambda: seen_by(door, 8).exists())
    seen = json.loads(seen_by(door, 8).read_text())

    assert seen["GITHUB_TOKEN"] == "a-token-of-the-team"
    assert seen["TOWPATH_HOME"] == str(door.home)
    assert seen["origin"]["is_trusted"] is True


def test_newer_commit(door: OpenDoor) -> None:
    """On the server itself the run of an older commit is cancelled when a newer one arrives, once and for all."""
    early, late = "2026-01-01T10:00:00Z", "2026-01-01T10:00:09Z"
    door.post(pull_request("edited", number=9, moment=early), "older-000001", "pull_request")
    until(lambda: "pr-checks started" in door.towpath("deliveries").stdout)
    door.post(pull_request("edited", number=9, moment=late, commit="c" * 40), "newer-000001", "pull_request")
    until(lambda: "superseded" in door.towpath("deliveries", "show", "older-000001").stdout)
    until(lambda: seen_by(door, 9).exists() and json.loads(seen_by(door, 9).read_text())["ref"] == "c" * 40)
