"""What was recorded: small inputs of every kind a tool may meet, and the tools' versions."""

from collections.abc import Mapping
from dataclasses import dataclass, field

PYTHON_TOOLS: Mapping[str, tuple[str, ...]] = {
    "python": (
        "black==26.10.1",
        "ruff==0.17.6",
        "mypy==2.4.1",
        "pytest==9.2.0",
        "pytest-cov==7.1.0",
        "bandit==1.9.4",
        "detect-secrets==1.5.0",
    ),
    "old-python": ("black==22.12.0", "mypy==0.991", "pytest==7.4.4", "pytest-cov==4.1.0"),
}
NODE_TOOLS: Mapping[str, tuple[str, ...]] = {
    "typescript-5": ("typescript@5.9.3",),
    "typescript-6": ("typescript@6.0.3",),
    "typescript-7": ("typescript@7.0.2",),
    "web": ("eslint@10.15.0", "@biomejs/biome@2.6.8", "prettier@3.10.1", "vite@8.3.8", "vitest@4.1.12"),
    "jest": ("jest@30.5.2",),
    "webpack": ("webpack@5", "webpack-cli@6"),
    "old-web": ("eslint@8.57.1", "@biomejs/biome@1.9.4", "vite@5.4.21"),
}


@dataclass(frozen=True, kw_only=True)
class Case:
    """One run to record: `tools` names the environment, `files` the input."""

    tool: str
    name: str
    tools: str
    files: Mapping[str, str]
    options: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    paths: tuple[str, ...] = (".",)


def _cases(
    tool: str,
    tools: str,
    inputs: Mapping[str, Mapping[str, str]],
    *,
    suffix: str = "",
    options: Mapping[str, tuple[str, ...]] | None = None,
    paths: tuple[str, ...] = (".",),
) -> list[Case]:
    return [
        Case(tool=tool, name=name + suffix, tools=tools, files=files, options=options or {}, paths=paths)
        for name, files in inputs.items()
    ]


