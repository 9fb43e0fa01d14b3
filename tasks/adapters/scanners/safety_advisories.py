"""Safety over the pinned requirements of one environment or lock file.

It solves that Safety prints a banner around its report and needs an account or a database of one's own. It promises
that its report is read from the file it writes, and that each requirement it did not look up is named. It must never
start in the target, whose policy file it would obey.

Every Safety since 3.3 asks its vendor's login server at its start, also with a database of one's own.
"""

import re
from collections.abc import Mapping
from typing import Any

from tasks.adapters.scanners.python_advisories import REQUIREMENTS
from tasks.adapters.scanners.report_shapes import counted, expected_shape, json_report, severity, unique
from tasks.core.security.scanner import SCRATCH, Bait, Origin, Scan, Scanner, ScanReading
from tasks.core.security.sightings import Advisory, Category, Rating, Severity, Sighting, Spot
from tasks.core.tools.contract import Meaning, Output, Unreadable

REPORT = "safety.json"
_NAME = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)", re.MULTILINE)
_LEVELS = ((9.0, Severity.CRITICAL), (7.0, Severity.HIGH), (4.0, Severity.MEDIUM), (0.1, Severity.LOW))


def arguments(scan: Scan) -> tuple[str, ...]:
    """Files: `requirements.txt`. Options: `lock`; `database`, a folder inside the sandbox or an address."""
    database = tuple(word for place in scan.option("database") for word in ("--db", place))
    asked = ("--file", f"{SCRATCH}/{REQUIREMENTS}", "--save-json", f"{SCRATCH}/{REPORT}")
    return ("--disable-optional-telemetry", "check", *database, *asked)


def variables(scan: Scan) -> Mapping[str, str]:
    """Option `login_url` stands in for the vendor's login server; only tests have one."""
    return {"SAFETY_AUTH_SERVER_URL": scan.first("login_url")} if scan.option("login_url") else {}


def read(output: Output, scan: Scan) -> ScanReading:
    report = json_report(output.report(REPORT), f"its {REPORT}")
    with expected_shape(f"its {REPORT}"):
        looked_up = {_normal(name) for name in report["scanned_packages"]}
        if int(report["report_meta"]["vulnerabilities_found"]) != len(report["vulnerabilities"]):
            raise Unreadable("it counts other vulnerabilities than it names")
        asked = _NAME.findall(scan.files.get(REQUIREMENTS, ""))
        ignored = len(report["ignored_vulnerabilities"])
        return ScanReading(
            sightings=tuple(_sighting(row, scan) for row in report["vulnerabilities"]),
            looked_at=len(looked_up),
            skipped=tuple(f"{name}: it was left out" for name in asked if _normal(name) not in looked_up),
            notes=(f"{counted(ignored, 'finding')} ignored by Safety's policy",) if ignored else (),
        )


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _sighting(row: Mapping[str, Any], scan: Scan) -> Sighting:
    fixes, package = tuple(row["fixed_versions"] or ()), _normal(row["package_name"])
    own = f"SAFETY-{row['vulnerability_id']}"
    return Sighting(
        scanner="safety",
        category=Category.DEPENDENCY,
        rule=row.get("CVE") or own,
        title=" ".join((row["advisory"] or own).split())[:300],
        rating=_rating(row.get("severity") or {}),
        spot=Spot(path=scan.first("lock", REQUIREMENTS)),
        subject=Advisory(
            ecosystem="pypi",
            package=package,
            version=row["analyzed_version"] or "",
            ids=unique([row.get("CVE") or "", own]),
            fixed_in=fixes,
        ),
        remedy=f"take {package} {fixes[0]} or later" if fixes else "",
        url=row.get("more_info_url") or "",
    )


def _rating(told: Mapping[str, Any]) -> Rating:
    """Only the database of the account has ratings."""
    rated = told.get("cvssv3") or {}
    score = rated.get("base_score")
    if score is None:
        return Rating(severity=Severity.UNKNOWN, source="safety")
    level = next((level for least, level in _LEVELS if float(score) >= least), Severity.NONE)
    word = severity(rated.get("base_severity"))
    chosen = level if word is Severity.UNKNOWN else word
    return Rating(severity=chosen, source="nvd", vector=rated.get("vector_string") or "", score=float(score))


SAFETY = Scanner(
    name="safety",
    program="safety",
    categories=(Category.DEPENDENCY,),
    origin=Origin.PYTHON,
    package="safety",
    version="3.8.1",
    exits={0: Meaning.RAN, 64: Meaning.FINDINGS},
    arguments=arguments,
    read=read,
    variables=variables,
    reports=(REPORT,),
    directory=SCRATCH,
    needs_network=True,
    credentials=("SAFETY_API_KEY",),
    bait=Bait(
        files={},
        scan=Scan(files={REQUIREMENTS: "jinja2==2.4.1\n"}),
        rules=frozenset({"CVE-2014-1402", "CVE-2016-10745", "CVE-2019-10906"}),
    ),
    remedy="set SAFETY_API_KEY, or security.safety_database",
)
