"""Cases of the scanners of a target's own code."""

from tasks.adapters.scanners.python_flaws import BANDIT
from tasks.core.security.scanner import Scan
from tests.adapters.scanners.scan_cases import Answer, Case

FLAWED = "import subprocess\n\nsubprocess.call(input(), shell=True)\neval('1')\n" + "pass" + "word = 'open sesame'\n"
TIDY = "def add(left, right):\n    return left + right\n"

CASES = (
    Case(
        scanner=BANDIT,
        name="findings",
        files={"app/a.py": FLAWED},
        answer=Answer.FINDINGS,
        rules=frozenset({"B404", "B602", "B307", "B105"}),
    ),
    Case(scanner=BANDIT, name="clean", files={"a.py": TIDY}, answer=Answer.CLEAN),
    Case(
        scanner=BANDIT,
        name="broken-file",
        files={"a.py": TIDY, "b.py": "def f(\n", "nul.py": "x = '\0'\n"},
        answer=Answer.GAPS,
        skipped=("b.py: syntax error", "nul.py: "),
    ),
    Case(
        scanner=BANDIT,
        name="suppressed",
        files={"a.py": "eval('1')  # nosec\neval('2')  # nosec B307\n", ".bandit": "[bandit]\nskips=B307\n"},
        answer=Answer.CLEAN,
        notes=("2 findings suppressed by nosec comments",),
    ),
    Case(
        scanner=BANDIT,
        name="hostile-ini",
        files={"a.py": "eval('1')\n", ".bandit": "[bandit]\nskips=B307\nexclude=a.py\n"},
        answer=Answer.FINDINGS,
        rules=frozenset({"B307"}),
    ),
    Case(
        scanner=BANDIT,
        name="configured",
        files={"a.py": "eval('1')\n" + TIDY, "pyproject.toml": '[tool.bandit]\nskips = ["B307"]\n'},
        scan=Scan(options={"config": ("pyproject.toml",)}),
        answer=Answer.CLEAN,
        notes=("the target's own configuration pyproject.toml was obeyed",),
    ),
    Case(scanner=BANDIT, name="empty", files={"a.txt": "no code\n"}, answer=Answer.NOTHING),
    Case(
        scanner=BANDIT,
        name="missing-path",
        scan=Scan(paths=("nowhere",)),
        answer=Answer.GAPS,
        skipped=("nowhere: No such",),
    ),
    Case(
        scanner=BANDIT,
        name="bad-option",
        files={"a.py": TIDY},
        scan=Scan(options={"config": ("nowhere.toml",)}),
        answer=Answer.BROKEN,
    ),
)
