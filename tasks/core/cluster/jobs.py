"""A command of the target's, run once in the cluster as its component would run.

The job is made from the component's own Deployment, so that it has the same image, variables, secrets, account and
limits; it is none of the component's pods, gets no traffic, and is never started a second time by itself.
"""

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import replace
from typing import Any

from tasks.core.cluster.beside import COMPONENT, GENERATION, ROLE, VERSION
from tasks.core.cluster.documents import Document, Part, main_container

JOB = "towpath.dev/job"
_KEPT_SECONDS = 3600


def job_of(part: Part, name: str, command: tuple[str, ...], *, deadline_seconds: float) -> Document:
    """Raises ManifestsRefused when it cannot be told which container is the component."""
    pod: dict[str, Any] = deepcopy(dict(part.deployment["spec"]["template"]))
    container = deepcopy(dict(main_container(part)))
    for field in ("args", "ports", "readinessProbe", "livenessProbe", "startupProbe", "lifecycle"):
        container.pop(field, None)
    container["command"] = list(command)
    spec = pod["spec"]
    spec |= {"containers": [container], "restartPolicy": "Never", "terminationGracePeriodSeconds": 5}
    labels = pod.setdefault("metadata", {}).setdefault("labels", {})
    pod["metadata"]["labels"] = {key: value for key, value in labels.items() if key not in _OF_PODS} | {JOB: name}
    return _job(name, pod, deadline_seconds)


def instance_of(part: Part, name: str, *, deadline_seconds: float) -> Document:
    """One instance of the component as a job: with its own command and probes, and no traffic. Raises ManifestsRefused.

    A job, since that ends by itself should nobody come back for it.
    """
    pod: dict[str, Any] = deepcopy(dict(part.deployment["spec"]["template"]))
    container = deepcopy(dict(main_container(part)))
    container.pop("livenessProbe", None)
    pod["spec"] |= {"containers": [container], "restartPolicy": "Never", "terminationGracePeriodSeconds": 5}
    labels = (pod.get("metadata") or {}).get("labels") or {}
    kept = {key: value for key, value in labels.items() if key not in _OF_PODS}
    pod["metadata"] = {**(pod.get("metadata") or {}), "labels": kept | {JOB: name}}
    return _job(name, pod, deadline_seconds)


def with_variables(part: Part, variables: Mapping[str, str]) -> Part:
    """The part with these over the variables of its container; a cluster fills in $(NAME) of those before them."""
    made: dict[str, Any] = deepcopy(dict(part.deployment))
    for container in made["spec"]["template"]["spec"]["containers"]:
        kept = [each for each in container.get("env") or [] if each.get("name") not in variables]
        container["env"] = [*kept, *({"name": name, "value": value} for name, value in sorted(variables.items()))]
    return replace(part, deployment=made)


_OF_PODS = frozenset({ROLE, COMPONENT, GENERATION, VERSION})


def job_from(schedule: Document, name: str, variables: dict[str, str], *, deadline_seconds: float) -> Document:
    """One run of a CronJob now, with further variables in each of its containers."""
    template: dict[str, Any] = deepcopy(dict(schedule["spec"]["jobTemplate"]["spec"]["template"]))
    given = [{"name": key, "value": value} for key, value in sorted(variables.items())]
    for container in template["spec"]["containers"]:
        container["env"] = [*(each for each in container.get("env") or [] if each.get("name") not in variables), *given]
    template["spec"]["restartPolicy"] = "Never"
    template.setdefault("metadata", {}).setdefault("labels", {})[JOB] = name
    return _job(name, template, deadline_seconds)


def _job(name: str, template: dict[str, Any], deadline_seconds: float) -> Document:
    spec = {
        "backoffLimit": 0,
        "activeDeadlineSeconds": max(1, round(deadline_seconds)),
        "ttlSecondsAfterFinished": _KEPT_SECONDS,
        "template": template,
    }
    metadata = {"name": name, "labels": {JOB: name}}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": spec}


def ending_of(job: Document) -> str | None:
    """Empty when it has done its work, words when it failed, None while it goes on."""
    for condition in (job.get("status") or {}).get("conditions") or ():
        if condition.get("status") == "True" and condition.get("type") == "Complete":
            return ""
        if condition.get("status") == "True" and condition.get("type") == "Failed":
            return f"{condition.get('reason')}: {condition.get('message')}"
    return None
