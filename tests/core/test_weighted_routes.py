"""The router's configuration: ready instances only, whole shares, and the same bytes for the same values."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tasks.core.delivery_settings import ComponentSettings
from tasks.core.observed import Observed, ObservedInstance
from tasks.core.release import Release
from tasks.core.wanted import Group, Wanted, weighted
from tasks.core.weighted_routes import MARKER, followed, rendered

COMPONENTS = {
    "api": ComponentSettings(command=("serve",), routes=("/api", "/api/admin/")),
    "web": ComponentSettings(command=("serve",)),
}


def group(generation: int, **replicas: int) -> Group:
    version = f"v{generation}"
    release = Release(version=version, revision="a", artifact="sha256:0", replicas=replicas)
    return Group(
        generation=generation, release=release, components=COMPONENTS, replicas=replicas or {"api": 1, "web": 1}
    )


def there(name: str, port: int, **changes: Any) -> ObservedInstance:
    component, generation, _ = name.split("-")
    usual = {"version": f"v{generation}", "is_ready": True, "pid": 1, "birth": "b"}
    return ObservedInstance.model_validate(
        {"name": name, "component": component, "generation": int(generation), "port": port, **usual, **changes}
    )


def http(wanted: Wanted, *instances: ObservedInstance) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(rendered(wanted, Observed(instances=instances)).content)["http"]
    return content


def shares(found: dict[str, Any], component: str) -> dict[str, int]:
    weighted_services = found["services"][component].get("weighted", {"services": []})
    return {part["name"].rpartition(".")[2]: part["weight"] for part in weighted_services["services"]}


def urls(found: dict[str, Any], service: str) -> list[str]:
    return [server["url"] for server in found["services"][service]["loadBalancer"]["servers"]]


BOTH = Wanted(port=1, stable=group(1), candidate=group(2))
READY = (there("api-1-1", 11), there("web-1-1", 12), there("api-2-1", 21), there("web-2-1", 22))


def test_the_candidate_gets_its_share_of_every_component() -> None:
    """10 % is one in ten for each component."""
    found = http(weighted(BOTH, 10), *READY)
    assert shares(found, "api") == shares(found, "web") == {"stable": 9, "candidate": 1}
    assert urls(found, "api.candidate") == ["http://127.0.0.1:21"]


@given(st.floats(min_value=0.0001, max_value=99.9999))
def test_a_fraction_of_a_percent_is_kept(percent: float) -> None:
    """The weights come within a ten-thousandth of a percent of any share."""
    found = shares(http(weighted(BOTH, percent), *READY), "api")
    assert abs(found.get("candidate", 0) / sum(found.values()) * 100 - percent) <= 0.0001


def test_a_share_of_nothing_is_nothing() -> None:
    """A candidate with a share of 0 gets no request, even when no stable instance is ready."""
    found = http(weighted(BOTH, 0), there("api-2-1", 21), there("web-2-1", 22))
    assert shares(found, "api") == {}
    assert urls(found, "api") == []


def test_a_share_without_a_ready_instance_goes_to_the_other_release() -> None:
    """Each component decides on its own."""
    found = http(weighted(BOTH, 10), there("api-1-1", 11), there("web-2-1", 22))
    assert shares(found, "api") == {"stable": 1}
    assert shares(found, "web") == {"candidate": 1}


def test_only_ready_and_wanted_instances_are_listed() -> None:
    """Not ready, leaving, of a release nobody wants, or more than are wanted: none gets a request."""
    found = http(
        Wanted(port=1, stable=group(1, api=3)),
        there("api-1-1", 11),
        there("api-1-2", 12, is_ready=False),
        there("api-1-3", 13, is_leaving=True),
        there("api-1-4", 14),
        there("api-7-1", 15),
    )
    assert urls(found, "api.stable") == ["http://127.0.0.1:11"]


def test_whole_parts_of_a_path_decide_and_the_longest_one_wins() -> None:
    """/apiary is not under /api, and a longer prefix has the higher priority."""
    routers = sorted(http(BOTH, *READY)["routers"].values(), key=lambda router: int(router["priority"]))
    assert [(router["rule"], router["service"]) for router in routers] == [
        ('PathPrefix("/")', "web"),
        ('Path("/api") || PathPrefix("/api/")', "api"),
        ('Path("/api/admin") || PathPrefix("/api/admin/")', "api"),
    ]


def test_the_same_values_give_the_same_bytes() -> None:
    """The order in which instances were seen makes no difference."""
    wanted = weighted(BOTH, 10)
    one = rendered(wanted, Observed(instances=READY))
    other = rendered(Wanted.model_validate_json(wanted.model_dump_json()), Observed(instances=READY[::-1]))
    assert one == other


def test_the_marker_tells_what_is_followed() -> None:
    """Revision, share and digest come back from the router's own words; somebody else's words tell nothing."""
    wanted = weighted(BOTH, 12.5)
    routes = rendered(wanted, Observed(instances=READY))
    found = followed(json.loads(routes.content)["http"]["middlewares"][MARKER])
    assert found is not None
    assert (found.revision, found.candidate_percent, found.digest) == (wanted.revision, 12.5, routes.digest)
    assert followed({"headers": {}}) is None


def test_an_environment_without_a_release_routes_nothing() -> None:
    """There is still a marker, and nothing the router would refuse to read."""
    found = http(Wanted(port=1))
    assert set(found) == {"middlewares", "serversTransports"}
