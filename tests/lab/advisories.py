"""An advisory service on loopback: OSV's query API and npm's bulk advisories, audits and packuments.

It solves that what asks an advisory service must be tried against one, and one that fails, with no internet. It
promises the small set of tests/assets/security/advisories.json, judged by version, and every way to fail a test may ask
for. It must never reach out, and never answer for a package it does not know as if it had looked.

`with advising() as service:` or `python -m tests.lab.advisories`, which prints its address.
"""

import gzip
import json
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from typing import Any

SET = Path(__file__).parents[1] / "assets" / "security" / "advisories.json"
_BULK, _AUDITS = "/-/npm/v1/security/advisories/bulk", "/-/npm/v1/security/audits"


class Mood(StrEnum):
    """How the service answers: truly, or in one of the ways a service fails."""

    WELL = "well"
    HANGS = "hangs"
    FAILS = "fails"
    TRUNCATES = "truncates"
    REFUSES = "refuses"


@dataclass(frozen=True, kw_only=True)
class Known:
    """One published advisory of the set; `fixed` is empty where no version mends it."""

    id: str
    aliases: tuple[str, ...]
    ecosystem: str
    package: str
    fixed: str
    severity: str
    score: float
    vector: str
    cwes: tuple[str, ...]
    title: str

    @property
    def number(self) -> int:
        """npm's own number for it: any will do that stays the same."""
        return int.from_bytes(self.id.encode()[-4:], "big")

    @property
    def url(self) -> str:
        return f"https://github.com/advisories/{self.id}"

    def touches(self, version: str) -> bool:
        return not self.fixed or _ordered(version) < _ordered(self.fixed)


def known_advisories(place: Path = SET) -> tuple[Known, ...]:
    rows = json.loads(place.read_text())
    return tuple(Known(**{**row, "aliases": tuple(row["aliases"]), "cwes": tuple(row["cwes"])}) for row in rows)


def _ordered(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version))


@dataclass
class AdvisoryService:
    """The running service: what it was asked, and its mood and its set, which a test may change."""

    port: int = 0
    mood: Mood = Mood.WELL
    asked: list[str] = field(default_factory=list)
    advisories: tuple[Known, ...] = field(default_factory=known_advisories)
    over: Event = field(default_factory=Event)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@contextmanager
