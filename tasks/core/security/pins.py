"""Which versions a project's lock file fixes, read without running anything of the project.

Whatever stands in a lock and cannot be looked up by name and version (a git address, a local archive) is named as
skipped, so that the scan over the rest does not speak for it.
"""

import re
import tomllib
from dataclasses import dataclass
from functools import lru_cache

from tasks.core.python_projects import normal, table

_OWN_SOURCES = frozenset({"editable", "virtual", "directory"})
_PINNED = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[^\]]*\])?\s*===?\s*([A-Za-z0-9.!+_-]+)")
_NAMED = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)")


class UnreadableLock(Exception):
    """The lock file cannot be used; the text is one line."""


@dataclass(frozen=True)
class Pins:
    """Name and version of every package, sorted, and what could not be pinned, each with why."""

    pinned: tuple[tuple[str, str], ...] = ()
    skipped: tuple[str, ...] = ()

    def requirements(self) -> tuple[str, ...]:
        """As requirements files, each with one version of a package: a lock may hold several, for several platforms,
        and auditors refuse a file that does."""
        files: list[dict[str, str]] = []
        for name, version in self.pinned:
            place = next((file for file in files if name not in file), None)
            if place is None:
                files.append(place := {})
            place[name] = version
        return tuple("".join(f"{name}=={version}\n" for name, version in file.items()) for file in files or [{}])


@lru_cache(maxsize=64)
def pins_of_lock(path: str, text: str) -> Pins:
    """The pins of a uv.lock, poetry.lock or pdm.lock. Raises UnreadableLock."""
    try:
        packages = tomllib.loads(text).get("package", [])
        found = [_of_package(package) for package in packages]
    except (tomllib.TOMLDecodeError, AttributeError, KeyError, TypeError) as broken:
        raise UnreadableLock(f"{path} cannot be read: {broken}; write it anew with its package manager") from broken
    return Pins(
        tuple(sorted({pin for pin in found if isinstance(pin, tuple)})),
        tuple(sorted({said for said in found if isinstance(said, str)})),
    )


def _of_package(package: dict[str, object]) -> tuple[str, str] | str | None:
    """The pin, or in words why there is none; None for the project itself."""
    name, source = normal(str(package["name"])), table(package, "source")
    if _OWN_SOURCES & source.keys() or source.get("type") == "directory":
        return None
    foreign = next((kind for kind in ("git", "url", "path") if source.get(kind) or source.get("type") == kind), "")
    if foreign or "git" in package:
        return f"{name}: installed from {foreign or 'git'}, which no advisory names"
    return name, str(package["version"])


def pins_of_requirements(texts: dict[str, str]) -> Pins:
    """The pins of requirements files, by path; a line without one exact version is skipped, and said."""
    pinned: set[tuple[str, str]] = set()
    skipped: set[str] = set()
    for path, text in texts.items():
        for line in _logical_lines(text):
            if exact := _PINNED.match(line):
                pinned.add((normal(exact[1]), exact[2]))
            elif named := _NAMED.match(line):
                skipped.add(f"{normal(named[1])}: {path} fixes no version of it")
            elif not line.startswith("-"):
                skipped.add(f"{line[:60]}: {path} names no package and version")
    return Pins(tuple(sorted(pinned)), tuple(sorted(skipped)))


def _logical_lines(text: str) -> list[str]:
    joined = re.sub(r"\\\r?\n", " ", text)
    lines = [re.split(r"(^|\s)#", line)[0].strip() for line in joined.splitlines()]
    return [line for line in lines if line]
