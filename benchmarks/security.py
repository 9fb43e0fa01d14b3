"""What a security run costs beside its scanners: wall time against the slowest scanner and against all processor time.

`python -m benchmarks.security [--rounds N] [--images]` scans the sample shop, with Terraform and a Kubernetes manifest
added, against the lab's services on loopback; with its images too, on the lab's container engine. Where there are fewer
cores than scanners, the floor is their processor time over the cores.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.conftest import shop_on
from tests.lab.advisories import advising
from tests.lab.engine import running
from tests.lab.registry import registry
from tests.lab.trivy_database import push_database

ROOT = Path(__file__).resolve().parents[1]
_INFRASTRUCTURE = {
    "infra/main.tf": 'resource "aws_s3_bucket" "data" {\n  bucket = "x"\n}\n',
    "deploy/kustomization.yaml": "resources:\n  - service.yaml\n",
    "deploy/service.yaml": "apiVersion: v1\nkind: Service\nmetadata:\n  name: shop\nspec:\n  ports:\n    - port: 80\n",
}


@dataclass(frozen=True)
class Taken:
    """Seconds of one run; `processor` is that of all scanners together."""

    wall: float
    flow: float
    slowest: float
    processor: float
    cached: int

    @property
    def floor(self) -> float:
        """No run can take less on this machine."""
        return max(self.slowest, self.processor / (os.cpu_count() or 1))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--images", action="store_true", help="build and scan the images too; needs root and Linux")
    chosen = parser.parse_args()
    rounds = chosen.rounds
    with tempfile.TemporaryDirectory() as folder, _words(Path(folder), has_images=chosen.images) as words:
        _scan(words, Path(folder))
        cold = [_scan([*words, "--no-cache"], Path(folder)) for _ in range(rounds)]
        _scan(words, Path(folder))
        again = [_scan(words, Path(folder)) for _ in range(rounds)]
        subprocess.run([sys.executable, "-m", "deployments.cli", "down"], env=_environment(Path(folder)), check=False)
    for name, pick in (("slowest scanner's own time", "slowest"), ("processor time over the cores", "floor")):
        ratios = [taken.flow / getattr(taken, pick) for taken in cold]
        print(f"everything runs, flow over the {name}: {_spread(ratios)}")
    print(f"everything runs, flow seconds: {_spread([taken.flow for taken in cold])}")
    print(f"everything runs, wall seconds of the command: {_spread([taken.wall for taken in cold])}")
    print(f"nothing changed, wall seconds of the command: {_spread([taken.wall for taken in again])}")
    print(f"nothing changed, scans remembered: {again[0].cached}")


def _spread(values: list[float]) -> str:
    return f"{statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f})"


@contextmanager
def _words(folder: Path, *, has_images: bool) -> Iterator[list[str]]:
    """The command over a copy of the shop, pointed at the lab's services."""
    shop = folder / "shop"
    shutil.copytree(ROOT / "examples" / "shop", shop)
    for name, content in _INFRASTRUCTURE.items():
        (shop / name).parent.mkdir(exist_ok=True)
        (shop / name).write_text(content)
    for step in ("init -q", "add -A", "-c user.name=a -c user.email=a@b commit -qm one"):
        subprocess.run(["git", *step.split()], cwd=shop, check=True)
    with advising() as advisories, registry(folder / "registry") as address:
        chosen = {
            "security.osv_url": advisories.address,
            "security.npm_registry": advisories.address,
            "security.trivy.database": push_database(address),
            "security.trivy.insecure": "true",
        }
        words = [part for key, value in chosen.items() for part in ("--set", f"{key}={value}")]
        command = [sys.executable, "-m", "deployments.cli", "security", str(shop), *words]
        if not has_images:
            yield [*command, "--allow-missing", "docker"]
            return
        with running() as engine:
            os.environ.update(engine.environment)
            yield [*command, *shop_on(engine)]


def _scan(words: list[str], folder: Path) -> Taken:
    report = folder / "report.json"
    began = time.monotonic()
    done = subprocess.run(
        [*words, "--plain", "--json", str(report)],
        cwd=ROOT,
        env=_environment(folder),
        capture_output=True,
        text=True,
        check=False,
    )
    wall = time.monotonic() - began
    if not report.exists():
        sys.exit(done.stdout + done.stderr)
    read = json.loads(report.read_text())
    ran = [check for check in read["checks"] if check["seconds"] and not check["cached"]]
    return Taken(
        wall=wall,
        flow=read["seconds"],
        slowest=max((check["seconds"] for check in ran), default=0.0),
        processor=sum(check["cpu_seconds"] for check in ran),
        cached=sum(check["cached"] for check in read["checks"]),
    )


def _environment(folder: Path) -> dict[str, str]:
    return {**os.environ, "TOWPATH_HOME": str(folder / "home")}


if __name__ == "__main__":
    main()
