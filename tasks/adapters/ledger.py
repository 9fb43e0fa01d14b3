"""The release records of an environment, on disk.

Records are written whole or not at all, are never written over, and are checked each time they are read. This is the
audit log: it needs no server, and Prefect's own history, which is forgotten after days, is not part of it.
"""

import json
import os
import secrets
from pathlib import Path

from pydantic import ValidationError

from tasks.adapters.grounds import Ground
from tasks.core.platform import PlatformTrouble
from tasks.core.records import Record, RecordBroken, check_chain, current_of, record_from
from tasks.core.safekeeping import found_in


def read_records(ground: Ground) -> tuple[Record, ...]:
    """Every record, oldest first. Raises PlatformTrouble when one cannot be read or was altered."""
    records = tuple(_read(path) for path in sorted(ground.records.glob("[0-9]*.json")))
    try:
        check_chain(records)
    except RecordBroken as broken:
        raise PlatformTrouble(f"{broken}: compare {ground.records} with a copy before anything else") from broken
    return records


def _read(path: Path) -> Record:
    try:
        return record_from(json.loads(path.read_bytes()))
    except RecordBroken as broken:
        raise PlatformTrouble(f"{broken}: compare {path} with a copy before anything else") from broken
    except (OSError, ValidationError, ValueError) as broken:
        first = str(broken).splitlines()[0]
        raise PlatformTrouble(
            f"{path} cannot be read ({first}): compare it with a copy before anything else"
        ) from broken


def next_number(ground: Ground) -> int:
    """The number that the next record gets."""
    taken = [int(path.stem) for path in ground.records.glob("[0-9]*.json") if path.stem.isdigit()]
    return max(taken, default=0) + 1


def write_record(ground: Ground, record: Record) -> Record:
    """The record as it was written, with its number, its predecessor's checksum and its own."""
    earlier = read_records(ground)
    numbered = record.model_copy(
        update={"number": next_number(ground), "previous": earlier[-1].checksum if earlier else "", "checksum": ""}
    )
    sealed = numbered.sealed()
    _write_once(ground.records / f"{sealed.number:04d}.json", sealed.model_dump_json(indent=2) + "\n")
    return sealed


def _write_once(path: Path, text: str) -> None:
    """Whole, on the disk itself, and never over another."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with beside.open("w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        beside.chmod(0o444)
        os.link(beside, path)
    finally:
        beside.unlink(missing_ok=True)


def current_record(ground: Ground) -> Record | None:
    return current_of(read_records(ground))


def find_record(ground: Ground, wanted: str) -> Record | None:
    """The record of that number, else the last released one of that version or digest."""
    return found_in(read_records(ground), wanted)
