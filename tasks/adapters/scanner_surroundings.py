"""What `towpath doctor` says of the scanners: origin and version of each, the database's age, what is not enforced."""

import asyncio
import os
import shutil
from datetime import UTC, datetime
from pathlib import Path

import httpx

from tasks.adapters.confinement import means
from tasks.adapters.programs import ProgramMissing
from tasks.adapters.scanner_programs import REPACKAGED, find_scanner
from tasks.adapters.scanners.catalogue import SCANNERS
from tasks.adapters.surroundings import Finding
from tasks.core.security.database import UnreadableDate, date_of
from tasks.core.security.scanner import Origin, Scanner
from tasks.core.security.settings import SecuritySettings

_ANSWER_SECONDS = 5.0


async def look_at_scanners(state: Path, folder: Path, *, asks_services: bool) -> list[Finding]:
    """A line for each program, then isolation, databases that are here, and services. Nothing is installed."""
    programs = {scanner.program: scanner for scanner in SCANNERS.values()}
    asked = [_service(name, url) for name, url in _services()] if asks_services else []
    found = await asyncio.gather(*[_program(programs[name], state, folder) for name in sorted(programs)], *asked)
    return [*found[: len(programs)], _isolation(), *_databases(state), *found[len(programs) :]]


def _services() -> tuple[tuple[str, str], ...]:
    """Where scanners ask unless the configuration names a mirror."""
    security = SecuritySettings()
    registry = security.trivy.database.partition("/")[0]
    return ("OSV advisories", f"{security.osv_url}/v1/query"), ("trivy registry", f"https://{registry}/v2/")


async def _service(name: str, url: str) -> Finding:
    remedy = "name a mirror: security.osv_url, security.trivy.database"
    try:
        async with httpx.AsyncClient(timeout=_ANSWER_SECONDS) as client:
            answer = await client.get(url)
    except (httpx.HTTPError, httpx.InvalidURL) as failure:
        return Finding(name, f"does not answer ({type(failure).__name__})", is_well=False, remedy=remedy)
    is_well = answer.status_code < 500
    return Finding(name, "answers" if is_well else f"answered {answer.status_code}", is_well=is_well, remedy=remedy)


async def _program(scanner: Scanner, state: Path, folder: Path) -> Finding:
    if shutil.which(scanner.program):
        return await _on_path(scanner, state, folder)
    match scanner.origin:
        case Origin.PYTHON | Origin.NODE if scanner.package and scanner.program != "npm":
            origin = f"repackaged in {scanner.package}: upstream publishes no checksum of the binary alone; "
            also = origin if scanner.package in REPACKAGED else ""
            said = f"{scanner.version}, {also}installed by hash at its first use"
            return Finding(scanner.program, said, is_well=True)
        case _:
            return Finding(scanner.program, "not here", is_well=False, remedy=scanner.remedy)


async def _on_path(scanner: Scanner, state: Path, folder: Path) -> Finding:
    try:
        program = await find_scanner(scanner, state=state, log=folder / f"{scanner.program}.log")
    except ProgramMissing as missing:
        return Finding(scanner.program, missing.trouble.reason, is_well=False, remedy=missing.trouble.remedy)
    needs = [name for name in scanner.credentials if not os.environ.get(name)]
    also = f", {', '.join(needs)} is not set" if needs else ""
    return Finding(scanner.program, f"{program.label}{also}", is_well=not needs, remedy=scanner.remedy)


def _isolation() -> Finding:
    missing = means().missing
    said = (
        f"not enforced: {'; '.join(missing)}" if missing else "files, network, memory, processes, files' size and time"
    )
    return Finding("isolation", said, not missing, remedy="install bubblewrap; scanners then see only what they must")


def _databases(state: Path) -> list[Finding]:
    return [_database(path) for path in sorted((state / "security" / "trivy").glob("*/db/metadata.json"))]


def _database(metadata: Path) -> Finding:
    remedy = "it is fetched anew at the next scan"
    try:
        age_hours = date_of(metadata.read_text()).age_hours(datetime.now(UTC))
    except (OSError, UnreadableDate):
        return Finding("trivy database", "cannot be read", is_well=False, remedy=remedy)
    return Finding("trivy database", f"{age_hours:.0f} h old", 0 <= age_hours <= 48, remedy=remedy)
