"""What a room for strangers hands in: addresses of registries, and nothing that could be a secret."""

from pathlib import Path

import pytest

from tasks.adapters.process import Command, Need
from tasks.adapters.sealing import Seal, in_room, without_credentials
from tasks.adapters.tier_homes import tier_home
from tasks.core.origin import Origin
from tasks.core.tiers import TRUSTED, tier_of

DAY = 86_400.0
WAY = Path("/somewhere/way-out")


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("registry=https://npm.example/\n", "registry=https://npm.example/\n"),
        ("//npm.example/:_authToken=abc\nfund=false\n", "fund=false\n"),
        ("_auth = abc\nemail=a@b.c", "email=a@b.c\n"),
        (
            "[global]\nindex-url = https://me:secret@pypi.example/simple\n",
            "[global]\nindex-url = https://pypi.example/simple\n",
        ),
        (
            'npmAuthToken: "abc"\nnpmRegistryServer: "https://npm.example"\n',
            'npmRegistryServer: "https://npm.example"\n',
        ),
        ('[[index]]\nurl = "https://u@h/simple"\npassword = "x"\n', '[[index]]\nurl = "https://h/simple"\n'),
        ("https-proxy=http://proxy.example:3128\n", ""),
        ("", ""),
    ],
)
def test_configuration_without_credentials(given: str, kept: str) -> None:
    """Addresses of registries stay, tokens, passwords and users in addresses do not."""
    assert without_credentials(given) == kept


def command(tmp_path: Path, *, needs: frozenset[Need] = frozenset(), is_own: bool = False) -> Command:
    return Command(
        argv=("tool", "word"),
        directory=tmp_path,
        log=tmp_path / "log",
        timeout_seconds=5,
        environment={"GIVEN_TOKEN": "secret", "GIVEN": "https://me:secret@h/"},
        needs=needs,
        is_own=is_own,
    )


def seal(tmp_path: Path) -> Seal:
    return Seal(readable=(), writable=(tmp_path,), home=tmp_path, scratch=tmp_path)


def test_the_room_of_a_tool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No variable that may hold a secret is handed in, not even one given on purpose; there is no network."""
    monkeypatch.setenv("NPM_TOKEN", "secret")
    inside = in_room(command(tmp_path), seal(tmp_path), WAY)

    assert "secret" not in " ".join(inside.argv)
    assert "https://h/" in inside.argv
    assert "--share-net" not in inside.argv
    assert str(WAY) not in inside.argv
    assert (inside.argv[-2:], inside.environment, inside.needs) == (("tool", "word"), {}, frozenset())


def test_the_room_of_an_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What installs packages has the way out to registries, without a token and without a network."""
    monkeypatch.setenv("NPM_TOKEN", "secret")
    monkeypatch.setenv("UV_INDEX_URL", "https://me:secret@h/simple")
    inside = in_room(command(tmp_path, needs=frozenset({Need.REGISTRY})), seal(tmp_path), WAY)

    assert str(WAY) in inside.argv
    assert "--share-net" not in inside.argv
    assert "https://h/simple" in inside.argv
    assert "secret" not in " ".join(inside.argv)


def test_our_own_programs_stay_outside(tmp_path: Path) -> None:
    """A program that runs nothing of the target's is started as it is."""
    own = command(tmp_path, is_own=True)
    assert in_room(own, seal(tmp_path), WAY) is own


def test_a_home_is_never_shown_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A path that names the user's home, or what holds it, does not bring it into the room."""
    home = tmp_path / "home" / "ada"
    (home / "bin").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("PATH", f"{home}:{home.parent}:{home / 'bin'}:/usr/bin")
    own = Seal(readable=(), writable=(), home=tmp_path / "own", scratch=tmp_path)
    words = in_room(command(tmp_path), own, WAY).argv

    shown = {words[number + 1] for number, word in enumerate(words) if word == "--ro-bind"}
    assert str(home / "bin") in shown
    assert not {str(home), str(home.parent)} & shown


def test_tiers() -> None:
    """The team's own runs share a tier; each stranger's pull request has one, whose name a folder may have."""
    head = Origin(repository="Acme/Shop", commit="a" * 40, pull_request=7, base="main")
    tiers = {tier_of(head), tier_of(head.model_copy(update={"pull_request": 8}))}

    assert tier_of(None) == tier_of(head.model_copy(update={"is_trusted": True})) == TRUSTED
    assert tier_of(head) == tier_of(head.model_copy(update={"commit": "b" * 40}))
    assert len(tiers) == 2
    assert all(name.startswith("acme-shop-") and "/" not in name for name in tiers)


def test_homes_of_tiers(tmp_path: Path) -> None:
    """Tools and mirrors are those of all; what was not used for a week goes, but never what is in use."""
    with tier_home(tmp_path, TRUSTED, now=0) as home:
        assert home == tmp_path
    with tier_home(tmp_path, "old", now=DAY):
        pass
    with tier_home(tmp_path, "held", now=DAY) as held, tier_home(tmp_path, "new", now=9 * DAY) as new:
        assert held.is_dir()
        assert (new / "tools").resolve() == tmp_path / "tools"
        assert {path.name for path in (tmp_path / "untrusted").iterdir() if path.is_dir()} == {"held", "new"}


def test_many_homes(tmp_path: Path) -> None:
    """Only so many are kept, the last used."""
    for number in range(14):
        with tier_home(tmp_path, f"tier-{number:02}", now=float(number)):
            pass
    kept = {path.name for path in (tmp_path / "untrusted").iterdir() if path.is_dir()}
    assert kept == {f"tier-{number:02}" for number in range(4, 14)}
