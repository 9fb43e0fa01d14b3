"""What a run over a pull request is asked to do, the same from the command line, the UI and a webhook."""

from dataclasses import dataclass

from tasks.core.origin import Origin


@dataclass(frozen=True, kw_only=True)
class PullRequestRequest:
    """`base` is the branch it goes to; `origin` is None on a laptop, whose own code is trusted."""

    target: str
    base: str
    ref: str | None = None
    title: str | None = None
    overrides: tuple[str, ...] = ()
    origin: Origin | None = None
