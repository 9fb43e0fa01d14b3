"""From what a target holds to the scans that will be made over it.

Every scanner appears in the plan: one with nothing to look at is there with that reason, and one that is absent is
there as not covered, so that a report never leaves a reader wondering whether the history was read or forgotten.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from tasks.core.discovery import why_not
from tasks.core.outcome import Outcome, Verdict
from tasks.core.plan import matches
from tasks.core.planning import image_checks
from tasks.core.projects import Backend, Discovery, Frontend, Image, Manager, joined, parent
from tasks.core.security.infrastructure_files import infrastructure_of
from tasks.core.security.pins import Pins, UnreadableLock, pins_of_lock, pins_of_requirements
from tasks.core.security.scan_plan import PlannedScan, ScanPlan
from tasks.core.security.scanner import Scan
from tasks.core.settings import Settings, SettingsRefused

# Absent unless the user brings them, and then a gap that every report opens with; all others Towpath can install.
WHEN_AVAILABLE = frozenset({"codeql", "safety", "trufflehog"})
_NODE_AUDITS = {
    Manager.NPM: "npm-audit",
    Manager.PNPM: "pnpm-audit",
    Manager.YARN: "yarn-audit",
    Manager.YARN_CLASSIC: "yarn-audit",
    Manager.BUN: "bun-audit",
}
_LOCKS = ("uv.lock", "poetry.lock", "pdm.lock", "package-lock.json", "pnpm-lock.yaml", "yarn.lock", "bun.lock")
_KUSTOMIZED = (".yaml", ".yml", ".json", ".env", ".properties")
_SCRIPTS = (".js", ".jsx", ".ts", ".tsx", ".mjs", ".cjs", ".vue")


@dataclass(frozen=True, kw_only=True)
class Found:
    """What is known of the target: its projects, its files and the text of those that planning reads."""

    discovery: Discovery
    files: frozenset[str]
    contents: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Circumstances:
    """What a run is about: `available` are the optional scanners that are here, with `missing` how to get the others.

    `lacks_engine` says why images need not be looked at; `npm_registry` is the user's own. `base` and `head` are
    commits; without a base the whole history is read, without a head there is none to read.
    """

    available: frozenset[str] = frozenset()
    missing: Mapping[str, str] = field(default_factory=dict)
    lacks_engine: str = ""
    npm_registry: str = ""
    base: str = ""
    head: str = ""
    reads_history: bool = True


def plan_scans(found: Found, settings: Settings, circumstances: Circumstances) -> ScanPlan:
    """The plan, each scan with the configuration's word on it. Raises SettingsRefused."""
    builtin = [
        *_python_dependencies(found, settings),
        *_node_dependencies(found, settings.security.npm_registry or circumstances.npm_registry),
        *_lock_files(found),
        *_code(found),
        *_images(found.discovery.images, settings),
        *_secrets(found, circumstances),
        *_infrastructure(found, settings),
    ]
    scans = [*builtin, *_own(found, settings)]
    known = {scan.scanner for scan in scans}
    if taken := next((name for name in settings.scanners if name in {scan.scanner for scan in builtin}), ""):
        raise SettingsRefused(f"scanners.{taken}: Towpath has a scanner of that name: give yours another one")
    named = [*settings.security.required, *settings.security.disabled]
    if unknown := next((name for name in named if name not in known), ""):
        raise SettingsRefused(f"security: there is no scanner {unknown} (known: {', '.join(sorted(known))})")
    return ScanPlan(tuple(_decided(scan, settings, circumstances) for scan in scans))


