"""How large a pull request is for whoever reads it: lines that a person wrote, from XS to XL."""

from tasks.core.outcome import Outcome, Verdict
from tasks.core.pull_requests.change import Change, ChangedFile
from tasks.core.pull_requests.settings import SizeSettings
from tasks.core.results import CheckResult, result_of

SIZES = ("XS", "S", "M", "L", "XL")
LOCK_NAMES = frozenset(
    {
        *("uv.lock", "poetry.lock", "pdm.lock", "Pipfile.lock", "package-lock.json", "npm-shrinkwrap.json"),
        *("pnpm-lock.yaml", "yarn.lock", "bun.lock", "bun.lockb", "Cargo.lock", "go.sum", "Gemfile.lock"),
        *("composer.lock", "flake.lock", ".terraform.lock.hcl"),
    }
)
_GENERATED_ENDINGS = (".min.js", ".min.css", ".map", "_pb2.py", "_pb2.pyi", ".pb.go", ".snap")


def is_written(file: ChangedFile) -> bool:
    """Whether a person wrote it, as far as names and linguist's attributes tell."""
    name = file.path.rpartition("/")[2]
    is_made = file.is_generated or name in LOCK_NAMES or name.endswith(_GENERATED_ENDINGS)
    return not (is_made or file.is_vendored or file.is_binary)


def size_of(lines: int, limits: tuple[int, ...]) -> str:
    """The first size whose limit the lines do not pass; the last one has none."""
    return next((size for size, limit in zip(SIZES, limits, strict=False) if lines <= limit), SIZES[-1])


def size_label(change: Change, settings: SizeSettings) -> str:
    return f"{settings.prefix}{size_of(_lines(change), settings.limits_lines)}"


def size_labels(settings: SizeSettings) -> tuple[str, ...]:
    return tuple(f"{settings.prefix}{size}" for size in SIZES)


def _lines(change: Change) -> int:
    return sum(file.changed_lines for file in change.files if is_written(file))


def judge_size(change: Change, settings: SizeSettings, *, check_id: str) -> CheckResult:
    """Passes and says the size; over the limit it warns, or fails where the team says so."""
    lines, written = _lines(change), [file for file in change.files if is_written(file)]
    left_out = len(change.files) - len(written)
    apart = f" ({left_out} generated, vendored, lock or binary files left out)" if left_out else ""
    size = size_of(lines, settings.limits_lines)
    said = f"{size}: {lines} changed lines in {len(written)} files{apart}"
    measures = {"changed_lines": float(lines), "files": float(len(written))}
    if 0 < settings.warn_lines < lines:
        verdict = Verdict.FAILED if settings.blocks else Verdict.PASSED
        reason = f"WARNING: {said} is more than the {settings.warn_lines} that are read with care"
        outcome = Outcome(verdict, reason, remedy="split it into pull requests that each stand alone")
    else:
        outcome = Outcome(Verdict.PASSED, said)
    return result_of(check_id, outcome).model_copy(update={"measures": measures})
