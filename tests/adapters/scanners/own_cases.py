"""Cases of scanners a user configures: a command of the user's that writes SARIF. Trivy plays the part."""

from dataclasses import replace

from tasks.adapters.scanners.image_advisories import TRIVY_FS
from tasks.adapters.scanners.own_scanner import own_scanner
from tasks.core.security.scanner import Scanner
from tasks.core.security.settings import ScannerSettings
from tasks.core.security.sightings import Category
from tests.adapters.scanners.scan_cases import Answer, Case

_ASKED = (
    "trivy",
    "config",
    "--format",
    "sarif",
    "--misconfig-scanners",
    "dockerfile",
    "--skip-check-update",
    "--quiet",
)
_BAD = {"Dockerfile": "FROM debian\n"}
_RULES = frozenset({"DS-0001", "DS-0002", "DS-0026"})


def _own(name: str, *words: str, sarif: str) -> Scanner:
    """The configured scanner, with the program from Towpath's own environment in place of PATH."""
    settings = ScannerSettings(
        command=(*_ASKED, *words), sarif=sarif, category=Category.INFRASTRUCTURE, rules=("DS-0002",), bait=_BAD
    )
    return replace(own_scanner(name, settings), origin=TRIVY_FS.origin, package=TRIVY_FS.package)


_FILE = _own("own-file", "--output", "{scratch}/out.sarif", ".", sarif="out.sarif")
_STDOUT = _own("own-stdout", ".", sarif="-")
_UNSAID = ("its report does not say how much it looked at",)

CASES = (
    Case(scanner=_FILE, name="findings", files=_BAD, answer=Answer.FINDINGS, rules=_RULES, notes=_UNSAID),
    Case(scanner=_FILE, name="clean", files={"a.txt": "\n"}, answer=Answer.CLEAN, notes=_UNSAID),
    Case(
        scanner=_own("own-nowhere", "--output", "{scratch}/out.sarif", ".", sarif="other.sarif"),
        name="no-report",
        files=_BAD,
        answer=Answer.UNREADABLE,
    ),
    Case(scanner=_STDOUT, name="findings", files=_BAD, answer=Answer.FINDINGS, rules=_RULES, notes=_UNSAID),
    Case(
        scanner=_own("own-broken", "--no-such-flag", ".", sarif="-"),
        name="bad-option",
        files=_BAD,
        answer=Answer.UNREADABLE,
    ),
)
