"""The door over real HTTP: what it takes, what it turns away and in which words, and that nothing it took is lost."""

import http.client
import json
import signal
import socket
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from tests.core.github_events import HEAD, OTHER, comment, payload, person, pull_request, push
from tests.deployments.door import OTHER_SECRET, SECRET, SETTINGS, OpenDoor, headers, open_door, until
from tests.lab.hub import Who, hub

pytestmark = pytest.mark.timeout(120)
NOBODY = "http://127.0.0.1:9/api"
LIMIT = 100_000
SMALL = f"max_body_bytes = {LIMIT}\nread_seconds = 1.0\n{SETTINGS}"


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenDoor]:
    """One door with small limits and two secrets, whose Prefect is away."""
    settings = SMALL.replace("read_seconds", "refused_per_minute = 100000\nread_seconds")
    secrets = f"{SECRET},{OTHER_SECRET}"
    with open_door(tmp_path_factory.mktemp("home"), api=NOBODY, settings=settings, secrets=secrets) as opened:
        yield opened


def stored(door: OpenDoor) -> int:
    with closing(sqlite3.connect(door.home / "door" / "deliveries.db")) as database:
        return int(database.execute("SELECT count(*) FROM deliveries").fetchone()[0])


def test_accepted(door: OpenDoor) -> None:
    """A signed delivery is on disk with its runs when it is answered 202; a repeat is 200 and changes nothing."""
    answer = door.post(push(), "accepted-0001")
    again = door.post(push(), "accepted-0001")

    assert (answer.status_code, answer.json()) == (202, {"delivery": "accepted-0001", "runs": []})
    assert again.status_code == 200
    shown = door.towpath("deliveries", "show", "accepted-0001")
    assert "ci  waiting" in shown.stdout
    assert "key accepted-0001:ci" in shown.stdout


def test_rotation(door: OpenDoor) -> None:
    """Any of the secrets will do."""
    assert door.post(push("refs/heads/rotated"), "rotation-0001", secret=OTHER_SECRET).status_code == 202


@pytest.mark.parametrize(
    ("sent", "delivery", "event", "more", "status", "said"),
    [
        pytest.param(push(), "forged-00001", "push", {"secret": "no-secret-of-ours"}, 401, "signature", id="forged"),
        pytest.param(push(), "forged-00002", "push", {"X-Hub-Signature-256": ""}, 401, "missing", id="unsigned"),
        pytest.param(push(), "forged-00003", "push", {"X-Hub-Signature-256": "sha1=00"}, 401, "missing", id="sha1"),
        pytest.param(push(), "", "push", {}, 400, "X-GitHub-Delivery", id="no id"),
        pytest.param(push(), "a/../../etc/b", "push", {}, 400, "X-GitHub-Delivery", id="path for an id"),
        pytest.param(push(), "event-000001", "PUSH ME", {}, 400, "X-GitHub-Event", id="strange event"),
        pytest.param(b"{", "malformed-01", "push", {}, 400, "not JSON", id="half an object"),
        pytest.param(b"\xff\xfe", "malformed-02", "push", {}, 400, "not JSON", id="no text"),
        pytest.param(b"[" * 90_000, "malformed-03", "push", {}, 400, "not JSON", id="deep"),
        pytest.param(b"[]", "malformed-04", "push", {}, 400, "no JSON object", id="a list"),
        pytest.param({"ref": 1}, "malformed-05", "push", {}, 400, "payload of push", id="fields missing"),
        pytest.param(
            push(), "form-0000001", "push", {"Content-Type": "text/plain"}, 415, "application/json", id="form"
        ),
        pytest.param(b" " * (LIMIT + 1), "oversized-01", "push", {}, 413, f"{LIMIT} bytes", id="oversized"),
    ],
)
def test_turned_away(
    door: OpenDoor, sent: object, delivery: str, event: str, more: dict[str, str], status: int, said: str
) -> None:
    """What is forged, malformed or too large is answered with one line, and nothing of it is stored."""
    before = stored(door)
    answer = door.post(sent, delivery, event, **more)

    assert (answer.status_code, stored(door)) == (status, before)
    assert said in answer.text
    assert answer.text.count("\n") == 1


def test_replay(door: OpenDoor) -> None:
    """A body that was received, sent by a listener under a new id, starts nothing."""
    door.post(push("refs/heads/once"), "replay-00001")
    before = stored(door)

    assert door.post(push("refs/heads/once"), "replay-00002").status_code == 409
    assert stored(door) == before


