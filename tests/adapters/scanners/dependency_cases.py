"""Cases of the scanners that ask an advisory service; the lab's own stands in for it."""

from tasks.adapters.scanners.node_advisories import BUN_AUDIT, NPM_AUDIT, PNPM_AUDIT, YARN_AUDIT
from tasks.adapters.scanners.python_advisories import PIP_AUDIT
from tasks.adapters.scanners.safety_advisories import SAFETY
from tasks.core.security.scanner import DATABASE, Scan, Scanner
from tests.adapters.scanners.scan_cases import Answer, Case
from tests.lab.advisories import Mood

_LODASH = frozenset({"GHSA-p6mc-m468-83gw", "GHSA-35jh-r3h4-6jhm", "GHSA-29mw-wpgm-hmr9"})


def _python(name: str, answer: Answer, text: str, *, service: str = "", skipped: tuple[str, ...] = ()) -> Case:
    return Case(
        scanner=PIP_AUDIT,
        name=name,
        answer=answer,
        scan=Scan(options={"osv_url": ("{advisories}",), "lock": ("uv.lock",)}, files={"requirements.txt": text}),
        rules=frozenset({"PYSEC-2014-8", "PYSEC-2019-217", "PYSEC-2019-220"} if answer is Answer.FINDINGS else ()),
        service=service,
        skipped=skipped,
    )


def _safety(name: str, answer: Answer, text: str, *, service: str = "", skipped: tuple[str, ...] = ()) -> Case:
    options = {"database": (DATABASE,), "login_url": ("{advisories}",), "lock": ("uv.lock",)}
    rules = {"CVE-2014-1402", "CVE-2016-10745", "CVE-2019-10906"} if answer is Answer.FINDINGS else set[str]()
    return Case(
        scanner=SAFETY,
        name=name,
        answer=answer,
        scan=Scan(options=options, files={"requirements.txt": text}),
        rules=frozenset(rules),
        service=service,
        skipped=skipped,
    )


def _node(scanner: Scanner, name: str, answer: Answer, version: str, *, service: str = "", more: str = "") -> Case:
    """The scanner's own bait with another version of lodash, and perhaps another text in its lock file."""
    assert scanner.bait
    files = {name: text.replace("4.17.15", version) for name, text in scanner.bait.scan.files.items()}
    if more:
        files = {"project/package.json": files["project/package.json"]}
    options = {**scanner.bait.scan.options, "registry": ("{advisories}",)}
    rules = _LODASH if answer is Answer.FINDINGS else frozenset[str]()
    return Case(
        scanner=scanner,
        name=name,
        answer=answer,
        scan=Scan(options=options, files=files),
        rules=rules,
        service=service,
    )


def _node_cases(scanner: Scanner) -> tuple[Case, ...]:
    return (
        _node(scanner, "findings", Answer.FINDINGS, "4.17.15"),
        _node(scanner, "clean", Answer.CLEAN, "4.17.21"),
        _node(scanner, "refused", Answer.UNREADABLE, "4.17.15", service=Mood.REFUSES),
        _node(scanner, "failing", Answer.UNREADABLE, "4.17.15", service=Mood.FAILS),
        _node(scanner, "truncated", Answer.UNREADABLE, "4.17.15", service=Mood.TRUNCATES),
        _node(scanner, "no-lock", Answer.UNREADABLE, "4.17.15", more="without its lock file"),
    )


CASES = (
    _python("findings", Answer.FINDINGS, "jinja2==2.4.1\nrequests==2.31.0\n"),
    _python("clean", Answer.CLEAN, "Jinja2==3.1.6\nrequests==2.31.0\n"),
    _python("empty", Answer.NOTHING, ""),
    _python("refused", Answer.UNREADABLE, "jinja2==2.4.1\n", service=Mood.REFUSES),
    _python("failing", Answer.UNREADABLE, "jinja2==2.4.1\n", service=Mood.FAILS),
    _python("truncated", Answer.UNREADABLE, "jinja2==2.4.1\n", service=Mood.TRUNCATES),
    _python("unpinned", Answer.UNREADABLE, "jinja2>=2.4.1\n"),
    _python("hostile", Answer.GAPS, "jinja2 @ file:///target/jinja2\n", skipped=("jinja2: URL requirements cannot",)),
    _python(
        "left-out",
        Answer.GAPS,
        "requests==2.31.0\njinja2==2.4.1; python_version < '3'\n",
        skipped=("jinja2: it was left out without a reason",),
    ),
    _safety("findings", Answer.FINDINGS, "jinja2==2.4.1\nrequests==2.31.0\n"),
    _safety("clean", Answer.CLEAN, "Jinja2==3.1.6\nrequests==2.31.0\n"),
    _safety("empty", Answer.NOTHING, ""),
    _safety("refused", Answer.BROKEN, "jinja2==2.4.1\n", service=Mood.REFUSES),
    _safety("no-database", Answer.BROKEN, "jinja2==2.4.1\n", service="no database"),
    *(case for scanner in (NPM_AUDIT, PNPM_AUDIT, YARN_AUDIT, BUN_AUDIT) for case in _node_cases(scanner)),
)
