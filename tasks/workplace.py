"""Where one run works: its snapshot, its folders, its plan, and its turn on the processors.

It is a plain object, not a dataclass: Prefect looks into the values of dataclasses that tasks are given, and a
snapshot may name a hundred thousand files.
"""

import os
import re
import time
from datetime import datetime
from pathlib import Path

from tasks.adapters.programs import Program
from tasks.adapters.snapshots import Snapshot
from tasks.core.environments import digest
from tasks.core.plan import Inputs, PlannedCheck
from tasks.core.rules import Rules
from tasks.core.settings import ImageSettings, Settings
from tasks.core.tiers import TRUSTED
from tasks.core.tools.contract import Invocation, Tool
from tasks.turns import Turns

# Raised when a change of Towpath changes what a result means, so that old results are not believed.
_RESULTS_VERSION = 1


class Workplace:
    """`folder` is the run's own, for reports and logs; `state` is Towpath's home, or of a stranger's change that of its
    `tier`; `keys` names each check's inputs."""

    def __init__(
        self,
        *,
        snapshot: Snapshot,
        settings: Settings,
        state: Path,
        folder: Path,
        run_id: str,
        started: datetime,
        tier: str = TRUSTED,
        overrides: tuple[str, ...] = (),
        rules: Rules | None = None,
    ) -> None:
        self.snapshot = snapshot
        self.settings = settings
        self.state = state
        self.folder = folder
        self.run_id = run_id
        self.started = started
        self.tier = tier
        self.overrides = overrides
        self.rules = rules or Rules()
        self._began = time.monotonic()
        number = settings.run.parallelism or os.cpu_count() or 1
        self.turns = Turns(number)
        # NOTE: one more than can work, so that a core that becomes free finds the next one at the ready.
        self.places_in_line = Turns(number + 1)
        self.keys: dict[str, str] = {}
        self.has_swept_engine = False

    @property
    def target(self) -> str:
        """The target's name: as it is configured, else as its folder or address says."""
        return self.settings.name or self.snapshot.name

    def seconds(self) -> float:
        """Since the run began; by a clock that nobody sets."""
        return time.monotonic() - self._began

    def log_of(self, check_id: str) -> Path:
        return self.folder / "logs" / f"{_file_name(check_id)}.log"

    def invocation(self, check: PlannedCheck, *, again: tuple[str, ...] = ()) -> Invocation:
        name = _file_name(check.id)
        attempt = "again" if again else "files"
        return Invocation(
            directory=str(self.snapshot.tree / check.folder),
            caches=str(self.snapshot.caches / name),
            scratch=str(self.folder / attempt / name),
            paths=check.paths,
            options=check.options,
            again=again,
        )

    def key(self, check: PlannedCheck, tool: Tool, program: Program, fingerprint: str) -> str:
        """What a result of this check depends on, as one hash; the folders of this run are not part of it."""
        bare = Invocation(directory="", caches="", scratch="", paths=check.paths, options=check.options)
        arguments = tool.arguments(bare)
        environment = dict(check.variables)
        return digest(
            [
                _RESULTS_VERSION,
                self.tier,
                check.id,
                program.version,
                arguments,
                environment,
                fingerprint,
                self.inputs(check.inputs),
            ]
        )

    def image_key(self, check: PlannedCheck, settings: ImageSettings) -> str:
        return digest(
            [_RESULTS_VERSION, self.tier, check.id, settings.model_dump(mode="json"), self.inputs(check.inputs)]
        )

    def inputs(self, inputs: Inputs) -> str:
        files = self.snapshot.files
        return digest([(path, files[path]) for path in inputs.chosen(files)])


def _file_name(check_id: str) -> str:
    return re.sub(r"[^\w.-]+", "-", check_id)
