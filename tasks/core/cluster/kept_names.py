"""How the objects are called in which Towpath keeps what it knows of an environment, in the environment's namespace.

Every name is known beforehand, so that a role can name it. Of manifests there are three places: at most two releases
are there, and a third comes before one of them goes.
"""

from tasks.core.cluster.beside import ENVIRONMENT, OWNER, label

KEEPS = "towpath.dev/keeps"
_MANIFEST_PLACES = 3


def kept_labels(target: str, environment: str, keeps: str) -> dict[str, str]:
    """Of an object in which something is kept; `keeps` says what."""
    return {OWNER: label(target), ENVIRONMENT: label(environment), KEEPS: keeps}


def state_name(target: str, environment: str) -> str:
    return f"towpath-{_place(target, environment)}"


def lock_name(target: str, environment: str) -> str:
    return f"towpath-lock-{_place(target, environment)}"


def intent_name(target: str, environment: str) -> str:
    return f"towpath-intent-{_place(target, environment)}"


def record_name(target: str, environment: str, number: int) -> str:
    return f"towpath-record-{_place(target, environment)}-{number:04d}"


def manifest_names(target: str, environment: str) -> tuple[str, ...]:
    return tuple(f"towpath-manifests-{_place(target, environment)}-{number}" for number in range(_MANIFEST_PLACES))


def build_name(target: str, environment: str, artifact: str) -> str:
    return f"towpath-build-{_place(target, environment)}-{artifact.removeprefix('sha256:')[:24]}"


def _place(target: str, environment: str) -> str:
    return f"{_part(target)}-{_part(environment)}"


def _part(text: str) -> str:
    """As an object may be called: what a label may hold beyond that is a dash here."""
    return label(text).lower().replace("_", "-").strip("-.")
