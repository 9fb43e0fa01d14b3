"""Every planted fault is found once, a clean target has none, and no secret is kept: the command on real scanners."""

import json
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.security_targets import make_clean, make_planted, secrets
from tests.e2e.stage import Said, Stage
from tests.lab.advisories import advising
from tests.lab.registry import registry
from tests.lab.trivy_database import push_database

pytestmark = pytest.mark.network


@dataclass(frozen=True)
class Scanned:
    """One run of the command: what it said, its report, and how long it took."""

    said: Said
    report: Mapping[str, Any]
    sarif: Mapping[str, Any]
    seconds: float

    def findings(self, category: str) -> list[Mapping[str, Any]]:
        return [finding for finding in self.report["findings"] if finding["category"] == category]

    def check(self, check_id: str) -> Mapping[str, Any]:
        return next(check for check in self.report["checks"] if check["id"] == check_id)

    def ran(self) -> list[Mapping[str, Any]]:
        return [check for check in self.report["checks"] if check["verdict"] != "skipped"]


@dataclass(frozen=True)
class Lab:
    """The services that scanners ask, and the words that point them there."""

    stage: Stage
    words: tuple[str, ...]

    def scan(self, target: Path, *words: str) -> Scanned:
        report, sarif = self.stage.folder / "security.json", self.stage.folder / "security.sarif"
        report.unlink(missing_ok=True)
        files = ("--json", str(report), "--sarif", str(sarif))
        asked = ("--plain", "--allow-missing", "docker", *files, *self.words, *words)
        began = time.monotonic()
        said = self.stage.towpath("security", target, *asked)
        seconds = time.monotonic() - began
        assert report.exists(), said.errors or said.output
        return Scanned(said, json.loads(report.read_text()), json.loads(sarif.read_text()), seconds)


