"""A target with at least three faults for each scanner that runs here, and one of the same shape without any.

Values that look like secrets are put together at run time, so that this repository holds none.
"""

import json
import random
import string
from collections.abc import Mapping
from pathlib import Path

from tests.adapters.real_git import git
from tests.adapters.scanners.infrastructure_cases import CASES

_TERRAFORM = {case.name: case.files["infra/main.tf"] for case in CASES if "infra/main.tf" in case.files}
_LOCKED = '[[package]]\nname = "{}"\nversion = "{}"\nsource = {{ registry = "https://pypi.org/simple" }}\n'
_FLAWS = """import pickle
import subprocess


def run(command):
    subprocess.run(command, shell=True)


def read(data):
    return pickle.loads(data)


def compute(words):
    return eval(words)
"""
_POD = """apiVersion: v1
kind: Pod
metadata:
  name: web
  namespace: shop
spec:
  containers:
    - name: web
      image: shop:latest
      securityContext:
        privileged: true
"""
_MAP = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: words\n  namespace: shop\ndata:\n  a: b\n"
BAD_PACKAGES = {"jinja2": "2.4.1", "requests": "2.30.0", "pyyaml": "5.3"}
GOOD_PACKAGES = {"jinja2": "99.0", "requests": "99.0", "pyyaml": "99.0"}


def secrets(count: int) -> list[str]:
    """Values in the form of GitHub's tokens, each another one, the same in every run."""
    chance = random.Random(7)
    letters = string.ascii_letters + string.digits
    return ["ghp" + "_" + "".join(chance.choice(letters) for _ in range(36)) for _ in range(count)]


def _python_lock(packages: Mapping[str, str]) -> str:
    return "version = 1\n" + "".join(_LOCKED.format(*pair) for pair in packages.items())


def _node_lock(version: str) -> str:
    root = {"name": "web", "version": "1.0.0", "dependencies": {"lodash": version}}
    packages = {"": root, "node_modules/lodash": {"version": version}}
    return json.dumps({"name": "web", "version": "1.0.0", "lockfileVersion": 3, "requires": True, "packages": packages})


def _files(packages: Mapping[str, str], lodash: str, code: str, terraform: str, manifest: str) -> dict[str, str]:
    manifests = '[project]\nname = "shop"\nversion = "1"\nrequires-python = ">=3.11"\n'
    return {
        "towpath.toml": 'name = "shop"\n',
        "backend/pyproject.toml": manifests,
        "backend/uv.lock": _python_lock(packages),
        "backend/app.py": code,
        "frontend/package.json": json.dumps({"name": "web", "version": "1.0.0", "dependencies": {"lodash": lodash}}),
        "frontend/package-lock.json": _node_lock(lodash),
        "infra/main.tf": terraform,
        "deploy/base/kustomization.yaml": "resources:\n- things.yaml\n",
        "deploy/base/things.yaml": manifest,
        "deploy/production/kustomization.yaml": "resources:\n- ../base\nnamePrefix: prod-\n",
    }


def make_planted(folder: Path) -> Path:
    """Three secrets in the tree, three more in a commit that was taken back."""
    tree = secrets(6)[:3]
    files = _files(BAD_PACKAGES, "4.17.15", _FLAWS, _TERRAFORM["terraform"], _POD)
    leaks = {f"conf/{number}.txt": f"token = {value}\n" for number, value in enumerate(tree)}
    gone = {f"old/{number}.txt": f"token = {value}\n" for number, value in enumerate(secrets(6)[3:])}
    return _committed(folder, {**files, **leaks, **gone}, removed=tuple(gone))


def make_clean(folder: Path) -> Path:
    return _committed(folder, _files(GOOD_PACKAGES, "99.0.0", "print(1)\n", _TERRAFORM["clean"], _MAP), removed=())


def _committed(folder: Path, files: Mapping[str, str], *, removed: tuple[str, ...]) -> Path:
    folder.mkdir(parents=True)
    git(folder, "init", "-q", "-b", "main")
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    commit(folder, "everything")
    for name in removed:
        (folder / name).unlink()
    if removed:
        commit(folder, "take it back")
    return folder


def commit(folder: Path, message: str) -> None:
    git(folder, "add", "--all")
    git(folder, "commit", "-q", "-m", message)