def test_chunked_without_end(door: OpenDoor) -> None:
    """A body that promises no length is cut off at the limit, and not read to its end."""
    before = stored(door)
    connection = http.client.HTTPConnection(door.url.removeprefix("http://"), timeout=20)
    sent = 0

    def chunks() -> Iterator[bytes]:
        nonlocal sent
        for _ in range(2000):
            sent += 10_000
            yield b"x" * 10_000

    said = headers(b"x", "chunked-0001", "push")
    try:
        connection.request("POST", "/github", body=chunks(), headers=said, encode_chunked=True)
    except (BrokenPipeError, ConnectionResetError):
        assert sent < 20_000_000
    else:
        assert connection.getresponse().status == 413
    finally:
        connection.close()
    assert stored(door) == before
    assert door.answers()


def test_dawdling_body(door: OpenDoor) -> None:
    """A sender who does not go on is answered 408 after the time he has."""
    host, port = door.url.removeprefix("http://").split(":")
    said = headers(b"x", "dawdling-001", "push") | {"Host": host, "Content-Length": "100"}
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        lines = [f"{name}: {value}" for name, value in said.items()]
        connection.sendall(("\r\n".join(["POST /github HTTP/1.1", *lines]) + "\r\n\r\n{").encode())

        assert connection.recv(1000).startswith(b"HTTP/1.1 408")


def test_dawdling_headers(door: OpenDoor) -> None:
    """A connection whose headers do not come is closed."""
    host, port = door.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        connection.sendall(b"POST /github HTTP/1.1\r\nHost: x\r\n")

        assert connection.recv(1000) == b""


def test_unknown_events(door: OpenDoor) -> None:
    """A signed event without use is answered 204 and not stored."""
    before = stored(door)

    assert door.post(payload(action="created"), "unknown-0001", "star").status_code == 204
    assert stored(door) == before


def test_refused_commands_are_shown(door: OpenDoor) -> None:
    """Who may not give a command finds the reason where deliveries are listed."""
    sent = comment(f"/towpath ok {HEAD}", by="mallory", association="NONE")
    door.post(sent, "refused-0001", "issue_comment")
    listed = door.towpath("deliveries")

    assert "mallory (NONE) may not give commands in acme/shop" in listed.stdout


def test_nothing_secret_is_kept(door: OpenDoor) -> None:
    """Neither a secret nor a signature is in the files of the door or in what it says."""
    sent = push("refs/heads/secretive")
    door.post(sent, "secretive-01")
    signature = headers(json.dumps(sent).encode(), "secretive-01", "push")["X-Hub-Signature-256"].split("=")[1]
    written = b"".join(path.read_bytes() for path in door.home.rglob("*") if path.is_file())

    assert b"secretive-01" in written
    for secret in (SECRET, OTHER_SECRET, signature):
        assert secret.encode() not in written


def test_health_and_metrics(door: OpenDoor) -> None:
    """While Prefect is away the door is well, and says what waits and why; the counts are there for Prometheus."""
    door.post(push("refs/heads/healthy"), "healthy-0001")
    health = door.health()
    metrics = httpx.get(f"{door.url}/metrics", trust_env=False).text

    assert health["status"] == "ok"
    assert health["waiting"] >= 2
    assert "could not be reached" in health["trouble"]
    assert 'towpath_door_answers_total{status="202"}' in metrics
    assert "towpath_door_backlog" in metrics


def test_too_many_forgeries(tmp_path: Path) -> None:
    """One address is told so often why it is refused, then to wait; if it has ever signed, what it signs is taken."""
    with open_door(tmp_path, api=NOBODY, settings=f"refused_per_minute = 3\nstuck_seconds = 0.01\n{SETTINGS}") as door:
        assert door.post(push(), "signed-00000").status_code == 202
        answers = [door.post(push(), f"forged-{number:06d}", secret="x" * 20) for number in range(5)]
        assert [answer.status_code for answer in answers] == [401] * 3 + [429] * 2
        assert int(answers[-1].headers["Retry-After"]) > 0
        assert door.post(push(commit=OTHER), "signed-00001").status_code == 202
        assert door.health()["status"] == "stuck"


