"""Whether a scanner can be believed when it is silent: it must first report a finding that was planted for it.

An answer holds for one scanner version with one database, and for a day where the database is a service; only a good
one is kept.
"""

import json
import time
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from tasks.adapters.histories import make_history
from tasks.adapters.scanner_runs import ScanOrder, run_scanner
from tasks.adapters.scanners.image_archive import write_bait_image
from tasks.adapters.scratch import scratch_folder
from tasks.adapters.state import write_atomically
from tasks.core.environments import digest
from tasks.core.outcome import Outcome, Verdict
from tasks.core.security.believing import took_bait
from tasks.core.security.scanner import Bait, Scan

_SERVICES = ("osv_url", "registry", "database", "manager", "framework", "language", "login_url")
_KEPT_SECONDS = 90 * 86_400.0


async def try_bait(order: ScanOrder, *, database: str) -> Outcome:
    """Whether the scanner reports its bait; from an earlier try where nothing that matters has changed."""
    bait = order.scanner.bait
    if bait is None:
        return Outcome(Verdict.SKIPPED, "no known finding was given for it")
    kept = order.state / "security" / "alive" / f"{_identity(order, bait, database)}.json"
    if (known := _kept(kept)) is not None:
        return Outcome(Verdict.PASSED, known)
    outcome = await _tried(order, bait)
    if outcome.verdict is Verdict.PASSED:
        write_atomically(kept, json.dumps({"at": time.time(), "said": f"{outcome.reason} (tried {_now()})"}))
    return outcome


def _now() -> str:
    return f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC"


def _identity(order: ScanOrder, bait: Bait, database: str) -> str:
    day = f"{datetime.now(UTC):%Y-%m-%d}" if order.scanner.needs_network else ""
    files = sorted(bait.files.items())
    scan = _scan(order, bait)
    words = (order.scanner.arguments(scan), dict(scan.files), sorted(bait.rules), bait.commits)
    return digest([order.scanner.name, order.program.version, order.program.origin, files, words, database, day])


def _kept(path: Path) -> str | None:
    with suppress(OSError, ValueError, KeyError, TypeError):
        kept = json.loads(path.read_text())
        if 0 <= time.time() - float(kept["at"]) <= _KEPT_SECONDS:
            return str(kept["said"])
    return None


def _scan(order: ScanOrder, bait: Bait) -> Scan:
    """The bait's scan, asked of the same services in the same way as the real one."""
    services = {name: order.scan.options[name] for name in _SERVICES if name in order.scan.options}
    return replace(bait.scan, options={**services, **bait.scan.options})


async def _tried(order: ScanOrder, bait: Bait) -> Outcome:
    with scratch_folder(order.state) as folder:
        tree = folder / "tree"
        for name, content in bait.files.items():
            path = tree / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        tree.mkdir(exist_ok=True)
        history = await make_history(tree) if bait.commits else None
        image = write_bait_image(folder / "image.tar") if order.image is not None else None
        log = order.log.with_suffix(".bait.log")
        baited = replace(order, scan=_scan(order, bait), tree=tree, history=history, image=image, log=log)
        return took_bait((await run_scanner(baited)).belief, bait)
