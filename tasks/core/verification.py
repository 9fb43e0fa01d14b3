"""Whether a release that has all the traffic is really well, decided from two looks at it some seconds apart."""

from collections.abc import Iterable

from tasks.core.counters import Arm
from tasks.core.outcome import Outcome, Verdict
from tasks.core.platform import Instance

_REMEDY = "look at the instances' logs: towpath status ENVIRONMENT names them"


def settle(
    before: Arm | None, after: Arm | None, instances: Iterable[Instance], *, max_error_percent: float
) -> Outcome:
    """Passed when every instance is ready, none has restarted, and few enough of the requests in between failed."""
    instances = tuple(instances)
    if not instances:
        return Outcome(Verdict.ERROR, "no instance of the release is there", remedy=_REMEDY)
    if unready := [each for each in instances if not each.is_ready]:
        named = ", ".join(f"{each.name} ({each.note or 'not ready'})" for each in unready)
        return Outcome(Verdict.FAILED, f"not ready: {named}", remedy=_REMEDY)
    if restarted := [each for each in instances if each.restarts]:
        named = ", ".join(f"{each.name} ({each.restarts})" for each in restarted)
        return Outcome(Verdict.FAILED, f"restarted: {named}", remedy=_REMEDY)
    return _weigh(before, after, max_error_percent)


def _weigh(before: Arm | None, after: Arm | None, max_error_percent: float) -> Outcome:
    if before is None or after is None:
        return Outcome(Verdict.ERROR, "its metrics could not be read", remedy="does the metrics path answer?")
    requests = _grown(before, after, "requests")
    errors = _grown(before, after, "errors")
    if not requests:
        return Outcome(Verdict.PASSED, "every instance is ready; no request came to be judged by")
    said = f"{errors:,.0f} of {requests:,.0f} requests failed"
    if errors * 100 > max_error_percent * requests:
        return Outcome(Verdict.FAILED, f"{said}, more than {max_error_percent:g} %", remedy=_REMEDY)
    return Outcome(Verdict.PASSED, f"every instance is ready; {said}")


def _grown(before: Arm, after: Arm, field: str) -> float:
    """What was counted in between; an instance that began anew counts from nothing."""
    total = 0.0
    for name, counters in after.items():
        now: float = getattr(counters, field)
        then: float = getattr(before[name], field) if name in before else 0.0
        total += now - then if now >= then else now
    return total
