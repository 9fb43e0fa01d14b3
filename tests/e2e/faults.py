"""Faults to plant in the shop, each with exactly the checks that must fail for it and the place they must name.

A fault is an edit of real files such as people make; it is tied to the text that it replaces, so that a change of the
shop breaks the fault loudly instead of planting nothing. Its line is found, not written down.
"""

from dataclasses import dataclass, field
from pathlib import Path

SHOP = Path(__file__).parents[2] / "examples" / "shop"


@dataclass(frozen=True, kw_only=True)
class Replacement:
    """One text in one file (from the shop's root) by another; an empty `old` makes a new file."""

    file: str
    old: str
    new: str

    def apply(self, tree: Path) -> None:
        path = tree / self.file
        if not self.old:
            path.write_text(self.new)
            return
        text = path.read_text()
        if text.count(self.old) != 1:
            raise AssertionError(f"{self.file} holds {self.old!r} {text.count(self.old)} times, not once")
        path.write_text(text.replace(self.old, self.new))


@dataclass(frozen=True, kw_only=True)
class Fault:
    """An edit, the checks that it fails, and where.

    `file` is from the shop's root; `marker` is in the first line that a reason must name, and is looked for in the
    edited tree. Without a marker the fault has no line. `image_checks` fail too where there is a container engine.
    """

    name: str
    replacements: tuple[Replacement, ...]
    checks: frozenset[str] = frozenset()
    image_checks: frozenset[str] = frozenset()
    file: str = ""
    marker: str = ""
    words: tuple[str, ...] = field(default=())

    def edit(self, tree: Path) -> None:
        for replacement in self.replacements:
            replacement.apply(tree)

    def failing(self, *, with_engine: bool) -> frozenset[str]:
        """Exactly the checks that must fail."""
        return self.checks | (self.image_checks if with_engine else frozenset())

    def line(self, tree: Path) -> int | None:
        """The line to be named, in the edited tree."""
        lines = (tree / self.file).read_text().splitlines() if self.file else []
        return next((number for number, text in enumerate(lines, start=1) if self.marker and self.marker in text), None)

    def place(self, tree: Path) -> str:
        """`file:line` as the tools print it: from the folder of the project, backend or frontend."""
        file = self.file.partition("/")[2]
        line = self.line(tree)
        return f"{file}:{line}" if line else file


def _untested_module() -> str:
    """Enough code that no test reaches to bring the whole under 80 %, clean in every other way."""
    functions = (
        f"def vat_{number}(cents: int) -> int:\n    rate = {number}\n    return cents * rate // 100\n"
        for number in range(5, 65)
    )
    return '"""Value added tax by rate."""\n\n\n' + "\n\n".join(functions)


FAULTS = (
    Fault(
        name="bad format",
        replacements=(
            Replacement(
                file="backend/src/shop/chaos.py",
                old="        return self._dice.random() < self.now.error_rate\n",
                new="        return (self._dice.random()   <   self.now.error_rate)\n",
            ),
        ),
        checks=frozenset({"backend/black"}),
        file="backend/src/shop/chaos.py",
        marker="random()   <",
    ),
    Fault(
        name="lint error",
        replacements=(
            Replacement(
                file="backend/src/shop/metrics.py",
                old="from prometheus_client import",
                new="import sys\n\nfrom prometheus_client import",
            ),
        ),
        checks=frozenset({"backend/ruff"}),
        file="backend/src/shop/metrics.py",
        marker="import sys",
        words=("F401",),
    ),
    Fault(
        name="type error",
        replacements=(
            Replacement(
                file="backend/src/shop/logs.py",
                old="def configure_logs(release: str) -> None:",
                new='def configure_logs(release: str, level: int = "INFO") -> None:',
            ),
            Replacement(file="backend/src/shop/logs.py", old="level=logging.INFO", new="level=level"),
        ),
        checks=frozenset({"backend/mypy"}),
        file="backend/src/shop/logs.py",
        marker="def configure_logs",
        words=("Incompatible default",),
    ),
    Fault(
        name="failing test",
        replacements=(
            Replacement(
                file="backend/src/shop/settings.py",
                old='min(1.0, _number(environment, "SHOP_ERROR_RATE"))',
                new='_number(environment, "SHOP_ERROR_RATE")',
            ),
        ),
        checks=frozenset({"backend/pytest"}),
        file="backend/tests/unit/test_settings.py",
        marker='read_settings({"SHOP_ERROR_RATE": "7"})',
        words=("test_an_error_rate_over_one_is_one",),
    ),
    Fault(
        name="coverage drop",
        replacements=(Replacement(file="backend/src/shop/vat.py", old="", new=_untested_module()),),
        checks=frozenset({"backend/coverage"}),
        file="backend/src/shop/vat.py",
        words=("80",),
    ),
    Fault(
        name="ESLint error",
        replacements=(Replacement(file="frontend/src/money.ts", old="const euros =", new="let euros ="),),
        checks=frozenset({"frontend/eslint"}),
        file="frontend/src/money.ts",
        marker="let euros",
        words=("prefer-const",),
    ),
    Fault(
        name="tsc error",
        replacements=(Replacement(file="frontend/src/OrderForm.tsx", old="useState(1)", new='useState<number>("1")'),),
        checks=frozenset({"frontend/typescript"}),
        file="frontend/src/OrderForm.tsx",
        marker="useState<number>",
        words=("TS2345",),
    ),
    Fault(
        name="failing frontend test",
        replacements=(
            Replacement(
                file="frontend/src/api.ts",
                old="`the shop answered ${response.status}`",
                new="`the shop said ${response.status}`",
            ),
        ),
        checks=frozenset({"frontend/test"}),
        file="frontend/src/api.test.ts",
        marker='rejects.toThrow("the shop answered',
    ),
    Fault(
        name="broken build",
        # On the first line: further down the bundler counts the lines of what it has made of the file.
        replacements=(
            Replacement(
                file="frontend/src/main.tsx",
                old="import { StrictMode }",
                new='import "./theme.css";\nimport { StrictMode }',
            ),
        ),
        checks=frozenset({"frontend/build"}),
        # The image runs the same build.
        image_checks=frozenset({"images/frontend"}),
        file="frontend/src/main.tsx",
        marker="./theme.css",
    ),
    Fault(
        name="broken Dockerfile",
        replacements=(Replacement(file="backend/Dockerfile", old="COPY src ./src", new="COPY source ./src"),),
        image_checks=frozenset({"images/backend"}),
        file="backend/Dockerfile",
        marker="COPY source",
    ),
    Fault(
        name="crash at container start",
        replacements=(Replacement(file="backend/Dockerfile", old='"--port", "8000"]', new='"--bind", "8000"]'),),
        image_checks=frozenset({"images/backend"}),
        words=("exited with code 2", "--bind"),
    ),
)
