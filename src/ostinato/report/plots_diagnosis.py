"""The plots of a diagnosis, from what `diagnosis.json` holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes

from ostinato.arrays import Floats
from ostinato.report.svg import BLUE, MUTED, ORANGE, drawing, logarithmic, look, sample, shares, varies, whole

Found = Mapping[str, Any]
"""A part of `diagnosis.json`."""

_MAY = {"back": "may look back", "ahead": "may look ahead", "around": "may see on either side"}


def context(horizon: Found, unit: str, reach: int | None, side: str = "back") -> Markup | None:
    """Loss by how much context the model saw, with the point of 99 % of the gain and where training's gradients end.
    None where the loss is the same whatever it saw.

    Args:
        horizon: the curve.
        unit: what a step is called.
        reach: steps that gradients went back in training.
        side: `back`, `ahead`, or `around`: as many steps on either side of each.
    """
    may = _MAY[side]
    steps, loss, error = (_floats(horizon[key]) for key in ("context", "loss", "error"))
    if not varies(loss):
        return None
    label = f"Mean loss by the number of steps the model {may}"
    with drawing(f"context-{side}", label, f"{unit}s the model {may}", "mean loss", x_ticks=logarithmic) as plot:
        axes = plot.axes
        axes.fill_between(steps, loss - error, loss + error, color=BLUE, alpha=0.2, linewidth=0)
        axes.plot(steps, loss, color=BLUE, marker="o", markersize=3)
        if horizon["steps"] is not None:
            axes.axvspan(horizon["low"], horizon["high"], color=ORANGE, alpha=0.15, linewidth=0)
            axes.axvline(horizon["steps"], color=ORANGE, label=f"99 % of the gain: {horizon['steps']:.0f} steps")
        _mark_reach(axes, reach)
    return plot.svg


def norms_by_lag(layers: Sequence[Found], reach: int | None) -> Markup | None:
    """The gradient's norm by lag on a logarithmic scale; None of a single lag."""
    if not any(len(layer["norms"]) > 1 for layer in layers):
        return None
    label = "Norm of the gradient by the number of steps back"
    with drawing("lagnorm", label, "steps back", "gradient norm", x_ticks=whole, y_ticks=logarithmic) as plot:
        axes = plot.axes
        for number, layer in enumerate(layers):
            lags, norms = _positive(layer["norms"])
            axes.plot(*sample(lags, norms), label=layer["layer"], **look(number))
        _mark_reach(axes, reach)
    return plot.svg


def share_by_lag(layers: Sequence[Found], reach: int | None) -> Markup | None:
    """The share of the gradient of the recurrent weights that lies within each lag; None of a single lag."""
    if not any(len(layer["cumulative_share"]) > 1 for layer in layers):
        return None
    label = "Share of the gradient that lies within so many steps"
    with drawing("lagshare", label, "steps back", "share of the gradient", x_ticks=whole, y_ticks=shares) as plot:
        axes = plot.axes
        for number, layer in enumerate(layers):
            share = _floats(layer["cumulative_share"])
            lags = np.arange(len(share), dtype=np.float64)
            axes.plot(*sample(lags, share), label=f"{layer['layer']}: 99 % in {layer['horizon_steps']}", **look(number))
        axes.axhline(0.99, color=MUTED, linewidth=0.8, linestyle=":")
        _mark_reach(axes, reach)
        axes.set_ylim(0, 1.03)
    return plot.svg


def exponents(layers: Sequence[Found]) -> Markup:
    """The largest Lyapunov exponents of each layer, the first with its interval."""
    label, x = "Lyapunov exponents by rank", "direction of the state, slowest first"
    with drawing("lyapunov", label, x, "exponent, nats a step", x_ticks=whole) as plot:
        axes = plot.axes
        axes.axhline(0, color=MUTED, linewidth=1, linestyle="--")
        for number, layer in enumerate(layers):
            values = _floats(layer["exponents_nats_per_step"])
            ranks = np.arange(1, len(values) + 1)
            axes.plot(
                ranks, values, marker="o", markersize=4, label=f"{layer['layer']}: {layer['regime']}", **look(number)
            )
            low, high = _floats([layer["low"], layer["high"]])
            axes.vlines(1, low, high, colors=look(number)["color"], linewidth=3, alpha=0.4)
    return plot.svg