_PYTHON_FORMAT: Mapping[str, Mapping[str, str]] = {
    "clean": {"a.py": "x = 1\n"},
    "findings": {
        "a.py": '"""A."""\n\nx = 1\ny  =  2\n',
        "sub dir/é.py": "def f():\n    return  1\n",
        "good.py": "x = 1\n",
    },
    "syntax-error": {"a.py": "x = (\n", "b.py": "y  = 2\n"},
    "only-syntax-error": {"a.py": "x = (\n"},
    "empty": {"a.txt": ""},
    "bad-configuration": {"a.py": "x = 1\n", "pyproject.toml": "[tool.black]\nline-length = 'x'\n[tool.ruff]\nz = 1\n"},
}
_PYTHON_LINT: Mapping[str, Mapping[str, str]] = {
    **_PYTHON_FORMAT,
    "findings": {"a.py": "import os\n\nx = 1\nprint(undefined)\n", "sub dir/é.py": "import sys\n"},
}
_TYPED: Mapping[str, Mapping[str, str]] = {
    "clean": {"a.py": "x: int = 1\n"},
    "findings": {"a.py": 'x: int = "a"\n\n\ndef f(y: int) -> str:\n    return y\n', "sub/b.py": "import a\na.f('')\n"},
    "syntax-error": {"a.py": "x = (\n"},
    "empty": {"a.txt": ""},
    "missing-stub": {"a.py": "import yaml\nimport nowhere\n"},
    "bad-configuration": {"a.py": "x = 1\n", "pyproject.toml": "[tool.mypy]\nplugins = ['nowhere']\n"},
}
_CALC = "def half(x):\n    if x > 100:\n        return 50\n    return x // 2\n"
_TESTS: Mapping[str, Mapping[str, str]] = {
    "passed": {
        "calc.py": _CALC,
        "tests/test_a.py": "from calc import half\n\ndef test_a():\n    assert half(2) == 1\n",
    },
    "failed": {
        "calc.py": _CALC,
        "tests/unit/test_a.py": """from calc import half
import pytest


def helper(x):
    raise ValueError("no\\nway")


def test_a():
    assert half(4) == 1, "wrong <half> & more"


class TestIt:
    @pytest.mark.parametrize("x", [1, "a::b[c]"])
    def test_b(self, x):
        assert x == 1

    class TestInner:
        def test_c(self):
            helper(1)


def test_d():
    half(1)
""",
    },
    "broken-collection": {
        "tests/test_a.py": "import nowhere\n\ndef test_a():\n    pass\n",
        "tests/test_b.py": "def test_b():\n    pass\n",
    },
    "syntax-error": {"tests/test_a.py": "def test_a(:\n    pass\n"},
    "all-skipped": {"tests/test_a.py": "import pytest\n\n@pytest.mark.skip\ndef test_a():\n    pass\n"},
    "module-skipped": {
        "tests/test_a.py": "import pytest\npytest.skip('not here', allow_module_level=True)\n",
        "tests/test_b.py": "def test_b():\n    pass\n",
    },
    "broken-fixture": {
        "tests/test_a.py": """import pytest


@pytest.fixture
def base():
    raise RuntimeError("no base")


@pytest.fixture
def late():
    yield 1
    raise RuntimeError("no end")


def test_a(base):
    pass


def test_b(late):
    pass


def test_c(late):
    assert not late


def test_d(nowhere):
    pass
"""
    },
    "unittest": {
        "tests/test_a.py": """import unittest


class Old(unittest.TestCase):
    def test_a(self):
        self.assertEqual(1, 2)

    @unittest.expectedFailure
    def test_b(self):
        self.fail()

    def test_c(self):
        for number in range(2):
            with self.subTest(number=number):
                self.assertEqual(number, 0)
"""
    },
    "suites": {
        "pyproject.toml": "[tool.pytest.ini_options]\nmarkers = ['smoke', 'integration']\n",
        "tests/test_a.py": """import pytest


@pytest.mark.integration
def test_a():
    pass


@pytest.mark.smoke
def test_b():
    assert False


@pytest.mark.xfail
def test_c():
    assert False


@pytest.mark.xfail(strict=True)
def test_d():
    pass
""",
        "tests/unit/test_b.py": "def test_e():\n    pass\n",
    },
    "empty": {"a.py": ""},
    "exit-inside": {"tests/test_a.py": "import os\n\ndef test_a():\n    os._exit(0)\n"},
    "bad-configuration": {"pyproject.toml": "[tool.pytest.ini_options]\naddopts = '--nowhere'\n", "test_a.py": ""},
}
_COVERED = {"coverage": ("calc",)}
_FLAWS: Mapping[str, Mapping[str, str]] = {
    "clean": {"a.py": "x = 1\n"},
    "findings": {
        "a.py": "import subprocess\n\n\ndef f(x):\n    subprocess.call(x, shell=True)\n    eval(x)\n",
        "sub/é.py": "import pickle\npickle.loads(b'')\n",
    },
    "syntax-error": {"a.py": "x = (\n"},
    "empty": {"a.txt": ""},
}
_SECRETS: Mapping[str, Mapping[str, str]] = {
    "clean": {"a.py": "x = 1\n"},
    "findings": {
        "a.py": "x = 1\npassword = 'correct-horse-battery-staple'\n",
        "sub/é.txt": "-----BEGIN RSA PRIVATE KEY-----\n",
    },
}
_BAD_BASELINE: Mapping[str, Mapping[str, str]] = {"bad-baseline": {"a.py": "x = 1\n", ".secrets.baseline": "{"}}

