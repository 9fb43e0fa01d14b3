"""What a target holds: its Python and Node projects and its Dockerfiles, as values.

Finding them is the work of `python_projects`, `node_projects` and `discovery`; deciding what to run over them, of
`planning`. A project found and left out, and a manifest that cannot be read, are part of the finding: nothing that
looks like a project disappears without a word.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import PurePosixPath

# What lets vitest measure coverage.
COVERAGE_PROVIDERS = frozenset({"@vitest/coverage-v8", "@vitest/coverage-istanbul"})


class Manager(StrEnum):
    """What installs a project's dependencies."""

    UV = "uv"
    POETRY = "poetry"
    PDM = "pdm"
    REQUIREMENTS = "requirements files"
    BUILD_BACKEND = "its build backend"
    NPM = "npm"
    PNPM = "pnpm"
    YARN = "yarn"
    YARN_CLASSIC = "yarn 1"
    BUN = "bun"


@dataclass(frozen=True)
class Texts:
    """The files of a target (paths relative to its root) and the text of those that Towpath reads itself."""

    files: frozenset[str]
    contents: Mapping[str, str]

    def at(self, folder: str, name: str) -> str:
        return self.contents.get(joined(folder, name), "")

    def has(self, folder: str, name: str) -> bool:
        return joined(folder, name) in self.files

    def nearest(self, folder: str, *names: str) -> str | None:
        """The path of the first of `names` in the folder or the closest folder above it."""
        for place in (folder, *above(folder)):
            for name in names:
                if self.has(place, name):
                    return joined(place, name)
        return None

    def below(self, folder: str) -> list[str]:
        prefix = "" if folder == "." else f"{folder}/"
        return sorted(path for path in self.files if path.startswith(prefix))


@dataclass(frozen=True, kw_only=True)
class Backend:
    """A Python project. `root` is where its lock and environment live: a workspace's root, else its own folder.

    `adopted` maps a tool to the sign that the team uses it; `locked` to the version its environment holds, empty where
    that is known only once it is installed; `hooked` to the version its pre-commit hooks pin.
    """

    path: str
    manager: Manager
    root: str
    lock: str | None
    requires_python: str
    adopted: Mapping[str, str]
    locked: Mapping[str, str]
    hooked: Mapping[str, str]
    sources: tuple[str, ...]
    groups: tuple[str, ...] = ()
    extras: tuple[str, ...] = ()
    requirements: tuple[str, ...] = ()
    has_tests: bool = False
    smoke: tuple[str, ...] = ()
    without_smoke: tuple[str, ...] = ()
    is_package: bool = True
    is_mypy_configured: bool = False
    is_coverage_configured: bool = False
    coverage_sources: tuple[str, ...] = ()
    coverage_omitted: tuple[str, ...] = ()
    coverage_floor_percent: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Frontend:
    """A Node project. `root` is where its lock lives; `scripts` are those of package.json; `locked` as in Backend."""

    path: str
    manager: Manager
    root: str
    lock: str | None
    manager_version: str
    scripts: Mapping[str, str]
    dependencies: frozenset[str]
    locked: Mapping[str, str]
    linter: str
    linter_options: tuple[str, ...] = ()
    can_cache_lint: bool = False
    has_tsconfig: bool = False
    tsc: tuple[str, ...] = ()


@dataclass(frozen=True)
class Image:
    name: str
    dockerfile: str
    context: str


@dataclass(frozen=True)
class Trouble:
    """A manifest that cannot be used: what stands there and what to do."""

    path: str
    reason: str


@dataclass(frozen=True)
class Discovery:
    backends: tuple[Backend, ...] = ()
    frontends: tuple[Frontend, ...] = ()
    images: tuple[Image, ...] = ()
    left_out: Mapping[str, str] = field(default_factory=dict)
    troubles: tuple[Trouble, ...] = ()


def joined(folder: str, name: str) -> str:
    return name if folder == "." else f"{folder}/{name}"


def parent(path: str) -> str:
    return str(PurePosixPath(path).parent)


def above(folder: str) -> tuple[str, ...]:
    """The folders above, nearest first, the root `.` last."""
    return tuple(str(place) for place in PurePosixPath(folder).parents)


def is_within(path: str, folder: str) -> bool:
    return folder == "." or path == folder or path.startswith(f"{folder}/")
