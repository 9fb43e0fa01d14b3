"""Messages to people, by real HTTP and real Apprise: each once, again where not taken, and no address shown."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks.adapters.outbox import deliver_due, post, waiting
from tasks.core.notices import Event, Notice, NotificationSettings
from tests.adapters.listening_server import Heard, hearing

NOTICE = Notice(event=Event.RELEASED, target="shop", environment="production", text="v1 is out", about="1")
SETTINGS = NotificationSettings(url_variable="NOTIFY", timeout_seconds=2)
_DAY = 86_400.0


@pytest.fixture
def heard() -> Iterator[Heard]:
    with hearing() as made:
        yield made


@pytest.fixture
def addresses(heard: Heard) -> dict[str, str]:
    """A plain address and one of Apprise's."""
    return {"NOTIFY": f"{heard.url}/plain/secret {heard.url.replace('http', 'json')}/apprise/secret"}


async def again(state: Path, base: dict[str, str], *, days: float = 1) -> None:
    import time

    await deliver_due(state, now=time.time() + days * _DAY, base=base)


async def test_everybody_is_told_once(heard: Heard, addresses: dict[str, str], tmp_path: Path) -> None:
    """Each address gets the message, and the same thing is not told twice."""
    said = await post(tmp_path, NOTICE, SETTINGS, base=addresses)
    assert said == "told, answer 200; told by json"
    assert [path.split("?")[0].rstrip("/") for path in heard.paths] == ["/plain/secret", "/apprise/secret"]
    assert heard.bodies[0]["text"] == "v1 is out"
    assert heard.bodies[1]["message"] == "v1 is out"
    assert await post(tmp_path, NOTICE, SETTINGS, base=addresses) == "told already"
    await again(tmp_path, addresses)
    assert len(heard.bodies) == 2
    assert list(waiting(tmp_path)) == []


async def test_who_was_not_told_is_told_later(heard: Heard, addresses: dict[str, str], tmp_path: Path) -> None:
    """Given a service that refuses, posting raises nothing, shows no address, and tells it when the service is back."""
    heard.status = 500
    said = await post(tmp_path, NOTICE, SETTINGS, base=addresses)
    assert said.startswith("NOT TOLD")
    (letter,) = waiting(tmp_path)
    assert (letter.tries, letter.is_given_up) == (1, False)
    await deliver_due(tmp_path, now=0.0, base=addresses)
    assert len(heard.bodies) == 2
    heard.status = 200
    await again(tmp_path, addresses)
    assert [body.get("text") or body.get("message") for body in heard.bodies[2:]] == ["v1 is out", "v1 is out"]
    assert list(waiting(tmp_path)) == []
    kept = "".join(path.read_text() for path in tmp_path.rglob("*") if path.is_file())
    assert "secret" not in kept + said
    assert heard.url.rpartition(":")[2] not in kept + said


async def test_only_who_is_left_is_told_again(heard: Heard, tmp_path: Path) -> None:
    """Of two addresses one of which is closed, only that one is tried again."""
    base = {"NOTIFY": f"{heard.url}/open http://127.0.0.1:9/closed"}
    await post(tmp_path, NOTICE, SETTINGS, base=base)
    await again(tmp_path, base)
    assert heard.paths == ["/open"]
    assert [letter.tries for letter in waiting(tmp_path)] == [2]


async def test_it_is_given_up_in_the_end(tmp_path: Path) -> None:
    """After thirty tries it is given up, and said to be; after a month it is forgotten."""
    base = {"NOTIFY": "http://127.0.0.1:9/closed"}
    await post(tmp_path, NOTICE, SETTINGS, base=base)
    for _ in range(40):
        await again(tmp_path, base)
    assert [(letter.tries, letter.is_given_up) for letter in waiting(tmp_path)] == [(30, True)]
    await again(tmp_path, base, days=31)
    assert list(waiting(tmp_path)) == []


