"""The texts that decide over a run where not the target's own do, which is where a pull request is looked at.

A change that may waive its own findings has none. What the base does not have is not there at all.
"""

from collections.abc import Mapping

WAIVERS, BASELINE, IGNORED = ".towpath/waivers.toml", ".secrets.baseline", ".gitleaksignore"
EXCEPTIONS = (WAIVERS, BASELINE, IGNORED)


class Rules:
    """The texts that decide where not the snapshot's own do: `texts` is None where they do. A plain object, so that
    Prefect does not walk through it."""

    def __init__(self, texts: Mapping[str, str] | None = None, notes: tuple[str, ...] = ()) -> None:
        self.texts = texts
        self.notes = notes

    def over(self, contents: Mapping[str, str]) -> dict[str, str]:
        """The contents with what decides in place of what the pull request says."""
        if self.texts is None:
            return dict(contents)
        own = {name: text for name, text in contents.items() if name not in EXCEPTIONS}
        return own | {name: self.texts[name] for name in EXCEPTIONS if name in self.texts}

    def allows(self, path: str, text: str) -> bool:
        """Whether this text of a document counts: a pull request's own does not."""
        return self.texts is None or self.texts.get(path) == text
