"""Recording the cases: `python -m tests.adapters.scanners.record [SCANNER ...]`.

It solves that a parser needs output nobody invented: it runs the real scanners and keeps what they print, /lab in place
of the machine's folders.

It must never keep a secret as a scanner would find it: each value is replaced by a placeholder of the same length.
"""

import re
import sys
import tempfile
from pathlib import Path

from tests.adapters.scanners.all_cases import CASES
from tests.adapters.scanners.cell import Ran
from tests.adapters.scanners.installed_scanners import installed_scanners
from tests.adapters.scanners.performing import perform
from tests.adapters.scanners.scan_cases import Case
from tests.adapters.scanners.services import surroundings
from tests.lab.engine import lab_home

_PORT = re.compile(r"127\.0\.0\.1:\d+")


def record(names: set[str]) -> None:
    scanners = installed_scanners()
    for case in [case for case in CASES if not names or case.scanner.name in names]:
        with tempfile.TemporaryDirectory() as folder, surroundings(case, Path(folder) / "services") as around:
            ran = perform(case, scanners, Path(folder) / "case", around)
            _keep(case, ran, [folder, str(lab_home()), sys.base_prefix])
        answer, reading = case.judge(ran.exit_code, ran.output)
        sys.stdout.write(f"{case.id}: {ran.exit_code} {answer} {reading}\n")


def _keep(case: Case, ran: Ran, machine: list[str]) -> None:
    case.folder.mkdir(parents=True, exist_ok=True)
    _, reading = case.judge(ran.exit_code, ran.output)
    replaced = dict.fromkeys(machine, "/lab")
    for number, value in enumerate(sorted(reading.secrets if reading else (), key=len)):
        replaced[value] = f"placeholder {number} ".ljust(len(value), ".")[: len(value)]
    streams = {"stdout": ran.output.stdout, "log": ran.output.log, **ran.output.reports}
    for name, text in streams.items():
        for value, other in sorted(replaced.items(), key=lambda pair: -len(pair[0])):
            for form in (value, value.replace("\n", "\\n")):
                text = text.replace(form, other)
        (case.folder / name).write_text(_PORT.sub("127.0.0.1:1", text))
    (case.folder / "exit_code").write_text(str(ran.exit_code))


if __name__ == "__main__":
    record(set(sys.argv[1:]))
