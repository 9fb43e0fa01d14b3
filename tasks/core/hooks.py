"""Our hook in a `.pre-commit-config.yaml`, merged as text so that a team's comments and order stay as they are."""

import re

_OURS = """  - repo: local
    hooks:
      - id: towpath
        name: towpath check --staged
        entry: towpath check --staged
        language: system
        pass_filenames: false
        always_run: true
        stages: [pre-commit]
"""
_REPOS = re.compile(
    r"^repos:[ \t]*(?P<rest>[^\n]*)\n(?P<items>(?:(?:[ \t]*-|[ \t]+|[ \t]*#)[^\n]*\n|[ \t]*\n)*)", re.MULTILINE
)


class HookUnmergeable(Exception):
    """The configuration has a form that text cannot be added to safely."""


def with_hook(configuration: str) -> str:
    """The configuration with our hook at the end of `repos`; the same text when it has it. Raises HookUnmergeable."""
    if re.search(r"^\s*(- )?id:\s*towpath\s*$", configuration, re.MULTILINE):
        return configuration
    if not configuration.strip():
        return f"repos:\n{_OURS}"
    text = configuration if configuration.endswith("\n") else f"{configuration}\n"
    found = _REPOS.search(text)
    rest = found["rest"].partition("#")[0].strip() if found else ""
    if found is None or rest not in ("", "[]"):
        raise HookUnmergeable("repos is not a plain list: add a local hook with entry `towpath check --staged` by hand")
    items = found["items"].rstrip("\n")
    indent = re.search(r"^([ \t]*)- ", items, re.MULTILINE)
    ours = _indented(indent[1] if indent else "  ")
    head = "repos:\n" + (f"{items}\n" if items else "")
    return (
        text[: found.start()]
        + head
        + ours
        + text[found.end() - (len(found["items"]) - len(items) - 1 if items else 0) :]
    )


def _indented(indent: str) -> str:
    return "".join(f"{indent}{line.removeprefix('  ')}\n" for line in _OURS.splitlines())
