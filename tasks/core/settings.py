"""What a team may configure, in `towpath.toml` or `[tool.towpath]` of pyproject.toml.

Nothing here is needed to start: every field has a default, and each says its unit, its bound and its reason, from
which the README's reference is generated. A misspelt key is refused by name with the nearest known one, since a gate
that was switched on under a wrong name is a gate that is off.
"""

import difflib
import tomllib
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import BaseModel, Field, ValidationError, model_validator

from tasks.core.delivery import DeliverySettings
from tasks.core.pull_requests.settings import PullRequestSettings
from tasks.core.section import Section
from tasks.core.security.settings import ScannerSettings, SecuritySettings, WaiverSettings


class SettingsRefused(Exception):
    """The configuration cannot be used; the text is one line: what, where, what to do."""


class RunSettings(Section):
    """How a run goes."""

    parallelism: Annotated[int, Field(ge=0, le=64)] = Field(
        0, description="checks at once; 0 means one per core, since most tools keep one core busy"
    )
    fail_fast: bool = Field(False, description="stop at the first failure; off, since one run should show every fault")
    check_timeout_seconds: Annotated[float, Field(gt=0, le=86_400)] = Field(
        1800.0, description="seconds one tool may take before it is ended and its check is an error"
    )
    install_timeout_seconds: Annotated[float, Field(gt=0, le=86_400)] = Field(
        1800.0, description="seconds an environment may take to build, all tries apart"
    )
    kept_runs: Annotated[int, Field(ge=1, le=100_000)] = Field(
        200, description="runs whose logs and reports stay on disk; older ones are deleted at the end of a run"
    )
    max_log_bytes: Annotated[int, Field(ge=4096, le=1 << 36)] = Field(
        1 << 30,
        description="bytes of output one tool may write before it is ended, so that a loop cannot fill the disk",
    )


class ProjectSettings(Section):
    """Which folders hold projects."""

    include: tuple[str, ...] = Field((), description="folders taken as projects although detection leaves them out")
    exclude: tuple[str, ...] = Field((), description="folders never taken as projects")


class BackendSettings(Section):
    """How Python projects are set up."""

    python: str = Field("", description="version for uv (3.12, >=3.11); empty means what the project asks for")
    groups: tuple[str, ...] | None = Field(
        None, description="dependency groups to install; unset means those named like test, dev, lint or typing"
    )
    extras: tuple[str, ...] | None = Field(
        None, description="extras to install; unset means those named like test, dev, lint or typing"
    )
    pytest_arguments: tuple[str, ...] = Field((), description="added to pytest's command line")
    mypy_arguments: tuple[str, ...] = Field(
        (), description="added to mypy's command line in place of the project's folder"
    )


class CoverageSettings(Section):
    """What part of the code the tests must run."""

    minimum_percent: Annotated[float, Field(ge=0, le=100)] = Field(
        0.0, description="per cent of lines; 0 reports the figure and asks nothing, since only the team knows its floor"
    )


class ImageSettings(Section):
    """How one image is built and tried, under [images.NAME] with the name its check has."""

    dockerfile: str = Field("", description="path of the Dockerfile; empty means the one found")
    context: str = Field("", description="build context; empty means the Dockerfile's folder")
    build_arguments: Mapping[str, str] = Field({}, description="--build-arg values, for instance the base image")
    secrets: tuple[str, ...] = Field(
        (), description="--secret values of buildx, for instance id=ca,src=/etc/ssl/ca.pem"
    )
    network: Literal["default", "host", "none"] = Field("default", description="network of the build's RUN steps")
    environment: Mapping[str, str] = Field({}, description="variables of the container that is tried")
    port: Annotated[int, Field(ge=1, le=65_535)] | None = Field(None, description="port to probe; unset means EXPOSE's")
    health_path: str | None = Field(None, description="path that answers 2xx or 3xx when healthy; unset: HEALTHCHECK")
    start_seconds: Annotated[float, Field(gt=0, le=3600)] = Field(
        60.0, description="seconds a container may take to become healthy"
    )
    build_timeout_seconds: Annotated[float, Field(gt=0, le=86_400)] = Field(
        1800.0, description="seconds a build may take"
    )


class CheckSettings(Section):
    """One check, under [checks."ID"] or [checks.TOOL]; with `command` it is a check of your own."""

    enabled: bool | None = Field(None, description="false switches it off, true runs it though it was not detected")
    reason: str = Field("", description="why it is switched off; asked for, and shown in every report")
    command: tuple[str, ...] = Field((), description="program and arguments of an own check; no shell")
    directory: str = Field(".", description="folder an own check runs in")
    environment: Mapping[str, str] = Field({}, description="variables the check sees beside the common few")
    inputs: tuple[str, ...] = Field(
        (), description="patterns of files an own check reads; empty means all (`*` also crosses folders)"
    )
    timeout_seconds: Annotated[float, Field(gt=0, le=86_400)] | None = Field(
        None, description="seconds it may take; unset means run.check_timeout_seconds"
    )

    @model_validator(mode="after")
    def _off_says_why(self) -> Self:
        if self.enabled is False and not self.reason:
            raise ValueError('a check that is switched off needs a reason: add reason = "..."')
        return self


