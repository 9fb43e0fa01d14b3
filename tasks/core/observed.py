"""What an environment of the local platform really is, as its supervisor last saw it.

The supervisor writes it before anything depends on it, so that a supervisor that is killed and started again finds
every process it ever started: a process is known by its id together with its birth, never by its id alone.
"""

from pydantic import BaseModel, ConfigDict


class ObservedProcess(BaseModel):
    """One process; `birth` is empty when there is none at the moment."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    pid: int = 0
    birth: str = ""


class ObservedRouter(ObservedProcess):
    """The router's process. Its API answers on `private_port`."""

    port: int = 0
    private_port: int = 0
    note: str = ""


class ObservedInstance(ObservedProcess):
    """One instance; `started` is on the machine's monotonic clock, `failures` counts those in a row."""

    name: str
    component: str
    generation: int
    version: str
    port: int = 0
    started: float | None = None
    drain_seconds: float = 5.0
    is_ready: bool = False
    was_ready: bool = False
    is_leaving: bool = False
    restarts: int = 0
    failures: int = 0
    note: str = ""


class Observed(BaseModel):
    """An environment as it is."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    supervisor: ObservedProcess = ObservedProcess()
    router: ObservedRouter = ObservedRouter()
    instances: tuple[ObservedInstance, ...] = ()
    note: str = ""

    def ready(self, generation: int, component: str) -> tuple[ObservedInstance, ...]:
        """The instances of a component of one release that may get traffic."""
        return tuple(
            each
            for each in self.instances
            if each.is_ready and not each.is_leaving and (each.generation, each.component) == (generation, component)
        )
