"""CodeQL, by its documented command line and SARIF: it comes from no registry, so it was not run.

It solves that CodeQL answers in two steps, a database made of the code and the queries over it. It promises that a
language of which it saw no line of code is no clean answer. It must never build the target: what builds, runs.
"""

from tasks.core.security.sarif_reading import read_sarif
from tasks.core.security.scanner import SCRATCH, TARGET, Bait, Origin, Scan, Scanner, ScanReading
from tasks.core.security.sightings import Category
from tasks.core.tools.contract import Meaning, Output

REPORT = "codeql.sarif"
_DATABASE = f"{SCRATCH}/codeql"
# Languages CodeQL reads without building them; it calls them by these names.
LANGUAGES = ("python", "javascript", "ruby", "actions")


def create_arguments(scan: Scan) -> tuple[str, ...]:
    """The first step, run before `arguments` with the same program and places; anything but exit code 0 is failure.

    Options: `language`, one of LANGUAGES.
    """
    source = (f"--language={_language(scan)}", f"--source-root={TARGET}", "--build-mode=none")
    return ("database", "create", _DATABASE, *source, "--overwrite")


def arguments(scan: Scan) -> tuple[str, ...]:
    """The queries of the extended security suite, which the CodeQL bundle carries: nothing is downloaded."""
    suite = f"codeql/{_language(scan)}-queries:codeql-suites/{_language(scan)}-security-extended.qls"
    output = ("--format=sarifv2.1.0", f"--output={SCRATCH}/{REPORT}", "--sarif-add-baseline-file-info")
    return ("database", "analyze", _DATABASE, suite, *output)


def _language(scan: Scan) -> str:
    return scan.first("language", LANGUAGES[0])


def read(output: Output, scan: Scan) -> ScanReading:
    return read_sarif(output.report(REPORT), "codeql", Category.CODE)


_BAIT = """import subprocess
from flask import Flask, request

app = Flask(__name__)


@app.route("/")
def index():
    return subprocess.check_output(request.args["command"], shell=True)
"""
_SCRIPT = """const http = require("http");
const { exec } = require("child_process");
http.createServer((request) => exec(request.url)).listen(1);
"""
CODEQL = Scanner(
    name="codeql",
    program="codeql",
    categories=(Category.CODE,),
    origin=Origin.NOWHERE,
    exits={0: Meaning.RAN},
    arguments=arguments,
    read=read,
    prepares=create_arguments,
    version_arguments=("version", "--format=terse"),
    reports=(REPORT,),
    bait=Bait(
        files={"bait.py": _BAIT, "bait.js": _SCRIPT},
        scan=Scan(),
        rules=frozenset({"py/command-line-injection", "js/command-line-injection"}),
    ),
    remedy="install the CodeQL bundle, which has its queries, and put codeql on PATH",
)
