"""What a team says about delivery, under [delivery] of towpath.toml: its components, environments and database.

A component is described once, and every platform reads the same description. Values may hold `{port}` (the port an
instance must listen on), `{artifact}` (the folder of what was built) and `{data}` (the folder of the environment's
own data); nothing else in braces is touched.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from tasks.core.section import Section

Seconds = Annotated[float, Field(gt=0, le=86_400)]
Replicas = Annotated[int, Field(ge=0, le=100)]
Path = Annotated[str, Field(pattern=r"^/")]


class MetricsSettings(Section):
    """How a component's instances tell what they count, in Prometheus's text format."""

    path: Path = Field("/metrics", description="path of the metrics on an instance")
    requests: str = Field(description="counter of requests; all its series of an instance are added up")
    errors: str = Field(description="counter of failed requests; must exist before the first error")
    seconds: str = Field(
        "", description="histogram of seconds per request, without _bucket; empty: latency is not judged"
    )


class ComponentSettings(Section):
    """One component of a release, under [delivery.components.NAME]."""

    directory: str = Field(".", description="folder of the component in the target")
    build: tuple[tuple[str, ...], ...] = Field(
        (), description="commands that put what runs into {artifact}, run in the component's folder of a snapshot"
    )
    build_environment: Mapping[str, str] = Field(
        {}, description="variables of the build commands; {artifact} is filled in"
    )
    keep: tuple[str, ...] = Field((), description="files and folders of the component's folder that go into {artifact}")
    command: tuple[str, ...] = Field(
        (), description="local platform: program and arguments of one instance; {port} is where it listens"
    )
    image: str = Field("", description="kubernetes: the image it runs, by the name it has under [images]")
    environment: Mapping[str, str] = Field({}, description="variables of every instance, in every environment")
    routes: tuple[Path, ...] = Field(("/",), description="path prefixes it answers; the longest one that fits decides")
    ready_path: Path = Field("/", description="answers 200 when an instance may get traffic")
    live_path: Path = Field("/", description="answers 200 unless the instance must be restarted")
    start_seconds: Seconds = Field(60.0, description="seconds an instance may take to become ready the first time")
    drain_seconds: Seconds = Field(
        5.0, description="seconds an instance gets to finish its requests before it is killed"
    )
    metrics: MetricsSettings | None = Field(None, description="unset: its instances are not judged")


class ClusterSettings(Section):
    """Where an environment of the kubernetes platform lies, under [delivery.environments.NAME.cluster]."""

    context: Annotated[str, Field(min_length=1)] = Field(
        description="context of the kubeconfig, by name, or in-cluster; the current context is never used"
    )
    namespace: Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")] = Field(
        description="namespace, which must be there"
    )
    overlay: Annotated[str, Field(min_length=1)] = Field(
        description="folder of the kustomize overlay in the target; it has a Deployment named like each component"
    )
    url: Annotated[str, Field(pattern=r"^https?://")] = Field(
        description="where users reach the environment, for health checks and tests"
    )


class RegistrySettings(Section):
    """Where images go, under [delivery.registry]. Login: docker login, or TOWPATH_REGISTRY_USER and _TOKEN."""

    prefix: str = Field("", description="registry and owner, for instance ghcr.io/acme; TARGET-COMPONENT follows")
    platforms: tuple[Annotated[str, Field(pattern=r"^[a-z]+/[a-z0-9]+(/[a-z0-9]+)?$")], ...] = Field(
        ("linux/amd64", "linux/arm64"), description="kinds of machine each image is built for"
    )
    builder: str = Field("", description="buildx builder; empty: one that can push, else one is made")
    builder_id: Annotated[str, Field(pattern=r"^[\w./:@-]+$")] = Field(
        "towpath", description="who builds, in the images' provenance; an image by another builder is not delivered"
    )
    has_bill: bool = Field(True, description="whether a bill of materials is attached; the builder fetches its lister")
    has_cache: bool = Field(True, description="whether layers are kept as TARGET-COMPONENT:buildcache for later")
    insecure: bool = Field(False, description="true: plain HTTP, for a registry of one's own network; never for others")


class EnvironmentSettings(Section):
    """One environment, under [delivery.environments.NAME]."""

    replicas: Mapping[str, Replicas] = Field(description="instances of each component at full size")
    variables: Mapping[str, Mapping[str, str]] = Field(
        {}, description="variables by component, over the component's own"
    )
    port: Annotated[int, Field(ge=1024, le=65_535)] = Field(
        8080, description="local platform: port of the router; the next free one is taken when it is in use"
    )
    cluster: ClusterSettings | None = Field(None, description="kubernetes: where it lies; needed there")


class Migrations(StrEnum):
    """What a team declares of its migrations. Published: a contract."""

    FORWARD = "forward"
    COMPATIBLE = "compatible"
    REVERSIBLE = "reversible"


class DatabaseSettings(Section):
    """The database of an environment. Its commands run with the variables of `component`."""

    component: str = Field(description="component whose artifact and variables the commands are run with")
    url: str = Field(description="name of the variable that holds the database's address")
    migrate: tuple[str, ...] = Field(description="command that brings the schema to the release's revision, run once")
    revision: tuple[str, ...] = Field(description="command that prints the schema's revision, one word")
    downgrade: tuple[str, ...] = Field((), description="command that goes back to the revision given as its last word")
    migrations: Migrations = Field(
        Migrations.FORWARD,
        description="compatible: older releases run on newer schemas; reversible: downgrade undoes them",
    )
    timeout_seconds: Seconds = Field(300.0, description="seconds each of these commands may take")
    n_minus_1: bool = Field(
        True, description="before production the release that runs is tested on a migrated copy of the backup"
    )
    n_minus_1_tests: tuple[str, ...] = Field(
        (), description="command for that, instead of delivery.tests.command; {url} of its variables is the component's"
    )
    scratch_job: str = Field(
        "", description="kubernetes: suspended CronJob that makes database $SCRATCH of $BACKUP; $BACKUP empty: drops it"
    )
    scratch: Mapping[str, str] = Field(
        {},
        description="kubernetes: variables of an instance on that copy, called {scratch}; it must reach no live store",
    )
    backup_job: str = Field(
        "", description="kubernetes: CronJob that backs up to $BACKUP, proves it by a restore and says so: proved ..."
    )
    restore_job: str = Field("", description="kubernetes: suspended CronJob that puts the backup $BACKUP back")
    kept_backups: Annotated[int, Field(ge=1, le=1000)] = Field(5, description="backups kept per environment")


class TestSettings(Section):
    """The target's own tests against a running environment."""

    directory: str = Field(".", description="folder the command runs in; its project's environment is on the path")
    command: tuple[str, ...] = Field((), description="program and arguments; empty: no tests of its own")
    environment: Mapping[str, str] = Field({}, description="variables; {url} is the environment's address")
    timeout_seconds: Seconds = Field(300.0, description="seconds the tests may take")


class VerificationSettings(Section):
    """What must hold after all traffic has moved, before the old release is taken away."""

    settle_seconds: Annotated[float, Field(ge=0, le=3600)] = Field(
        10.0, description="seconds in which every instance must stay ready and none may restart"
    )
    max_error_percent: Annotated[float, Field(ge=0, le=100)] = Field(
        1.0, description="per cent of the requests in that time that may fail"
    )


class ApprovalSettings(Section):
    """Who must say yes before a release gets all of production's traffic."""

    needed: Annotated[int, Field(ge=0, le=20)] = Field(
        1, description="approvals it takes, each by another name; 0 asks nobody"
    )
    approvers: tuple[str, ...] = Field(
        (), description="names and GitHub teams (ORG/TEAM) that count; empty: every name does"
    )
    may_author_approve: bool = Field(True, description="false: the author of the commit does not count")
    require_proof: bool = Field(
        False, description="true: only approvals by signed GitHub comment count, and approvers are GitHub logins"
    )
    expires_seconds: Annotated[float, Field(ge=1, le=30 * 86_400)] = Field(
        86_400.0, description="seconds a question stays open before the release is rolled back"
    )