class CodecovSettings(Section):
    """Upload of coverage to Codecov, done when CODECOV_TOKEN is set."""

    enabled: bool = Field(True, description="false never uploads, also when the token is set")
    flags: tuple[str, ...] = Field((), description="flags the upload carries")


class Settings(Section):
    """The whole configuration."""

    name: str = Field("", description="the target's name in reports; empty means its folder's")
    run: RunSettings = Field(default_factory=RunSettings)
    projects: ProjectSettings = Field(default_factory=ProjectSettings)
    backend: BackendSettings = Field(default_factory=BackendSettings)
    coverage: CoverageSettings = Field(default_factory=CoverageSettings)
    images: Mapping[str, ImageSettings] = Field(default_factory=dict)
    checks: Mapping[str, CheckSettings] = Field(default_factory=dict)
    codecov: CodecovSettings = Field(default_factory=CodecovSettings)
    delivery: DeliverySettings = Field(default_factory=DeliverySettings)
    security: SecuritySettings = Field(default_factory=SecuritySettings)
    pull_requests: PullRequestSettings = Field(default_factory=PullRequestSettings)
    scanners: Mapping[str, ScannerSettings] = Field(default_factory=dict)
    waivers: tuple[WaiverSettings, ...] = Field((), description="findings that are accepted by an owner until a date")


def read_settings(files: Mapping[str, str], overrides: Iterable[str] = ()) -> Settings:
    """Settings of a target from its `towpath.toml` or pyproject.toml, then the command line's `key.path=value`.

    Raises SettingsRefused. `files` maps a path to its text; a target without either file gets the defaults.
    """
    place, table = _table(files)
    for override in overrides:
        table = _overridden(table, override)
    try:
        return Settings.model_validate(table)
    except ValidationError as refused:
        raise SettingsRefused(_one_line(refused, place)) from refused


def _table(files: Mapping[str, str]) -> tuple[str, dict[str, Any]]:
    if "towpath.toml" in files:
        return "towpath.toml", parse_toml("towpath.toml", files["towpath.toml"])
    if "[tool.towpath" in files.get("pyproject.toml", ""):
        tool = parse_toml("pyproject.toml", files["pyproject.toml"]).get("tool", {})
        return "pyproject.toml [tool.towpath]", tool.get("towpath", {})
    return "the defaults", {}


def parse_toml(place: str, text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as broken:
        raise SettingsRefused(f"{place} is not valid TOML: {broken}; correct it and run again") from broken


def _overridden(table: dict[str, Any], override: str) -> dict[str, Any]:
    path, equals, value = override.partition("=")
    if not equals or not path:
        raise SettingsRefused(f"--set {override}: expected key.path=value, for instance coverage.minimum_percent=80")
    return _with(table, path.split("."), _toml_value(value))


def _toml_value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _with(table: dict[str, Any], path: list[str], value: Any) -> dict[str, Any]:
    head, *rest = path
    inner = table.get(head, {})
    return {**table, head: _with(inner if isinstance(inner, dict) else {}, rest, value) if rest else value}


def _one_line(refused: ValidationError, place: str) -> str:
    errors, more = refused.errors(), refused.error_count() - 1
    # NOTE: a required key that is misspelt is unknown and missing at once, and the unknown one is what was typed.
    first = next((each for each in errors if each["type"] == "extra_forbidden"), errors[0])
    key = ".".join(str(part) for part in first["loc"])
    also = f" (and {more} more)" if more else ""
    if first["type"] == "extra_forbidden":
        return f"{place}: unknown key {key}{_nearest(first['loc'])}{also}"
    message = first["msg"].removeprefix("Value error, ")
    return f"{place}: {key}: {message}{also}"


def _nearest(location: tuple[int | str, ...]) -> str:
    known = tuple(_model_at(location[:-1]).model_fields)
    close = difflib.get_close_matches(str(location[-1]), known, n=1, cutoff=0.5)
    return f"; did you mean {close[0]}?" if close else f"; known here: {', '.join(known)}"


def _model_at(location: tuple[int | str, ...]) -> type[BaseModel]:
    """The model whose key the last part of a location was; names of tables and numbers of rows are passed over."""
    model: type[BaseModel] = Settings
    for part in location:
        if isinstance(part, str) and part in model.model_fields:
            model = model_within(model.model_fields[part].annotation) or model
    return model


def model_within(annotation: object) -> type[BaseModel] | None:
    """The section that a field holds, alone, by name, in a row or perhaps; None for a plain value."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    found = (model_within(part) for part in get_args(annotation))
    return next((model for model in found if model is not None), None)