@pytest.fixture(scope="module")
def lab(stage: Stage, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with advising() as advisories, registry(tmp_path_factory.mktemp("registry")) as address:
        chosen = {
            "security.osv_url": advisories.address,
            "security.npm_registry": advisories.address,
            "security.trivy.database": push_database(address),
            "security.trivy.insecure": "true",
        }
        yield Lab(stage, tuple(part for key, value in chosen.items() for part in ("--set", f"{key}={value}")))


@pytest.fixture(scope="module")
def planted(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Scanned:
    """The scan of the target with faults, made once."""
    return lab.scan(make_planted(tmp_path_factory.mktemp("planted") / "shop"))


def test_the_gate_blocks(planted: Scanned) -> None:
    """Given a target full of faults, the command fails and its first words are what nobody looked at."""
    assert planted.said.exit_code == 1
    assert planted.report["verdict"] == "failed"
    whats = {gap["what"] for gap in planted.report["not_covered"]}
    assert {"code/codeql:python", "secret/trufflehog", "dependency/safety@backend"} <= whats
    assert "not covered:" in planted.said.output


def test_each_vulnerability_is_one_finding_of_all_who_saw_it(planted: Scanned) -> None:
    """Eight vulnerable packages' advisories, each once, named by its package manager's scanner and by Trivy."""
    found = {(finding["package"], finding["ids"][0]): finding["scanners"] for finding in planted.findings("dependency")}
    assert found == {
        **{
            (package, cve): ["pip-audit", "trivy-fs"]
            for package, cve in (
                ("jinja2", "CVE-2014-1402"),
                ("jinja2", "CVE-2016-10745"),
                ("jinja2", "CVE-2019-10906"),
                ("requests", "CVE-2023-32681"),
                ("pyyaml", "CVE-2020-14343"),
            )
        },
        **{("lodash", cve): ["npm-audit", "trivy-fs"] for cve in ("CVE-2020-8203", "CVE-2021-23337", "CVE-2020-28500")},
    }


def test_each_flaw_in_the_code_is_found(planted: Scanned) -> None:
    """A shell, a pickle and an eval, each at its line."""
    rules = {(rule, finding["location"]) for finding in planted.findings("code") for rule in finding["rules"]}
    assert {
        ("bandit:B602", "backend/app.py:6"),
        ("bandit:B301", "backend/app.py:10"),
        ("bandit:B307", "backend/app.py:14"),
    } <= rules


def test_each_secret_is_found_once(planted: Scanned) -> None:
    """Three secrets in the tree, told by both scanners as one, and three in a commit that was taken back."""
    found = planted.findings("secret")
    tree = [finding for finding in found if not finding["locations"][0]["commit"]]
    gone = [finding for finding in found if finding["locations"][0]["commit"]]
    assert sorted(finding["location"] for finding in tree) == [f"conf/{number}.txt:1" for number in range(3)]
    assert all({"detect-secrets", "gitleaks-tree"} <= set(finding["scanners"]) for finding in tree)
    assert sorted(finding["locations"][0]["path"] for finding in gone) == [f"old/{number}.txt" for number in range(3)]
    assert all(finding["blocks"] for finding in found)


def test_infrastructure_is_judged_as_it_would_be_applied(planted: Scanned) -> None:
    """At least three rules each for Terraform and for the rendered overlay, whose resource has the overlay's name."""
    found = planted.findings("iac")
    terraform = {finding["id"] for finding in found if "infra" in finding["location"]}
    kubernetes = {finding["id"] for finding in found if "prod-web" in finding["id"]}
    assert len(terraform) >= 3
    assert len(kubernetes) >= 3


def test_nothing_is_told_twice(planted: Scanned) -> None:
    """No two findings share an id, and none has the same rule at the same place as another."""
    ids = Counter(finding["id"] for finding in planted.report["findings"])
    places = Counter(
        (rule, finding["location"])
        for finding in planted.report["findings"]
        for rule in finding["rules"]
        if finding["category"] in ("code", "secret")
    )
    assert [name for name, count in (ids + places).items() if count > 1] == []


def test_the_sarif_has_every_finding(planted: Scanned) -> None:
    """As many results as findings, each with a fingerprint that stays."""
    results = [result for run in planted.sarif["runs"] for result in run["results"]]
    assert len(results) == len(planted.report["findings"])
    assert all(result["partialFingerprints"] for result in results)


def test_bills_of_materials_are_written(planted: Scanned) -> None:
    """The lock files' packages are listed in CycloneDX."""
    bill = next(name for name in planted.report["files"] if name.endswith(".cdx.json"))
    listed = json.loads((Path(planted.report["folder"]) / bill).read_text())
    assert {"jinja2", "lodash"} <= {component["name"] for component in listed["components"]}


def test_no_secret_is_in_anything_that_is_kept(planted: Scanned, stage: Stage) -> None:
    """Given six planted secrets, none is in a file of Towpath's home but the commits and the tree themselves."""
    values = [value.encode() for value in secrets(6)]
    files = [path for path in stage.home.rglob("*") if path.is_file()]
    kept = [path for path in files if path.relative_to(stage.home).parts[0] not in ("targets", "mirrors")]
    assert any(path.suffix == ".db" for path in kept)
    assert [path for path in kept for value in values if value in path.read_bytes()] == []
    assert not any(value.decode() in planted.said.output + planted.said.errors for value in values)


def test_a_clean_target_passes_by_scanners_that_are_alive(lab: Lab, tmp_path: Path) -> None:
    """Given a target without faults, nothing is found, and every scanner has shown that it finds what is there."""
    clean = lab.scan(make_clean(tmp_path / "shop"))
    assert clean.report["findings"] == []
    assert {check["verdict"] for check in clean.ran()} == {"passed"}, clean.said.output
    assert clean.said.exit_code == 0
    assert {check["tool"] for check in clean.ran()} == {
        *("pip-audit", "npm-audit", "trivy-fs", "bandit", "checkov"),
        *("detect-secrets", "gitleaks-tree", "gitleaks-history"),
    }
    assert all("reports a known finding" in check["suites"]["known finding"] for check in clean.ran())
    again = lab.scan(tmp_path / "shop")
    assert all(check["cached"] for check in again.ran())
    assert again.seconds < 10
