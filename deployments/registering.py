"""`python -m deployments.registering FOLDER`: make the work pools of FOLDER, and register the deployments in them.

It runs in a pod of the cluster whose runs it registers: they get the image that this pod runs, and its namespace, so
that code, server and workers are of one version. A pool that is there is brought up to date; its runs and its
concurrency limit stay. Doing it again changes nothing.
"""

import asyncio
import copy
import os
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from deployments.saying import complain, say
from deployments.server import ROOT
from tasks.adapters import daemons, process
from tasks.adapters.process import Command, Ending, Need
from tasks.core.outcome import ExitCode

_TRUSTED, _UNTRUSTED = "towpath", "untrusted"
_UNTRUSTED_FILE = "deployments/kubernetes/untrusted.yaml"
_SERVER_SECONDS, _POLL_SECONDS = 300.0, 1.0
_ANSWER_SECONDS, _DEPLOY_SECONDS = 60.0, 600.0


class NotRegistered(Exception):
    """Pools or deployments could not be made; the text is one line that says which and why."""


@dataclass(frozen=True)
class Pod:
    """The pod this runs in."""

    namespace: str
    image: str


def filled(pool: Mapping[str, Any], pod: Pod) -> dict[str, Any]:
    """A pool as the server takes it: its runs are of this pod's image, in this pod's namespace."""
    made = copy.deepcopy(dict(pool))
    properties = made["base_job_template"]["variables"]["properties"]
    properties["image"]["default"] = pod.image
    properties["namespace"]["default"] = pod.namespace
    return made


async def _main(folder: Path) -> int:
    api = os.environ.get("PREFECT_API_URL", "").rstrip("/")
    if not api:
        complain("PREFECT_API_URL is not set: it names the server to register at")
        return ExitCode.USAGE
    try:
        pod = await _own_pod()
        await _wait_for(api)
        for file in sorted(folder.glob("*.yaml")):
            await _put_pool(api, filled(yaml.safe_load(file.read_text("utf-8")), pod))
        await _deploy(_TRUSTED, "prefect.yaml")
        await _deploy(_UNTRUSTED, _UNTRUSTED_FILE)
    except NotRegistered as reason:
        complain(f"not registered: {reason}")
        return ExitCode.ERROR
    say(f"registered, for runs of {pod.image}")
    return ExitCode.PASSED


async def _own_pod() -> Pod:
    name, namespace = os.environ.get("POD_NAME", ""), os.environ.get("POD_NAMESPACE", "")
    asked = ("get", "pod", name, f"--namespace={namespace}", "--output=jsonpath={.spec.containers[0].image}")
    cluster = {key: value for key, value in os.environ.items() if key.startswith("KUBERNETES_")}
    said = await _said("kubectl", *asked, seconds=_ANSWER_SECONDS, environment=cluster)
    return Pod(namespace, said.strip())


async def _wait_for(api: str) -> None:
    for _ in range(int(_SERVER_SECONDS / _POLL_SECONDS)):
        if await daemons.answers(f"{api}/ready"):
            return
        await asyncio.sleep(_POLL_SECONDS)
    raise NotRegistered(f"the Prefect server is not ready after {_SERVER_SECONDS:g} s: look at its pods")


async def _put_pool(api: str, pool: Mapping[str, Any]) -> None:
    status = await daemons.call("POST", f"{api}/work_pools/", body=pool)
    if status == 409:
        changed = {key: pool[key] for key in ("description", "base_job_template")}
        status = await daemons.call("PATCH", f"{api}/work_pools/{pool['name']}", body=changed)
    if status not in (200, 201, 204):
        raise NotRegistered(f"the server would not take the work pool {pool['name']} (answer {status})")


async def _deploy(pool: str, file: str) -> None:
    settings = {name: value for name, value in os.environ.items() if name.startswith(("PREFECT_", "TOWPATH_"))}
    await _said(
        *(sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all", "--prefect-file", file),
        seconds=_DEPLOY_SECONDS,
        environment=settings | {"PREFECT_DEFAULT_WORK_POOL_NAME": pool},
    )


async def _said(*argv: str, seconds: float, environment: Mapping[str, str]) -> str:
    """What a program said. Raises NotRegistered with its last line when it did not end well."""
    with tempfile.TemporaryDirectory(prefix="towpath-register-") as folder:
        log, output = Path(folder, "log"), Path(folder, "output")
        done = await process.run(
            Command(
                argv=argv,
                directory=ROOT,
                log=log,
                stdout=output,
                timeout_seconds=seconds,
                environment=environment,
                needs=frozenset({Need.NETWORK}),
            )
        )
        if done.ending is Ending.EXITED and done.exit_code == 0:
            return output.read_text("utf-8", "replace")
        why = done.detail or daemons.last_line(log) or daemons.last_line(output) or str(done.ending)
        raise NotRegistered(f"{Path(argv[0]).name} {' '.join(argv[1:4])}: {why}")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        complain("usage: python -m deployments.registering FOLDER")
        sys.exit(ExitCode.USAGE)
    sys.exit(asyncio.run(_main(Path(sys.argv[1]))))
