"""What stopped a task: something worth another try, or something that is not."""

from typing import Any

from prefect import Task
from prefect.client.schemas.objects import State, TaskRun
from prefect.tasks import exponential_backoff


class TemporaryError(Exception):
    """Trying again may help: Prefect does, with growing, jittered pauses."""


class PermanentError(Exception):
    """Trying again cannot help."""


class BadInput(PermanentError):
    """What the user asked for, or the target's configuration, cannot be used; the text is one line that says why."""


def is_temporary(task: Task[..., Any], run: TaskRun, state: State[Any]) -> bool:
    """For a task's retry_condition_fn; Prefect hands over the exception as the state's data."""
    return isinstance(state.data, TemporaryError)


class NotAllowed(PermanentError):
    """A gate, a lock, a freeze or a person says no; the text is one line that says which and why."""


RETRIED: dict[str, Any] = {
    "retries": 3,
    "retry_delay_seconds": exponential_backoff(backoff_factor=2),
    "retry_jitter_factor": 0.5,
    "retry_condition_fn": is_temporary,
}
