"""What a Python project has its coverage measured of, from pyproject.toml, .coveragerc or setup.cfg.

It promises to read no more than literal lists: a name that is expanded elsewhere is as good as not there.
"""

import configparser
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tasks.core.projects import Texts


@dataclass(frozen=True)
class CoverageChoice:
    """Sources as folders below the project, where it names any; patterns of files that are left out."""

    sources: tuple[str, ...] = ()
    omitted: tuple[str, ...] = ()


def coverage_choice(texts: Texts, folder: str, manifest: Mapping[str, Mapping[str, Any]]) -> CoverageChoice:
    """The first place that says anything, in coverage.py's order; `manifest` holds tool.coverage of pyproject.toml."""
    tables = (
        _ini(texts.at(folder, ".coveragerc"), ""),
        _ini(texts.at(folder, "setup.cfg"), "coverage:"),
        manifest,
    )
    run, report = next(((each["run"], each["report"]) for each in tables if any(each.values())), ({}, {}))
    packages = (*_words(run.get("source_pkgs")), *_words(run.get("source")))
    sources = tuple(dict.fromkeys(name if "/" in name or name == "." else name.replace(".", "/") for name in packages))
    return CoverageChoice(sources, (*_words(run.get("omit")), *_words(report.get("omit"))))


def _ini(text: str, prefix: str) -> Mapping[str, Mapping[str, Any]]:
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(text)
    except configparser.Error:
        return {"run": {}, "report": {}}
    return {name: parser[prefix + name] if parser.has_section(prefix + name) else {} for name in ("run", "report")}


def _words(given: Any) -> tuple[str, ...]:
    words = given.replace(",", "\n").splitlines() if isinstance(given, str) else given
    found = [word.strip() for word in words if isinstance(word, str)] if isinstance(words, list) else []
    return tuple(word.removeprefix("./").rstrip("/") or "." for word in found if word)
