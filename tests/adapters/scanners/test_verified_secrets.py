"""TruffleHog's parser on output written by its documentation, since the program cannot be had."""

import hashlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.adapters.scanners.verified_secrets import TRUFFLEHOG
from tasks.core.security.scanner import Scan
from tasks.core.security.sightings import Leak
from tasks.core.tools.contract import Output, Unreadable

VALUE = "not-a-" + "secret-0123456789"
COMMIT = "a" * 40


def _row(number: int) -> dict[str, object]:
    place = {"commit": COMMIT, "file": f"a{number}.txt", "line": number, "email": "a@example.org"}
    return {
        "SourceMetadata": {"Data": {"Git": place}},
        "SourceType": 16,
        "DetectorName": "Github",
        "DecoderName": "PLAIN",
        "Verified": False,
        "Raw": VALUE,
        "RawV2": "",
        "Redacted": "",
        "ExtraData": None,
    }


def _output(rows: int, *, chunks: int = 5, said: int | None = None, more: str = "") -> Output:
    summary = {
        "level": "info-0",
        "logger": "trufflehog",
        "msg": "finished scanning",
        "chunks": chunks,
        "bytes": 100,
        "verified_secrets": 0,
        "unverified_secrets": rows if said is None else said,
    }
    lines = "".join(json.dumps(_row(number)) + "\n" for number in range(1, rows + 1))
    return Output(lines, f"{more}{json.dumps(summary)}\n")


def test_findings_are_read_without_their_values() -> None:
    """Each line is a sighting in a commit, told by a fingerprint; the value is only among those to scrub."""
    reading = TRUFFLEHOG.read(_output(2), Scan())

    assert [(one.spot.path, one.spot.line, one.spot.commit) for one in reading.sightings] == [
        ("a1.txt", 1, COMMIT),
        ("a2.txt", 2, COMMIT),
    ]
    fingerprint = hashlib.sha1(VALUE.encode()).hexdigest()
    assert {one.subject for one in reading.sightings} == {Leak(fingerprint=fingerprint, kind="Github")}
    assert reading.secrets == {VALUE}
    assert VALUE not in repr(reading)


def test_a_clean_history_counts_its_chunks() -> None:
    """A scan that ended and found nothing says how much it looked at."""
    assert TRUFFLEHOG.read(_output(0, chunks=7), Scan()).looked_at == 7
    assert TRUFFLEHOG.read(_output(0, chunks=0), Scan()).looked_at == 0


@pytest.mark.parametrize(
    "output",
    [
        Output("", ""),
        Output("", '{"msg": "running source"}\n'),
        Output("", '{"msg": "finished scanning"}\n'),
        _output(1, said=2),
        _output(0, more='{"level":"error","msg":"encountered errors during scan"}\n'),
        Output("not json\n", _output(0).log),
    ],
)
def test_what_did_not_end_well_is_unreadable(output: Output) -> None:
    """No summary, fewer findings than it counts, an error in the log or text of another shape is never clean."""
    with pytest.raises(Unreadable):
        TRUFFLEHOG.read(output, Scan())


@given(st.integers(0, 2000), st.integers(0, 400))
def test_no_cut_loses_a_finding(of_stdout: int, of_log: int) -> None:
    """Output that ends early either still names every finding or cannot be read."""
    whole = _output(3)
    try:
        reading = TRUFFLEHOG.read(Output(whole.stdout[:of_stdout], whole.log[:of_log]), Scan())
    except Unreadable:
        return

    assert len(reading.sightings) == 3


def test_it_never_verifies() -> None:
    """Whatever is scanned, no secret is sent to anyone, and a base limits the range."""
    words = TRUFFLEHOG.arguments(Scan(options={"base": (COMMIT,)}))

    assert {"--no-verification", "--no-update", "--fail", "--fail-on-scan-errors"} < set(words)
    assert words[-2:] == ("--since-commit", COMMIT)
    assert not TRUFFLEHOG.needs_network
