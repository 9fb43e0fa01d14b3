"""Understanding one Python project from its manifests.

A tool counts as adopted where the project says so: a section of configuration, a declared dependency, a pre-commit
hook. Running a formatter that a team does not use would fail every file they have, which is noise, not evidence.
"""

import re
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath
from typing import Any

from tasks.core.coverage_choice import coverage_choice
from tasks.core.projects import Backend, Manager, Texts, above, is_within, joined

PACKAGES = ("black", "ruff", "mypy", "pytest", "pytest-cov")
_WANTED = re.compile(
    r"^(test|tests|testing|dev|devel|develop|development|lint|linting|linters|typing|types|typecheck|mypy|ci|check|checks|qa)$"
)
_REQUIREMENTS = re.compile(
    r"(^|/)(requirements([-_.]?\w+)?|\w+[-_.]requirements)\.(txt|in)$|(^|/)requirements/[\w-]+\.txt$"
)
_WANTED_REQUIREMENTS = re.compile(r"(^|[-_./])(dev|develop|development|test|tests|testing|lint|typing|ci)([-_.]|$)")
_NAME = re.compile(r"^\s*([A-Za-z0-9][A-Za-z0-9._-]*)")
_TEST_FILE = re.compile(r"(^|/)(test_[^/]*|[^/]*_test)\.py$")


