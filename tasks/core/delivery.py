"""The whole of [delivery] in towpath.toml."""

from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from tasks.core.canary_settings import CanarySettings
from tasks.core.delivery_settings import (
    ApprovalSettings,
    ComponentSettings,
    DatabaseSettings,
    EnvironmentSettings,
    RegistrySettings,
    TestSettings,
    VerificationSettings,
)
from tasks.core.freeze import FreezeWindow
from tasks.core.notices import NotificationSettings
from tasks.core.section import Section


class DeliverySettings(Section):
    """How the target is built, released and watched."""

    platform: Literal["local", "kubernetes"] = Field(
        "local", description="what the environments run on: local, processes of this machine; kubernetes"
    )
    registry: RegistrySettings = Field(default_factory=RegistrySettings)
    components: Mapping[str, ComponentSettings] = Field({}, description="what a release is made of")
    environments: Mapping[str, EnvironmentSettings] = Field({}, description="where releases run")
    gates: tuple[str, ...] = Field(("ci",), description="flows that must have passed on a revision before cd takes it")
    staging: str = Field("staging", description="environment that cd releases to")
    production: str = Field("production", description="environment of canaries and versions")
    kept_artifacts: Annotated[int, Field(ge=2, le=1000)] = Field(
        10, description="built releases kept beside those that run, for going back"
    )
    kept_records: Annotated[int, Field(ge=10, le=1000)] = Field(
        50,
        description="kubernetes: records kept in the cluster; the last two releases are never forgotten",
    )
    database: DatabaseSettings | None = Field(None, description="unset: there is none to migrate")
    tests: TestSettings = Field(default_factory=TestSettings)
    verification: VerificationSettings = Field(default_factory=VerificationSettings)
    canary: CanarySettings = Field(default_factory=CanarySettings)
    approvals: ApprovalSettings = Field(default_factory=ApprovalSettings)
    notifications: NotificationSettings = Field(default_factory=NotificationSettings)
    freezes: tuple[FreezeWindow, ...] = Field((), description="times in which nothing changes")

    @model_validator(mode="after")
    def _names_what_there_is(self) -> Self:
        for name, environment in self.environments.items():
            self._check_environment(name, environment)
        self._fits_platform()
        for name, component in self.components.items():
            if not any(component.ready_path.startswith(route) for route in component.routes):
                raise ValueError(f"components.{name}: ready_path {component.ready_path} is under none of its routes")
        if self.database is not None:
            self._known(self.database.component, "database.component")
        for name in self.canary.replicas:
            self._known(name, "canary.replicas")
        return self

    def _check_environment(self, name: str, environment: EnvironmentSettings) -> None:
        for component in (*environment.replicas, *environment.variables):
            self._known(component, f"environments.{name}")
        if missing := [each for each in self.components if each not in environment.replicas]:
            raise ValueError(f"environments.{name} says no replicas for {missing[0]}: add replicas.{missing[0]} = 1")
        if self.components and not any(environment.replicas.values()):
            raise ValueError(f"environments.{name} has 0 instances of everything: give one component at least 1")

    def _fits_platform(self) -> None:
        """Each platform needs words that the other has no use for."""
        is_local = self.platform == "local"
        for name, component in self.components.items():
            if is_local and not component.command:
                raise ValueError(f"components.{name}: say with command what one instance runs")
            if not is_local and not component.image:
                raise ValueError(f"components.{name}: say with image which of [images] it runs")
        if is_local:
            return
        if self.components and not self.registry.prefix:
            raise ValueError("registry.prefix is missing: where images go, for instance ghcr.io/acme")
        for name, environment in self.environments.items():
            if environment.cluster is None:
                raise ValueError(f"environments.{name}: add cluster with context, namespace, overlay and url")
            if any("{secret:" in value for each in environment.variables.values() for value in each.values()):
                raise ValueError(f"environments.{name}: on kubernetes secrets are Secrets, named in the manifests")

    def _known(self, component: str, where: str) -> None:
        if component not in self.components:
            known = ", ".join(self.components) or "none"
            raise ValueError(f"{where} names {component}, which is no component; known: {known}")
