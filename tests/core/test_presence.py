"""The status of an environment: facts where there are facts, and a word where there are none."""

from tasks.core.delivery_settings import ComponentSettings
from tasks.core.observed import Observed, ObservedInstance
from tasks.core.platform import EnvironmentStatus, Role
from tasks.core.presence import candidate_is_ready, lost_by_promoting, status_of
from tasks.core.release import Release
from tasks.core.wanted import Group, Wanted
from tasks.core.weighted_routes import Followed


def group(generation: int, replicas: int) -> Group:
    release = Release(version=f"v{generation}", revision="a", artifact="sha256:0", replicas={"web": replicas})
    return Group(
        generation=generation,
        release=release,
        components={"web": ComponentSettings(command=("serve",))},
        replicas={"web": replicas},
    )


def there(generation: int, number: int, *, is_ready: bool = True, note: str = "") -> ObservedInstance:
    return ObservedInstance(
        name=f"web-{generation}-{number}",
        component="web",
        generation=generation,
        version=f"v{generation}",
        is_ready=is_ready,
        note=note,
    )


WANTED = Wanted(port=1, revision=4, stable=group(1, 1), candidate=group(2, 2), candidate_percent=10)


def status(observed: Observed, seen: Followed | None, *, is_supervised: bool = True) -> EnvironmentStatus:
    return status_of("production", "http://127.0.0.1:1", WANTED, observed, seen, is_supervised=is_supervised)


def test_the_share_is_the_one_the_router_has() -> None:
    """What was wanted a moment ago is not what is, and the note says so."""
    found = status(Observed(instances=(there(1, 1), there(2, 1))), Followed(3, 5.0, "d"))
    assert found.candidate_percent == 5
    assert found.note == "the router does not follow the last change yet"


def test_a_router_that_does_not_answer_is_told() -> None:
    """A wish is never passed for a fact."""
    found = status(Observed(instances=(there(2, 1),)), None, is_supervised=False)
    assert "towpath up" in found.note
    assert "the router does not answer" in found.note


def test_every_wanted_instance_is_listed() -> None:
    """One that is not there yet is not ready, and one that is on its way out is listed too."""
    found = status(
        Observed(instances=(there(1, 1), there(1, 2, note="being drained"), there(2, 1))), Followed(4, 10, "d")
    )
    assert [(each.name, each.role, each.is_ready, each.note) for each in found.instances] == [
        ("web-1-1", Role.STABLE, True, ""),
        ("web-1-2", Role.STABLE, True, "being drained"),
        ("web-2-1", Role.CANDIDATE, True, ""),
        ("web-2-2", Role.CANDIDATE, False, "not started yet"),
    ]
    assert found.lacking(Role.CANDIDATE, {"web": 2}) == "web 1 of 2 ready; web-2-2: not started yet"


def test_a_share_nobody_can_take_is_told() -> None:
    """A candidate without a ready instance has a share on paper only."""
    found = status(Observed(instances=(there(1, 1), there(9, 1))), Followed(4, 10, "d"))
    assert "its share goes to stable" in found.note
    assert "instances of earlier releases being drained: 1" in found.note


def test_promoting_must_not_leave_a_component_without_an_answer() -> None:
    """A candidate that could not answer is named."""
    unready = Observed(instances=(there(1, 1), there(2, 1, is_ready=False)))
    assert lost_by_promoting(WANTED, unready) == ["web"]
    assert lost_by_promoting(WANTED, Observed(instances=(there(2, 1),))) == []
    assert not candidate_is_ready(group(2, 2), unready)


def test_a_component_that_shall_not_run_any_more_holds_no_promotion_up() -> None:
    """A release that is meant to have no instance of a component may be promoted without one."""
    wanted = WANTED.model_copy(update={"candidate": group(2, 0)})
    assert lost_by_promoting(wanted, Observed(instances=(there(1, 1),))) == []
