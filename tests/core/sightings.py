"""Sightings for tests: plain ones by hand, and drawn ones from pools so small that they often meet."""

from hypothesis import strategies as st

from tasks.core.security.sightings import (
    Advisory,
    Category,
    Flaw,
    Leak,
    Misconfiguration,
    Rating,
    Severity,
    Sighting,
    Spot,
    Subject,
)


def sighting(
    subject: Subject,
    *,
    scanner: str = "one",
    category: Category = Category.CODE,
    rule: str = "R1",
    severity: Severity = Severity.HIGH,
    spot: Spot | None = None,
) -> Sighting:
    return Sighting(
        scanner=scanner,
        category=category,
        rule=rule,
        title=f"what {rule} says",
        rating=Rating(severity=severity, source=scanner),
        spot=spot or Spot(path="a.py", line=3),
        subject=subject,
    )


def advisory(
    *ids: str,
    package: str = "jinja2",
    scanner: str = "one",
    severity: Severity = Severity.HIGH,
    path: str = "uv.lock",
    image: str = "",
    ecosystem: str = "pypi",
    version: str = "3.1.2",
) -> Sighting:
    subject = Advisory(ecosystem=ecosystem, package=package, version=version, ids=ids)
    category = Category.CONTAINER if image else Category.DEPENDENCY
    spot = Spot(path=path, image=image)
    return sighting(subject, scanner=scanner, category=category, rule=ids[0], severity=severity, spot=spot)


def flaw(
    *cwes: str,
    scanner: str = "one",
    rule: str = "R1",
    path: str = "a.py",
    line: int = 3,
    context: str = "same",
    severity: Severity = Severity.HIGH,
) -> Sighting:
    spot = Spot(path=path, line=line, context=context)
    return sighting(Flaw(cwes=cwes), scanner=scanner, rule=rule, severity=severity, spot=spot)


def leak(
    fingerprint: str, *, scanner: str = "one", path: str = "a.ini", line: int | None = 3, commit: str = ""
) -> Sighting:
    spot = Spot(path=path, line=line, commit=commit)
    subject = Leak(fingerprint=fingerprint, kind="key")
    return sighting(subject, scanner=scanner, category=Category.SECRET, severity=Severity.UNKNOWN, spot=spot)


def misconfiguration(resource: str = "Deployment.default.web", *, rule: str = "CKV_K8S_8", path: str) -> Sighting:
    spot = Spot(path=path, line=1)
    return sighting(Misconfiguration(resource=resource), category=Category.INFRASTRUCTURE, rule=rule, spot=spot)


_ids = st.lists(
    st.sampled_from(["CVE-2024-1", "CVE-2024-2", "GHSA-aaaa-bbbb-cccc", "PYSEC-2024-1"]), min_size=1, max_size=2
)
subjects: st.SearchStrategy[Subject] = st.one_of(
    st.builds(
        Advisory,
        ecosystem=st.sampled_from(["pypi", "npm"]),
        package=st.sampled_from(["a", "b"]),
        version=st.sampled_from(["1", "2"]),
        ids=_ids.map(tuple),
    ),
    st.builds(Flaw, cwes=st.lists(st.sampled_from(["CWE-78", "CWE-89"]), max_size=2).map(tuple)),
    st.builds(Leak, fingerprint=st.sampled_from(["f1", "f2", "f3"]), kind=st.just("key")),
    st.builds(Misconfiguration, resource=st.sampled_from(["web", "a/b"])),
)
spots = st.builds(
    Spot,
    path=st.sampled_from(["a.py", "d/b.py", "c.py"]),
    line=st.sampled_from([None, 1, 2]),
    commit=st.sampled_from(["", "", "c0ffee"]),
    context=st.sampled_from(["", "x", "y"]),
)
drawn = st.builds(
    Sighting,
    scanner=st.sampled_from(["one", "two"]),
    category=st.sampled_from(Category),
    rule=st.sampled_from(["R1", "R2"]),
    title=st.just("said"),
    rating=st.builds(Rating, severity=st.sampled_from(Severity), source=st.just("s")),
    spot=spots,
    subject=subjects,
)
many = st.lists(drawn, max_size=8)