@pytest.mark.parametrize("address", ["nonsense", "slack://", "unknown-service://secret"])
async def test_an_address_that_is_none(tmp_path: Path, address: str) -> None:
    """What Apprise does not know is said by its kind alone."""
    said = await post(tmp_path, NOTICE, SETTINGS, base={"NOTIFY": address})
    assert "NOTIFY names an address that Apprise does not know" in said
    assert "secret" not in said


async def test_two_at_once_tell_once(heard: Heard, addresses: dict[str, str], tmp_path: Path) -> None:
    """Two that try the same letter at the same time send it once."""
    heard.status = 500
    await post(tmp_path, NOTICE, SETTINGS, base=addresses)
    heard.status = 200
    await asyncio.gather(*(again(tmp_path, addresses) for _ in range(5)))
    assert len(heard.bodies) == 4


async def test_what_nobody_wants_is_not_told(heard: Heard, addresses: dict[str, str], tmp_path: Path) -> None:
    """An event that is left out is not sent, and neither is one with nobody to tell; both are said."""
    quiet = NotificationSettings(url_variable="NOTIFY", events=(Event.GUARD_ACTED,))
    assert "leaves out released" in await post(tmp_path, NOTICE, quiet, base=addresses)
    assert await post(tmp_path, NOTICE, SETTINGS, base={}) == "nobody was told: NOTIFY is not set"
    assert heard.paths == []


async def test_a_disk_that_takes_nothing(tmp_path: Path) -> None:
    """Given a folder that is a file, posting raises nothing and says so."""
    (tmp_path / "outbox").write_text("")
    assert (await post(tmp_path, NOTICE, SETTINGS, base={"NOTIFY": "http://x"})).startswith("NOT TOLD")


async def test_a_letter_that_cannot_be_read_keeps_no_other(
    heard: Heard, addresses: dict[str, str], tmp_path: Path
) -> None:
    """A broken letter is dropped, and the others are delivered."""
    heard.status = 500
    await post(tmp_path, NOTICE, SETTINGS, base=addresses)
    (tmp_path / "outbox" / "a.json").write_text("{")
    (tmp_path / "outbox" / "b.json").write_text("[]")
    heard.status = 200
    await again(tmp_path, addresses)
    assert list(waiting(tmp_path)) == []


class TestNothingIsRaised:
    """Whatever is wrong with the outbox or a service, a run goes on."""

    async def test_a_lock_that_cannot_be_had(self, heard: Heard, addresses: dict[str, str], tmp_path: Path) -> None:
        """Given a lock file that is a folder, posting says that nobody was told, and trying again raises nothing."""
        (tmp_path / "outbox" / f"{NOTICE.key}.lock").mkdir(parents=True)
        assert await post(tmp_path, NOTICE, SETTINGS, base=addresses) == "NOT TOLD: Is a directory"
        await again(tmp_path, addresses)
        assert heard.bodies == []

    async def test_a_service_that_breaks(self, heard: Heard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Given a service whose code fails, its kind of error is said, and the other address is told."""

        async def broken(*_: object, **__: object) -> bool:
            raise RuntimeError("secret")

        monkeypatch.setattr("apprise.Apprise.async_notify", broken)
        base = {"NOTIFY": f"{heard.url.replace('http', 'json')}/apprise/secret {heard.url}/plain"}
        said = await post(tmp_path, NOTICE, SETTINGS, base=base)

        assert "failed (RuntimeError)" in said
        assert "secret" not in said
        assert heard.paths == ["/plain"]

    async def test_a_letter_of_another_shape(self, heard: Heard, addresses: dict[str, str], tmp_path: Path) -> None:
        """Given a letter whose parts are of other kinds, the others are told all the same."""
        heard.status = 500
        await post(tmp_path, NOTICE, SETTINGS, base=addresses)
        (tmp_path / "outbox" / "a.json").write_text(
            '{"message": 1, "left": 1, "next": "x", "at": "x", "tries": 1, "variable": 1}'
        )
        heard.status = 200
        await again(tmp_path, addresses)

        assert len(heard.bodies) == 4
