"""The lab's advisory service answers as OSV and npm do, and fails as it is told."""

import gzip
import json

import httpx
import pytest

from tests.lab.advisories import Mood, advising


def _ask(address: str, version: str, *, timeout: float = 5.0) -> httpx.Response:
    question = {"package": {"name": "jinja2", "ecosystem": "PyPI"}, "version": version}
    return httpx.post(f"{address}/v1/query", json=question, timeout=timeout)


def test_a_version_is_judged_by_the_fixes() -> None:
    """A version below a fix is told every advisory it lacks the fix of; one above is told none."""
    with advising() as service:
        assert len(_ask(service.address, "2.4.1").json()["vulns"]) == 3
        assert len(_ask(service.address, "2.9").json()["vulns"]) == 1
        assert _ask(service.address, "3.1.6").json() == {}


def test_a_batch_has_one_answer_for_each_question() -> None:
    """OSV's batch answers in the order it was asked, with an empty answer for what is fine."""
    asked = [{"package": {"name": "pyyaml", "ecosystem": "PyPI"}, "version": version} for version in ("6.0", "5.3")]
    with advising() as service:
        results = httpx.post(f"{service.address}/v1/querybatch", json={"queries": asked}).json()["results"]

    assert [len(result.get("vulns", ())) for result in results] == [0, 1]


def test_npm_asks_compressed() -> None:
    """A bulk question packed with gzip, as npm sends it, is answered by package."""
    body = gzip.compress(json.dumps({"minimist": ["1.2.5"], "lodash": ["4.17.21"]}).encode())
    with advising() as service:
        told = httpx.post(f"{service.address}/-/npm/v1/security/advisories/bulk", content=body).json()

    assert {name: [row["url"][-19:] for row in rows] for name, rows in told.items()} == {
        "minimist": ["GHSA-xvch-5gv4-984h"]
    }


def test_an_unknown_package_has_no_packument() -> None:
    """What is not in the set is not found, so that no test passes because everything is fine."""
    with advising() as service:
        assert httpx.get(f"{service.address}/left-pad").status_code == 404


@pytest.mark.parametrize(
    ("mood", "failure"),
    [
        (Mood.REFUSES, httpx.ConnectError),
        (Mood.HANGS, httpx.ReadTimeout),
        (Mood.TRUNCATES, httpx.RemoteProtocolError),
        (Mood.FAILS, httpx.HTTPStatusError),
    ],
)
def test_each_mood_fails_in_its_own_way(mood: Mood, failure: type[Exception]) -> None:
    """A service told to fail does so as a network would show it."""
    with advising(mood) as service, pytest.raises(failure):
        _ask(service.address, "2.4.1", timeout=0.3).raise_for_status()
