"""The one sentence: is recurrence worth it here?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from ostinato.evaluation.baselines.paired import Gap
from ostinato.evaluation.metrics import Metrics

NAMES = {
    "accuracy": "accuracy",
    "f1": "F1",
    "micro_f1": "micro F1",
    "rmse": "root mean squared error",
    "mae": "mean absolute error",
    "mse": "mean squared error",
    "token_error_rate": "token error rate",
    "bits_per_character": "bits per character",
    "bits_per_token": "bits per token",
    "nats_per_frame": "nats per frame",
}
"""What each figure is called."""
_SHARES = ("accuracy", "token_error_rate")
_MANY_TIMES = 3.0


class Measured(Protocol):
    """One method, as far as the sentence speaks of it."""

    @property
    def name(self) -> str:
        """As the table shows it."""

    @property
    def metrics(self) -> Metrics:
        """Single numbers."""

    @property
    def seconds(self) -> float | None:
        """Of training."""

    @property
    def num_bytes(self) -> int:
        """Of its parameters."""

    @property
    def gap(self) -> Gap | None:
        """By how much the run's model is better."""


def conclude(figure: str, lower: bool, own: Measured, rivals: Sequence[Measured], num_units: int, unit: str) -> str:
    """Of the run's model and the best of its rivals: which is better by `figure`, by how much, and at what cost."""
    if not rivals:
        return "No rival was tried, so that nothing can be said."
    best = (min if lower else max)(rivals, key=lambda rival: rival.metrics[figure])
    gap = best.gap
    if gap is None:
        return "No rival was compared."
    name, theirs, ours = (
        NAMES.get(figure, figure),
        written(best.metrics[figure], figure),
        written(own.metrics[figure], figure),
    )
    cost = f"{theirs} {name} in {duration(best.seconds)} and {size(best.num_bytes)}"
    mine = f"{ours} took {duration(own.seconds)} and {size(own.num_bytes)}"
    spread = f"at 95 % the recurrent model is better by {signed(gap.low, figure)} to {signed(gap.high, figure)}"
    proof = f"{spread}, paired over {num_units:,} {unit}"
    if gap.verdict == "worse":
        return f"{best.name} reaches {cost}; the recurrent model's {mine}: recurrence is not worth it here ({proof})."
    if gap.verdict == "better":
        return (
            f"The recurrent model's {mine}; the best rival, {best.name}, reaches {cost}: {_worth(own, best)} ({proof})."
        )
    return (
        f"{best.name} reaches {cost}; the recurrent model's {mine}: the difference is within noise, so that recurrence "
        f"is not shown to be worth it here ({proof})."
    )


def _worth(own: Measured, best: Measured) -> str:
    if own.seconds and best.seconds and own.seconds > _MANY_TIMES * best.seconds:
        return f"recurrence is better here, for {own.seconds / max(best.seconds, 0.01):,.0f} times the training time"
    return "recurrence is worth it here"


def written(value: float, figure: str) -> str:
    """A figure as people write it."""
    return f"{100 * value:.1f} %" if figure in _SHARES else f"{value:.3f}"


def signed(value: float, figure: str) -> str:
    """A difference, with its sign; of shares in points."""
    text = f"{100 * value:+.1f}" if figure in _SHARES else f"{value:+.3f}"
    return text.replace("-", "−")


def duration(seconds: float | None) -> str:
    """Of training."""
    if seconds is None:
        return "an unknown time"
    if seconds < 1:
        return "less than a second"
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


def size(num_bytes: int) -> str:
    """In the unit that is read most easily."""
    for unit, factor in (("MB", 1e6), ("kB", 1e3)):
        if num_bytes >= factor:
            return f"{num_bytes / factor:,.{1 if num_bytes < 10 * factor else 0}f} {unit}"
    return f"{num_bytes} bytes"