def test_refused_before_it_is_read(tmp_path: Path) -> None:
    """An address that was refused too often and has never signed is answered before its body has come."""
    with open_door(tmp_path, api=NOBODY, settings=f"refused_per_minute = 2\n{SETTINGS}") as door:
        for number in range(2):
            door.post(push(), f"forged-{number:06d}", secret="x" * 20)
        place = urlsplit(door.url)
        with socket.create_connection((str(place.hostname), place.port or 80), timeout=5) as connection:
            said = headers(b"never sent", "forged-000009", "push") | {"Host": "door", "Content-Length": "20000000"}
            lines = [f"{name}: {value}" for name, value in said.items()]
            connection.sendall("\r\n".join(["POST /github HTTP/1.1", *lines, "", ""]).encode())
            answer = connection.recv(4096).decode()

        assert answer.startswith("HTTP/1.1 429")
        assert "retry-after" in answer.lower()


def test_killed_and_opened_again(tmp_path: Path) -> None:
    """What was answered 202 before kill -9 is there afterwards, and a repeat is known for one."""
    with open_door(tmp_path, api=NOBODY) as door:
        for number in range(20):
            sent = pull_request(number=number + 1)
            assert door.post(sent, f"kill-{number:08d}", "pull_request").status_code == 202
        door.kill()
        door.open()

        assert stored(door) == 20
        assert door.post(pull_request(number=1), "kill-00000000", "pull_request").status_code == 200
        assert door.health()["waiting"] == 60


def test_redeliver(tmp_path: Path) -> None:
    """`towpath deliveries redeliver` has a delivery done once more, under keys of its own."""
    with open_door(tmp_path, api=NOBODY) as door:
        door.post(push(), "redeliver-01")
        done = door.towpath("deliveries", "redeliver", "redeliver")
        unknown = door.towpath("deliveries", "redeliver", "nothing")

        assert (done.returncode, unknown.returncode) == (0, 2)
        assert "key redeliver-01:ci:1" in door.towpath("deliveries", "show", "redeliver-01").stdout


def test_ending(tmp_path: Path) -> None:
    """Told to end, the door ends soon, and well."""
    with open_door(tmp_path, api=NOBODY) as door:
        began = time.monotonic()
        code = door.kill(signal.SIGTERM)

        assert time.monotonic() - began < 10
        assert code in (0, -signal.SIGTERM)


def test_doors_that_do_not_open(tmp_path: Path) -> None:
    """Without settings, without a secret, on a taken port or twice in a home the door says why in one line."""
    environment = {"PATH": "/usr/bin:/bin", "TOWPATH_HOME": str(tmp_path)}
    door = OpenDoor(tmp_path, environment)
    no_settings = door.towpath("webhook")
    (tmp_path / "door.toml").write_text(SETTINGS)
    no_secret = door.towpath("webhook")
    door.environment = environment | {"TOWPATH_WEBHOOK_SECRETS": SECRET}
    with socket.create_server(("127.0.0.1", 0)) as taken:
        no_port = door.towpath("webhook", "--port", str(taken.getsockname()[1]))
    with open_door(tmp_path, api=NOBODY) as other:
        twice = other.towpath("webhook", "--port", "0")

    for said, code, words in (
        (no_settings, 2, "door.toml is missing"),
        (no_secret, 2, "needs a secret"),
        (no_port, 3, "in use"),
        (twice, 2, "open already"),
    ):
        assert (said.returncode, said.stderr.count("\n")) == (code, 1), said.stderr
        assert words in said.stderr


@pytest.mark.network
def test_our_own_label(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Given a person's token, once GitHub has said whose it is, labels by that person start nothing, and others do."""
    with hub(Who.PERSON) as github:
        monkeypatch.setenv("GITHUB_API_URL", github.address)
        monkeypatch.setenv("GITHUB_TOKEN", "not-a-token")
        with open_door(tmp_path, api=NOBODY) as door:
            until(lambda: ("GET", "/user") in github.asked)
            numbers = iter(range(1, 1000))

            def is_ignored() -> bool:
                number = next(numbers)
                door.post(pull_request("labeled", number=number), f"labelled-{number:04d}", "pull_request")
                return "sets our labels" in door.towpath("deliveries", "show", f"labelled-{number:04d}").stdout

            until(is_ignored)
            door.post(pull_request("labeled", sender=person("grace")), "labelled-9999", "pull_request")
            assert "sets our labels" not in door.towpath("deliveries", "show", "labelled-9999").stdout
        assert github.complaints == []
