"""Trivy's vulnerability database in its own format, from the lab's advisories, as a folder and as an OCI artifact.

It solves that Trivy finds nothing without a database, and that no test may wait for the real one. It promises a
database of any age, made once per content ($TOWPATH_LAB, else ~/.cache/towpath-lab). It must never pass silently:
without Go it raises LabMissingError.

The layout, found by trying: bucket / bucket / key = JSON. `pip::...` and `npm::...` hold one bucket a package, by its
lower-cased name; a Debian's release holds source packages; `vulnerability` holds what every advisory's name means, and
must be there or Trivy panics.
"""

import hashlib
import json
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx

from tests.lab.advisories import Known, known_advisories
from tests.lab.engine import LabMissingError, lab_home

_PROGRAM = Path(__file__).parent / "trivydb"
_BUCKETS = {
    "PyPI": ("pip::GitHub Security Advisory Pip", "ghsa", "GitHub Security Advisory Pip"),
    "npm": ("npm::GitHub Security Advisory npm", "ghsa", "GitHub Security Advisory npm"),
    "debian 12": ("debian 12", "debian", "Debian Security Tracker"),
}
_SEVERITIES = {"low": 1, "moderate": 2, "high": 3, "critical": 4}
_WORDS = ("UNKNOWN", "LOW", "MEDIUM", "HIGH", "CRITICAL")
_FIXED, _AFFECTED = 3, 2
_CONFIG_TYPE = "application/vnd.aquasec.trivy.config.v1+json"
_LAYER_TYPE = "application/vnd.aquasec.trivy.db.layer.v1.tar+gzip"
_MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"


def write_database(folder: Path, *, age: timedelta = timedelta()) -> Path:
    """A folder as Trivy's --cache-dir wants it: db/trivy.db and db/metadata.json, published `age` ago."""
    place = folder / "db"
    place.mkdir(parents=True, exist_ok=True)
    shutil.copy(_made_database(), place / "trivy.db")
    (place / "metadata.json").write_text(metadata(datetime.now(UTC) - age))
    return folder


def metadata(published: datetime) -> str:
    """As Trivy's own: a database is to be replaced a day after it was published."""
    moments = {"UpdatedAt": published, "NextUpdate": published + timedelta(days=1), "DownloadedAt": published}
    return json.dumps({"Version": 2, **{name: moment.isoformat() for name, moment in moments.items()}})


def push_database(registry: str, *, age: timedelta = timedelta(), repository: str = "lab/trivy-db") -> str:
    """The database at `registry` (host:port), by the registry's plain HTTP API; returns its reference."""
    layer = _layer(age)
    manifest = {
        "schemaVersion": 2,
        "mediaType": _MANIFEST_TYPE,
        "config": {"mediaType": _CONFIG_TYPE, **_push(registry, repository, b"{}")},
        "layers": [
            {
                "mediaType": _LAYER_TYPE,
                **_push(registry, repository, layer),
                "annotations": {"org.opencontainers.image.title": "db.tar.gz"},
            }
        ],
    }
    httpx.put(
        f"http://{registry}/v2/{repository}/manifests/2",
        content=json.dumps(manifest).encode(),
        headers={"Content-Type": _MANIFEST_TYPE},
    ).raise_for_status()
    return f"{registry}/{repository}:2"


def _push(registry: str, repository: str, content: bytes) -> dict[str, Any]:
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    begun = httpx.post(f"http://{registry}/v2/{repository}/blobs/uploads/").raise_for_status()
    place = httpx.URL(begun.headers["Location"])
    httpx.put(place.copy_merge_params({"digest": digest}), content=content).raise_for_status()
    return {"digest": digest, "size": len(content)}


def _layer(age: timedelta) -> bytes:
    made = BytesIO()
    files = {"trivy.db": _made_database().read_bytes(), "metadata.json": metadata(datetime.now(UTC) - age).encode()}
    with tarfile.open(fileobj=made, mode="w:gz") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, BytesIO(content))
    return made.getvalue()


def _made_database() -> Path:
    """The database file, made unless one of these very advisories by this very program is there."""
    entries = json.dumps([{"path": path, "value": value} for path, value in _entries()], sort_keys=True)
    source = "".join(path.read_text() for path in sorted(_PROGRAM.iterdir()) if path.is_file())
    digest = hashlib.sha256((entries + source).encode()).hexdigest()[:16]
    home = lab_home() / "trivydb"
    place = home / f"{digest}.db"
    if not place.exists():
        home.mkdir(parents=True, exist_ok=True)
        unfinished = home / f"{digest}.unfinished"
        unfinished.unlink(missing_ok=True)
        _write(entries, _program(home), unfinished)
        unfinished.rename(place)
    return place


def _program(home: Path) -> Path:
    go = shutil.which("go")
    if not go:
        raise LabMissingError("Trivy's database is written by a Go program, and go is not on PATH")
    built = home / "trivydb"
    done = subprocess.run(
        [go, "build", "-o", str(built), "."], cwd=_PROGRAM, capture_output=True, text=True, timeout=300, check=False
    )
    if done.returncode:
        raise LabMissingError(f"the writer of Trivy's database does not build: {done.stderr.strip()[-300:]}")
    return built


def _write(entries: str, program: Path, place: Path) -> None:
    subprocess.run([program, place], input=entries.encode(), check=True, timeout=60)


def _entries() -> Iterator[tuple[list[str], object]]:
    yield ["trivy", "metadata"], {"Version": 2}
    for bucket, source, name in _BUCKETS.values():
        yield ["data-source", bucket], {"ID": source, "Name": name, "URL": "https://example.org/advisories"}
    for one in known_advisories():
        cve = _name(one)
        yield [_BUCKETS[one.ecosystem][0], one.package, cve], _advisory(one)
        yield ["vulnerability", cve], _meaning(one)


def _name(one: Known) -> str:
    return next((name for name in one.aliases if name.startswith("CVE-")), one.id)


def _advisory(one: Known) -> dict[str, object]:
    if one.ecosystem == "debian 12":
        fixed: dict[str, object] = {"FixedVersion": one.fixed, "Status": _FIXED}
        return fixed if one.fixed else {"Status": _AFFECTED, "Severity": _SEVERITIES[one.severity]}
    return {"PatchedVersions": [one.fixed], "VulnerableVersions": [f"< {one.fixed}"], "VendorIDs": [one.id]}


def _meaning(one: Known) -> dict[str, object]:
    rated = _SEVERITIES[one.severity]
    return {
        "Title": one.title,
        "Description": one.title,
        "Severity": _WORDS[rated],
        "CweIDs": list(one.cwes),
        "VendorSeverity": {"nvd": rated, "ghsa": rated},
        "CVSS": {"nvd": {"V3Vector": one.vector, "V3Score": one.score}},
        "References": [one.url],
        "PublishedDate": "2024-01-01T00:00:00Z",
        "LastModifiedDate": "2024-01-01T00:00:00Z",
    }