_ESLINT_CONFIG = "export default [{rules: {'no-undef': 'error', 'no-unused-vars': 'warn', 'prefer-const': 'error'}}];\n"
_ESLINT: Mapping[str, Mapping[str, str]] = {
    "clean": {"a.js": "export const x = 1;\n"},
    "findings": {"a.js": "export let x = 1;\nnowhere();\n", "sub dir/é.js": "let unused = 1;\n"},
    "warnings": {"a.js": "const unused = 1;\n"},
    "syntax-error": {"a.js": "const x = (;\n"},
    "empty": {"a.txt": ""},
}
_BIOME: Mapping[str, Mapping[str, str]] = {
    "clean": {"a.ts": "export const x = 1;\n"},
    "findings": {"a.ts": "export let x = 1;\nif (x == 2) debugger\n", "sub/é.ts": "export const y  = 1;\n"},
    "syntax-error": {"a.ts": "const x = (;\n"},
    "empty": {"a.txt": ""},
    "bad-configuration": {"a.ts": "", "biome.json": "{"},
}
_PRETTIER: Mapping[str, Mapping[str, str]] = {
    "clean": {"a.ts": "export const x = 1;\n"},
    "findings": {"a.ts": "export const x  = 1\n", "sub dir/é.ts": "a( )\n", "good.ts": "a();\n"},
    "syntax-error": {"a.ts": "const x = (;\n", "b.ts": "b( )\n"},
    "empty": {"a.txt": ""},
    "bad-configuration": {"a.ts": "", ".prettierrc": "{"},
}
_STRICT = '{"compilerOptions": {"strict": true, "types": [], "module": "esnext"}, "include": ["src"]}\n'
_COMPOSITE = (
    '{"compilerOptions": {"strict": true, "types": [], "composite": true, "module": "esnext"}, "include": ["src"]}\n'
)
_TYPESCRIPT: Mapping[str, Mapping[str, str]] = {
    "clean": {"tsconfig.json": _STRICT, "src/a.ts": "export const x: number = 1;\n"},
    "findings": {
        "tsconfig.json": _STRICT,
        "src/a.ts": 'export const x: number = "a";\n\n  nowhere();\n',
        "src/(group)/[id].ts": "export const f = (a): void => {};\n",
    },
    "syntax-error": {"tsconfig.json": _STRICT, "src/a.ts": "const x = (;\n"},
    "empty": {"tsconfig.json": _STRICT, "README.md": ""},
    "bad-configuration": {"tsconfig.json": '{"compilerOptions": {"nowhere": 1}}', "a.ts": "export {}\n"},
    "broken-configuration": {"tsconfig.json": '{"compilerOptions": {', "a.ts": "export {}\n"},
}
_TYPESCRIPT_BUILD: Mapping[str, Mapping[str, str]] = {
    "build-clean": {
        "tsconfig.json": '{"files": [], "references": [{"path": "./one"}, {"path": "./two"}]}',
        "one/tsconfig.json": _COMPOSITE,
        "one/src/a.ts": "export const x: number = 1;\n",
        "two/tsconfig.json": _COMPOSITE,
        "two/src/b.ts": "export const y: number = 1;\n",
    },
    "build-findings": {
        "tsconfig.json": '{"files": [], "references": [{"path": "./one"}, {"path": "./two"}]}',
        "one/tsconfig.json": _COMPOSITE,
        "one/src/a.ts": 'export const x: number = "a";\n',
        "two/tsconfig.json": _COMPOSITE,
        "two/src/b.ts": "\nexport const y: string = 1;\n",
    },
    "build-missing-project": {"tsconfig.json": '{"files": [], "references": [{"path": "./nowhere"}]}'},
}
_VITEST_HEAD = 'import { beforeAll, describe, expect, test } from "vitest";\n'


def _javascript_tests(head: str, *, broken_import: str) -> Mapping[str, Mapping[str, str]]:
    return {
        "passed": {"a.test.js": head + 'test("a", () => expect(1).toBe(1));\n'},
        "failed": {
            "a.test.js": head
            + """describe("sums", () => {
  test("a", () => {
    expect(1 + 1).toBe(3);
  });
  test("b", () => {
    throw new Error("no\\nway");
  });
  test("c", () => {});
  test("d", () => Promise.reject(undefined));
});
""",
            "sub/b.test.js": head + 'test.skip("e", () => {});\ntest("f", () => {});\n',
        },
        "broken-import": {
            "a.test.js": head + broken_import + 'test("a", () => {});\n',
            "b.test.js": head + 'test("b", () => {});\n',
        },
        "syntax-error": {"a.test.js": head + "test((;\n"},
        "all-skipped": {"a.test.js": head + 'test.skip("a", () => {});\n'},
        "no-tests-inside": {"a.test.js": head},
        "empty": {"a.js": ""},
        "broken-hook": {
            "a.test.js": head + 'beforeAll(() => { throw new Error("no base"); });\ntest("a", () => {});\n',
        },
    }


_PAGE = '<script type="module" src="/src/main.js"></script>\n'


def _vite(script: str) -> dict[str, str]:
    package = '{"private": true, "type": "module", "scripts": {"build": "vite build"}}'
    return {"package.json": package, "index.html": _PAGE, "src/main.js": script}


