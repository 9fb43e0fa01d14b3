"""Who may let a release through: every way an answer may fail to count, and how many it takes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.core.approval import (
    Answer,
    ApprovalRequest,
    Decision,
    Denied,
    Granted,
    Refused,
    Ruling,
    Waiting,
    rule,
)

DIGEST = "sha256:" + "a" * 64
REQUEST = ApprovalRequest(
    run="run-1",
    target="shop",
    environment="production",
    question="Promote v1.1.0?",
    version="v1.1.0",
    digest=DIGEST,
    author="Ada Author",
    asked_at=1000.0,
    expires_at=2000.0,
)


def answered(by: str, *, decision: Decision = Decision.APPROVE, digest: str = DIGEST, at: float = 1500.0) -> Answer:
    return Answer(decision=decision, by=by, reason="because", digest=digest, at=at)


def asked(**changes: object) -> ApprovalRequest:
    return REQUEST.model_copy(update=changes)


@pytest.mark.parametrize(
    ("by", "is_proved", "teams", "counts"),
    [
        ("ada", True, ("Acme/Release",), True),
        ("linus", False, (), True),
        ("ada", True, ("acme/other",), False),
        ("ada", True, (), False),
        ("ada", False, ("acme/release",), False),
        ("acme/release", False, (), False),
        ("@acme/release", True, (), False),
    ],
)
def test_teams(by: str, is_proved: bool, teams: tuple[str, ...], counts: bool) -> None:
    """A team among the approvers stands for proved names that are in it; to call oneself like it counts for nothing."""
    answer = answered(by).model_copy(update={"is_proved": is_proved, "teams": teams})
    ruling = rule(asked(approvers=("linus", "@acme/release")), (), answer)

    assert isinstance(ruling, Granted) is counts


@pytest.mark.parametrize(
    ("request_", "answer", "said"),
    [
        pytest.param(REQUEST, answered("Grace", at=2000.0), "this question expired 0 s ago", id="at expiry"),
        pytest.param(REQUEST, answered("Grace", at=2000.0 + 3 * 3600), "expired 3 h ago", id="hours after"),
        pytest.param(
            REQUEST, answered("Grace", digest="sha256:b"), "the answer is for sha256:b, and what waits", id="digest"
        ),
        pytest.param(REQUEST, answered("  "), "needs a name", id="no name"),
        pytest.param(asked(approvers=("Linus",)), answered("Grace"), "not among the approvers", id="not listed"),
        pytest.param(asked(require_proof=True), answered("Grace"), "takes proved ones", id="not proved"),
        pytest.param(
            asked(may_author_approve=False), answered(" ada  AUTHOR "), "is the author of v1.1.0", id="author"
        ),
    ],
)
def test_answers_that_do_not_count(request_: ApprovalRequest, answer: Answer, said: str) -> None:
    """An answer that does not count is refused with its reason."""
    ruling = rule(request_, (), answer)

    assert isinstance(ruling, Refused)
    assert said in ruling.reason


@pytest.mark.parametrize(
    ("request_", "earlier", "answer", "expected"),
    [
        pytest.param(REQUEST, (), answered("Grace"), Granted(("Grace",)), id="one of one"),
        pytest.param(asked(needed=2), (), answered("Grace"), Waiting(1), id="one of two"),
        pytest.param(
            asked(needed=2), (answered("Grace"),), answered("Linus"), Granted(("Grace", "Linus")), id="two of two"
        ),
        pytest.param(
            REQUEST, (), answered("Grace", decision=Decision.REJECT), Denied("Grace", "because"), id="one no is enough"
        ),
        pytest.param(REQUEST, (), answered("Ada Author"), Granted(("Ada Author",)), id="author, where it may"),
        pytest.param(
            asked(may_author_approve=False),
            (),
            answered("Ada Author", decision=Decision.REJECT),
            Denied("Ada Author", "because"),
            id="an author may always reject",
        ),
    ],
)
def test_answers_that_count(
    request_: ApprovalRequest, earlier: tuple[Answer, ...], answer: Answer, expected: Ruling
) -> None:
    """So many different people must approve, and one of them can reject."""
    assert rule(request_, earlier, answer) == expected


def test_the_same_person_counts_once() -> None:
    """A second approval by the same name, however it is spelled, is refused."""
    ruling = rule(asked(needed=2), (answered("Grace Hopper"),), answered("grace  hopper"))

    assert isinstance(ruling, Refused)
    assert "has approved already; 2 different people are needed" in ruling.reason


@given(
    needed=st.integers(1, 4),
    answers=st.lists(
        st.builds(
            answered,
            st.sampled_from(["Ada Author", "Grace", "Linus", "grace", " "]),
            digest=st.sampled_from([DIGEST, "sha256:other"]),
            at=st.sampled_from([1500.0, 2500.0]),
        ),
        max_size=12,
    ),
)
def test_it_takes_so_many_different_people(needed: int, answers: list[Answer]) -> None:
    """Whatever is answered in whatever order, nothing is granted before enough different people said yes in time."""
    request, counted = asked(needed=needed, may_author_approve=False), list[Answer]()
    for answer in answers:
        ruling = rule(request, counted, answer)
        if not isinstance(ruling, Refused):
            counted.append(answer)
        names = {each.by.strip().casefold() for each in counted}

        assert isinstance(ruling, Granted) == (not isinstance(ruling, Refused) and len(names) >= needed)
        assert all(each.digest == DIGEST and each.at < 2000.0 for each in counted)
        assert "ada author" not in names


def test_proof_that_is_needed() -> None:
    """Where proof is needed an approval that has it counts, and a rejection counts without: stopping is safe."""
    request = asked(require_proof=True)

    assert rule(request, (), answered("Grace").model_copy(update={"is_proved": True})) == Granted(("Grace",))
    assert isinstance(rule(request, (), answered("Grace", decision=Decision.REJECT)), Denied)
