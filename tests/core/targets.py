"""Targets for planning tests, as the files they hold."""

from collections.abc import Mapping

from tasks.core.discovery import discover
from tasks.core.plan import Plan, PlannedCheck
from tasks.core.planning import make_plan
from tasks.core.projects import Discovery, Texts
from tasks.core.settings import ProjectSettings, read_settings

UV_LOCK = """
[[package]]
name = "black"
version = "26.1.0"

[[package]]
name = "pytest"
version = "9.0.0"
"""
PACKAGE_LOCK = '{"packages": {"node_modules/eslint": {\n "version": "9.1.0"}}}'


def texts(files: Mapping[str, str]) -> Texts:
    return Texts(frozenset(files), files)


def discovered(files: Mapping[str, str], **settings: tuple[str, ...]) -> Discovery:
    return discover(texts(files), ProjectSettings(**settings))


def planned(files: Mapping[str, str]) -> Plan:
    settings = read_settings(files)
    return make_plan(discover(texts(files), settings.projects), settings)


def check_of(plan: Plan, check_id: str) -> PlannedCheck:
    found = [check for check in plan.checks if check.id == check_id]
    assert found, f"no {check_id} among {[check.id for check in plan.checks]}"
    return found[0]


SHOP = {
    "backend/pyproject.toml": """
[project]
name = "shop"
requires-python = ">=3.11"
[dependency-groups]
dev = ["black", "pytest"]
docs = ["sphinx"]
[tool.black]
[tool.mypy]
files = ["src"]
[tool.pytest.ini_options]
markers = ["smoke: against a running shop"]
[tool.coverage.report]
fail_under = 75
""",
    "backend/uv.lock": UV_LOCK,
    "backend/src/shop/__init__.py": "",
    "backend/tests/unit/test_a.py": "",
    "backend/tests/smoke/test_b.py": "",
    "backend/Dockerfile": "FROM x",
    "frontend/package.json": """{
      "scripts": {"build": "vite build", "test": "vitest run", "lint": "eslint src --max-warnings 0 --fix"},
      "devDependencies": {"eslint": "9", "vitest": "3", "typescript": "5", "vite": "7"}
    }""",
    "frontend/package-lock.json": PACKAGE_LOCK,
    "frontend/eslint.config.js": "export default []",
    "frontend/tsconfig.json": '{"references": []}',
    "frontend/src/app.tsx": "",
    "README.md": "",
}
