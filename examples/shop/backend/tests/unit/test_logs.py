"""The shape of a log line."""

import json
import logging
import sys

from shop.logs import JsonLines


def line(record: logging.LogRecord) -> dict[str, object]:
    parsed: dict[str, object] = json.loads(JsonLines("r1").format(record))
    return parsed


def record(message: str, **extra: object) -> logging.LogRecord:
    return logging.makeLogRecord(
        {"name": "shop", "levelname": "INFO", "msg": message, "created": 0.0, **extra}
    )


def test_a_line_says_when_what_and_which_release() -> None:
    assert line(record("hello", facts={"status": 200})) == {
        "time": "1970-01-01T00:00:00+00:00",
        "level": "info",
        "logger": "shop",
        "release": "r1",
        "message": "hello",
        "status": 200,
    }


def test_an_exception_stays_on_its_line() -> None:
    try:
        raise KeyError("gone")
    except KeyError:
        logged = line(record("failed", exc_info=sys.exc_info()))

    assert "KeyError: 'gone'" in str(logged["exception"])