def _decided(scan: PlannedScan, settings: Settings, circumstances: Circumstances) -> PlannedScan:
    """The scan after the configuration and the machine have been asked about it."""
    if reason := settings.security.disabled.get(scan.scanner):
        outcome = Outcome(Verdict.SKIPPED, f"switched off in the configuration: {reason}", remedy="security.disabled")
        return replace(scan, settled=outcome, is_uncovered=True)
    if scan.image and circumstances.lacks_engine and scan.settled is None:
        outcome = Outcome(Verdict.SKIPPED, circumstances.lacks_engine, remedy="install a container engine")
        return replace(scan, settled=outcome, is_uncovered=True)
    if scan.settled or scan.scanner not in WHEN_AVAILABLE or scan.scanner in circumstances.available:
        return scan
    remedy = circumstances.missing.get(scan.scanner, "towpath doctor says how to get it")
    if scan.scanner in settings.security.required:
        return replace(scan, settled=Outcome(Verdict.ERROR, f"{scan.scanner} is required and absent", remedy=remedy))
    return replace(
        scan, settled=Outcome(Verdict.SKIPPED, f"{scan.scanner} is not here", remedy=remedy), is_uncovered=True
    )


def _nothing(scan_id: str, scanner: str, why: str) -> PlannedScan:
    return PlannedScan(id=scan_id, scanner=scanner, settled=Outcome(Verdict.SKIPPED, why))


def _at(name: str, folder: str) -> str:
    return name if folder == "." else f"{name}@{folder}"


def _python_dependencies(found: Found, settings: Settings) -> Iterator[PlannedScan]:
    by_root = {backend.root: backend for backend in reversed(found.discovery.backends)}
    for scanner in ("pip-audit", "safety"):
        if not by_root:
            yield _nothing(f"dependency/{scanner}", scanner, "no Python project here")
        for root, backend in sorted(by_root.items()):
            yield from _python_scans(scanner, root, backend, found, settings)


def _python_scans(scanner: str, root: str, backend: Backend, found: Found, settings: Settings) -> Iterator[PlannedScan]:
    scan_id = _at(f"dependency/{scanner}", root)
    place = backend.lock or next(iter(_requirements(backend, found)), joined(root, "pyproject.toml"))
    try:
        pins = _pins(backend, found)
    except UnreadableLock as broken:
        yield PlannedScan(id=scan_id, scanner=scanner, settled=Outcome(Verdict.ERROR, str(broken)))
        return
    if pins is None:
        outcome = Outcome(
            Verdict.ERROR,
            f"{place} fixes no versions, so that nothing can be said about what will be installed",
            remedy=f"cd {root} && uv lock",
        )
        yield PlannedScan(id=scan_id, scanner=scanner, settled=outcome)
        return
    if not pins.pinned and not pins.skipped:
        yield _nothing(scan_id, scanner, f"{place} names no package")
        return
    options = {"lock": (place,), "osv_url": (settings.security.osv_url.rstrip("/"),)}
    if settings.security.safety_database:
        options["database"] = (settings.security.safety_database,)
    for number, requirements in enumerate(pins.requirements(), start=1):
        scan = Scan(options=options, files={"requirements.txt": requirements})
        named, skipped = (scan_id, pins.skipped) if number == 1 else (f"{scan_id}:{number}", ())
        yield PlannedScan(id=named, scanner=scanner, scan=scan, inputs=(), why=place, skipped=skipped)


def _pins(backend: Backend, found: Found) -> Pins | None:
    if backend.lock:
        return pins_of_lock(backend.lock, found.contents.get(backend.lock, ""))
    files = _requirements(backend, found)
    return pins_of_requirements({path: found.contents[path] for path in files}) if files else None


def _requirements(backend: Backend, found: Found) -> list[str]:
    here = "" if backend.path == "." else f"{backend.path}/"
    main = [path for path in found.contents if path == f"{here}requirements.txt"]
    return sorted({*main, *backend.requirements} & found.contents.keys())


def _node_dependencies(found: Found, registry: str) -> Iterator[PlannedScan]:
    by_root = {frontend.root: frontend for frontend in reversed(found.discovery.frontends)}
    if not by_root:
        yield _nothing("dependency/npm-audit", "npm-audit", "no Node project here")
    for root, frontend in sorted(by_root.items()):
        yield _node_scan(root, frontend, found, registry)


