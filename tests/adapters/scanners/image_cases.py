"""Cases of Trivy, over images made here and a database of the lab's."""

from tasks.adapters.scanners.image_advisories import TRIVY_FS, TRIVY_IMAGE
from tasks.adapters.scanners.image_archive import DEBIAN_FILES, python_package
from tasks.core.security.scanner import Scan
from tests.adapters.scanners.scan_cases import Answer, Case

_JINJA = frozenset({"CVE-2014-1402", "CVE-2016-10745", "CVE-2019-10906"})
_NAMED = Scan(options={"image": ("shop@sha256:0",)})
_NPM_LOCK = """{"name": "shop", "version": "1.0.0", "lockfileVersion": 3, "packages": {"": {"name": "shop"},
"node_modules/minimist": {"version": "1.2.5", "dev": true}}}"""
_GOOD_DOCKERFILE = "FROM debian:12\nUSER 1000\nHEALTHCHECK CMD true\n"

CASES = (
    Case(
        scanner=TRIVY_IMAGE,
        name="findings",
        image_files={**DEBIAN_FILES, **python_package("jinja2", "2.4.1")},
        scan=_NAMED,
        answer=Answer.FINDINGS,
        rules=_JINJA | {"CVE-2022-37434", "CVE-2023-45853"},
    ),
    Case(
        scanner=TRIVY_IMAGE,
        name="clean",
        image_files=python_package("jinja2", "3.1.6"),
        scan=_NAMED,
        answer=Answer.CLEAN,
    ),
    Case(
        scanner=TRIVY_IMAGE,
        name="unrecognised",
        image_files={"hello": "no package manager was here\n"},
        scan=_NAMED,
        answer=Answer.NOTHING,
    ),
    Case(scanner=TRIVY_IMAGE, name="no-image", scan=_NAMED, answer=Answer.BROKEN),
    Case(
        scanner=TRIVY_IMAGE,
        name="no-database",
        image_files=python_package("jinja2", "2.4.1"),
        service="no database",
        answer=Answer.BROKEN,
    ),
    Case(
        scanner=TRIVY_FS,
        name="findings",
        files={
            "api/requirements-dev.txt": "jinja2==2.4.1\nrequests==2.30.0\n",
            "web/package-lock.json": _NPM_LOCK,
            "Dockerfile": "FROM debian\n",
        },
        scan=Scan(paths=("api/requirements-dev.txt", "web/package-lock.json", "Dockerfile")),
        answer=Answer.FINDINGS,
        rules=_JINJA | {"CVE-2023-32681", "CVE-2021-44906", "DS-0001", "DS-0002", "DS-0026"},
    ),
    Case(
        scanner=TRIVY_FS,
        name="clean",
        files={"requirements.txt": "jinja2==3.1.6\n", "Dockerfile": _GOOD_DOCKERFILE},
        scan=Scan(paths=("requirements.txt", "Dockerfile")),
        answer=Answer.CLEAN,
    ),
    Case(
        scanner=TRIVY_FS,
        name="broken-lock",
        files={"package-lock.json": "{", "requirements.txt": "jinja2==3.1.6\n", "pdm.lock": "x"},
        scan=Scan(paths=("package-lock.json", "requirements.txt", "pdm.lock")),
        answer=Answer.GAPS,
        skipped=("package-lock.json: Trivy recognised nothing in it",),
        notes=("Trivy does not read pdm.lock",),
    ),
    Case(
        scanner=TRIVY_FS,
        name="hostile",
        files={
            "requirements.txt": "jinja2==2.4.1\n",
            ".trivyignore": "CVE-2014-1402\nCVE-2016-10745\nCVE-2019-10906\n",
            "trivy.yaml": "severity: [LOW]\nexit-code: 0\n",
        },
        answer=Answer.FINDINGS,
        rules=_JINJA,
    ),
    Case(scanner=TRIVY_FS, name="empty", answer=Answer.NOTHING),
)
