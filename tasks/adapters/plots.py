"""Pictures of a canary for its report: errors, latency and evidence over time, canary beside stable, decisions marked.

Importing the library costs half a second, so only the report of a canary does.
"""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tasks.core.canary_curves import curves_of
from tasks.core.counters import Snapshot
from tasks.core.judgement import Judgement

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_CANARY, _STABLE, _HARM, _HEALTH, _MARK = "#c2410c", "#1d4ed8", "#b91c1c", "#15803d", "#555555"
_NEAR = 0.07  # Marks nearer to each other than this part of the axis would print their names on top of each other.
_LEAST_WEALTH, _MOST_WEALTH = 1e-2, 1e4


@dataclass(frozen=True)
class Mark:
    """A decision on the time axis, in seconds since the canary got traffic."""

    at: float
    text: str


@dataclass(frozen=True)
class Deciding:
    """The odds at which evidence decides: harm ends the canary, health lets it pass."""

    harm: float
    health: float


def canary_plot(
    snapshots: Sequence[Snapshot], judgements: Sequence[Judgement], marks: Sequence[Mark], deciding: Deciding
) -> str:
    """The plot as a `data:` address of a PNG; empty when there is nothing to draw."""
    curves = curves_of(snapshots)
    if len(curves.at) < 2:
        return ""
    import matplotlib as mpl

    mpl.use("agg")
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 7), dpi=110, layout="constrained")
    errors, latency, evidence = figure.subplots(3, 1, sharex=True)
    _draw_pair(errors, "errors, % of requests", curves.at, curves.canary_errors, curves.stable_errors)
    _draw_pair(latency, "p95, ms", curves.at, curves.canary_p95, curves.stable_p95)
    _draw_evidence(evidence, judgements, deciding)
    evidence.set_xlabel("seconds since the canary got traffic")
    errors.legend(loc="upper left", frameon=False)
    for axes in (errors, latency, evidence):
        axes.grid(visible=True, alpha=0.25)
        for mark in marks:
            axes.axvline(mark.at, color=_MARK, linestyle="--", linewidth=1)
    _name(errors, marks, span=max(curves.at[-1], 1.0))
    file = io.BytesIO()
    figure.savefig(file, format="png")
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"


def _draw_pair(axes: "Axes", title: str, at: Sequence[float], canary: Sequence[float], stable: Sequence[float]) -> None:
    axes.plot(at, canary, color=_CANARY, marker="o", markersize=3, label="canary")
    axes.plot(at, stable, color=_STABLE, marker="o", markersize=3, label="stable")
    axes.set_ylabel(title)
    axes.set_ylim(bottom=0)


def _draw_evidence(axes: "Axes", judgements: Sequence[Judgement], deciding: Deciding) -> None:
    """Odds on a logarithmic scale, each with the line at which it decides."""
    at = [judgement.at for judgement in judgements]
    health = [min(judgement.error_promote_wealth, judgement.latency_promote_wealth) for judgement in judgements]
    axes.plot(at, [_shown(judgement.harm_wealth) for judgement in judgements], color=_HARM, label="of harm")
    axes.plot(at, [_shown(wealth) for wealth in health], color=_HEALTH, label="of health")
    axes.axhline(deciding.harm, color=_HARM, linestyle=":", linewidth=1)
    axes.axhline(deciding.health, color=_HEALTH, linestyle=":", linewidth=1)
    axes.set_yscale("log")
    axes.set_ylim(_LEAST_WEALTH, _MOST_WEALTH)
    axes.set_ylabel("evidence, odds")
    axes.legend(loc="upper left", frameon=False)


def _shown(wealth: float) -> float:
    return min(max(wealth, _LEAST_WEALTH), _MOST_WEALTH)


def _name(axes: "Axes", marks: Sequence[Mark], *, span: float) -> None:
    """Names above the axes; of marks that lie close together, the last one's."""
    for mark, following in zip(marks, [*marks[1:], None], strict=True):
        if following is None or following.at - mark.at > _NEAR * span:
            place = (mark.at, 1.02)
            axes.annotate(mark.text, place, xycoords=("data", "axes fraction"), ha="center", fontsize=8)
