"""The files of one environment on this machine, which its supervisor and everybody who changes it share.

`wanted.json` is written by whoever changes the environment, `observed.json` by the supervisor, and the router's
configuration by both, from both, under the environment's mutex; so the last writer always has the last word about both.
"""

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from tasks.adapters.locks import locked
from tasks.adapters.state import write_atomically
from tasks.core.observed import Observed
from tasks.core.platform import PlatformTrouble
from tasks.core.wanted import Wanted
from tasks.core.weighted_routes import Routes, rendered


@dataclass(frozen=True)
class EnvironmentFolder:
    """`state/delivery/<target>/<environment>`."""

    path: Path

    @property
    def state(self) -> Path:
        return self.path.parents[2]

    @property
    def address(self) -> str:
        """`<target>/<environment>`, for people and for the mark on its processes."""
        return f"{self.path.parent.name}/{self.path.name}"

    @property
    def mutex(self) -> Path:
        return self.path / "mutex"

    @property
    def wanted(self) -> Path:
        return self.path / "wanted.json"

    @property
    def observed(self) -> Path:
        return self.path / "observed.json"

    @property
    def router(self) -> Path:
        return self.path / "router"

    @property
    def routes(self) -> Path:
        """Alone in its folder: the router reads every file there that ends in .yml."""
        return self.router / "routes" / "routes.yml"

    @property
    def logs(self) -> Path:
        return self.path / "logs"

    @property
    def data(self) -> Path:
        return self.path / "data"

    @property
    def history(self) -> Path:
        return self.path / "metrics.jsonl"

    def log_of(self, name: str) -> Path:
        return self.logs / f"{name}.log"

    def artifact_of(self, artifact: str) -> Path:
        return self.state / "artifacts" / artifact.removeprefix("sha256:")

    def create(self) -> None:
        for folder in (self.path, self.routes.parent, self.logs, self.data):
            folder.mkdir(parents=True, exist_ok=True)

    def delete_halves(self) -> None:
        """Files that were being written by somebody who was killed; all of them are written under the mutex."""
        with suppress(OSError), locked(self.mutex):
            for path in (self.wanted, self.observed, self.history, self.routes):
                for half in path.parent.glob(f".{path.name}.*"):
                    half.unlink(missing_ok=True)

    def read_wanted(self) -> Wanted | None:
        """What is wanted, None where nobody ever wanted anything. Raises PlatformTrouble when it cannot be read."""
        try:
            return Wanted.model_validate_json(self.wanted.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValidationError) as broken:
            raise PlatformTrouble(f"{self.wanted} cannot be read ({_in_short(broken)}): look at it") from broken

    def read_observed(self) -> Observed:
        """What the supervisor saw; nothing where it never looked or wrote what cannot be read."""
        try:
            return Observed.model_validate_json(self.observed.read_bytes())
        except (OSError, ValidationError):
            return Observed()

    def write_wanted(self, wanted: Wanted) -> None:
        write_atomically(self.wanted, wanted.model_dump_json() + "\n", mode=0o600)

    def write_observed(self, observed: Observed) -> None:
        write_atomically(self.observed, observed.model_dump_json() + "\n", mode=0o600)

    def write_routes(self, wanted: Wanted, observed: Observed) -> Routes:
        """Render and write; a file that says the same already is left alone, so the router is not disturbed."""
        routes = rendered(wanted, observed)
        try:
            is_there = self.routes.read_bytes() == routes.content
        except OSError:
            is_there = False
        if not is_there:
            write_atomically(self.routes, routes.content, mode=0o600)
        return routes


def environment_folders(state: Path) -> list[EnvironmentFolder]:
    """Every environment of every target that was ever prepared; folders of others are passed over."""
    return [EnvironmentFolder(path.parent) for path in sorted((state / "delivery").glob("*/*/wanted.json"))]


def _in_short(broken: OSError | ValidationError) -> str:
    if isinstance(broken, ValidationError):
        first = broken.errors()[0]
        return ": ".join([*map(str, first["loc"]), first["msg"]])[:200]
    return broken.strerror or str(broken)
