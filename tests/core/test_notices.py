"""What is told and in which words, by tables and laws."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from tasks.core.notices import MOST_TRIES, Event, Notice, NotificationSettings, event_of, next_try_seconds
from tasks.core.records import Ending, Kind


def notice(text: str = "it is out", *, about: str = "1", version: str = "") -> Notice:
    return Notice(event=Event.RELEASED, target="shop", text=text, about=about, version=version)


def test_a_template_chooses_the_words() -> None:
    """A template is filled with what the notice has, and with nothing where it has nothing."""
    settings = NotificationSettings(templates={Event.RELEASED: "[{target}] {text} ({version}{environment})"})
    assert settings.message_of(notice(version="v1")) == "[shop] it is out (v1)"


@pytest.mark.parametrize("template", ["{nothing}", "{text.__class__}", "{text[0]}", "{text!r}", "{text:>9}", "{", "{}"])
def test_a_template_that_looks_elsewhere_is_refused(template: str) -> None:
    """Only plain names of a notice's fields are allowed; anything else is refused by the event's name."""
    with pytest.raises(ValidationError, match=r"templates\.released"):
        NotificationSettings(templates={Event.RELEASED: template})


@given(st.text())
def test_a_text_is_no_template(text: str) -> None:
    """Braces in what happened are told as they are."""
    assert NotificationSettings().message_of(notice(text)) == text


@given(st.text(), st.text())
def test_one_thing_has_one_key(first: str, second: str) -> None:
    """The key is a file name, and tells one thing from another."""
    keys = {notice(about=first).key, notice(about=second).key}
    assert len(keys) == len({first, second})
    assert all(key.replace("-", "").replace("_", "").isalnum() for key in keys)


@pytest.mark.parametrize(
    ("kind", "ending", "event"),
    [
        (Kind.PRODUCTION, Ending.RELEASED, Event.RELEASED),
        (Kind.ROLLBACK, Ending.RELEASED, Event.ROLLED_BACK),
        (Kind.CANARY, Ending.ROLLED_BACK, Event.CANARY_ABORTED),
        (Kind.CD, Ending.ROLLED_BACK, Event.ROLLED_BACK),
        (Kind.CANARY, Ending.FAILED, Event.CHANGE_FAILED),
    ],
)
def test_how_an_end_is_told(kind: Kind, ending: Ending, event: Event) -> None:
    """An aborted canary is told from a release that was put back."""
    assert event_of(kind, ending) is event


def test_tries_grow_apart_and_end() -> None:
    """The waits never shrink, and after the last try there is none."""
    waits = [next_try_seconds(tries) for tries in range(1, MOST_TRIES)]
    assert waits == sorted(wait for wait in waits if wait is not None)
    assert next_try_seconds(MOST_TRIES) is None
