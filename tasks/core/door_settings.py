"""What an operator says of the webhook door, in `door.toml` of Towpath's home, on the server and never in a target.

What a stranger may change must not decide what a stranger may do: none of this is read from a repository. Secrets are
not here either; they come from the environment and are kept in one object that does not show them.
"""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Annotated

from pydantic import Field, ValidationError

from tasks.core.section import Section

SECRETS_VARIABLE = "TOWPATH_WEBHOOK_SECRETS"
_LEAST_SECRET_CHARACTERS = 16


class DoorRefused(Exception):
    """The door cannot be opened as it is configured; the text is one line."""


class RepositorySettings(Section):
    """One repository, or a pattern of them, under [repositories."OWNER/NAME"]."""

    target: str = Field("", description="what flows get as target; empty: the repository's clone URL, never a fork's")


class DoorSettings(Section):
    """The whole of door.toml."""

    repositories: Mapping[str, RepositorySettings] = Field(
        {}, description="accepted repositories, OWNER/NAME or OWNER/*; deliveries of others are refused"
    )
    host: str = Field("127.0.0.1", description="address that towpath up listens on; a proxy with TLS goes in front")
    port: Annotated[int, Field(ge=1, le=65_535)] = Field(8088, description="port that towpath up listens on")
    commanders: tuple[str, ...] = Field((), description="logins whose comments are heard, whatever they are otherwise")
    associations: tuple[str, ...] = Field(
        ("OWNER",),
        description="what somebody must be to the repository for a comment to be heard, in GitHub's words; MEMBER and"
        " COLLABORATOR may hold people who can only read it",
    )
    untrusted_suffix: str = Field(
        "-untrusted", description="ci runs a fork's changes as deployment ci-untrusted, in the pool that one names"
    )
    max_body_bytes: Annotated[int, Field(ge=1024, le=1 << 28)] = Field(
        25 * 1024 * 1024, description="bytes of one delivery; GitHub sends 25 MiB at most"
    )
    read_seconds: Annotated[float, Field(gt=0, le=600)] = Field(10.0, description="seconds a sender has for a request")
    signed_per_minute: Annotated[int, Field(ge=60, le=10_000_000)] = Field(
        60_000, description="signed deliveries a minute from one address; far above what GitHub sends"
    )
    refused_per_minute: Annotated[int, Field(ge=1, le=1_000_000)] = Field(
        60, description="refused requests a minute from one address that are told why; more are told to wait"
    )
    trusted_proxies: tuple[str, ...] = Field((), description="addresses whose X-Forwarded-For is believed")
    hand_overs: Annotated[int, Field(ge=1, le=2)] = Field(
        1, description="runs handed to Prefect at once; more make a server on SQLite slower, not faster"
    )
    kept_days: Annotated[int, Field(ge=1, le=3650)] = Field(30, description="days a delivery is kept")
    stuck_seconds: Annotated[float, Field(gt=0, le=86_400)] = Field(
        300.0, description="seconds a run may wait to be handed over before /healthz says so"
    )

    def repository(self, name: str) -> RepositorySettings | None:
        """What is said of a repository, its own name before any pattern; None: it is not accepted."""
        folded = {key.casefold(): value for key, value in self.repositories.items()}
        if name.casefold() in folded:
            return folded[name.casefold()]
        return next((value for key, value in folded.items() if "*" in key and fnmatchcase(name.casefold(), key)), None)

    def is_commander(self, login: str) -> bool:
        return login.casefold() in map(str.casefold, self.commanders)

    def may_command(self, login: str, association: str) -> bool:
        return association in self.associations or self.is_commander(login)


def read_door_settings(text: str) -> DoorSettings:
    """The settings of a door.toml. Raises DoorRefused."""
    try:
        return DoorSettings.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as broken:
        raise DoorRefused(f"door.toml is not valid TOML: {broken}; correct it and start again") from broken
    except ValidationError as refused:
        first = refused.errors(include_url=False, include_input=False)[0]
        key = ".".join(map(str, first["loc"]))
        known = f"; known: {', '.join(DoorSettings.model_fields)}" if first["type"] == "extra_forbidden" else ""
        raise DoorRefused(f"door.toml: {key}: {first['msg']}{known}") from refused


@dataclass(frozen=True)
class Secrets:
    """The webhook's secrets, any of which may have signed; shown nowhere."""

    values: tuple[bytes, ...] = field(repr=False)


def read_secrets(text: str) -> Secrets:
    """Secrets separated by commas or lines. Raises DoorRefused, which never quotes one."""
    values = tuple(part for part in re.split(r"[,\s]+", text) if part)
    if not values:
        raise DoorRefused(f"the door needs a secret: set {SECRETS_VARIABLE} to the one given to GitHub")
    if any(len(value) < _LEAST_SECRET_CHARACTERS for value in values):
        raise DoorRefused(f"{SECRETS_VARIABLE} holds a secret of under {_LEAST_SECRET_CHARACTERS} characters: make one")
    return Secrets(tuple(value.encode() for value in values))
