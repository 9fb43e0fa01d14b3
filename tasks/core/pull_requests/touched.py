"""What a pull request touches: areas and their owners, files worth a second look, and the stages this means."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator

from pathspec import GitIgnoreSpec

from tasks.core.outcome import Outcome, Verdict
from tasks.core.pull_requests.change import Change, ChangedFile, ChangeKind
from tasks.core.pull_requests.owners import Ownership, owners_of
from tasks.core.pull_requests.settings import FileSettings
from tasks.core.pull_requests.sizes import LOCK_NAMES
from tasks.core.results import CheckResult, Place, result_of

_MIGRATION = re.compile(r"(^|/)(migrations?|alembic/versions|db/migrate)/[^/]+\.(py|sql|ts|js|rb)$")
_CI = re.compile(
    r"^(\.github/(workflows|actions)/|\.circleci/|\.buildkite/)|^(\.gitlab-ci\.yml|Jenkinsfile|azure-pipelines\.yml)$"
    r"|(^|/)(towpath\.toml|prefect\.yaml|\.pre-commit-config\.yaml)$|^\.towpath/"
)
_DOCKER = re.compile(r"(^|/)(Dockerfile|Containerfile)([^/]*)$|\.dockerfile$", re.IGNORECASE)
_TEST = re.compile(r"(^|/)(tests?|__tests__|spec)/|(^|/)test_[^/]+\.py$|_test\.py$|\.(test|spec)\.[cm]?[jt]sx?$")
_PROSE = re.compile(r"\.(md|rst|txt|adoc)$|(^|/)(docs?|LICENSE[^/]*|NOTICE[^/]*)(/|$)", re.IGNORECASE)
_INFRASTRUCTURE = re.compile(r"\.(tf|tfvars|hcl)$|(^|/)(k8s|kubernetes|helm|charts|deploy|infra|terraform)/")
_MANIFESTS = {
    **dict.fromkeys(("uv.lock", "poetry.lock", "pdm.lock"), ("pyproject.toml",)),
    "Pipfile.lock": ("Pipfile",),
    **dict.fromkeys(
        ("package-lock.json", "pnpm-lock.yaml", "yarn.lock", "bun.lock", "bun.lockb"),
        ("package.json", "pnpm-workspace.yaml"),
    ),
    "Cargo.lock": ("Cargo.toml",),
    "go.sum": ("go.mod",),
}
_AREAS = 12


def judge_files(change: Change, rules: tuple[Ownership, ...], settings: FileSettings, *, check_id: str) -> CheckResult:
    """Never fails: it tells reviewers where to look. Risky files are its gaps."""
    if not change.files:
        return result_of(check_id, Outcome(Verdict.SKIPPED, "the pull request changes no file"))
    risks = tuple(find_risks(change, settings))
    flagged = f"; {len(risks)} to look at twice" if risks else ""
    outcome = Outcome(Verdict.PASSED, f"{len(change.files)} files in {_listed(areas_of(change))}{flagged}")
    told = {"owners": _listed(owners_in(change, rules)) or "none named", "stages": ", ".join(stages_of(change))}
    measures = {"files": float(len(change.files)), "risky": float(len(risks))}
    result = result_of(check_id, outcome)
    return result.model_copy(update={"suites": told, "gaps": risks[:20], "measures": measures})


def areas_of(change: Change) -> tuple[str, ...]:
    """The top folders that are touched, the most touched first."""
    counts = Counter(file.path.partition("/")[0] if "/" in file.path else "the root" for file in change.files)
    return tuple(f"{area} ({number})" for area, number in counts.most_common())


def owners_in(change: Change, rules: tuple[Ownership, ...]) -> tuple[str, ...]:
    counts = Counter(owner for path in change.paths for owner in owners_of(path, rules))
    return tuple(owner for owner, _ in counts.most_common())


def _listed(words: tuple[str, ...]) -> str:
    more = f" and {len(words) - _AREAS} more" if len(words) > _AREAS else ""
    return ", ".join(words[:_AREAS]) + more


def find_risks(change: Change, settings: FileSettings) -> Iterator[Place]:
    """Each risky file once for every reason."""
    own = GitIgnoreSpec.from_lines(settings.risky)
    touched = frozenset(change.paths)
    for file in change.files:
        for code, message in (*_risks(file, settings), *_lock_risk(file, touched)):
            yield Place(path=file.path, message=message, code=code)
        if any(own.match_file(path) for path in (file.path, file.old_path) if path):
            yield Place(path=file.path, message="named in pull_requests.files.risky", code="risky")


def _risks(file: ChangedFile, settings: FileSettings) -> Iterator[tuple[str, str]]:
    paths = [path for path in (file.path, file.old_path) if path]
    if any(_MIGRATION.search(path) for path in paths):
        yield "migration", f"a database migration was {file.kind}"
    if any(_CI.search(path) for path in paths):
        yield "ci", f"configuration of the pipeline was {file.kind}"
    if any(_DOCKER.search(path) for path in paths):
        yield "dockerfile", f"a Dockerfile was {file.kind}"
    if file.kind is ChangeKind.DELETED and _TEST.search(file.path):
        yield "deleted-test", "a test was deleted"
    if file.is_binary and not file.is_gone:
        yield "binary", "a binary, which nobody can read in review"
    if file.kind is ChangeKind.ADDED and file.size_bytes >= settings.large_bytes:
        yield "large", f"{file.size_bytes} bytes stay in the history for ever"


def _lock_risk(file: ChangedFile, touched: frozenset[str]) -> Iterator[tuple[str, str]]:
    """A lock file that changes while no manifest beside or above it does: somebody else's versions, unasked."""
    folder, slash, name = file.path.rpartition("/")
    if name not in LOCK_NAMES or name not in _MANIFESTS or file.is_gone:
        return
    if not any(path.rpartition("/")[2] in _MANIFESTS[name] and path.startswith(folder + slash) for path in touched):
        yield "lock-alone", f"the lock file changed and no {_MANIFESTS[name][0]} did"


def stages_of(change: Change) -> tuple[str, ...]:
    """The stages that look at such files; what is only read by people needs none of them."""
    paths = change.paths
    if not paths or all(_PROSE.search(path) for path in paths):
        return ("none: only prose changed",)
    has_images = _has(_DOCKER, paths)
    stages = ["ci", *(["images"] if has_images else []), "security"]
    if _has(_MIGRATION, paths) or _has(_INFRASTRUCTURE, paths) or has_images:
        stages.append("staging before production")
    return tuple(stages)


def _has(pattern: re.Pattern[str], paths: Iterable[str]) -> bool:
    return any(pattern.search(path) for path in paths)
