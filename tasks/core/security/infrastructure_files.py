"""Which files of a target describe infrastructure: Terraform folders, kustomize overlays, plain manifests."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from tasks.core.projects import is_within, joined, parent

KUSTOMIZATIONS = ("kustomization.yaml", "kustomization.yml", "Kustomization")
_MANIFEST = re.compile(r"^apiVersion:\s*\S", re.MULTILINE)
_KIND = re.compile(r"^kind:\s*\S", re.MULTILINE)
_REFERENCE = re.compile(r"^\s*-\s*[\"']?(\.{1,2}/[^\s\"'#]+|[\w][\w./-]*)[\"']?\s*(?:#.*)?$", re.MULTILINE)
_TEMPLATED = re.compile(r"\{\{")


@dataclass(frozen=True)
class InfrastructureFiles:
    """`overlays` are folders that nothing else includes; `manifests` are files that no kustomization is above."""

    terraform: tuple[str, ...] = ()
    overlays: tuple[str, ...] = ()
    manifests: tuple[str, ...] = ()
    templates: tuple[str, ...] = ()


def infrastructure_of(files: Iterable[str], contents: Mapping[str, str]) -> InfrastructureFiles:
    """Sorted; `contents` has the text of the YAML files."""
    names = frozenset(files)
    terraform = sorted({parent(path) for path in names if path.endswith((".tf", ".tf.json"))})
    kustomized = {parent(path) for path in names if PurePosixPath(path).name in KUSTOMIZATIONS}
    included = {place for folder in kustomized for place in _included(folder, names, contents)}
    found = [path for path in sorted(contents) if _is_manifest(path, contents[path]) and path in names]
    loose = [path for path in found if not any(is_within(path, folder) for folder in kustomized)]
    return InfrastructureFiles(
        terraform=tuple(terraform),
        overlays=tuple(sorted(kustomized - included)),
        manifests=tuple(path for path in loose if not _TEMPLATED.search(contents[path])),
        templates=tuple(path for path in loose if _TEMPLATED.search(contents[path])),
    )


def _is_manifest(path: str, text: str) -> bool:
    is_yaml = path.endswith((".yaml", ".yml")) and PurePosixPath(path).name not in KUSTOMIZATIONS
    return is_yaml and bool(_MANIFEST.search(text) and _KIND.search(text))


def _included(folder: str, names: frozenset[str], contents: Mapping[str, str]) -> set[str]:
    """The folders that a kustomization names as its bases or components."""
    text = next(
        (contents.get(joined(folder, name), "") for name in KUSTOMIZATIONS if joined(folder, name) in names), ""
    )
    named = {_resolved(folder, found) for found in _REFERENCE.findall(text)}
    return {place for place in named if any(joined(place, name) in names for name in KUSTOMIZATIONS)}


def _resolved(folder: str, reference: str) -> str:
    parts = [part for part in PurePosixPath(folder).parts if part != "."]
    for part in PurePosixPath(reference).parts:
        if part == ".." and parts:
            parts.pop()
        elif part not in (".", ".."):
            parts.append(part)
    return "/".join(parts) or "."
