"""What runs in an environment, as a value: immutable, and known by one digest over all that it is.

An approval, a record and a rollback all speak of a release by its digest, so two releases that differ in anything
that reaches a user (what was built, configuration, replicas) must never have the same one.
"""

import hashlib
import json
from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict, Field


class Release(BaseModel):
    """A release. `artifact` is the digest of what was built; configuration never holds a secret, only its name."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: str = Field(description="tag, for instance v1.4.0, or the short revision where there is none")
    revision: str = Field(description="commit it was built from")
    artifact: str = Field(description="sha256 of what was built, all components together")
    configuration: Mapping[str, Mapping[str, str]] = Field({}, description="variables of each component")
    replicas: Mapping[str, int] = Field(description="instances of each component at full size")
    schema_revision: str = Field("", description="revision of the database's schema it was released with")
    author: str = Field("", description="who made the commit, as git says; claimed, not proved")

    @property
    def digest(self) -> str:
        """`sha256:` and 64 hexadecimal digits over artifact, configuration and replicas."""
        content = [self.version, self.revision, self.artifact, _plain(self.configuration), dict(self.replicas)]
        return f"sha256:{hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()}"


def _plain(configuration: Mapping[str, Mapping[str, str]]) -> dict[str, dict[str, str]]:
    return {component: dict(variables) for component, variables in configuration.items()}
