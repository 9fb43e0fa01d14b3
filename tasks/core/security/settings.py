"""What a team may configure of the security stage, under [security], [scanners.NAME] and [[waivers]].

A gate that is looser than the team believes is worse than none, so absence of a scanner, a stale database and an
unknown severity have their own settings, each with a strict default.
"""

from collections.abc import Mapping
from datetime import date
from typing import Annotated, Literal

from pydantic import Field, field_validator

from tasks.core.section import Section
from tasks.core.security.sightings import Category, Severity

Scanning = Literal["new", "all"]


class CategoryPolicy(Section):
    """What blocks in one category, where it differs from the whole."""

    block_on: Severity | None = Field(None, description="least severity that blocks; unset means security.block_on")
    findings: Scanning | None = Field(None, description="new or all; unset means security.findings")


class TrivySettings(Section):
    """Trivy's database."""

    database: str = Field(
        "mirror.gcr.io/aquasec/trivy-db:2",
        description="OCI reference of the vulnerability database; Trivy's own mirror by default",
    )
    insecure: bool = Field(False, description="whether that registry speaks plain HTTP, as one on loopback does")


class SecurityTabSettings(Section):
    """GitHub's Security tab; the token is taken from GITHUB_TOKEN and needs security_events: write."""

    upload: bool = Field(False, description="whether the findings of a clean revision are uploaded there")
    repository: str = Field("", description="owner/name; empty means $GITHUB_REPOSITORY")


class SecuritySettings(Section):
    """The security stage."""

    block_on: Severity = Field(
        Severity.CRITICAL,
        description="least severity that blocks: critical, high, medium, low, or none for any finding at all",
    )
    findings: Scanning = Field(
        "all", description="all: every finding counts; new: only those the base revision (--base) does not have"
    )
    block_unknown_as: Severity = Field(
        Severity.HIGH, description="severity that an unrated finding counts as, since nobody rated it harmless"
    )
    categories: Mapping[Category, CategoryPolicy] = Field(
        {Category.SECRET: CategoryPolicy(block_on=Severity.NONE, findings=None)},
        description="policy of one category: dependency, code, container, secret, iac; unless said otherwise, any "
        "secret blocks, since no scanner knows how much it opens",
    )
    required: tuple[str, ...] = Field(
        (), description="scanners whose absence is an error, beside those Towpath can install itself"
    )
    disabled: Mapping[str, str] = Field(
        {}, description="scanners that are switched off, each with the reason that every report shows"
    )
    max_database_age_hours: Annotated[float, Field(gt=0, le=8760)] = Field(
        48.0, description="hours a vulnerability database may be old before its scan is an error; it is published daily"
    )
    scan_timeout_seconds: Annotated[float, Field(gt=0, le=86_400)] = Field(
        900.0, description="seconds one scanner may take before it is ended and is an error"
    )
    memory_bytes: Annotated[int, Field(ge=64 << 20, le=1 << 40)] = Field(
        3 << 30, description="bytes of memory one scanner may use, so that a hostile file cannot take the machine"
    )
    processes: Annotated[int, Field(ge=8, le=100_000)] = Field(
        512, description="processes and threads one scanner may have at once"
    )
    osv_url: str = Field("https://api.osv.dev", description="where pip-audit asks for advisories; an OSV mirror's base")
    npm_registry: str = Field("", description="where npm, pnpm, yarn and bun ask; empty means the user's own registry")
    safety_database: str = Field("", description="folder or address of Safety's database; empty means its service")
    trivy: TrivySettings = Field(default_factory=TrivySettings)
    github: SecurityTabSettings = Field(default_factory=SecurityTabSettings)
    vex: tuple[str, ...] = Field(
        ("*.openvex.json", "*.vex.json", ".vex/*.json"), description="patterns of the OpenVEX files that are read"
    )
    notify_variable: str = Field(
        "TOWPATH_NOTIFY_URL",
        description="environment variable with the address told of a finding newly published against production",
    )

    @field_validator("categories")
    @classmethod
    def _secrets_block(cls, given: Mapping[Category, CategoryPolicy]) -> Mapping[Category, CategoryPolicy]:
        chosen = given.get(Category.SECRET, CategoryPolicy(block_on=None, findings=None))
        block_on = chosen.block_on or Severity.NONE
        return {**given, Category.SECRET: CategoryPolicy(block_on=block_on, findings=chosen.findings)}


class ScannerSettings(Section):
    """A scanner of your own, under [scanners.NAME]: a command that writes SARIF."""

    command: Annotated[tuple[str, ...], Field(min_length=1)] = Field(description="program and arguments; no shell")
    sarif: str = Field(
        "-", description="file it writes, below the folder that {scratch} in the command stands for; - means stdout"
    )
    inputs: tuple[str, ...] = Field((), description="patterns of the files it reads; empty means all")
    category: Category = Field(Category.CODE, description="category its findings count in")
    network: bool = Field(False, description="whether it may reach the network")
    exit_codes: Mapping[str, Literal["ran", "findings"]] = Field(
        {"0": "ran", "1": "findings"}, description="what its exit codes mean; any other one is an error"
    )
    rules: tuple[str, ...] = Field((), description="rules of which its bait must report one; empty: no bait, and said")
    bait: Mapping[str, str] = Field({}, description="files with a known finding, by path, that it must report")


class WaiverSettings(Section):
    """A finding that is accepted by a named owner until a date."""

    identity: Annotated[str, Field(min_length=1)] = Field(description="the finding's id, as the report shows it")
    aliases: tuple[str, ...] = Field((), description="other names of the same advisory, as the report suggests them")
    owner: Annotated[str, Field(min_length=1)] = Field(description="who accepted it")
    reason: Annotated[str, Field(min_length=1)] = Field(description="why it may stay")
    expires: date = Field(description="day from which it counts again, at most 180 days ahead")