def time_constants(layers: Sequence[Found], steps: float | None) -> Markup:
    """How long each layer's gates keep a state: from 5 to 95 % of units, the middle half thick, the median marked."""
    label, x = "Time constants of the keeping gates over units", "steps until a unit has kept 1/e"
    with drawing("constants", label, x, x_ticks=logarithmic) as plot:
        axes = plot.axes
        for place, layer in enumerate(layers):
            low, first, middle, third, high = _floats([1e6 if tau is None else tau for tau in layer["time_constants"]])
            axes.hlines(place, low, high, colors=BLUE, linewidth=1.5)
            axes.hlines(place, first, third, colors=BLUE, linewidth=7, alpha=0.5)
            axes.plot([middle], [place], color=BLUE, marker="o", markersize=5)
        if steps is not None:
            axes.axvline(steps, color=ORANGE, label=f"memory horizon: {steps:.0f} steps")
        axes.set_yticks(range(len(layers)), [layer["layer"] for layer in layers])
        axes.set_ylim(len(layers) - 0.4, -0.6)
    return plot.svg


def saturation(layers: Sequence[Found]) -> Markup:
    """For each gate the share of values near its lower and near its upper end."""
    bars = [(layer["layer"], gate) for layer in layers for gate in layer["gates"]]
    with drawing("saturation", "Share of gate values near either end", "share of gate values") as plot:
        axes = plot.axes
        low, high = (_floats([gate[key] for _, gate in bars]) for key in ("low", "high"))
        places = np.arange(len(bars))
        axes.barh(places, -low, color=ORANGE, alpha=0.6, height=0.7, label="saturated low")
        axes.barh(places, high, color=BLUE, alpha=0.6, height=0.7, label="saturated high")
        several = len(layers) > 1
        axes.set_yticks(places, [f"{layer}, {gate['gate']}" if several else gate["gate"] for layer, gate in bars])
        axes.set_ylim(len(bars) - 0.4, -0.6)
        axes.set_xlim(-1, 1)
        axes.set_xticks([-1, -0.5, 0, 0.5, 1], ["100 %", "50 %", "0", "50 %", "100 %"])
        axes.axvline(0, color=MUTED, linewidth=0.8)
    return plot.svg


def state_sizes(layers: Sequence[Found], trained: int | None) -> Markup:
    """The size of the state by step, on a logarithmic scale: h and c differ by much."""
    label = "Root mean square of the state by step"
    with drawing("state", label, "steps read", "size of the state", x_ticks=whole, y_ticks=logarithmic) as plot:
        axes = plot.axes
        lines = [
            (f"{layer['layer']}, {name}", layer["steps"], sizes)
            for layer in layers
            for name, sizes in layer["state_rms"].items()
        ]
        for number, (name, steps, sizes) in enumerate(lines):
            axes.plot(_floats(steps), np.fmax(_floats(sizes), 1e-9), label=name, **look(number))
        last = max(steps[-1] for _, steps, _ in lines)
        if trained is not None and trained < last:
            axes.axvline(trained, color=MUTED, linestyle=":", linewidth=1, label=f"trained length: {trained}")
    return plot.svg


def clipping(found: Found) -> Markup | None:
    """The share of steps that were clipped, along training; None where it never changed."""
    at, share = _floats(found["at"]), _floats(found["share_by_step"])
    if not varies(share):
        return None
    label = "Share of training steps that were clipped"
    with drawing("clipping", label, "step", "share of steps clipped", x_ticks=whole, y_ticks=shares) as plot:
        plot.axes.fill_between(at, share, color=BLUE, alpha=0.25, linewidth=0)
        plot.axes.plot(at, share, color=BLUE)
        plot.axes.set_ylim(0, 1.03)
    return plot.svg


def unused(found: Found, unit: str, reach: int | None) -> Markup:
    """Unused dependence at each lag, against the usual level."""
    label = "Unused information, in nats, of the token at each lag"
    with drawing("unused", label, f"{unit}s back", f"unused, nats a {unit}", x_ticks=whole) as plot:
        axes = plot.axes
        gain = _floats(found["gain"])
        axes.plot(np.arange(1, len(gain) + 1), gain, color=BLUE, linewidth=0.9)
        axes.axhline(found["usual"], color=MUTED, linewidth=0.8, linestyle="--", label="usual")
        _mark_reach(axes, reach)
    return plot.svg


def _floats(values: Sequence[float | None]) -> Floats:
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)


def _positive(values: Sequence[float | None]) -> tuple[Floats, Floats]:
    """Lags and values of those that a logarithm has; at least one."""
    norms = _floats(values)
    kept = np.flatnonzero(norms > 0)
    return (kept.astype(np.float64), norms[kept]) if len(kept) else (np.zeros(1), np.ones(1))


def _mark_reach(axes: Axes, reach: int | None) -> None:
    if reach is not None:
        axes.axvline(reach, color=MUTED, linestyle="--", linewidth=1, label=f"training.bptt: {reach}")
