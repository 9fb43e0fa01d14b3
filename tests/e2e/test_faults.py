"""Planted faults: exactly the checks concerned fail, and each says where; once a fault is undone all is well again."""

import re
from pathlib import Path

import pytest

from tests.e2e.faults import FAULTS, Fault
from tests.e2e.repositories import git
from tests.e2e.stage import Run, Stage
from tests.lab.engine import LabEngine

pytest_plugins = ["tests.lab.pytest_engine"]
pytestmark = [pytest.mark.server, pytest.mark.timeout(600)]

IN_CODE = [fault for fault in FAULTS if fault.checks]
IN_IMAGES = [fault for fault in FAULTS if fault.image_checks]


def given_the_fault(shop: Path, fault: Fault) -> str:
    """The shop with the fault in it, and the place that must be named."""
    fault.edit(shop)
    assert git(shop, "status", "--porcelain"), "the fault changed nothing"
    return fault.place(shop) if fault.file else ""


def then_exactly(run: Run, failing: frozenset[str]) -> None:
    assert run.exit_code == 1, run.said.output
    assert run.report["verdict"] == "failed"
    assert run.ending_in("failed", "error") == failing
    assert run.ending_in("error") == set()


def then_the_place_is_named(run: Run, fault: Fault, place: str, failing: frozenset[str]) -> None:
    for name in failing:
        reason = run.check(name)["reason"]
        assert place in reason
        assert [word for word in fault.words if word not in reason] == []
        assert run.check(name)["remedy"]
        assert reason.split()[0] in run.said.output


@pytest.mark.parametrize("fault", IN_CODE, ids=lambda fault: fault.name.replace(" ", "-"))
def test_fault_in_code(stage: Stage, shop: Path, fault: Fault) -> None:
    """A fault in the code fails its own checks and no other, with file and line."""
    place = given_the_fault(shop, fault)
    run = stage.ci(shop)

    then_exactly(run, fault.checks)
    then_the_place_is_named(run, fault, place, fault.checks)


@pytest.mark.engine
@pytest.mark.parametrize("fault", IN_IMAGES, ids=lambda fault: fault.name.replace(" ", "-"))
def test_fault_in_an_image(
    stage: Stage, shop: Path, fault: Fault, lab_engine: LabEngine, engine_words: tuple[str, ...]
) -> None:
    """A fault that reaches an image fails its build or its trial, where there is an engine to tell."""
    place = given_the_fault(shop, fault)
    run = stage.ci(shop, *engine_words, extras=lab_engine.environment)

    failing = fault.failing(with_engine=True)
    then_exactly(run, failing)
    then_the_place_is_named(run, fault, place, fault.checks or fault.image_checks)
    for name in fault.image_checks:
        assert run.check(name)["remedy"]
        assert not fault.file or re.search(r"Dockerfile:\d+: ", run.check(name)["reason"])


def test_undone(stage: Stage, shop: Path) -> None:
    """A fault is remembered as failed, and once it is undone everything passes again; neither runs a tool twice."""
    clean = stage.ci(shop)
    given_the_fault(shop, FAULTS[0])
    faulty = stage.ci(shop)
    remembered = stage.ci(shop)
    git(shop, "checkout", "--quiet", ".")
    undone = stage.ci(shop)

    assert clean.exit_code == 0
    then_exactly(faulty, FAULTS[0].checks)
    then_exactly(remembered, FAULTS[0].checks)
    assert remembered.anew() == set()
    assert remembered.check("backend/black")["reason"] == faulty.check("backend/black")["reason"]
    assert undone.exit_code == 0
    assert undone.anew() == set()
