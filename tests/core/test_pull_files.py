"""Owners, risks, sizes, stages and complexity of a change."""

from dataclasses import replace

import pytest

from tasks.core.outcome import Verdict
from tasks.core.pull_requests.change import ChangeKind
from tasks.core.pull_requests.complexity import Function, judge_complexity
from tasks.core.pull_requests.owners import owners_of, read_owners
from tasks.core.pull_requests.settings import ComplexitySettings, FileSettings, SizeSettings
from tasks.core.pull_requests.sizes import judge_size, size_label
from tasks.core.pull_requests.touched import find_risks, judge_files, stages_of
from tests.core.pull_changes import change_of, changed

OWNERS = """
# the last that fits decides
*            @all
/docs/       @writers   # trailing words
*.js         @front one@example.org
apps/        @apps
/apps/legacy
build/logs/* @logs
/with\\ space/ @space
!negated     @nobody
"""


@pytest.mark.parametrize(
    ("path", "owners"),
    [
        ("a.py", ("@all",)),
        ("docs/a.md", ("@writers",)),
        ("x/docs/a.md", ("@all",)),
        ("docs/a.js", ("@front", "one@example.org")),
        ("x/apps/a.js", ("@apps",)),
        ("apps/legacy/a", ()),
        ("build/logs/a", ("@logs",)),
        ("build/logs/deep/a", ("@all",)),
        ("with space/ü", ("@space",)),
        ("negated", ("@all",)),
    ],
)
def test_the_last_fitting_owner_decides(path: str, owners: tuple[str, ...]) -> None:
    """CODEOWNERS is read as GitHub reads it: last match, empty owners, folders, escaped spaces, no negation."""
    assert owners_of(path, read_owners(OWNERS)) == owners


@pytest.mark.parametrize(
    ("file", "codes"),
    [
        (changed("a.py"), []),
        (changed("app/migrations/0001.py"), ["migration"]),
        (changed(".github/workflows/ci.yml"), ["ci"]),
        (changed("towpath.toml"), ["ci"]),
        (changed("api/Dockerfile.prod"), ["dockerfile"]),
        (changed("tests/test_a.py", kind=ChangeKind.DELETED), ["deleted-test"]),
        (changed("tests/test_a.py"), []),
        (changed("logo.png", 0, is_binary=True, kind=ChangeKind.ADDED, size_bytes=2 << 20), ["binary", "large"]),
        (changed("logo.png", 0, is_binary=True, kind=ChangeKind.DELETED), []),
        (changed("uv.lock"), ["lock-alone"]),
        (changed("keys/a.pem"), ["risky"]),
        (changed("b/x.py", old_path="a/migrations/x.py", kind=ChangeKind.RENAMED), ["migration"]),
    ],
)
def test_risky_files_are_flagged(file: object, codes: list[str]) -> None:
    """Each kind of risk is flagged at its file, and nothing else is."""
    assert isinstance(file, type(changed("x")))
    found = find_risks(change_of(file), FileSettings(risky=("keys/",)))

    assert [place.code for place in found] == codes


def test_a_lock_file_with_its_manifest_is_no_risk() -> None:
    """A lock file that changes with a manifest in its folder or below it is the usual thing."""
    assert not list(find_risks(change_of("uv.lock", "packages/a/pyproject.toml"), FileSettings()))
    assert list(find_risks(change_of("b/uv.lock", "pyproject.toml"), FileSettings()))


def test_an_empty_pull_request_has_no_files_to_look_at() -> None:
    """Nothing changed is skipped, not passed."""
    assert judge_files(change_of(), (), FileSettings(), check_id="x").verdict is Verdict.SKIPPED


