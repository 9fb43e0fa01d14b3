"""Reading what an instance counts from its own metrics endpoint, in Prometheus's text format.

Only the metrics that were named are looked at. A counter that the instance does not know is an unreadable answer and
never a zero; one that it declares but has not counted yet is a zero.
"""

import math
from collections.abc import Iterable

from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from tasks.adapters.plain_http import Unanswered, get
from tasks.core.delivery_settings import MetricsSettings
from tasks.core.scrapes import Reading


class Unreadable(Exception):
    """The instance said something that cannot be used; the text says what, in one line."""


async def scrape(url: str, settings: MetricsSettings, *, seconds: float = 1.0) -> Reading:
    """Ask the instance at this address. Raises Unreadable."""
    try:
        status, body = await get(f"{url}{settings.path}", seconds=seconds)
    except Unanswered as silent:
        raise Unreadable(f"{settings.path}: {silent}") from silent
    if status != 200:
        raise Unreadable(f"{settings.path} answers {status}")
    return parsed(body.decode("utf-8", "replace"), settings)


def parsed(text: str, settings: MetricsSettings) -> Reading:
    """The named metrics in a whole exposition. Raises Unreadable."""
    names = [name for name in (settings.requests, settings.errors, settings.seconds) if name]
    lines = [line for line in text.splitlines() if _concerns(line, names)]
    try:
        families = list(text_string_to_metric_families("\n".join(lines) + "\n"))
    except (ValueError, IndexError, KeyError, TypeError, AttributeError) as broken:
        raise Unreadable(f"{settings.path} is not Prometheus text ({broken})") from broken
    samples = [sample for family in families for sample in family.samples]
    declared = {line.split()[2] for line in lines if line.startswith("# TYPE ")}
    buckets = _buckets(samples, settings.seconds) if settings.seconds else {}
    return Reading(
        requests=_counted(samples, declared, settings.requests),
        errors=_counted(samples, declared, settings.errors),
        buckets=buckets,
    )


def _concerns(line: str, names: list[str]) -> bool:
    """A scrape must stay cheap: what is not asked for is not parsed."""
    bare = [name.removesuffix("_total") for name in names]
    return line.startswith(tuple(start for name in bare for start in (name, f"# TYPE {name}")))


def _counted(samples: Iterable[Sample], declared: set[str], name: str) -> float:
    """All series of one counter, with or without the suffix that counters have."""
    spellings = {name, f"{name}_total"}
    values = [float(sample.value) for sample in samples if sample.name in spellings]
    if not values and not declared & {*spellings, name.removesuffix("_total")}:
        raise Unreadable(f"it has no counter {name}")
    if not all(math.isfinite(value) and value >= 0 for value in values):
        raise Unreadable(f"{name} holds a value that is no count")
    return math.fsum(values)


def _buckets(samples: Iterable[Sample], name: str) -> dict[float, float]:
    """Requests at or under each bound, all series together; empty before the first request."""
    series: dict[tuple[tuple[str, str], ...], dict[float, float]] = {}
    for sample in samples:
        if sample.name == f"{name}_bucket" and "le" in sample.labels:
            labels = tuple(sorted((key, value) for key, value in sample.labels.items() if key != "le"))
            series.setdefault(labels, {})[_bound(sample.labels["le"])] = float(sample.value)
    common = set.intersection(*(set(each) for each in series.values())) if series else set()
    if series and math.inf not in common:
        raise Unreadable(f"{name} has no bucket without a bound")
    return {bound: math.fsum(each[bound] for each in series.values()) for bound in sorted(common)}


def _bound(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise Unreadable(f"a bucket has the bound {text!r}") from None
