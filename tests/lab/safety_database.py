"""Safety's database in its own format, from the lab's advisories.

It solves that Safety's own database needs an account. It promises the folder that `safety check --db` reads. It must
never be empty of what it is asked about: a specifier of another shape than Safety's is ignored by it without a word.
"""

import json
from pathlib import Path

from tests.lab.advisories import Known, known_advisories

_META = {"schema_version": "2.0.0", "timestamp": 1_700_000_000, "base_domain": "https://example.org"}


def write_safety_database(folder: Path) -> Path:
    """insecure.json and insecure_full.json, in this folder."""
    folder.mkdir(parents=True, exist_ok=True)
    found = [one for one in known_advisories() if one.ecosystem == "PyPI"]
    brief: dict[str, list[str]] = {}
    full: dict[str, list[dict[str, object]]] = {}
    for one in found:
        brief.setdefault(one.package, []).append(f"<{one.fixed}")
        full.setdefault(one.package, []).append(_record(one))
    packages: dict[str, object] = {}
    whole = {"meta": {**_META, "severities": {}, "packages": packages}, "vulnerable_packages": full}
    (folder / "insecure.json").write_text(json.dumps({"meta": _META, "vulnerable_packages": brief}))
    (folder / "insecure_full.json").write_text(json.dumps(whole))
    return folder


def _record(one: Known) -> dict[str, object]:
    ids = [{"type": "pyup", "id": str(one.number)}]
    ids += [{"type": "cve", "id": name} for name in one.aliases if name.startswith("CVE-")]
    return {
        "specs": [f"<{one.fixed}"],
        "ids": ids,
        "advisory": one.title,
        "more_info_path": f"/v/{one.number}/eda",
        "fixed_versions": [one.fixed],
    }