_BUILDS: Mapping[str, Mapping[str, str]] = {
    "vite-clean": _vite('console.log("a");\n'),
    "vite-broken-import": _vite('\nimport "./nowhere.css";\n'),
    "vite-missing-package": _vite('import x from "nowhere";\nx();\n'),
    "vite-syntax-error": _vite("const x = 1;\nconst y = (;\n"),
    "silent": {"package.json": '{"scripts": {"build": "exit 1"}}'},
    "absent-program": {"package.json": '{"scripts": {"build": "towpath-nowhere"}}'},
}
_WEBPACK_PACKAGE = '{"private": true, "scripts": {"build": "webpack --mode production"}}'
_WEBPACK: Mapping[str, Mapping[str, str]] = {
    "webpack-clean": {"package.json": _WEBPACK_PACKAGE, "src/index.js": 'console.log("a");\n'},
    "webpack-broken-import": {"package.json": _WEBPACK_PACKAGE, "src/index.js": '\nimport "./nowhere";\n'},
    "webpack-syntax-error": {"package.json": _WEBPACK_PACKAGE, "src/index.js": "const x = 1;\nconst y = (;\n"},
}
_JEST_PACKAGE = {"package.json": '{"jest": {"testEnvironment": "node"}}'}

CASES: tuple[Case, ...] = (
    *_cases("black", "python", _PYTHON_FORMAT),
    *_cases("black", "old-python", _PYTHON_FORMAT, suffix="-old"),
    *_cases("ruff-format", "python", _PYTHON_FORMAT),
    *_cases("ruff", "python", _PYTHON_LINT),
    *_cases("mypy", "python", _TYPED, options={"mypy": (".",)}),
    *_cases("mypy", "old-python", _TYPED, suffix="-old", options={"mypy": (".",)}),
    *_cases("pytest", "python", _TESTS, options=_COVERED),
    *_cases("pytest", "old-python", _TESTS, suffix="-old", options=_COVERED),
    *_cases("bandit", "python", _FLAWS, paths=("a.py", "sub/é.py")),
    *_cases("detect-secrets-hook", "python", _SECRETS, paths=("a.py", "sub/é.txt")),
    *_cases(
        "detect-secrets-hook",
        "python",
        _BAD_BASELINE,
        paths=("a.py",),
        options={"detect-secrets": ("--baseline", ".secrets.baseline")},
    ),
    *_cases("eslint", "web", {name: {**files, "eslint.config.mjs": _ESLINT_CONFIG} for name, files in _ESLINT.items()}),
    *_cases(
        "eslint",
        "old-web",
        {name: {**files, "eslint.config.mjs": _ESLINT_CONFIG} for name, files in _ESLINT.items()},
        suffix="-old",
    ),
    *_cases("eslint", "web", {"bad-configuration": {"a.js": "", "eslint.config.mjs": "export default ("}}),
    *_cases("biome", "web", _BIOME),
    *_cases("biome", "old-web", _BIOME, suffix="-old"),
    *_cases("prettier", "web", _PRETTIER),
    *(
        case
        for version in (5, 6, 7)
        for case in (
            *_cases("tsc", f"typescript-{version}", _TYPESCRIPT, suffix=f"-{version}"),
            *_cases(
                "tsc",
                f"typescript-{version}",
                _TYPESCRIPT_BUILD,
                suffix=f"-{version}",
                options={"tsc-build": ("yes",)},
            ),
        )
    ),
    *_cases("vitest", "web", _javascript_tests(_VITEST_HEAD, broken_import='import "./nowhere.js";\n')),
    *_cases(
        "jest",
        "jest",
        {
            name: {**files, **_JEST_PACKAGE}
            for name, files in _javascript_tests("", broken_import='\nrequire("./nowhere.js");\n').items()
        },
    ),
    *_cases("script", "web", _BUILDS, options={"script": ("build",)}),
    *_cases("script", "webpack", _WEBPACK, options={"script": ("build",)}),
    *_cases(
        "script",
        "old-web",
        {name: files for name, files in _BUILDS.items() if name.startswith("vite")},
        suffix="-old",
        options={"script": ("build",)},
    ),
)
