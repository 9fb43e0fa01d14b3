"""The door among what `towpath up` keeps: opened once, told of, closed, and said to be shut when it will not open."""

import asyncio
import os
import signal
from pathlib import Path

import pytest

from deployments.door_daemon import DoorStaysShut, describe_door, door_keeper, open_door, start_door, stop_door
from tasks.adapters import daemons
from tests.deployments.door import SECRET, SETTINGS, until


@pytest.fixture(autouse=True)
def _secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOWPATH_WEBHOOK_SECRETS", SECRET)
    monkeypatch.setenv("CODECOV_TOKEN", "a-token-of-somebody")


def test_open_and_closed(tmp_path: Path) -> None:
    """Asked for twice it is one door, with its secrets and no other token; closed it is gone."""
    (tmp_path / "door.toml").write_text(SETTINGS)
    port = daemons.free_port(18088)
    first = asyncio.run(start_door(tmp_path, host="127.0.0.1", port=port))
    second = asyncio.run(start_door(tmp_path, host="127.0.0.1", port=port))
    given = Path(f"/proc/{first.pid}/environ").read_bytes()

    assert first.pid == second.pid
    assert SECRET.encode() in given
    assert b"a-token-of-somebody" not in given
    assert SECRET.encode() not in Path(f"/proc/{first.pid}/cmdline").read_bytes()
    assert asyncio.run(stop_door(tmp_path))
    assert (open_door(tmp_path), door_keeper(tmp_path)) == (None, None)
    assert not asyncio.run(stop_door(tmp_path))


def test_that_will_not_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a secret nothing opens, and the reason is said in one line."""
    (tmp_path / "door.toml").write_text(SETTINGS)
    monkeypatch.delenv("TOWPATH_WEBHOOK_SECRETS")
    with pytest.raises(DoorStaysShut, match="needs a secret") as caught:
        asyncio.run(start_door(tmp_path, host="127.0.0.1", port=daemons.free_port(18088)))

    assert "\n" not in str(caught.value)
    assert (open_door(tmp_path), door_keeper(tmp_path)) == (None, None)


def test_opened_again(tmp_path: Path) -> None:
    """A door that is killed is opened again, more than once; without a keeper it goes on until a new one takes over."""
    (tmp_path / "door.toml").write_text(SETTINGS)
    port = daemons.free_port(18188)
    door = asyncio.run(start_door(tmp_path, host="127.0.0.1", port=port))
    try:
        for _ in range(2):
            before = pid_of(tmp_path)
            os.kill(before, signal.SIGKILL)
            until(lambda: pid_of(tmp_path) not in (0, before))  # noqa: B023
            until(lambda: asyncio.run(daemons.answers(f"{door.url}/healthz")))
        assert describe_door(tmp_path) == f"{door.url} runs as {pid_of(tmp_path)}"

        keeper, kept = door_keeper(tmp_path), pid_of(tmp_path)
        assert keeper is not None
        os.kill(keeper.pid, signal.SIGKILL)
        until(lambda: door_keeper(tmp_path) is None)
        assert "nobody would open it again: towpath up" in describe_door(tmp_path)
        asyncio.run(start_door(tmp_path, host="127.0.0.1", port=port))
        assert pid_of(tmp_path) == kept
        os.kill(kept, signal.SIGKILL)
        until(lambda: pid_of(tmp_path) not in (0, kept))
    finally:
        asyncio.run(stop_door(tmp_path))
    assert (open_door(tmp_path), door_keeper(tmp_path)) == (None, None)
    assert describe_door(tmp_path).startswith("does not run: towpath up")


def pid_of(state: Path) -> int:
    door = open_door(state)
    return door.pid if door else 0
