"""The prediction for one row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Prediction:
    """The prediction for one row; fields that don't apply to the task are empty.

    `label`: the likeliest class; `abstained`: true where it was not likely enough: no label is given; `labels`: those
    at 0.5 or more (several-label models); `value`: a number (regression); `probabilities`: each class or label by name;
    `tags`: a label for each step; `text`: a sequence that was written; `candidates`: further sequences, each with its
    score (log-probability, normalised as the recipe says); `values`: numbers at each step, or of the future; `details`:
    anything else, by name (quantiles, attention).
    """

    label: str | None = None
    abstained: bool | None = None
    labels: tuple[str, ...] | None = None
    value: float | None = None
    probabilities: Mapping[str, float] | None = None
    tags: tuple[str, ...] | None = None
    text: str | None = None
    candidates: tuple[tuple[str, float], ...] | None = None
    values: tuple[Any, ...] | None = None
    details: Mapping[str, Any] | None = None

    def to_dict(self) -> dict[str, Any]:
        """What there is, by name."""
        return {key: value for key, value in self.__dict__.items() if value is not None}
