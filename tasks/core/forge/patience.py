"""When to ask a forge again, and when to give up.

The rules are GitHub's (docs.github.com/rest/using-the-rest-api/best-practices-for-using-the-rest-api): Retry-After
where it is given; else, with no requests left, the moment of the reset; else a minute for a secondary limit. A wait
that is longer than anybody would have is a later, not a wait.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

LONGEST_SECONDS = 120.0
_SECONDARY_SECONDS = 60.0
_TEMPORARY = frozenset({408, 425, 429, 500, 502, 503, 504})


def retry_seconds(status: int, headers: Mapping[str, str], *, body: str, attempt: int, now: datetime) -> float | None:
    """Seconds until the request is worth repeating, by the answer to the `attempt`th (from 0); None where it is not.

    `headers` have names in small letters.
    """
    said = _told(headers, now)
    if status in (403, 429):
        if said is not None:
            return said
        if headers.get("x-ratelimit-remaining") == "0":
            return _until_reset(headers, now)
        if status == 429 or "rate limit" in body.lower():
            return _SECONDARY_SECONDS
        return None
    if status in _TEMPORARY:
        return said if said is not None else backoff_seconds(attempt)
    return None


def backoff_seconds(attempt: int) -> float:
    """1, 2, 4, 8 ... 30 seconds."""
    return min(30.0, 2.0 ** min(attempt, 10))


def _told(headers: Mapping[str, str], now: datetime) -> float | None:
    told = headers.get("retry-after", "").strip()
    if not told:
        return None
    if told.isdigit():
        return float(told)
    try:
        moment = parsedate_to_datetime(told)
    except ValueError:
        return None
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max(0.0, (aware - now).total_seconds())


def _until_reset(headers: Mapping[str, str], now: datetime) -> float:
    reset = headers.get("x-ratelimit-reset", "")
    return max(0.0, float(reset) - now.timestamp()) if reset.isdigit() else _SECONDARY_SECONDS
