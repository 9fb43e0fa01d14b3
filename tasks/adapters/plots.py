"""Pictures of a canary for its report: error share and latency over time, canary beside stable, decisions marked.

Importing the library costs half a second, so only the report of a canary does.
"""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass

from tasks.core.canary_curves import curves_of
from tasks.core.counters import Snapshot

_CANARY, _STABLE = "#c2410c", "#1d4ed8"


@dataclass(frozen=True)
class Mark:
    """A decision on the time axis, in seconds since the canary got traffic."""

    at: float
    text: str


def canary_plot(snapshots: Sequence[Snapshot], marks: Sequence[Mark]) -> str:
    """The plot as a `data:` address of a PNG; empty when there is nothing to draw."""
    curves = curves_of(snapshots)
    if len(curves.at) < 2:
        return ""
    import matplotlib as mpl

    mpl.use("agg")
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 5.2), dpi=110, layout="constrained")
    errors, latency = figure.subplots(2, 1, sharex=True)
    _draw(errors, curves.at, curves.canary_errors, curves.stable_errors)
    errors.set_ylabel("errors, % of requests")
    _draw(latency, curves.at, curves.canary_p95, curves.stable_p95)
    latency.set_ylabel("p95, ms")
    latency.set_xlabel("seconds since the canary got traffic")
    for axes in (errors, latency):
        axes.set_ylim(bottom=0)
        axes.grid(visible=True, alpha=0.25)
        _mark(axes, marks, is_named=axes is errors)
    errors.legend(loc="upper left", frameon=False)
    file = io.BytesIO()
    figure.savefig(file, format="png")
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"


def _draw(axes: object, at: Sequence[float], canary: Sequence[float], stable: Sequence[float]) -> None:
    axes.plot(at, canary, color=_CANARY, marker="o", markersize=3, label="canary")  # type: ignore[attr-defined]
    axes.plot(at, stable, color=_STABLE, marker="o", markersize=3, label="stable")  # type: ignore[attr-defined]


def _mark(axes: object, marks: Sequence[Mark], *, is_named: bool) -> None:
    for mark in marks:
        axes.axvline(mark.at, color="#555555", linestyle="--", linewidth=1)  # type: ignore[attr-defined]
        if is_named:
            axes.annotate(  # type: ignore[attr-defined]
                mark.text, (mark.at, 1.0), xycoords=("data", "axes fraction"), rotation=20, fontsize=8, va="bottom"
            )