def _node_scan(root: str, frontend: Frontend, found: Found, registry: str) -> PlannedScan:
    scanner = _NODE_AUDITS[frontend.manager]
    scan_id = _at(f"dependency/{scanner}", root)
    if not frontend.lock:
        reason = f"{joined(root, 'package.json')} has no lock file, so that nothing can be said of what gets installed"
        outcome = Outcome(Verdict.ERROR, reason, remedy=f"cd {root} && npm install --package-lock-only")
        return PlannedScan(id=scan_id, scanner=scanner, settled=outcome)
    lock = frontend.lock
    members = [path for path in found.contents if path.endswith("package.json") and parent(path).startswith(root)]
    kept = [lock, *(members if root == "." else [path for path in members if path.startswith(f"{root}/")])]
    files = {f"project/{_below(path, root)}": found.contents[path] for path in kept if path in found.contents}
    options = {"lock": (lock,), "manager": (str(frontend.manager),), **({"registry": (registry,)} if registry else {})}
    scan = Scan(options=options, files=files)
    return PlannedScan(id=scan_id, scanner=scanner, scan=scan, inputs=(), why=lock)


def _below(path: str, root: str) -> str:
    return path if root == "." else path.removeprefix(f"{root}/")


def _lock_files(found: Found) -> Iterator[PlannedScan]:
    """Trivy's second opinion on the lock files, and the Dockerfiles."""
    images = {image.dockerfile for image in found.discovery.images}
    roots = {backend.lock for backend in found.discovery.backends if backend.lock}
    roots |= {frontend.lock for frontend in found.discovery.frontends if frontend.lock}
    plain = {path for backend in found.discovery.backends for path in _requirements(backend, found)}
    paths = tuple(sorted(roots | images | plain))
    if not paths:
        yield _nothing("dependency/trivy-fs", "trivy-fs", "no lock file and no Dockerfile here")
        return
    why = f"{len(paths)} lock files and Dockerfiles"
    yield PlannedScan(id="dependency/trivy-fs", scanner="trivy-fs", scan=Scan(paths=paths), inputs=paths, why=why)


def _code(found: Found) -> Iterator[PlannedScan]:
    modules = tuple(sorted(path for path in found.files if path.endswith(".py")))
    if not modules:
        yield _nothing("code/bandit", "bandit", "no Python file here")
    else:
        config = "pyproject.toml" if "[tool.bandit" in found.contents.get("pyproject.toml", "") else ""
        options = {"config": (config,)} if config else {}
        inputs = (*modules, *((config,) if config else ()))
        scan = Scan(options=options)
        why = f"{len(modules)} Python files"
        yield PlannedScan(id="code/bandit", scanner="bandit", scan=scan, inputs=inputs, why=why)
    scripts = tuple(path for path in found.files if path.endswith(_SCRIPTS))
    for language, files in (("python", modules), ("javascript", scripts)):
        if files:
            scan = Scan(options={"language": (language,)})
            yield PlannedScan(id=f"code/codeql:{language}", scanner="codeql", scan=scan, inputs=tuple(sorted(files)))
    if not modules and not scripts:
        yield _nothing("code/codeql", "codeql", "no code here in a language it is asked about")


def _images(images: Iterable[Image], settings: Settings) -> Iterator[PlannedScan]:
    checks = sorted(image_checks(images, settings), key=lambda check: check.id)
    if not checks:
        yield _nothing("container/trivy-image", "trivy-image", "no Dockerfile here")
    for check in checks:
        name = check.id.rpartition("/")[2]
        yield PlannedScan(
            id=f"container/trivy-image:{name}",
            scanner="trivy-image",
            scan=Scan(options={"image": (name,)}),
            settled=check.settled,
            image=check.image,
            image_settings=check.image_settings,
            why=check.image.dockerfile if check.image else "",
        )


