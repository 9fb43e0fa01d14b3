"""Images through the whole security flow on a real engine: built, scanned by digest, found or clean, and removed."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
import pytest

from tasks.adapters.scanners.image_archive import DEBIAN_FILES, python_package
from tests.adapters.real_git import git
from tests.e2e.security_targets import BAD_PACKAGES, GOOD_PACKAGES
from tests.e2e.stage import Stage
from tests.lab.engine import LabEngine
from tests.lab.registry import registry
from tests.lab.trivy_database import push_database

pytest_plugins = ["tests.lab.pytest_engine"]
pytestmark = [pytest.mark.engine, pytest.mark.network, pytest.mark.timeout(600)]

_OTHERS = ("gitleaks-tree", "gitleaks-history", "detect-secrets", "bandit", "trivy-fs")


@dataclass(frozen=True)
class Lab:
    """Where images are scanned: the stage, the engine, the words that name the database."""

    stage: Stage
    engine: LabEngine
    words: tuple[str, ...]

    def scan(self, target: Path) -> Mapping[str, Any]:
        file = self.stage.folder / "images.json"
        file.unlink(missing_ok=True)
        asked: tuple[str | Path, ...] = ("security", target, "--plain", "--json", file, *self.words)
        said = self.stage.towpath(*asked, extras=self.engine.environment)
        assert file.exists(), said.errors or said.output
        report: Mapping[str, Any] = json.loads(file.read_text())
        return report

    def left_images(self) -> list[str]:
        client = docker.DockerClient(self.engine.environment.get("DOCKER_HOST"))
        try:
            return [tag for image in client.images.list() for tag in image.tags if "towpath-security" in tag]
        finally:
            client.close()


@pytest.fixture(scope="module")
def lab(stage: Stage, lab_engine: LabEngine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with registry(tmp_path_factory.mktemp("registry")) as address:
        off = {f"security.disabled.{name}": "not asked here" for name in _OTHERS}
        chosen = {**off, "security.trivy.database": push_database(address), "security.trivy.insecure": "true"}
        yield Lab(stage, lab_engine, tuple(part for pair in chosen.items() for part in ("--set", "=".join(pair))))


def make_image_target(place: Path, packages: Mapping[str, str], *, system: Mapping[str, str]) -> Path:
    """A target with one Dockerfile, whose image holds these packages and nothing that runs."""
    held = dict(system)
    for name, version in packages.items():
        held |= python_package(name, version)
    files = {"Dockerfile": "FROM scratch\nCOPY root/ /\n", **{f"root/{name}": text for name, text in held.items()}}
    for name, text in files.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text(text)
    git(place, "init", "-q", "-b", "main")
    git(place, "add", "--force", ".")
    git(place, "commit", "-q", "-m", "one")
    return place


def test_each_fault_of_an_image_is_found_once(lab: Lab, tmp_path: Path) -> None:
    """Three vulnerable packages and a vulnerable system library, each advisory once, at the image's digest."""
    report = lab.scan(make_image_target(tmp_path / "shop", BAD_PACKAGES, system=DEBIAN_FILES))
    assert report["verdict"] == "failed"
    found = report["findings"]
    assert {(finding["package"], finding["ids"][0]) for finding in found} == {
        ("jinja2", "CVE-2014-1402"),
        ("jinja2", "CVE-2016-10745"),
        ("jinja2", "CVE-2019-10906"),
        ("requests", "CVE-2023-32681"),
        ("pyyaml", "CVE-2020-14343"),
        ("zlib1g", "CVE-2023-45853"),
        ("zlib1g", "CVE-2022-37434"),
    }
    assert len(found) == len({finding["id"] for finding in found}) == 7
    assert {finding["category"] for finding in found} == {"container"}
    assert all("@sha256:" in finding["locations"][0]["image"] for finding in found)
    (bill,) = (Path(report["folder"]) / name for name in report["files"] if name.endswith(".cdx.json"))
    listed = {component["name"] for component in json.loads(bill.read_text())["components"]}
    assert {"jinja2", "requests", "pyyaml", "zlib1g"} <= listed
    assert lab.left_images() == []


def test_a_clean_image_passes_by_a_scanner_that_is_alive(lab: Lab, tmp_path: Path) -> None:
    """Nothing is found in an image without faults by a Trivy that finds what is there, and that is remembered."""
    target = make_image_target(tmp_path / "shop", GOOD_PACKAGES, system={})
    report = lab.scan(target)
    assert (report["verdict"], report["findings"]) == ("passed", []), report["reason"]
    (check,) = (check for check in report["checks"] if check["tool"] == "trivy-image")
    assert "reports a known finding" in check["suites"]["known finding"]
    assert "@sha256:" in check["suites"]["image"]
    (again,) = (check for check in lab.scan(target)["checks"] if check["tool"] == "trivy-image")
    assert again["cached"]
    assert lab.left_images() == []


def test_an_image_that_cannot_be_built_is_an_error(lab: Lab, tmp_path: Path) -> None:
    """Given a Dockerfile that fails, nothing is said of its image but that it could not be scanned."""
    target = make_image_target(tmp_path / "shop", GOOD_PACKAGES, system={})
    (target / "Dockerfile").write_text("FROM scratch\nCOPY nothing-there /\n")
    report = lab.scan(target)
    (check,) = (check for check in report["checks"] if check["tool"] == "trivy-image")
    assert (report["verdict"], check["verdict"]) == ("error", "error")
    assert "could not be built" in check["reason"]
    assert lab.left_images() == []
