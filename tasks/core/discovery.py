"""Finding the projects of a target that has configured nothing.

A folder of examples, fixtures or vendored code often holds manifests that are not the team's to pass; these are left
out and named, so that a person can take them in. What is named in `projects.include` is always taken.
"""

import re
import tomllib
from collections.abc import Iterable
from pathlib import PurePosixPath

from tasks.core.node_projects import ESLINT_CONFIGURATIONS, read_frontend
from tasks.core.projects import Backend, Discovery, Frontend, Image, Texts, Trouble, is_within, parent
from tasks.core.python_projects import read_backend
from tasks.core.settings import ProjectSettings

_READ = re.compile(
    r"(^|/)(towpath\.toml|pyproject\.toml|setup\.cfg|tox\.ini|\.?mypy\.ini|\.?ruff\.toml|pytest\.ini|\.coveragerc"
    r"|[\w.-]*requirements[\w.-]*\.txt|requirements/[\w-]+\.txt|package\.json|pnpm-workspace\.yaml|tsconfig\.json"
    r"|biome\.jsonc?|uv\.lock|poetry\.lock|pdm\.lock|yarn\.lock|package-lock\.json|\.pre-commit-config\.yaml"
    rf"|{'|'.join(re.escape(name) for name in ESLINT_CONFIGURATIONS)})$"
)
_DOCKERFILE = re.compile(r"(^|/)(Dockerfile|Containerfile|[\w-]+\.Dockerfile|Dockerfile\.(?!dockerignore$)[\w-]+)$")
_NOT_OURS = frozenset(
    [
        "tests",
        "test",
        "__tests__",
        "fixtures",
        "__fixtures__",
        "testdata",
        "test-data",
        "test_data",
        "examples",
        "example",
        "samples",
        "docs",
        "doc",
        "templates",
        "template",
        "vendor",
        "vendors",
        "_vendor",
        "vendored",
        "third_party",
        "third-party",
        "node_modules",
        "site-packages",
        "benchmarks",
        "benches",
        "e2e",
        "playground",
        "playgrounds",
        "__snapshots__",
    ]
)


def wanted_texts(files: Iterable[str]) -> list[str]:
    """The files whose text discovery needs."""
    return sorted(path for path in files if _READ.search(path) and "node_modules/" not in path)


def discover(texts: Texts, settings: ProjectSettings) -> Discovery:
    """All projects of a target, each list ordered by path."""
    folders = {parent(path) for path in texts.files if _is_manifest(path)}
    left_out = {folder: why for folder in folders if (why := why_not(folder, settings))}
    kept = sorted(folders - left_out.keys())
    troubles: list[Trouble] = []
    backends = [found for folder in kept if (found := _backend(texts, folder, folders, troubles))]
    frontends = [project for folder in kept if (project := _frontend(texts, folder, troubles))]
    images = _images(texts, settings, left_out)
    return Discovery(tuple(backends), tuple(frontends), images, left_out, tuple(troubles))


def _is_manifest(path: str) -> bool:
    name = PurePosixPath(path).name
    return name in ("pyproject.toml", "setup.py", "setup.cfg", "package.json") or bool(
        re.match(r"requirements[\w.-]*\.txt$", name)
    )


def why_not(folder: str, settings: ProjectSettings) -> str:
    """Why a folder is taken as nobody's project; empty where it counts."""
    if any(is_within(folder, place.strip("/")) for place in settings.exclude):
        return "excluded in the configuration"
    if folder in {place.strip("/") for place in settings.include}:
        return ""
    parts = PurePosixPath(folder).parts
    foreign = next((part for part in parts if part.lower() in _NOT_OURS or (part.startswith(".") and part != ".")), "")
    if foreign:
        return f"inside {foreign}/; add it to projects.include to take it in"
    return "a template with placeholders in its path" if "{{" in folder else ""


def _backend(texts: Texts, folder: str, folders: set[str], troubles: list[Trouble]) -> Backend | None:
    nested = [other for other in folders if other != folder and is_within(other, folder)]
    try:
        found = read_backend(texts, folder, nested)
    except tomllib.TOMLDecodeError as broken:
        troubles.append(Trouble(_manifest(folder, "pyproject.toml"), f"not valid TOML: {broken}"))
        return None
    is_part = found and not found.lock and _is_requirements_of_above(texts, folder, folders)
    return None if is_part else found


def _is_requirements_of_above(texts: Texts, folder: str, folders: set[str]) -> bool:
    """Whether the folder only holds requirement files of the project above it."""
    own = any(texts.has(folder, name) for name in ("pyproject.toml", "setup.py", "setup.cfg"))
    return (
        not own
        and any(other != folder and is_within(folder, other) for other in folders)
        and folder.endswith("requirements")
    )


def _frontend(texts: Texts, folder: str, troubles: list[Trouble]) -> Frontend | None:
    if not texts.has(folder, "package.json"):
        return None
    try:
        found = read_frontend(texts, folder)
    except ValueError as broken:
        troubles.append(Trouble(_manifest(folder, "package.json"), f"not valid JSON: {broken}"))
        return None
    return found


def _manifest(folder: str, name: str) -> str:
    return name if folder == "." else f"{folder}/{name}"


def _images(texts: Texts, settings: ProjectSettings, left_out: dict[str, str]) -> tuple[Image, ...]:
    found: dict[str, Image] = {}
    for path in sorted(path for path in texts.files if _DOCKERFILE.search(path)):
        folder = parent(path)
        if why := why_not(folder, settings):
            left_out[path] = why
            continue
        name = _image_name(path, folder)
        found.setdefault(name if name not in found else f"{name}-{len(found)}", Image(name, path, folder))
    return tuple(Image(name, image.dockerfile, image.context) for name, image in found.items())


def _image_name(path: str, folder: str) -> str:
    variant = PurePosixPath(path).name.replace("Containerfile", "").replace("Dockerfile", "").strip(".")
    place = PurePosixPath(folder).name if folder != "." else ""
    return re.sub(r"[^a-z0-9-]+", "-", "-".join(part for part in (place, variant) if part).lower()) or "image"