def _secrets(found: Found, circumstances: Circumstances) -> Iterator[PlannedScan]:
    known = known_secrets(found.contents.get(".secrets.baseline", ""))
    scan = Scan(options={"baseline_hashes": known} if known else {})
    yield PlannedScan(id="secret/detect-secrets", scanner="detect-secrets", scan=scan, why="the tree")
    ignored = found.contents.get(".gitleaksignore", "")
    tree = Scan(options={"ignore_file": (ignored,)} if ignored else {})
    yield PlannedScan(id="secret/gitleaks-tree", scanner="gitleaks-tree", scan=tree, why="the tree")
    for scanner in ("gitleaks-history", "trufflehog"):
        yield _history(scanner, circumstances)


def known_secrets(baseline: str) -> tuple[str, ...]:
    """File and hash of what the target's baseline of detect-secrets knows; nothing where it cannot be read."""
    try:
        results = json.loads(baseline)["results"]
        return tuple(sorted({f"{path}\t{row['hashed_secret']}" for path, rows in results.items() for row in rows}))
    except (ValueError, KeyError, TypeError, AttributeError):
        return ()


def _history(scanner: str, circumstances: Circumstances) -> PlannedScan:
    scan_id, base, head = f"secret/{scanner}", circumstances.base, circumstances.head
    if not circumstances.reads_history:
        return _nothing(scan_id, scanner, "the base's history is part of the head's")
    if not head:
        return _nothing(scan_id, scanner, "there is no commit yet")
    if base == head:
        return _nothing(scan_id, scanner, "there is no commit between the base and the head")
    span = f"{base}..{head}" if base else ""
    options = {"range": (span,), "base": (base,)} if base else {}
    why = f"commits {base[:12]}..{head[:12]}" if base else "the whole history"
    return PlannedScan(id=scan_id, scanner=scanner, scan=Scan(options=options), inputs=(), why=why)


def _infrastructure(found: Found, settings: Settings) -> Iterator[PlannedScan]:
    ours = [path for path in found.files if not why_not(parent(path), settings.projects)]
    files = infrastructure_of(ours, {path: found.contents[path] for path in ours if path in found.contents})
    if files.terraform:
        scan = Scan(paths=files.terraform, options={"framework": ("terraform",)})
        inputs = tuple(sorted(path for path in ours if path.endswith((".tf", ".tf.json", ".tfvars"))))
        why = ", ".join(files.terraform[:3])
        yield PlannedScan(id="iac/checkov:terraform", scanner="checkov", scan=scan, inputs=inputs, why=why)
    if files.overlays or files.manifests:
        inputs = tuple(
            sorted(path for path in ours if path.endswith((".yaml", ".yml", ".json", ".env", ".properties")))
        )
        yield PlannedScan(
            id="iac/checkov:kubernetes",
            scanner="checkov",
            scan=Scan(options={"framework": ("kubernetes",)}),
            inputs=inputs,
            overlays=files.overlays,
            manifests=files.manifests,
            why=", ".join((*files.overlays, *files.manifests)[:3]),
        )
    if files.templates:
        reason = f"{len(files.templates)} templates are no manifests until they are rendered ({files.templates[0]})"
        outcome = Outcome(
            Verdict.SKIPPED, reason, remedy="render them into the repository, or add a scanner of your own"
        )
        yield PlannedScan(id="iac/checkov:templates", scanner="checkov", settled=outcome, is_uncovered=True)
    if not (files.terraform or files.overlays or files.manifests):
        yield _nothing("iac/checkov", "checkov", "no Terraform and no Kubernetes manifest here")


def _own(found: Found, settings: Settings) -> Iterator[PlannedScan]:
    for name, chosen in sorted(settings.scanners.items()):
        scan_id = f"{chosen.category}/{name}"
        inputs = tuple(sorted(path for path in found.files if _matches_any(path, chosen.inputs)))
        if not inputs:
            yield _nothing(scan_id, name, f"no file matches its inputs ({', '.join(chosen.inputs)})")
        else:
            yield PlannedScan(id=scan_id, scanner=name, inputs=inputs, why="[scanners] in the configuration")


def _matches_any(path: str, patterns: tuple[str, ...]) -> bool:
    return not patterns or any(matches(path, pattern) for pattern in patterns)
