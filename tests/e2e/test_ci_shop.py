"""CI of the clean shop: everything passes, is told in full, and is done again only where something changed."""

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import jsonschema
import pytest

from tests.e2e.repositories import git
from tests.e2e.stage import ROOT, Run, Stage, is_run, until
from tests.lab.engine import LabEngine

pytest_plugins = ["tests.lab.pytest_engine"]
pytestmark = [pytest.mark.server, pytest.mark.timeout(600)]

BACKEND = {f"backend/{name}" for name in ("black", "coverage", "mypy", "pytest", "ruff", "smoke")}
FRONTEND = {f"frontend/{name}" for name in ("build", "eslint", "test", "typescript")}
IMAGES = {"images/backend", "images/frontend"}
REPORT_FIELDS = {"flow", "target", "revision", "verdict", "seconds", "checks"}
CHECK_FIELDS = {"id", "verdict", "reason", "remedy", "seconds", "cached", "tool", "version", "log"}


@pytest.fixture(scope="module")
def images(any_engine: LabEngine | None) -> set[str]:
    """The image checks that can run here."""
    return IMAGES if any_engine else set()


@pytest.fixture(scope="module")
def clean_run(
    stage: Stage, shop_repository: Path, engine_words: tuple[str, ...], engine_environment: dict[str, str]
) -> Run:
    """The first run over the clean shop in a home that nobody has used."""
    return stage.ci(shop_repository, *engine_words, extras=engine_environment)


@pytest.fixture
def again(stage: Stage, clean_run: Run, engine_words: tuple[str, ...], engine_environment: dict[str, str]) -> "Again":
    return Again(stage, engine_words, engine_environment)


class Again:
    """Runs after the first, under the same settings."""

    def __init__(self, stage: Stage, words: tuple[str, ...], environment: dict[str, str]) -> None:
        self._stage = stage
        self._words = words
        self._environment = environment

    def ci(self, target: Path | str, *words: str) -> Run:
        return self._stage.ci(target, *self._words, *words, extras=self._environment)


class TestFirstRun:
    def test_passes(self, clean_run: Run, images: set[str]) -> None:
        """Every check of the clean shop passes; without an engine the images alone are skipped, with the reason."""
        assert clean_run.exit_code == 0, clean_run.said.output
        assert clean_run.report["verdict"] == "passed"
        assert clean_run.ending_in("passed") == BACKEND | FRONTEND | images
        assert clean_run.ending_in("skipped") == IMAGES - images
        for skipped in IMAGES - images:
            assert clean_run.check(skipped)["reason"].startswith("no container engine found")

    def test_report(self, clean_run: Run, shop_repository: Path) -> None:
        """The report keeps to its published schema, and has every field that was promised."""
        schema = json.loads((ROOT / "docs" / "report.schema.json").read_text())
        jsonschema.validate(clean_run.report, schema)

        assert clean_run.report.keys() >= REPORT_FIELDS
        assert clean_run.report["flow"] == "ci"
        assert clean_run.report["target"] == str(shop_repository)
        assert clean_run.report["revision"] == git(shop_repository, "rev-parse", "HEAD")
        assert not clean_run.report["dirty"]
        for check in clean_run.report["checks"]:
            assert check.keys() >= CHECK_FIELDS
            assert check["reason"]

    def test_what_ran(self, clean_run: Run) -> None:
        """Each check that ran says its tool, the version and how long it took, and its whole log is on disk."""
        for check in filter(is_run, clean_run.report["checks"]):
            if check["id"] == "backend/coverage":
                continue
            assert check["tool"]
            assert check["version"]
            assert check["seconds"] > 0
            assert Path(check["log"]).is_file()

    def test_suites(self, clean_run: Run) -> None:
        """Unit, integration and smoke tests are shown apart, smoke as a check of its own."""
        assert set(clean_run.check("backend/pytest")["suites"]) == {"integration", "unit"}
        assert set(clean_run.check("backend/smoke")["suites"]) == {"smoke"}
        assert clean_run.check("backend/coverage")["reason"].endswith("at least 80 % asked")

    def test_junit(self, clean_run: Run) -> None:
        """The JUnit file has one case per check and counts what was skipped."""
        suite = ElementTree.fromstring(clean_run.junit).find("testsuite")
        assert suite is not None
        cases = {f"{case.get('classname')}/{case.get('name')}" for case in suite.iter("testcase")}

        assert cases == set(clean_run.verdicts())
        assert (suite.get("failures"), suite.get("errors")) == ("0", "0")
        assert suite.get("skipped") == str(len(clean_run.ending_in("skipped")))

    def test_files_of_the_run(self, clean_run: Run) -> None:
        """The run's folder holds the same report, its Markdown and the logs."""
        folder = Path(clean_run.report["folder"])

        assert json.loads((folder / "report.json").read_text()) == clean_run.report
        assert "backend/mypy" in (folder / "report.md").read_text()
        assert ElementTree.parse(folder / "junit.xml").getroot().tag == "testsuites"

    def test_target_is_untouched(self, clean_run: Run, shop_repository: Path) -> None:
        """Nothing is written into the target, not even what its .gitignore would hide."""
        assert git(shop_repository, "status", "--porcelain", "--ignored") == ""


