"""Releases and records for tests: everything that a test does not say has some plain value."""

from collections.abc import Mapping

from tasks.core.records import Ending, Kind, Record
from tasks.core.release import Release


def a_release(
    version: str,
    *,
    artifact: str = "sha256:" + "c" * 64,
    configuration: Mapping[str, Mapping[str, str]] | None = None,
    replicas: Mapping[str, int] | None = None,
    schema_revision: str = "0002",
) -> Release:
    return Release(
        version=version,
        revision="f" * 40,
        artifact=artifact,
        configuration=configuration or {},
        replicas=replicas or {"backend": 2},
        schema_revision=schema_revision,
        author="Ada Author",
    )


def a_record(
    number: int, release: Release, *, ending: Ending = Ending.RELEASED, kind: Kind = Kind.CD, run: str = "run-1"
) -> Record:
    return Record(
        number=number,
        target="shop",
        environment="production",
        kind=kind,
        ending=ending,
        reason="because",
        release=release,
        who="Ada",
        run=run,
        started="2026-11-25T00:00:00+00:00",
        ended="2026-11-25T00:01:00+00:00",
        seconds=60.0,
    )