@pytest.mark.parametrize(
    ("paths", "stages"),
    [
        ((), ("none: only prose changed",)),
        (("README.md", "docs/a.md"), ("none: only prose changed",)),
        (("a.py",), ("ci", "security")),
        (("Dockerfile", "a.py"), ("ci", "images", "security", "staging before production")),
        (("db/migrations/1.sql",), ("ci", "security", "staging before production")),
    ],
)
def test_stages(paths: tuple[str, ...], stages: tuple[str, ...]) -> None:
    """Which stages look at such files."""
    assert stages_of(change_of(*paths)) == stages


@pytest.mark.parametrize(
    ("lines", "label"),
    [(0, "XS"), (10, "XS"), (11, "S"), (50, "S"), (51, "M"), (250, "M"), (251, "L"), (1000, "L"), (1001, "XL")],
)
def test_sizes_at_their_limits(lines: int, label: str) -> None:
    """A size ends at its limit and not a line before."""
    assert size_label(change_of(changed("a.py", lines)), SizeSettings()) == f"size/{label}"


def test_what_nobody_wrote_is_left_out() -> None:
    """Lock, generated, vendored and binary files and renames do not make a pull request large."""
    change = change_of(
        changed("uv.lock", 5000),
        changed("gen.py", 5000, is_generated=True),
        changed("vendor/x.js", 5000, is_vendored=True),
        changed("a.min.js", 5000),
        changed("a.png", 0, is_binary=True),
        changed("new.py", 0, old_path="old.py", kind=ChangeKind.RENAMED),
    )

    assert size_label(change, SizeSettings()) == "size/XS"


def test_over_the_limit_warns_and_blocks_only_where_asked() -> None:
    """A large change passes with a warning, and fails where the team wants that."""
    change = change_of(changed("a.py", 1001))
    warned = judge_size(change, SizeSettings(), check_id="x")

    assert (warned.verdict, warned.reason[:8]) == (Verdict.PASSED, "WARNING:")
    assert judge_size(change, SizeSettings(blocks=True), check_id="x").verdict is Verdict.FAILED


def test_three_thousand_files() -> None:
    """Three thousand files are counted, owned and flagged as three are."""
    change = change_of(*(changed(f"src/{number}/a.py") for number in range(3000)))

    assert size_label(change, SizeSettings()) == "size/XL"
    assert judge_files(change, read_owners(OWNERS), FileSettings(), check_id="x").measures["files"] == 3000


OLD = Function(path="a.py", name="f", line=1, cyclomatic=20, length=30, parameters=2)
LIMITS = ComplexitySettings()


@pytest.mark.parametrize(
    ("head", "base", "verdict"),
    [
        ([OLD], [], Verdict.FAILED),
        ([OLD], [OLD], Verdict.PASSED),
        ([replace(OLD, line=50)], [OLD], Verdict.PASSED),
        ([replace(OLD, path="b.py")], [OLD], Verdict.PASSED),
        ([replace(OLD, cyclomatic=21)], [OLD], Verdict.FAILED),
        ([replace(OLD, cyclomatic=19)], [OLD], Verdict.PASSED),
        ([replace(OLD, length=40)], [OLD], Verdict.PASSED),
        ([replace(OLD, length=101)], [OLD], Verdict.FAILED),
        ([replace(OLD, cyclomatic=15, parameters=9)], [], Verdict.FAILED),
        ([replace(OLD, cyclomatic=15, parameters=8)], [], Verdict.PASSED),
        ([OLD, replace(OLD, line=60)], [OLD], Verdict.FAILED),
        ([replace(OLD, line=60, cyclomatic=18), replace(OLD, line=90)], [OLD], Verdict.FAILED),
        ([], [OLD], Verdict.PASSED),
    ],
)
def test_only_new_or_worse_functions_count(head: list[Function], base: list[Function], verdict: Verdict) -> None:
    """Old sins and moved functions pass; a new function, a worse one and a new namesake over a limit fail."""
    result = judge_complexity(head, base, LIMITS, check_id="x")

    assert result.verdict is verdict
    assert bool(result.problems) is (verdict is Verdict.FAILED)
