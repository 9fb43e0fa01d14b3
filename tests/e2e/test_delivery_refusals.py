"""What is not let through, and what does not work: refused in one line, or undone, and the environment is as before."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tasks.core.platform import EnvironmentStatus
from tasks.core.records import Ending
from tests.e2e.delivery_stage import Delivered, configured, make_delivered, setting
from tests.e2e.repositories import git
from tests.e2e.stage import Said

pytest_plugins = ["tests.e2e.delivery_fixtures"]
pytestmark = [pytest.mark.server, pytest.mark.timeout(300)]

NEVER_READY = (*setting("components.web.ready_path", '"/never"'), *setting("components.web.start_seconds", "1"))
REFUSING = setting("environments.staging.variables.web.REFUSE_ROUTED", '"1"')
NO_GATE = setting("gates", "[]")


@pytest.fixture
def other(delivered_target: Delivered, tmp_path: Path) -> Delivered:
    """A copy of the target for what must not happen to the target itself, on the same home and of the same name."""
    shutil.copytree(delivered_target.repository, tmp_path / "copy")
    return Delivered(delivered_target.stage, tmp_path / "copy", started=delivered_target.started)


def commit(repository: Path, text: str) -> str:
    with (repository / "serve.py").open("a") as stream:
        stream.write(f"# {text}\n")
    git(repository, "commit", "--quiet", "--all", f"--message={text}")
    return git(repository, "rev-parse", "HEAD")


def then_one_line(said: Said, code: int, *reasons: str) -> None:
    """The exit code, and one line with all of the reasons."""
    assert said.exit_code == code, said
    assert "Traceback" not in said.errors + said.output
    (line,) = said.errors.splitlines()
    assert [reason for reason in reasons if reason not in line] == [], line


def standing(delivered: Delivered) -> tuple[object, ...]:
    """What of an environment must be as it was."""
    status: EnvironmentStatus = delivered.status()
    ready = {each.name for each in status.instances if each.is_ready}
    return status.stable, status.candidate, status.candidate_percent, ready


class TestGates:
    def test_without_ci(self, other: Delivered) -> None:
        """A revision that CI never saw is not released; the line says what to run. With a reason it is, on record."""
        revision = commit(other.repository, "never seen by CI")
        staging = other.inside("staging")
        before, records = standing(staging), staging.records()
        refused = other.run("cd")
        unchanged = (standing(staging), staging.records()) == (before, records)
        overridden = other.run("cd", "--override", "the building burns", "--by", "Ann")

        then_one_line(refused, 1, "ci ran never on", "towpath ci", "--override REASON")
        assert unchanged
        assert overridden.exit_code == 0, overridden.errors
        record = staging.records()[-1]
        assert (record.override, record.who) == ("the building burns", "Ann")
        assert record.release.revision == revision
        assert [(gate.name, gate.verdict.value) for gate in record.gates] == [("ci", "error")]

    def test_red_ci(self, other: Delivered) -> None:
        """A revision on which CI is red is not released, and the line says what failed."""
        commit(other.repository, "red")
        ci = other.run("ci", "--set", 'checks.fine.command=["false"]')

        assert ci.exit_code == 1
        then_one_line(other.run("cd"), 1, "own/fine")

    def test_not_in_staging(self, other: Delivered) -> None:
        """What was not in staging goes to production neither as a version nor as a canary."""
        commit(other.repository, "never in staging")
        git(other.repository, "tag", "v9.0.0")
        before, records = standing(other), other.records()

        then_one_line(other.run("production", "v9.0.0"), 1, "v9.0.0 was never in staging", "towpath cd")
        then_one_line(other.run("canary", "--ref", "v9.0.0"), 1, "was never in staging", "towpath cd")
        assert (standing(other), other.records()) == (before, records)

    def test_moved_tag(self, other: Delivered) -> None:
        """A version whose tag was moved after staging is another release, and was never there."""
        commit(other.repository, "behind everybody's back")
        git(other.repository, "tag", "--force", "v1.0.0")

        then_one_line(other.run("production", "v1.0.0"), 1, "was never in staging")

    def test_branch_named_like_version(self, other: Delivered) -> None:
        """A branch that is named like a version is none: production takes the tag, or nothing."""
        commit(other.repository, "on a branch")
        git(other.repository, "branch", "v3.0.0")
        git(other.repository, "branch", "v1.0.0")

        then_one_line(other.run("production", "v3.0.0"), 2, "v3.0.0")
        said = other.run("production", "v1.0.0", *configured(LABEL="the-tag"))
        assert said.exit_code == 0, said.errors
        assert other.records()[-1].release.revision == git(other.repository, "rev-parse", "refs/tags/v1.0.0")

    def test_no_version(self, production: Delivered) -> None:
        """Production takes version tags only."""
        then_one_line(production.run("production", "main"), 2, "main is no version")


class TestUndone:
    @pytest.mark.parametrize(
        ("words", "step", "why"),
        [
            pytest.param(NEVER_READY, "put beside", "was not ready within", id="never-ready"),
            pytest.param(REFUSING, "health", "web is not healthy", id="health"),
            pytest.param(setting("tests.command", '["false"]'), "target tests", "exit code 1", id="tests"),
            pytest.param(
                setting("components.web.command", '["no-such-program"]'), "put beside", "was not ready", id="no-program"
            ),
        ],
    )
    def test_staging(self, production: Delivered, words: tuple[str, ...], step: str, why: str) -> None:
        """A release that does not work in staging leaves it as it was; the record says which step failed and why."""
        staging = production.inside("staging")
        before = standing(staging)
        quick = setting("components.web.start_seconds", "1")
        said = staging.run("cd", "--ref", "v1.0.0", *NO_GATE, *quick, *words)

        record = staging.records()[-1]
        assert (said.exit_code, record.ending) == (1, Ending.ROLLED_BACK)
        assert why in record.reason
        assert record.remedy
        assert [each.name for each in record.steps if not each.is_well] == [step]
        staging.when_over(seconds=10)
        assert standing(staging) == before

    def test_production(self, production: Delivered) -> None:
        """A release that fails its users in production is gone again, with the share of errors as the reason."""
        before = standing(production)
        with production.load(per_second=80):
            words = (*configured(LABEL="fails", FAIL_PERCENT="20"), *setting("verification.settle_seconds", "3"))
            said = production.run("production", "v1.0.0", *words)

        record = production.records()[-1]
        assert (said.exit_code, record.ending) == (1, Ending.ROLLED_BACK)
        assert [each.name for each in record.steps if not each.is_well] == ["verify"]
        production.when_over(seconds=10)
        assert standing(production) == before


def edit_record(folder: Path) -> None:
    path = sorted((folder / "releases").glob("*.json"))[0]
    path.chmod(0o644)
    path.write_text(path.read_text().replace('"who": "', '"who": "Not '))


def cut_record(folder: Path) -> None:
    path = sorted((folder / "releases").glob("*.json"))[0]
    path.chmod(0o644)
    path.write_text(path.read_text()[:100])


def damage_lock(folder: Path) -> None:
    (folder / "lock.json").write_text("{")


@pytest.fixture
def spoilt(production: Delivered) -> Iterator[Callable[[Callable[[Path], None]], Path]]:
    """Spoils production's folder, and puts it back."""
    folder = production.ground.folder
    kept = production.stage.folder / "kept"

    def spoil(how: Callable[[Path], None]) -> Path:
        shutil.copytree(folder / "releases", kept)
        how(folder)
        return folder

    yield spoil
    shutil.rmtree(folder / "releases")
    shutil.move(kept, folder / "releases")
    (folder / "lock.json").unlink(missing_ok=True)