def normal(name: str) -> str:
    """A distribution's name as PEP 503 compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def table(data: Any, *keys: str) -> dict[str, Any]:
    """The table under these keys, empty where anything on the way is absent or of another shape."""
    for key in keys:
        data = data.get(key, {}) if isinstance(data, dict) else {}
    return data if isinstance(data, dict) else {}


def read_backend(texts: Texts, folder: str, nested: Iterable[str]) -> Backend | None:
    """The project in this folder, or None where the files there are no Python project.

    `nested` are other projects' folders below, which are not part of this one. Raises tomllib.TOMLDecodeError.
    """
    manifest = tomllib.loads(texts.at(folder, "pyproject.toml"))
    own = [path for path in texts.below(folder) if not any(is_within(path, other) for other in nested)]
    requirements = tuple(path for path in own if _REQUIREMENTS.search(path) and path.endswith(".txt"))
    if not _is_project(manifest, texts, folder, requirements, own):
        return None
    root, lock = _root_and_lock(texts, folder)
    manager = _manager(manifest, texts, folder, lock, requirements)
    declared = _declared(manifest, texts, requirements)
    modules = [path for path in own if path.endswith(".py")]
    tests = [path for path in modules if _TEST_FILE.search(path)]
    pytest_options = _pytest_options(texts, folder, manifest)
    smoke, without = _smoke(folder, tests, pytest_options)
    own_choice = {name: table(manifest, "tool", "coverage", name) for name in ("run", "report")}
    choice = coverage_choice(texts, folder, own_choice)
    return Backend(
        path=folder,
        manager=manager,
        root=root,
        lock=lock,
        requires_python=_requires_python(manifest),
        adopted=_adopted(texts, folder, declared, tests),
        locked=_locked(texts.contents.get(lock or "", ""), declared),
        hooked=_hooked(texts.contents.get(".pre-commit-config.yaml", "")),
        sources=_sources(folder, modules),
        groups=tuple(name for name in table(manifest, "dependency-groups") if _WANTED.match(normal(name))),
        extras=tuple(name for name in _extras(manifest) if _WANTED.match(normal(name))),
        requirements=_wanted_requirements(folder, requirements),
        has_tests=bool(tests),
        smoke=smoke,
        without_smoke=without,
        is_package=table(manifest, "tool", "poetry").get("package-mode") is not False,
        is_mypy_configured=_says_what_to_check(texts, folder, manifest),
        is_coverage_configured=_has_coverage_source(texts, folder, manifest),
        coverage_sources=choice.sources,
        coverage_omitted=choice.omitted,
        coverage_floor_percent=_coverage_floor(manifest),
    )


def _is_project(
    manifest: Mapping[str, Any], texts: Texts, folder: str, requirements: tuple[str, ...], own: list[str]
) -> bool:
    if "project" in manifest or table(manifest, "tool", "poetry"):
        return True
    if texts.has(folder, "setup.py") or "[metadata]" in texts.at(folder, "setup.cfg"):
        return True
    here = {
        path
        for path in requirements
        if path.rpartition("/")[0] in (folder if folder != "." else "", joined(folder, "requirements"))
    }
    return bool(here) and any(path.endswith(".py") for path in own)


def _root_and_lock(texts: Texts, folder: str) -> tuple[str, str | None]:
    for name in ("uv.lock", "poetry.lock", "pdm.lock"):
        if texts.has(folder, name):
            return folder, joined(folder, name)
    for place in above(folder):
        if texts.has(place, "uv.lock") and "[tool.uv.workspace]" in texts.at(place, "pyproject.toml"):
            return place, joined(place, "uv.lock")
    return folder, None


def _manager(
    manifest: Mapping[str, Any], texts: Texts, folder: str, lock: str | None, requirements: tuple[str, ...]
) -> Manager:
    if lock:
        return {"uv.lock": Manager.UV, "poetry.lock": Manager.POETRY, "pdm.lock": Manager.PDM}[PurePosixPath(lock).name]
    if "project" in manifest or table(manifest, "tool", "poetry") or texts.has(folder, "setup.py"):
        return Manager.BUILD_BACKEND
    return Manager.REQUIREMENTS if requirements else Manager.BUILD_BACKEND


def _extras(manifest: Mapping[str, Any]) -> list[str]:
    return [*table(manifest, "project", "optional-dependencies"), *table(manifest, "tool", "poetry", "extras")]


def _wanted_requirements(folder: str, requirements: tuple[str, ...]) -> tuple[str, ...]:
    inside = {path: path if folder == "." else path.removeprefix(f"{folder}/") for path in requirements}
    main = [path for path, name in inside.items() if name == "requirements.txt"]
    wanted = [
        path for path, name in inside.items() if _WANTED_REQUIREMENTS.search(name) and not name.startswith("docs/")
    ]
    return tuple(main + wanted) or requirements[:1]


def _declared(manifest: Mapping[str, Any], texts: Texts, requirements: Iterable[str]) -> frozenset[str]:
    lists = [
        table(manifest, "project").get("dependencies", []),
        *table(manifest, "project", "optional-dependencies").values(),
        *table(manifest, "dependency-groups").values(),
        table(manifest, "tool", "uv").get("dev-dependencies", []),
        *table(manifest, "tool", "pdm", "dev-dependencies").values(),
        *[texts.contents.get(path, "").splitlines() for path in requirements],
    ]
    poetry = [table(manifest, "tool", "poetry", "dependencies"), table(manifest, "tool", "poetry", "dev-dependencies")]
    poetry += [table(group, "dependencies") for group in table(manifest, "tool", "poetry", "group").values()]
    named = [found[1] for row in lists for text in row if isinstance(text, str) and (found := _NAME.match(text))]
    return frozenset(normal(name) for name in [*named, *(name for group in poetry for name in group)])


def _adopted(texts: Texts, folder: str, declared: frozenset[str], tests: list[str]) -> dict[str, str]:
    hooks = texts.contents.get(".pre-commit-config.yaml", "")
    places = (folder, *above(folder)) if folder != "." else (".",)
    manifests = "\n".join(texts.at(place, "pyproject.toml") for place in places)
    legacy = "\n".join(texts.at(place, name) for place in places for name in ("setup.cfg", "tox.ini"))
    signs = {
        "black": _sign(manifests, "[tool.black]", declared, "black", hooks, r"\bid:\s*black\b"),
        "ruff": _sign(manifests, "[tool.ruff", declared, "ruff", hooks, r"\bid:\s*ruff(-check)?\b(?!-format)")
        or _file_sign(texts, folder, "ruff.toml", ".ruff.toml"),
        "ruff-format": _sign(manifests, "[tool.ruff.format", frozenset(), "", hooks, r"\bid:\s*ruff-format\b"),
        "mypy": _sign(manifests, "[tool.mypy", declared, "mypy", hooks, r"\bid:\s*mypy\b")
        or _file_sign(texts, folder, "mypy.ini", ".mypy.ini")
        or ("[mypy] in its configuration" if re.search(r"^\[mypy\]", legacy, re.M) else ""),
        "pytest": f"{len(tests)} test files" if tests else "",
    }
    return {tool: sign for tool, sign in signs.items() if sign}


def _locked(lock: str, declared: frozenset[str]) -> dict[str, str]:
    """Versions of Towpath's tools in a TOML lock file, else those declared without a lock, their version unknown."""
    if not lock:
        return {tool: "" for tool in PACKAGES if tool in declared}
    found = {tool: re.search(rf'^name = "{tool}"\nversion = "([^"]+)"', lock, re.M) for tool in PACKAGES}
    return {tool: version[1] for tool, version in found.items() if version}