def advising(mood: Mood = Mood.WELL) -> Iterator[AdvisoryService]:
    """The service for the length of a test, on a port of its own; one that refuses has nobody at its port."""
    service = AdvisoryService(mood=mood)
    handler = type("Answering", (_Handler,), {"service": service})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        service.port = server.server_address[1]
        if mood is Mood.REFUSES:
            server.server_close()
            yield service
            return
        thread = Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield service
        finally:
            service.over.set()
            server.shutdown()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    service: AdvisoryService

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        asked = json.loads(gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body or b"{}")
        self._answer(posted(self.path, asked, self.service.advisories))

    def do_GET(self) -> None:
        self._answer(got(self.path.strip("/"), self.service.address, self.service.advisories))

    def log_message(self, *words: object) -> None:
        """What was asked is kept in `asked`; nothing is printed."""

    def _answer(self, answer: object | None) -> None:
        self.service.asked.append(f"{self.command} {self.path}")
        if self.service.mood is Mood.HANGS:
            self.service.over.wait()
            return
        status = 500 if self.service.mood is Mood.FAILS else 404 if answer is None else 200
        text = json.dumps({"error": "no answer"} if status != 200 else answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text[: len(text) // 2] if self.service.mood is Mood.TRUNCATES else text)
        self.close_connection = True


def posted(path: str, asked: Any, advisories: tuple[Known, ...]) -> object | None:
    """The answer to a question, None for an address that is not known."""
    if path == "/v1/query":
        return _osv(asked, advisories)
    if path == "/v1/querybatch":
        return {"results": [_osv(query, advisories) for query in asked["queries"]]}
    if path == _BULK:
        return bulk(asked, advisories)
    if path in (_AUDITS, f"{_AUDITS}/quick"):
        return _old_audit(asked, advisories)
    return None


def _osv(query: Mapping[str, Any], advisories: tuple[Known, ...]) -> dict[str, Any]:
    package = query["package"]
    found = [
        one
        for one in advisories
        if (one.ecosystem, one.package) == (package["ecosystem"], package["name"].lower())
        and one.touches(query["version"])
    ]
    return {"vulns": [_osv_record(one) for one in found]} if found else {}


def _osv_record(one: Known) -> dict[str, Any]:
    events = [{"introduced": "0"}, *([{"fixed": one.fixed}] if one.fixed else [])]
    affected = {
        "package": {"name": one.package, "ecosystem": one.ecosystem},
        "ranges": [{"type": "ECOSYSTEM", "events": events}],
    }
    return {
        "id": one.id,
        "aliases": list(one.aliases),
        "summary": one.title,
        "details": one.title,
        "published": "2024-01-01T00:00:00Z",
        "modified": "2024-01-01T00:00:00Z",
        "severity": [{"type": "CVSS_V3", "score": one.vector}],
        "affected": [affected],
    }


def bulk(asked: Mapping[str, list[str]], advisories: tuple[Known, ...]) -> dict[str, Any]:
    """npm's bulk advisories: by package, those that touch one of the versions asked about."""
    found: dict[str, Any] = {}
    for one in advisories:
        if one.ecosystem == "npm" and any(one.touches(version) for version in asked.get(one.package, ())):
            found.setdefault(one.package, []).append(
                {
                    "id": one.number,
                    "url": one.url,
                    "title": one.title,
                    "severity": one.severity,
                    "vulnerable_versions": f"<{one.fixed}",
                    "cwe": list(one.cwes),
                    "cvss": {"score": one.score, "vectorString": one.vector},
                }
            )
    return found


def _old_audit(asked: Mapping[str, Any], advisories: tuple[Known, ...]) -> dict[str, Any]:
    """The audits API that came before, which pnpm asks: advisories by number, and where they were met."""
    versions = {path: one["version"] for path, one in _within(asked.get("dependencies", {}), "") if "version" in one}
    met: dict[str, Any] = {}
    counts = dict.fromkeys(("info", "low", "moderate", "high", "critical"), 0)
    for one in (one for one in advisories if one.ecosystem == "npm"):
        findings = [
            {"version": version, "paths": [path]}
            for path, version in versions.items()
            if path.rsplit(">", 1)[-1] == one.package and one.touches(version)
        ]
        if findings:
            met[str(one.number)] = _old_record(one, findings)
            counts[one.severity] += len(findings)
    return {
        "actions": [],
        "muted": [],
        "advisories": met,
        "metadata": {"vulnerabilities": counts, "dependencies": len(versions), "totalDependencies": len(versions)},
    }


def _within(dependencies: Mapping[str, Any], parent: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for name, one in dependencies.items():
        path = f"{parent}>{name}" if parent else name
        yield path, one
        yield from _within(one.get("dependencies") or {}, path)


def _old_record(one: Known, findings: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "id": one.number,
        "github_advisory_id": one.id,
        "cves": [name for name in one.aliases if name.startswith("CVE-")],
        "url": one.url,
        "title": one.title,
        "module_name": one.package,
        "severity": one.severity,
        "vulnerable_versions": f"<{one.fixed}",
        "patched_versions": f">={one.fixed}",
        "cwe": list(one.cwes),
        "cvss": {"score": one.score, "vectorString": one.vector},
        "findings": findings,
    }


def got(path: str, address: str, advisories: tuple[Known, ...]) -> dict[str, Any] | None:
    """A packument, or what Safety asks its vendor's login server for before it reads a database of one's own."""
    if path == ".well-known/openid-configuration":
        ends = ("authorization_endpoint", "token_endpoint", "jwks_uri")
        return {"issuer": address, **{end: f"{address}/{end}" for end in ends}}
    return {"keys": []} if path == "jwks_uri" else packument(path, address, advisories)


def packument(name: str, address: str, advisories: tuple[Known, ...]) -> dict[str, Any] | None:
    """What npm wants to know of a package: a vulnerable version, and every one that mends it."""
    fixed = [one.fixed for one in advisories if one.ecosystem == "npm" and one.package == name]
    if not fixed:
        return None
    versions = sorted({"0.0.1", "1.2.5" if name == "minimist" else "4.17.15", *fixed}, key=_ordered)
    return {
        "name": name,
        "dist-tags": {"latest": versions[-1]},
        "versions": {
            version: {
                "name": name,
                "version": version,
                "dist": {"tarball": f"{address}/{name}/-/{name}-{version}.tgz", "shasum": "0" * 40},
            }
            for version in versions
        },
    }


def _main() -> None:
    with advising() as service:
        sys.stdout.write(f"{service.address}\n")
        sys.stdout.flush()
        service.over.wait()


if __name__ == "__main__":
    _main()