class TestBadInput:
    @pytest.mark.parametrize(
        ("words", "reason"),
        [
            (("rollback", "nowhere"), "no environment nowhere is known"),
            (("history", "nowhere"), "no environment nowhere"),
            (("status", "nowhere"), "no environment nowhere"),
            (("lock", "nowhere", "--reason", "why"), "no environment nowhere"),
            (("show", "999", "--target", "tiny"), "no record of 999"),
            (("rollback", "production", "--target", "nobody"), "no environment production of nobody"),
            (("rollback", "production", "v8.8.8", "--target", "tiny"), "no record of v8.8.8"),
            (("replay", "nowhere"), "no environment nowhere"),
            (("canary", "/nonexistent"), "/nonexistent"),
            (("approve", "1234"), "--by"),
            (("canarry", "."), "did you mean canary"),
        ],
    )
    def test_words(self, production: Delivered, words: tuple[str, ...], reason: str) -> None:
        """A word that names nothing gets one line and exit code 2."""
        said = production.stage.towpath(*words)

        assert said.exit_code == 2, said
        assert reason in said.errors.splitlines()[-1]
        assert "Traceback" not in said.errors

    @pytest.mark.parametrize("command", ["cd", "canary"])
    def test_no_delivery(self, production: Delivered, tmp_path: Path, command: str) -> None:
        """A target that says nothing of delivery is told what to add."""
        target = make_delivered(tmp_path / "plain")
        (target / "towpath.toml").write_text('[checks.fine]\ncommand = ["true"]\n')
        git(target, "commit", "--quiet", "--all", "--message=Plain")
        plain = Delivered(production.stage, target)

        then_one_line(plain.run(command), 2, "delivery.components")

    def test_unknown_environment(self, production: Delivered) -> None:
        """A target that would be delivered to an environment it does not describe is told which it knows."""
        said = production.run("cd", "--ref", "v1.0.0", *setting("staging", '"nowhere"'))

        then_one_line(said, 2, "there is no environment nowhere", "staging, production, trial")

    def test_dirty(self, other: Delivered) -> None:
        """What is in no commit is not released."""
        (other.repository / "serve.py").write_text("# dirty")

        then_one_line(other.run("cd"), 2, "in no commit")

    @pytest.mark.parametrize(
        ("setting_words", "reason"),
        [
            (setting("canary.steps", "[50, 20]"), "steps must rise"),
            (setting("canary.judge.alpha", "2"), "alpha"),
            (setting("canary.colour", '"red"'), "colour"),
            (setting("environments.production.replicas", "{wob=1}"), "wob"),
        ],
    )
    def test_settings(self, production: Delivered, setting_words: tuple[str, ...], reason: str) -> None:
        """A setting that cannot be is refused by name before anything is touched."""
        then_one_line(production.canary(*setting_words), 2, reason)

    @pytest.mark.parametrize("command", [("history", "production"), ("show", "1"), ("rollback", "production")])
    @pytest.mark.parametrize("how", [edit_record, cut_record])
    def test_altered_record(
        self,
        production: Delivered,
        spoilt: Callable[[Callable[[Path], None]], Path],
        how: Callable[[Path], None],
        command: tuple[str, ...],
    ) -> None:
        """A record that was edited or cut is noticed by all that read it, and nothing is changed on its word."""
        before = standing(production)
        spoilt(how)
        said = production.stage.towpath(*command, "--target", production.target)

        then_one_line(said, 3, "compare", "before anything else")
        assert standing(production) == before

    @pytest.mark.parametrize("command", [("status", "production"), ("rollback", "production", "1")])
    def test_damaged_lock(
        self,
        production: Delivered,
        spoilt: Callable[[Callable[[Path], None]], Path],
        command: tuple[str, ...],
    ) -> None:
        """A lock that cannot be read is never taken for a free one; what reads it says where it lies."""
        before = standing(production)
        spoilt(damage_lock)
        said = production.stage.towpath(*command, "--target", production.target)

        then_one_line(said, 3, "lock.json cannot be read", "look at it, then delete it")
        assert standing(production) == before


def test_json(production: Delivered, tmp_path: Path) -> None:
    """--json writes the record as it lies on disk."""
    file = tmp_path / "record.json"
    said = production.rollback("1", "--json", str(file))

    assert said.exit_code == 0, said.errors
    assert json.loads(file.read_text()) == json.loads(production.records()[-1].model_dump_json())