_HOOKS = {"black": r"/black(?:-pre-commit-mirror)?", "ruff": "/ruff-pre-commit", "mypy": "/mirrors-mypy"}


def _hooked(hooks: str) -> dict[str, str]:
    """Versions of Towpath's tools that a .pre-commit-config.yaml pins."""
    found = {
        tool: re.search(rf"repo:\s*\S+{address}\S*\s[^\n]*?\n?\s*rev:\s*['\"]?v?(\d[\w.]*)", hooks)
        for tool, address in _HOOKS.items()
    }
    return {tool: rev[1] for tool, rev in found.items() if rev}


def _coverage_floor(manifest: Mapping[str, Any]) -> float:
    floor = table(manifest, "tool", "coverage", "report").get("fail_under", 0)
    return float(floor) if isinstance(floor, int | float) else 0.0


def _sign(manifests: str, section: str, declared: frozenset[str], package: str, hooks: str, hook: str) -> str:
    if section in manifests:
        return f"{section.rstrip(']')}] in pyproject.toml"
    if package in declared:
        return f"{package} among its dependencies"
    return "a pre-commit hook" if re.search(hook, hooks) else ""


def _file_sign(texts: Texts, folder: str, *names: str) -> str:
    return texts.nearest(folder, *names) or ""


def _sources(folder: str, modules: list[str]) -> tuple[str, ...]:
    """Folders with the project's own code, relative to it: src, else its packages, else everything."""
    inside = [path if folder == "." else path.removeprefix(f"{folder}/") for path in modules]
    if any(path.startswith("src/") for path in inside):
        return ("src",)
    packages = {path.split("/")[0] for path in inside if path.count("/") == 1 and path.endswith("/__init__.py")}
    own = sorted(packages - {"tests", "test", "docs", "examples", "benchmarks"})
    return tuple(own) or (".",)


def _pytest_options(texts: Texts, folder: str, manifest: Mapping[str, Any]) -> str:
    markers = table(manifest, "tool", "pytest", "ini_options").get("markers", [])
    legacy = texts.at(folder, "pytest.ini") + texts.at(folder, "setup.cfg") + texts.at(folder, "tox.ini")
    return "\n".join([*(markers if isinstance(markers, list) else [str(markers)]), legacy])


def _smoke(folder: str, tests: list[str], options: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Arguments that choose the smoke tests and those that leave them out, where the project marks any."""
    if re.search(r"^\s*smoke\b\s*(:|$)", options, re.M):
        return ("-m", "smoke"), ("-m", "not smoke")
    inside = [path if folder == "." else path.removeprefix(f"{folder}/") for path in tests]
    folders = sorted({path.split("smoke/")[0] + "smoke" for path in inside if "/smoke/" in f"/{path}"})
    return tuple(folders), tuple(f"--ignore={place}" for place in folders)


def _says_what_to_check(texts: Texts, folder: str, manifest: Mapping[str, Any]) -> bool:
    mypy = table(manifest, "tool", "mypy")
    legacy = "".join(texts.at(folder, name) for name in ("mypy.ini", ".mypy.ini", "setup.cfg"))
    return bool({"files", "packages", "modules"} & mypy.keys()) or bool(
        re.search(r"^\[mypy\][^\[]*^(files|packages|modules)\s*=", legacy, re.M | re.S)
    )


def _has_coverage_source(texts: Texts, folder: str, manifest: Mapping[str, Any]) -> bool:
    run = table(manifest, "tool", "coverage", "run")
    legacy = texts.at(folder, ".coveragerc") + texts.at(folder, "setup.cfg")
    return bool({"source", "source_pkgs", "include"} & run.keys()) or bool(
        re.search(r"^\[(coverage:)?run\][^\[]*^(source|source_pkgs|include)\s*=", legacy, re.M | re.S)
    )


def _requires_python(manifest: Mapping[str, Any]) -> str:
    asked = table(manifest, "project").get("requires-python", "")
    return asked if isinstance(asked, str) else ""
