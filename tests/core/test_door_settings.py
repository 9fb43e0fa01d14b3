"""door.toml and the secrets: what is refused, in one line, and that no secret shows."""

import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.core.door_settings import DoorRefused, read_door_settings, read_secrets
from tasks.core.signatures import is_signed

OLD, NEW = "an-old-secret-of-ours", "a-new-secret-of-ours"


def signature(body: bytes, secret: str) -> str:
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("repositories = ", "not valid TOML"),
        ("repository = {}", "known: repositories"),
        ("max_body_bytes = 1", "max_body_bytes"),
        ('[repositories."a/b"]\nurl = "x"', "url"),
        ("hand_overs = 9", "hand_overs"),
    ],
)
def test_refused_settings(text: str, said: str) -> None:
    """What cannot be used is refused in one line that says what."""
    with pytest.raises(DoorRefused, match=said) as caught:
        read_door_settings(text)

    assert "\n" not in str(caught.value)


def test_no_repository_by_default() -> None:
    """A door without settings accepts the deliveries of nobody."""
    assert read_door_settings("").repository("acme/shop") is None


@pytest.mark.parametrize(("text", "said"), [("", "needs a secret"), (" ,\n", "needs a secret"), ("short", "under 16")])
def test_refused_secrets(text: str, said: str) -> None:
    """No secret, or a short one, opens no door, and is not quoted."""
    with pytest.raises(DoorRefused, match=said) as caught:
        read_secrets(text)

    assert "short" not in str(caught.value)


def test_secrets_do_not_show() -> None:
    """The object that holds them can be printed."""
    assert OLD not in repr(read_secrets(OLD))


@given(st.binary())
def test_rotation(body: bytes) -> None:
    """While a secret is rotated both sign; after it the old one does not."""
    both, after = read_secrets(f"{OLD},\n{NEW}"), read_secrets(NEW)

    assert is_signed(body, signature(body, OLD), both)
    assert is_signed(body, signature(body, NEW), both)
    assert is_signed(body, signature(body, NEW), after)
    assert not is_signed(body, signature(body, OLD), after)
    assert not is_signed(body + b" ", signature(body, NEW), after)


@pytest.mark.parametrize("header", ["", "sha256=", "sha1=" + "0" * 40, "sha256=" + "0" * 64, "sha256=" + "\u0660" * 64])
def test_no_signatures(header: str) -> None:
    """What is no signature signs nothing."""
    assert not is_signed(b"body", header, read_secrets(NEW))
