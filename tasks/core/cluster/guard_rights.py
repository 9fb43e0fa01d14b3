"""What the guard may do in a namespace that it guards: enough to put a stable release back, and no more.

It applies the stable release's objects again and deletes the candidate's, so that it needs the kinds that releases are
made of. Of Secrets it reads those alone in which Towpath keeps the manifests of the releases that are there; a role by
kind alone would give it every password of the namespace.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from tasks.core.cluster.kept_names import manifest_names

Rule = Mapping[str, list[str]]
_LOOKS = ["get", "list"]
_MAKES = ["get", "create", "patch", "delete"]


def guard_role(name: str, namespace: str, environments: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """The Role for the environments (target, environment) of one namespace."""
    metadata = {"name": name, "namespace": namespace}
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "Role",
        "metadata": metadata,
        "rules": [dict(rule) for rule in guard_rules(environments)],
    }


def guard_rules(environments: Iterable[tuple[str, str]]) -> tuple[Rule, ...]:
    """No watch, no wildcard, nothing of any other namespace, nothing of roles."""
    secrets = sorted(name for target, environment in environments for name in manifest_names(target, environment))
    return (
        _rule("coordination.k8s.io", ["leases"], ["get", "create", "update"]),
        _rule("", ["configmaps"], ["get", "list", "create", "update", "patch", "delete"]),
        {**_rule("", ["secrets"], ["get"]), "resourceNames": secrets},
        _rule("", ["pods", "events"], _LOOKS),
        _rule("", ["services", "serviceaccounts"], _MAKES),
        # A volume holds data, and is never deleted.
        _rule("", ["persistentvolumeclaims"], ["get", "create", "patch"]),
        _rule("apps", ["deployments"], ["get", "list", "create", "patch", "delete"]),
        _rule("apps", ["statefulsets", "daemonsets"], _MAKES),
        _rule("autoscaling", ["horizontalpodautoscalers"], _MAKES),
        _rule("batch", ["jobs", "cronjobs"], _MAKES),
        _rule("policy", ["poddisruptionbudgets"], _MAKES),
        _rule("networking.k8s.io", ["ingresses", "networkpolicies"], _MAKES),
        _rule("gateway.networking.k8s.io", ["httproutes"], _MAKES),
    )


def _rule(group: str, resources: list[str], verbs: list[str]) -> Rule:
    return {"apiGroups": [group], "resources": resources, "verbs": list(verbs)}
