"""Changes for tests, with what each test is about and the rest as usual."""

from typing import Any

from tasks.core.pull_requests.change import Change, ChangedFile, ChangeKind, Span


def changed(path: str, lines: int = 1, **facts: Any) -> ChangedFile:
    given = {"kind": ChangeKind.MODIFIED, "added": (Span(1, lines),) if lines else (), **facts}
    return ChangedFile(path=path, **given)


def change_of(*files: ChangedFile | str, **facts: Any) -> Change:
    given = {
        "base": "b" * 40,
        "head": "a" * 40,
        "start": "c" * 40,
        "base_branch": "main",
        "head_branch": "topic",
        **facts,
    }
    return Change(files=tuple(changed(file) if isinstance(file, str) else file for file in files), **given)
