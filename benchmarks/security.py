"""What a security run costs beside its scanners: wall time against the slowest scanner and against all processor time.

`python -m benchmarks.security [--rounds N]` scans the sample shop, with Terraform added, against the lab's services on
loopback. Where there are fewer cores than scanners, the floor is their processor time over the cores.
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

from tests.lab.advisories import advising
from tests.lab.registry import registry
from tests.lab.trivy_database import push_database

ROOT = Path(__file__).resolve().parents[1]
_TERRAFORM = 'resource "aws_s3_bucket" "data" {\n  bucket = "x"\n}\n'


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
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as folder, _words(Path(folder)) as words:
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
def _words(folder: Path) -> Iterator[list[str]]:
    """The command over a copy of the shop, pointed at the lab's services."""
    shop = folder / "shop"
    shutil.copytree(ROOT / "examples" / "shop", shop)
    (shop / "infra").mkdir()
    (shop / "infra" / "main.tf").write_text(_TERRAFORM)
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
        yield [sys.executable, "-m", "deployments.cli", "security", str(shop), "--allow-missing", "docker", *words]


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
