"""Why pods are not ready, in words for people, and whether waiting could help.

It reads what the cluster says of pods, Deployments and events. It must never call something hopeless that heals by
itself: a pod that waits for room may get it, an image that does not exist will not come.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

Told = Mapping[str, Any]
_NEVER_STARTS = frozenset(
    ("InvalidImageName", "CreateContainerConfigError", "CreateContainerError", "RunContainerError", "ErrImageNeverPull")
)
_NO_IMAGE = frozenset(("ErrImagePull", "ImagePullBackOff"))
# What a registry says of an image that is not there, or that it will not hand out; all else may be a network.
_GONE = ("not found", "manifest unknown", "unauthorized", "denied", "no basic auth", "invalid reference")
_HOPELESS_RESTARTS = 3


@dataclass(frozen=True)
class Trouble:
    """Why something is not ready; `is_hopeless` when no waiting mends it. Empty words: there is none."""

    words: str = ""
    is_hopeless: bool = False


def trouble_of(pod: Told, events: Iterable[Told] = ()) -> Trouble:
    """The first thing that keeps a pod from being ready."""
    status = pod.get("status") or {}
    if (waiting := _unscheduled(status)) is not None:
        return waiting
    for container in (*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())):
        if (found := _of_container(container)) is not None:
            return found
    probes = [str(event.get("message", "")) for event in events if event.get("reason") == "Unhealthy"]
    if probes:
        return Trouble(_short(probes[-1]))
    phase = str(status.get("phase") or "unknown")
    return Trouble(
        "not ready yet" if phase in ("Running", "Pending") else f"{phase}: {_short(str(status.get('message') or ''))}"
    )


def _unscheduled(status: Told) -> Trouble | None:
    for condition in status.get("conditions") or ():
        if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
            return Trouble(f"no node takes it: {_short(str(condition.get('message', '')))}")
    return None


def _of_container(container: Told) -> Trouble | None:
    name, state = container.get("name", ""), container.get("state") or {}
    if waiting := state.get("waiting"):
        return _waiting(
            str(name), str(container.get("image", "")), waiting, int(container.get("restartCount") or 0), container
        )
    ended = state.get("terminated")
    if ended and ended.get("exitCode"):
        return Trouble(f"{name} ended with exit code {ended['exitCode']}")
    return None


def _waiting(name: str, image: str, waiting: Told, restarts: int, container: Told) -> Trouble | None:
    reason, message = str(waiting.get("reason") or ""), _short(str(waiting.get("message") or ""))
    if reason in _NO_IMAGE:
        return Trouble(f"image {image} cannot be pulled: {message}", any(word in message.lower() for word in _GONE))
    if reason in _NEVER_STARTS:
        return Trouble(f"{name} cannot be started: {reason}: {message}", is_hopeless=True)
    if reason == "CrashLoopBackOff":
        last = (container.get("lastState") or {}).get("terminated") or {}
        why = (
            "it ran out of memory"
            if last.get("reason") == "OOMKilled"
            else f"exit code {last.get('exitCode', 'unknown')}"
        )
        return Trouble(f"{name} crashes again and again ({restarts} restarts, {why})", restarts >= _HOPELESS_RESTARTS)
    return (
        Trouble(f"{name}: {reason or 'waiting'}{f': {message}' if message else ''}")
        if reason != "ContainerCreating"
        else None
    )


def trouble_of_deployment(deployment: Told) -> Trouble:
    """What keeps a Deployment from making its pods at all: a quota, an admission that says no, a lapsed deadline."""
    for condition in (deployment.get("status") or {}).get("conditions") or ():
        kind, message = condition.get("type"), _short(str(condition.get("message", "")))
        if kind == "ReplicaFailure" and condition.get("status") == "True":
            return Trouble(f"its pods are refused: {message}", is_hopeless=True)
        if kind == "Progressing" and condition.get("reason") == "ProgressDeadlineExceeded":
            return Trouble(f"its progress deadline is over: {message}", is_hopeless=True)
    return Trouble()


def is_rolled_out(deployment: Told) -> bool:
    """Whether what was last asked of a Deployment is all that runs, and all of it is ready."""
    status, wanted = deployment.get("status") or {}, int((deployment.get("spec") or {}).get("replicas", 1))
    observed = int(status.get("observedGeneration") or 0)
    # A StatefulSet of one revision may leave out how many are updated.
    updated = status.get("updatedReplicas", status.get("currentReplicas"))
    counts = [int(each or 0) for each in (updated, status.get("availableReplicas"), status.get("readyReplicas"))]
    is_old_gone = int(status.get("replicas") or 0) == counts[0]
    return observed >= int(deployment["metadata"]["generation"]) and min(counts) >= wanted and is_old_gone


def another_image(pod: Told, container: str, wanted: str) -> Trouble:
    """Whether the pod was given another image than the release names, by whatever stands between us and the node.

    A digest names the same image in every registry, so one that is fetched from a mirror is no other.
    """
    there = {str(each.get("name")): str(each.get("image")) for each in pod["spec"].get("containers") or ()}
    found = there.get(container, "none")
    digest = wanted.partition("@")[2]
    if found == wanted or (digest and found.partition("@")[2] == digest):
        return Trouble()
    return Trouble(f"it runs the image {found}, and the release is {wanted}: something in the cluster changes it", True)


def is_ready(pod: Told) -> bool:
    conditions = (pod.get("status") or {}).get("conditions") or ()
    is_going = bool((pod.get("metadata") or {}).get("deletionTimestamp"))
    return not is_going and any(each.get("type") == "Ready" and each.get("status") == "True" for each in conditions)


def _short(text: str) -> str:
    return " ".join(text.split())[:300]
