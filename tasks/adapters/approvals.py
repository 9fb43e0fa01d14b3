"""Questions that wait for a person, on disk beside the environment they are about.

A question is there as long as it may be answered, with the answers that counted so far, so that whoever answers can be
told at once why an answer does not count, also when the server or the flow is gone.
"""

import json
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from tasks.adapters.grounds import Ground, known_grounds
from tasks.adapters.state import write_atomically
from tasks.core.approval import Answer, ApprovalRequest

_KEPT_CLOSED = 50


class Pending(BaseModel):
    """A question and what has been answered; `refused` holds the reasons of answers that did not count."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    request: ApprovalRequest
    answers: tuple[Answer, ...] = ()
    refused: tuple[str, ...] = ()


@dataclass(frozen=True)
class Found:
    """A pending question and where it is kept."""

    ground: Ground
    pending: Pending


def _path(ground: Ground, run: str) -> Path:
    return ground.folder / "approvals" / f"{run}.json"


def write_pending(ground: Ground, pending: Pending) -> None:
    write_atomically(_path(ground, pending.request.run), pending.model_dump_json(indent=2) + "\n", mode=0o600)


def withdraw(ground: Ground, run: str, *, outcome: str) -> None:
    """Close the question; what became of it stays to be told to whoever answers later. None there is no matter."""
    path = _path(ground, run)
    if not path.exists():
        return
    with suppress(OSError):
        write_atomically(_closed(ground, run), json.dumps({"outcome": outcome, "at": time.time()}), mode=0o600)
    path.unlink(missing_ok=True)
    for old in sorted(_closed(ground, run).parent.glob("*.json"), key=lambda each: each.stat().st_mtime)[
        :-_KEPT_CLOSED
    ]:
        old.unlink(missing_ok=True)


def outcome_of(state: Path, run: str) -> str:
    """What became of a closed question of the run whose id begins so; empty when there is none."""
    for ground in known_grounds(state):
        for path in _closed(ground, run).parent.glob(f"{run}*.json"):
            with suppress(OSError, ValueError, KeyError, TypeError):
                return str(json.loads(path.read_bytes())["outcome"])
    return ""


def _closed(ground: Ground, run: str) -> Path:
    return ground.folder / "closed-questions" / f"{run}.json"


def all_pending(state: Path) -> tuple[Found, ...]:
    """Every open question of this home."""
    found: list[Found] = []
    for ground in known_grounds(state):
        for path in sorted((ground.folder / "approvals").glob("*.json")):
            try:
                found.append(Found(ground, Pending.model_validate_json(path.read_bytes())))
            except (OSError, ValidationError, ValueError):
                continue
    return tuple(found)


def write_proof(ground: Ground, run: str, answer: Answer) -> None:
    """Put by that a signature stands for this answer, for the run that hears it. The form in the UI cannot say so."""
    write_atomically(_proof(ground, run), answer.model_dump_json(), mode=0o600)


def take_proof(ground: Ground, run: str, answer: Answer) -> Answer:
    """The answer with what is proved of it: a signature for exactly this decision, name and release, and teams.

    A proof is good for one answer.
    """
    try:
        proved = Answer.model_validate_json(_proof(ground, run).read_bytes())
    except (OSError, ValueError):
        return answer
    if (proved.decision, proved.by, proved.digest) != (answer.decision, answer.by, answer.digest):
        return answer
    _proof(ground, run).unlink(missing_ok=True)
    return answer.model_copy(update={"is_proved": proved.is_proved, "teams": proved.teams})


def _proof(ground: Ground, run: str) -> Path:
    return ground.folder / "proofs" / f"{run}.json"


def ask_for_abort(ground: Ground, run: str, *, by: str, reason: str) -> None:
    """Have a canary that is under way taken back at its next look."""
    said = {"run": run, "by": by, "reason": reason, "at": time.time()}
    write_atomically(ground.folder / "abort.json", json.dumps(said) + "\n", mode=0o600)


def abort_asked(ground: Ground, run: str) -> str:
    """Why the canary of this run is to be taken back; empty when nobody asked."""
    try:
        said = json.loads((ground.folder / "abort.json").read_bytes())
        return f"{said['by']} asked for it: {said['reason']}" if said["run"] == run else ""
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def forget_abort(ground: Ground) -> None:
    (ground.folder / "abort.json").unlink(missing_ok=True)
