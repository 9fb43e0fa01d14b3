"""The lab's database reaches the real Trivy through a real registry, and its bills and dates are real."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tasks.adapters.scanners.image_advisories import (
    TRIVY_FS,
    TRIVY_IMAGE,
    database_arguments,
    image_bill_arguments,
    tree_bill_arguments,
)
from tasks.adapters.scanners.image_archive import DEBIAN_FILES, image_archive, python_package
from tasks.core.security.scanner import Scan
from tests.adapters.scanners.cell import Places, run, run_plainly, write_files
from tests.adapters.scanners.installed_scanners import InstalledScanners, ScannerMissingError
from tests.lab.engine import LabMissingError
from tests.lab.registry import registry
from tests.lab.trivy_database import push_database, write_database

pytestmark = pytest.mark.network


@pytest.fixture
def trivy(scanner_tools: InstalledScanners) -> tuple[str, tuple[Path, ...]]:
    try:
        return scanner_tools.program(TRIVY_IMAGE)
    except ScannerMissingError as missing:
        pytest.skip(str(missing))


@pytest.fixture
def registry_address(tmp_path: Path) -> Iterator[str]:
    try:
        with registry(tmp_path / "registry") as address:
            yield address
    except LabMissingError as missing:
        pytest.skip(str(missing))


def test_a_pushed_database_is_downloaded_with_its_age(
    trivy: tuple[str, tuple[Path, ...]], registry_address: str, tmp_path: Path
) -> None:
    """Trivy fetches the database from the registry, and keeps beside it when it was published."""
    reference = push_database(registry_address, age=timedelta(days=30))
    done = run_plainly([trivy[0], *database_arguments(str(tmp_path / "cache"), reference, is_insecure=True)])

    assert done.returncode == 0, done.stderr
    assert (tmp_path / "cache" / "db" / "trivy.db").stat().st_size > 10_000
    told = json.loads((tmp_path / "cache" / "db" / "metadata.json").read_text())
    assert 29.9 < (datetime.now(UTC) - datetime.fromisoformat(told["UpdatedAt"])).total_seconds() / 86_400 < 30.1


def test_a_database_that_is_not_there_is_a_failure(
    trivy: tuple[str, tuple[Path, ...]], registry_address: str, tmp_path: Path
) -> None:
    """A tag the registry does not have ends the download with an error and leaves no database."""
    arguments = database_arguments(str(tmp_path / "cache"), f"{registry_address}/lab/nothing:2", is_insecure=True)
    done = run_plainly([trivy[0], *arguments])

    assert done.returncode == 1
    assert not (tmp_path / "cache" / "db" / "trivy.db").exists()


def test_trivy_itself_says_nothing_of_a_stale_database(trivy: tuple[str, tuple[Path, ...]], tmp_path: Path) -> None:
    """With a database of long ago Trivy answers as ever, so that its age must be judged before."""
    for name in ("target", "scratch"):
        (tmp_path / name).mkdir()
    write_files(tmp_path / "target", {"requirements.txt": "jinja2==2.4.1\n"})
    database = write_database(tmp_path / "database", age=timedelta(days=2000))
    places = Places(target=tmp_path / "target", scratch=tmp_path / "scratch", database=database, tools=trivy[1])
    assert TRIVY_FS.bait
    ran = run(TRIVY_FS, trivy[0], TRIVY_FS.bait.scan, places)

    assert (ran.exit_code, ran.output.log) == (5, "")


@pytest.mark.parametrize(
    ("arguments", "name"), [(tree_bill_arguments(), "requests"), (image_bill_arguments(), "zlib1g")]
)
def test_a_bill_of_materials_names_what_is_there(
    arguments: tuple[str, ...], name: str, trivy: tuple[str, tuple[Path, ...]], tmp_path: Path
) -> None:
    """The bill of a target and of an image is CycloneDX, needs no database and names each package."""
    for folder in ("target", "scratch"):
        (tmp_path / folder).mkdir()
    write_files(tmp_path / "target", {"requirements.txt": "requests==2.31.0\n"})
    (tmp_path / "image.tar").write_bytes(image_archive({**DEBIAN_FILES, **python_package("jinja2", "3.1.6")}))
    places = Places(
        target=tmp_path / "target",
        scratch=tmp_path / "scratch",
        image=tmp_path / "image.tar",
        tools=trivy[1],
    )
    asked = replace(TRIVY_FS, arguments=lambda scan: arguments)
    bill = json.loads(run(asked, trivy[0], Scan(), places).output.stdout)

    assert bill["bomFormat"] == "CycloneDX"
    assert name in {component["name"] for component in bill["components"]}
