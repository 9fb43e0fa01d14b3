"""Release records in the environment's namespace, an immutable ConfigMap each, and what was built of those releases.

The number is in the name, so that no two can be written under one. Records are taken away only from the oldest end, and
never those that are needed to go back; what is left is a chain without a gap, checked each time it is read.
"""

import json
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from tasks.adapters.artifacts import MANIFEST, artifact_folder
from tasks.adapters.grounds import Ground
from tasks.adapters.platforms.kubernetes.packing import packed, unpacked
from tasks.adapters.platforms.kubernetes.requests import Cluster, Conflict
from tasks.adapters.state import write_atomically
from tasks.core.cluster.documents import Identity
from tasks.core.cluster.kept_names import build_name, kept_labels, record_name
from tasks.core.cluster.records import builds_needed, forgotten
from tasks.core.platform import PlatformTrouble
from tasks.core.records import Record, RecordBroken, check_chain, record_from

_KEY, _BUILD = "record", "build"
_TRIES = 5


class ClusterLedger:
    """The records of one environment."""

    def __init__(self, cluster: Cluster, ground: Ground) -> None:
        self._cluster, self._ground = cluster, ground
        self._labels = kept_labels(ground.target, ground.environment, "record")

    async def records(self) -> tuple[Record, ...]:
        found = await self._cluster.list("v1", "ConfigMap", labels=self._labels)
        records = tuple(sorted((self._understood(each) for each in found), key=lambda each: each.number))
        try:
            check_chain(records)
        except RecordBroken as broken:
            raise PlatformTrouble(f"{broken}: {self._compare()}") from broken
        return records

    def _understood(self, found: dict[str, Any]) -> Record:
        name = found["metadata"]["name"]
        try:
            return record_from(json.loads((found.get("data") or {}).get(_KEY, "")))
        except RecordBroken as broken:
            raise PlatformTrouble(f"{broken}: {self._compare()}") from broken
        except (ValidationError, ValueError) as broken:
            said = str(broken).splitlines()[0]
            raise PlatformTrouble(f"ConfigMap {name} cannot be read ({said}): {self._compare()}") from broken

    def _compare(self) -> str:
        return f"compare the records in {self._cluster.namespace} with a copy before anything else"

    async def write(self, record: Record) -> Record:
        for _ in range(_TRIES):
            earlier = await self.records()
            last = earlier[-1] if earlier else None
            numbered = {"number": last.number + 1 if last else 1, "previous": last.checksum if last else ""}
            sealed = record.model_copy(update={**numbered, "checksum": ""}).sealed()
            try:
                await self._cluster.create(self._document(sealed))
            except Conflict:
                if await self._is_written(sealed):
                    return sealed
                continue
            return sealed
        raise PlatformTrouble(
            f"others write records of {self._ground.environment} all the time: look who delivers there"
        )

    async def _is_written(self, sealed: Record) -> bool:
        """By us, when the answer was lost and it was asked for again."""
        found = await self._cluster.read(self._where(sealed.number))
        return found is not None and self._understood(found) == sealed

    def _where(self, number: int) -> Identity:
        name = record_name(self._ground.target, self._ground.environment, number)
        return Identity("v1", "ConfigMap", self._cluster.namespace, name)

    def _document(self, record: Record) -> dict[str, Any]:
        return {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": self._where(record.number).name, "labels": self._labels},
            "immutable": True,
            "data": {_KEY: record.model_dump_json(indent=1)},
        }

    async def fetch_build(self, artifact: str) -> None:
        path = artifact_folder(self._ground.state, artifact) / MANIFEST
        found = None if path.exists() else await self._cluster.read(self._build(artifact))
        if found is not None:
            write_atomically(path, unpacked(found["data"][_BUILD]))

    def _build(self, artifact: str) -> Identity:
        return Identity("v1", "Secret", self._cluster.namespace, _build_of(self._ground, artifact))

    async def forget_old(self, kept: int) -> None:
        records = await self.records()
        gone = forgotten(records, kept)
        for record in gone:
            await self._cluster.delete(self._where(record.number))
        needed = {_build_of(self._ground, artifact) for artifact in builds_needed(records[len(gone) :])}
        labels = kept_labels(self._ground.target, self._ground.environment, _BUILD)
        for each in await self._cluster.list("v1", "Secret", labels=labels):
            if each["metadata"]["name"] not in needed:
                await self._cluster.delete(Identity("v1", "Secret", self._cluster.namespace, each["metadata"]["name"]))


def _build_of(ground: Ground, artifact: str) -> str:
    return build_name(ground.target, ground.environment, artifact)


async def keep_build(cluster: Cluster, ground: Ground, artifact: str) -> None:
    """What was built of a release, before it is put there, so that every machine can go back to it."""
    path: Path = artifact_folder(ground.state, artifact) / MANIFEST
    document = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": _build_of(ground, artifact),
            "labels": kept_labels(ground.target, ground.environment, _BUILD),
        },
        "data": {_BUILD: packed(path.read_text(), "what was built and its manifests")},
    }
    await cluster.apply(document, force=True)
