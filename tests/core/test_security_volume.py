"""A hundred thousand results of eight scanners."""

import json
import subprocess
import sys
from pathlib import Path

_SCANNERS, _RESULTS = 8, 12_500
_READ_AND_MERGED = """
import json, resource, sys, time
from pathlib import Path
from tasks.core.security.merging import merge
from tasks.core.security.sarif_reading import read_sarif
from tasks.core.security.sightings import Category

started, seen = time.perf_counter(), []
for path in sorted(Path(sys.argv[1]).glob("*.sarif")):
    seen += read_sarif(path.read_text(), path.stem, Category.CODE).sightings
found = merge(seen)
seconds = time.perf_counter() - started
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
most = max(len(finding.scanners) for finding in found)
print(json.dumps({"seen": len(seen), "found": len(found), "seconds": seconds, "peak": peak, "most": most}))
"""


def _rule(number: int) -> dict[str, object]:
    tags = ["security", f"external/cwe/cwe-{number % 50 + 1:03}"]
    properties = {"security-severity": f"{number % 10 + 0.5}", "tags": tags}
    return {"id": f"R{number}", "shortDescription": {"text": f"rule {number}"}, "properties": properties}


def _result(number: int, shift: int) -> dict[str, object]:
    """Half of what a scanner says is what the others say too; the other half only it says."""
    line = number // 1000 * 7 + 1 + (shift * 1000 if number % 2 else 0)
    place = {
        "artifactLocation": {"uri": f"src/part{number % 300}/file{number % 1000}.py", "uriBaseId": "%SRCROOT%"},
        "region": {"startLine": line, "startColumn": 3, "endLine": line + 1},
    }
    message = {"text": f"A message of the length that scanners' messages have, about problem {number}"}
    index = number % 200
    return {
        "ruleId": f"R{index}",
        "ruleIndex": index,
        "level": "error",
        "message": message,
        "partialFingerprints": {"primaryLocationLineHash": f"{number:x}:{shift}"},
        "locations": [{"physicalLocation": place}],
    }


def _write(folder: Path, scanner: int) -> None:
    driver = {"name": f"scanner{scanner}", "rules": [_rule(number) for number in range(200)]}
    results = [_result(number, scanner) for number in range(_RESULTS)]
    log = {"version": "2.1.0", "runs": [{"tool": {"driver": driver}, "results": results}]}
    (folder / f"scanner{scanner}.sarif").write_text(json.dumps(log))


def test_a_hundred_thousand_results(tmp_path: Path) -> None:
    """100,000 SARIF results of 8 scanners are read and merged within 10 seconds and 1 GB."""
    for scanner in range(_SCANNERS):
        _write(tmp_path, scanner)
    command = [sys.executable, "-c", _READ_AND_MERGED, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2])
    told = json.loads(done.stdout)

    assert (told["seen"], told["found"], told["most"]) == (100_000, 6250 + 8 * 6250, 8)
    assert told["seconds"] < 10
    assert told["peak"] < 1e9