class TestOnTheServer:
    def test_state(self, stage: Stage, clean_run: Run) -> None:
        """The flow run is Completed."""
        assert stage.state_of(clean_run.id) == ("COMPLETED", "Completed")

    def test_task_runs(self, stage: Stage, clean_run: Run) -> None:
        """There is one task run per check, named after it, and its log says how the check ended."""
        wanted = set(clean_run.verdicts())
        found = until(lambda: _task_runs(stage, clean_run, wanted), what="a task run per check")

        assert {len(found[name]) for name in wanted} == {1}
        assert {found[name][0]["state_type"] for name in wanted} == {"COMPLETED"}
        ended = f"passed: {clean_run.check('backend/pytest')['reason']}"
        until(lambda: ended in _log(stage, found["backend/pytest"][0]["id"]), what="the verdict in the log")

    def test_environments(self, stage: Stage, clean_run: Run) -> None:
        """Environments are task runs of their own."""
        until(lambda: _task_runs(stage, clean_run, {"python:backend", "node:frontend"}), what="both environments")

    def test_artifact(self, stage: Stage, clean_run: Run) -> None:
        """The run has a Markdown artifact with the table of all checks."""
        body = {"artifacts": {"flow_run_id": {"any_": [clean_run.id]}, "type": {"any_": ["markdown"]}}}
        (artifact,) = stage.answer("/artifacts/filter", body)

        assert artifact["key"] == "ci-shop"
        assert all(f"| {name} |" in artifact["data"] for name in clean_run.verdicts())


def _task_runs(stage: Stage, run: Run, wanted: set[str]) -> dict[str, list[dict[str, Any]]] | None:
    """Task runs by name, once all that are wanted have arrived: the server writes them down a while later."""
    found: dict[str, list[dict[str, Any]]] = {}
    for each in stage.answer("/task_runs/filter", {"flow_runs": {"id": {"any_": [run.id]}}}):
        found.setdefault(each["name"], []).append(each)
    is_there = wanted <= found.keys() and all(each["end_time"] for name in wanted for each in found[name])
    return found if is_there else None


def _log(stage: Stage, task_run_id: str) -> str:
    lines = stage.answer("/logs/filter", {"logs": {"task_run_id": {"any_": [task_run_id]}}})
    return "\n".join(line["message"] for line in lines)


class TestCache:
    def test_nothing_changed(self, again: Again, shop: Path, clean_run: Run) -> None:
        """A second run believes every result of the first, and leaves the same logs in its own folder."""
        second = again.ci(shop)

        assert second.exit_code == 0
        assert second.anew() == set()
        assert second.from_cache() == clean_run.anew()
        assert second.verdicts() == clean_run.verdicts()
        folder = second.report["folder"]
        assert all(check["log"].startswith(folder) for check in second.report["checks"] if check["log"])

    def test_frontend_file(self, again: Again, shop: Path, images: set[str]) -> None:
        """After an edit of one frontend file the frontend's checks alone run again, and its image."""
        styles = shop / "frontend" / "src" / "money.ts"
        styles.write_text(f"{styles.read_text()}// Prices are in cents everywhere else.\n")
        edited = again.ci(shop)

        assert edited.exit_code == 0
        assert edited.report["dirty"]
        assert edited.anew() == FRONTEND | images & {"images/frontend"}
        assert edited.from_cache() == BACKEND | images & {"images/backend"}

    def test_no_cache(self, again: Again, shop: Path, images: set[str]) -> None:
        """With --no-cache everything runs."""
        third = again.ci(shop, "--no-cache")

        assert third.exit_code == 0
        assert third.anew() == BACKEND | FRONTEND | images


class TestRevision:
    def test_git_address(self, again: Again, shop: Path, clean_run: Run) -> None:
        """A revision at a git address gives what the work tree gave, whatever the work tree holds by now."""
        revision = clean_run.report["revision"]
        (shop / "backend" / "src" / "shop" / "chaos.py").write_text("this is no Python\n")
        fetched = again.ci(f"file://{shop}", "--ref", revision)

        assert fetched.exit_code == 0
        assert (fetched.report["revision"], fetched.report["dirty"]) == (revision, False)
        assert fetched.report["target"] == f"file://{shop}"
        assert fetched.verdicts() == clean_run.verdicts()
        assert fetched.from_cache() == clean_run.anew()
