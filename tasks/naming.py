"""Names of flow runs, as people look for them: the target by its short name and not by where it lies."""

import re
from collections.abc import Callable

from prefect.runtime import flow_run


def run_name(template: str) -> Callable[[], str]:
    """For a flow's `flow_run_name`: the template filled in with the run's parameters."""

    def name() -> str:
        parameters = {key: "" if value is None else str(value) for key, value in flow_run.parameters.items()}
        return " ".join(template.format(**{**parameters, "target": short_name(parameters.get("target", ""))}).split())

    return name


def short_name(target: str) -> str:
    """The last part of a path or an address."""
    parts = [part for part in re.split(r"[/:\\]", target.rstrip("/")) if part]
    return parts[-1].removesuffix(".git") if parts else target
