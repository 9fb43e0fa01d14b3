"""Understanding one Node project from its package.json and the files beside it."""

import json
import re
import shlex
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

from tasks.core.projects import Frontend, Manager, Texts, above, joined

LOCKS = {
    "package-lock.json": Manager.NPM,
    "npm-shrinkwrap.json": Manager.NPM,
    "pnpm-lock.yaml": Manager.PNPM,
    "yarn.lock": Manager.YARN,
    "bun.lock": Manager.BUN,
    "bun.lockb": Manager.BUN,
}
ESLINT_CONFIGURATIONS = (
    *[f"eslint.config.{ending}" for ending in ("js", "mjs", "cjs", "ts", "mts", "cts")],
    *[f".eslintrc{ending}" for ending in ("", ".js", ".cjs", ".json", ".yaml", ".yml")],
)
PACKAGES = ("eslint", "@biomejs/biome", "typescript", "vitest", "jest", "prettier")
_BIOME_CONFIGURATIONS = ("biome.json", "biome.jsonc")
# Rules that look beyond one file: ESLint's cache keeps a file's result although what it depends on has changed.
_CROSS_FILE = re.compile(
    r"projectService|parserOptions\b[^}]*project\b|TypeChecked|type-checked|import/|import-x|eslint-plugin-import"
)
_SHELL = re.compile(r"[;&|<>$`()]")


def read_frontend(texts: Texts, folder: str) -> Frontend | None:
    """The project here, or None where package.json only groups others. Raises ValueError when it is broken."""
    manifest = json.loads(texts.at(folder, "package.json"))
    if not isinstance(manifest, dict):
        raise ValueError("it is not a JSON object")  # noqa: TRY004  (one error for every broken manifest)
    scripts = {str(key): str(value) for key, value in _object(manifest, "scripts").items()}
    kinds = ("dependencies", "devDependencies", "optionalDependencies", "peerDependencies")
    dependencies = frozenset(name for kind in kinds for name in _object(manifest, kind))
    if not scripts and not dependencies:
        return None
    root, lock = _root_and_lock(texts, folder)
    manager = _manager(texts, root, lock)
    tsconfig = texts.at(folder, "tsconfig.json")
    linter, options = _linter(texts, folder, scripts)
    configuration = texts.contents.get(texts.nearest(folder, *ESLINT_CONFIGURATIONS) or "", "")
    return Frontend(
        path=folder,
        manager=manager,
        root=root,
        lock=lock,
        manager_version=_manager_version(texts, root, manager),
        scripts=scripts,
        dependencies=dependencies | _workspace_dependencies(texts, folder, root),
        locked=_locked(texts, root),
        linter=linter,
        linter_options=options,
        can_cache_lint=bool(configuration) and not _CROSS_FILE.search(configuration),
        has_tsconfig=bool(tsconfig),
        tsc=_compiler_options(scripts, tsconfig),
    )


def _object(manifest: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = manifest.get(key, {})
    return value if isinstance(value, dict) else {}


def _root_and_lock(texts: Texts, folder: str) -> tuple[str, str | None]:
    for place in (folder, *above(folder)) if folder != "." else (".",):
        lock = _lock_in(texts, place)
        if lock and (place == folder or is_workspace_root(texts, place)):
            return place, joined(place, lock)
    return folder, None


def _lock_in(texts: Texts, folder: str) -> str | None:
    """The lock file of the manager that package.json names, else the first there is."""
    named = re.search(r'"packageManager"\s*:\s*"(\w+)@', texts.at(folder, "package.json"))
    locks = [name for name in LOCKS if texts.has(folder, name)]
    wanted = [name for name in locks if named and LOCKS[name].value == named[1]]
    return next(iter([*wanted, *locks]), None)


def is_workspace_root(texts: Texts, folder: str) -> bool:
    return '"workspaces"' in texts.at(folder, "package.json") or texts.has(folder, "pnpm-workspace.yaml")


def _manager(texts: Texts, root: str, lock: str | None) -> Manager:
    manager = LOCKS[PurePosixPath(lock).name] if lock else Manager.NPM
    if manager is Manager.YARN and lock and "# yarn lockfile v1" in texts.contents.get(lock, ""):
        return Manager.YARN_CLASSIC
    return manager


def _manager_version(texts: Texts, root: str, manager: Manager) -> str:
    """The version that the `packageManager` field of the root asks for, empty where it asks for none."""
    found = re.search(r'"packageManager"\s*:\s*"(\w+)@([^"+]+)', texts.at(root, "package.json"))
    wanted = manager.value.split()[0]
    return found[2] if found and found[1] == wanted else ""


def _workspace_dependencies(texts: Texts, folder: str, root: str) -> frozenset[str]:
    """What the workspace's root declares is installed for its members too."""
    if root == folder:
        return frozenset()
    manifest = json.loads(texts.at(root, "package.json") or "{}")
    return frozenset([*_object(manifest, "dependencies"), *_object(manifest, "devDependencies")])


def _locked(texts: Texts, root: str) -> dict[str, str]:
    lock = texts.at(root, "package-lock.json")
    found = {name: re.search(rf'"node_modules/{name}": {{\s*"version": "([^"]+)"', lock) for name in PACKAGES}
    return {name: version[1] for name, version in found.items() if version}


_TSC = re.compile(r"(?:^|&&|;)\s*(?:npx )?(?:vue-)?tsc\b(?P<words>[^&;|]*)")


def _compiler_options(scripts: Mapping[str, str], tsconfig: str) -> tuple[str, ...]:
    """Which project tsc is asked to check: as the team's own scripts ask it, else as tsconfig.json suggests."""
    for name in ("typecheck", "type-check", "check-types", "types", "tsc", "build"):
        if found := _TSC.search(scripts.get(name, "")):
            words = found["words"].split()
            if {"-b", "--build"} & set(words):
                return ("-b", *[word for word in words if word.endswith(".json")])
            named = [words[place + 1] for place, word in enumerate(words[:-1]) if word in ("-p", "--project")]
            return ("-p", named[0] if named else "tsconfig.json")
    only_groups = '"references"' in tsconfig and '"include"' not in tsconfig
    return ("-b",) if only_groups else ("-p", "tsconfig.json")


def _linter(texts: Texts, folder: str, scripts: Mapping[str, str]) -> tuple[str, tuple[str, ...]]:
    if texts.nearest(folder, *ESLINT_CONFIGURATIONS) or '"eslintConfig"' in texts.at(folder, "package.json"):
        return "eslint", _lint_options(scripts.get("lint", ""))
    if texts.nearest(folder, *_BIOME_CONFIGURATIONS):
        return "biome", ()
    return "", ()


def _lint_options(script: str) -> tuple[str, ...]:
    """The arguments of a plain `eslint ...` lint script, without those that fix or choose a format."""
    if not script.startswith("eslint ") or _SHELL.search(script):
        return ()
    words = [word for word in shlex.split(script)[1:] if word not in ("--fix", "--cache", "--quiet")]
    kept: list[str] = []
    for word in words:
        if kept and kept[-1] in ("-f", "--format", "--cache-location", "--cache-strategy"):
            kept.pop()
        else:
            kept.append(word)
    return tuple(kept)
