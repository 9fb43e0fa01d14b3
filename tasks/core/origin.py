"""Where on a forge a run comes from, which is where its answers go: checks, comment, labels, deployments.

It promises that whoever reads it can tell a stranger's change from the team's own. `is_trusted` must never be true by
omission for a pull request from a fork: the door sets it from the signed delivery, nothing else does.
"""

from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Origin(BaseModel):
    """`repository` is owner/name as the forge spells it, `commit` the head's full hash, `base` the branch that a pull
    request goes to, and `pull_request` its number, 0 where a push began the run. `is_default_branch` is of a push."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    repository: Annotated[str, Field(pattern=r"^[\w.-]+/[\w.-]+$", max_length=140)]
    commit: Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")]
    pull_request: Annotated[int, Field(ge=0)] = 0
    base: Annotated[str, Field(max_length=255)] = ""
    is_trusted: bool = False
    is_default_branch: bool = False

    @model_validator(mode="after")
    def _has_base(self) -> Self:
        if self.pull_request and not self.base:
            raise ValueError("a pull request goes to a branch: base is missing")
        return self
