"""Which projects are found in trees of many shapes, by what they are installed, and what is left out."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.core.projects import Manager
from tests.core.targets import SHOP, discovered

PROJECT = "[project]\nname = 'x'\n"


@pytest.mark.parametrize(
    ("files", "manager", "root"),
    [
        pytest.param({"pyproject.toml": PROJECT, "uv.lock": ""}, Manager.UV, ".", id="uv"),
        pytest.param(
            {"pyproject.toml": "[tool.poetry]\nname = 'x'\n", "poetry.lock": ""}, Manager.POETRY, ".", id="poetry"
        ),
        pytest.param({"pyproject.toml": PROJECT, "pdm.lock": ""}, Manager.PDM, ".", id="pdm"),
        pytest.param({"pyproject.toml": PROJECT}, Manager.BUILD_BACKEND, ".", id="hatch or setuptools without a lock"),
        pytest.param({"setup.py": "", "pkg/__init__.py": ""}, Manager.BUILD_BACKEND, ".", id="setup.py alone"),
        pytest.param({"setup.cfg": "[metadata]\nname = x\n"}, Manager.BUILD_BACKEND, ".", id="setup.cfg alone"),
        pytest.param({"requirements.txt": "flask", "app.py": ""}, Manager.REQUIREMENTS, ".", id="requirements"),
        pytest.param(
            {"api/requirements/base.txt": "flask", "api/requirements.txt": "", "api/app.py": ""},
            Manager.REQUIREMENTS,
            "api",
            id="a folder of requirements",
        ),
        pytest.param(
            {"pyproject.toml": "[tool.uv.workspace]\nmembers = ['a']\n", "uv.lock": "", "a/pyproject.toml": PROJECT},
            Manager.UV,
            ".",
            id="member of a uv workspace",
        ),
    ],
)
def test_backends(files: dict[str, str], manager: Manager, root: str) -> None:
    """A Python project is recognised with what installs it and where its lock lives."""
    found = discovered(files).backends

    assert [(manager, root)] == [(project.manager, project.root) for project in found]


@pytest.mark.parametrize(
    ("lock", "content", "manager"),
    [
        ("package-lock.json", "{}", Manager.NPM),
        ("pnpm-lock.yaml", "", Manager.PNPM),
        ("yarn.lock", "# yarn lockfile v1\n", Manager.YARN_CLASSIC),
        ("yarn.lock", "__metadata:\n  version: 8\n", Manager.YARN),
        ("bun.lock", "{}", Manager.BUN),
        ("other.txt", "", Manager.NPM),
    ],
)
def test_frontends(lock: str, content: str, manager: Manager) -> None:
    """A Node project's package manager is told by its lock file, npm where there is none."""
    found = discovered({"package.json": '{"scripts": {"build": "x"}}', lock: content}).frontends

    assert [manager] == [project.manager for project in found]


def test_workspace_members_share_the_root() -> None:
    """Members of a Node workspace are installed from the root and know what it declares."""
    files = {
        "package.json": '{"workspaces": ["packages/*"], "devDependencies": {"vitest": "3"}}',
        "package-lock.json": "{}",
        "packages/a/package.json": '{"scripts": {"test": "vitest"}}',
    }
    member = next(project for project in discovered(files).frontends if project.path == "packages/a")

    assert member.root == "."
    assert "vitest" in member.dependencies


def test_the_shop() -> None:
    """The sample's three rooms are found with their locks, suites, linters and images."""
    found = discovered(SHOP)
    (backend,) = found.backends
    (frontend,) = found.frontends

    assert {"black", "mypy", "pytest"} == set(backend.adopted)
    assert backend.locked == {"black": "26.1.0", "pytest": "9.0.0"}
    assert backend.groups == ("dev",)
    assert backend.smoke == ("-m", "smoke")
    assert backend.coverage_floor_percent == 75
    assert frontend.linter == "eslint"
    assert frontend.linter_options == ("src", "--max-warnings", "0")
    assert frontend.tsc == ("-b",)
    assert [image.name for image in found.images] == ["backend"]


@pytest.mark.parametrize("folder", ["tests/fixtures/app", "examples/demo", "docs", "vendor/lib", ".github/tool"])
def test_foreign_projects_are_named(folder: str) -> None:
    """Projects in folders of examples, fixtures or vendored code are left out by name, and can be taken in."""
    files = {f"{folder}/pyproject.toml": PROJECT}

    assert discovered(files).backends == ()
    assert "projects.include" in discovered(files).left_out[folder]
    assert len(discovered(files, include=(folder,)).backends) == 1


def test_excluded_projects_are_named() -> None:
    """A folder that the configuration excludes is left out, and says so."""
    found = discovered({"old/pyproject.toml": PROJECT, "pyproject.toml": PROJECT}, exclude=("old",))

    assert [project.path for project in found.backends] == ["."]
    assert dict(found.left_out) == {"old": "excluded in the configuration"}


@pytest.mark.parametrize(
    ("name", "text"),
    [("pyproject.toml", "[project\n"), ("package.json", "{"), ("package.json", "[]"), ("package.json", "")],
)
def test_broken_manifests_are_troubles(name: str, text: str) -> None:
    """A manifest that cannot be read is a trouble with its path, never a project that silently is not there."""
    found = discovered({f"web/{name}": text, "web/main.py": ""})

    assert [f"web/{name}"] == [trouble.path for trouble in found.troubles]


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("Dockerfile", "image"),
        ("backend/Dockerfile", "backend"),
        ("services/API Gateway/Dockerfile", "api-gateway"),
        ("Dockerfile.worker", "worker"),
        ("app/web.Dockerfile", "app-web"),
        ("app/Containerfile", "app"),
    ],
)
def test_image_names(path: str, name: str) -> None:
    """An image is named after its folder and variant."""
    assert [name] == [image.name for image in discovered({path: ""}).images]


def test_what_a_build_leaves_out_is_no_image() -> None:
    """The list of what one Dockerfile's build ignores is named after it, and is no Dockerfile."""
    assert discovered({"web/Dockerfile.dockerignore": ""}).images == ()


@given(
    st.dictionaries(
        st.sampled_from(
            ["pyproject.toml", "package.json", "a/setup.py", "a/package.json", "b/uv.lock", "c/Dockerfile"]
        ),
        st.text(max_size=80) | st.sampled_from(['{"scripts": 3}', '{"workspaces": {}}', "[tool.mypy]\nfiles=1\n"]),
    )
)
def test_any_content_is_survived(files: dict[str, str]) -> None:
    """Whatever stands in the manifests, discovery ends with projects or troubles."""
    found = discovered(files)

    assert len(found.backends) + len(found.frontends) + len(found.troubles) <= 2 * len(files)
