"""What an environment is meant to be: each change is a new value, and what makes no sense is refused with a reason."""

import pytest

from tasks.core.delivery_settings import ComponentSettings
from tasks.core.platform import PlatformTrouble, Role
from tasks.core.release import Release
from tasks.core.wanted import Wanted, promoted, scaled, weighted, with_candidate, without_candidate

COMPONENTS = {
    "api": ComponentSettings(command=("serve",), routes=("/api",)),
    "web": ComponentSettings(command=("serve",)),
}


def release(version: str) -> Release:
    return Release(version=version, revision="a" * 40, artifact="sha256:" + "0" * 64, replicas={"api": 2, "web": 1})


def put(wanted: Wanted, version: str, **replicas: int) -> Wanted:
    return with_candidate(wanted, release(version), COMPONENTS, replicas or {"api": 2, "web": 1})


def test_a_release_is_put_beside_the_stable_one_with_no_traffic() -> None:
    """A new candidate has a share of 0 and instances of its own names."""
    wanted = put(promoted(put(Wanted(port=1), "v1")), "v2", api=1)
    assert wanted.stable is not None
    assert wanted.candidate is not None
    assert (wanted.stable.release.version, wanted.candidate.release.version) == ("v1", "v2")
    assert wanted.candidate_percent == 0
    assert wanted.candidate.instances() == {"api-2-1": "api"}


def test_a_promoted_release_keeps_its_instances() -> None:
    """Promotion changes the role of a group and nothing else of it."""
    before = weighted(put(Wanted(port=1), "v1"), 50)
    after = promoted(before)
    assert after.stable == before.candidate
    assert (after.candidate, after.candidate_percent) == (None, 0)


def test_a_name_is_never_used_for_another_release() -> None:
    """A release that is put after one was removed has names that the removed one never had."""
    first = put(Wanted(port=1), "v1")
    second = put(without_candidate(first), "v1")
    assert first.candidate is not None
    assert second.candidate is not None
    assert not set(first.candidate.instances()) & set(second.candidate.instances())


def test_every_change_has_a_later_revision() -> None:
    """The revision grows with each change, also with one that changes nothing else."""
    wanted = Wanted(port=1)
    for change in (lambda each: put(each, "v1"), lambda each: weighted(each, 10), promoted, without_candidate):
        changed = change(wanted)
        assert changed.revision == wanted.revision + 1
        wanted = changed


def test_a_component_that_is_not_named_keeps_its_number() -> None:
    """Scaling one component leaves the others alone."""
    wanted = scaled(promoted(put(Wanted(port=1), "v1")), Role.STABLE, {"api": 5})
    assert wanted.stable is not None
    assert wanted.stable.replicas == {"api": 5, "web": 1}


def test_a_second_candidate_is_refused_by_name() -> None:
    """Whoever puts a release while another one is the candidate is told which."""
    with pytest.raises(PlatformTrouble, match="v2 is the candidate already"):
        put(put(Wanted(port=1), "v2"), "v3")


@pytest.mark.parametrize("percent", [-1, 100.1, float("nan"), float("inf")])
def test_a_share_that_is_none_is_refused(percent: float) -> None:
    """A share lies between 0 and 100."""
    with pytest.raises(PlatformTrouble, match="between 0 and 100"):
        weighted(put(Wanted(port=1), "v1"), percent)


def test_what_has_no_candidate_can_only_be_given_nothing() -> None:
    """Without a candidate a share of 0 is no matter, any other one and a promotion are refused."""
    assert weighted(Wanted(port=1), 0).candidate_percent == 0
    for change in (lambda each: weighted(each, 1), promoted):
        with pytest.raises(PlatformTrouble, match="there is no candidate"):
            change(Wanted(port=1))
    with pytest.raises(PlatformTrouble, match="there is no stable release"):
        scaled(Wanted(port=1), Role.STABLE, {"api": 1})


def test_numbers_that_make_no_sense_are_refused() -> None:
    """A component the release does not have and a negative number are named."""
    with pytest.raises(PlatformTrouble, match="no component worker"):
        put(Wanted(port=1), "v1", worker=1)
    with pytest.raises(PlatformTrouble, match="fewer than 0"):
        put(Wanted(port=1), "v1", api=-1)


def test_components_that_cannot_be_told_apart_are_refused() -> None:
    """Two components of one path, and a name that cannot name a file, are refused."""
    twins = {"a": ComponentSettings(command=("a",)), "b": ComponentSettings(command=("b",))}
    with pytest.raises(PlatformTrouble, match="a and b both answer /"):
        with_candidate(Wanted(port=1), release("v1"), twins, {})
    with pytest.raises(PlatformTrouble, match="cannot name a component"):
        with_candidate(Wanted(port=1), release("v1"), {"../x": ComponentSettings(command=("a",))}, {})


def test_a_number_without_a_description_cannot_be_read() -> None:
    """A file that somebody edited into nonsense is refused as a whole."""
    written = put(Wanted(port=1), "v1").model_dump(mode="json")
    written["candidate"]["replicas"]["worker"] = 1
    with pytest.raises(ValueError, match="no description of worker"):
        Wanted.model_validate(written)


def test_it_survives_being_written_down() -> None:
    """What is read back is what was written, descriptions of components and all."""
    wanted = weighted(put(promoted(put(Wanted(port=8080), "v1")), "v2"), 12.5)
    assert Wanted.model_validate_json(wanted.model_dump_json()) == wanted
