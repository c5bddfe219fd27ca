"""How a run's model was trained, as far as a diagnosis needs it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ostinato.data.dataset import Examples
from ostinato.diagnostics.thresholds import LATE_SHARE
from ostinato.probes.part import Part
from ostinato.probes.subject import Subject
from ostinato.recipe import BpttRecipe, Recipe

_CURVE_POINTS = 60


@dataclass(frozen=True)
class Clipping:
    """Clipping according to the log.

    Args:
        clip: `training.clip`.
        max_norm: the threshold.
        num_steps: steps in the log.
        share: of the steps that were clipped.
        late_share: of those in the last half of training.
        typical_norm: median norm before clipping in the last half.
        at: steps along training.
        share_by_step: share clipped around each of `at`.
        norm_by_step: median norm around each of `at`.
    """

    clip: str
    max_norm: float
    num_steps: int
    share: float
    late_share: float
    typical_norm: float
    at: list[int]
    share_by_step: list[float]
    norm_by_step: list[float]


@dataclass(frozen=True)
class Training:
    """How the model was trained.

    Args:
        cell: of the layers.
        hidden_size: units of a layer.
        window: k1 of `training.bptt`; None: whole rows.
        reach: k2, steps that gradients go back; None: all the way.
        carry_state: whether a window begins in the state that the one before left.
        max_length: `features.input.max_length`.
        truncate: `features.input.truncate`.
        share_cut: of the rows diagnosed on that are `max_length` long; None where none may be cut.
        unit: what a step is: `word`, `character`, `frame`.
        clipping: None without a log.
        lookback: how far back the rows reach, where an option says so.
        lookback_option: which.
    """

    cell: str
    hidden_size: int
    window: int | None
    reach: int | None
    carry_state: bool
    max_length: int | None
    truncate: str
    share_cut: float | None
    unit: str
    clipping: Clipping | None = field(default=None)
    lookback: int | None = None
    lookback_option: str = ""

    @property
    def trained_steps(self) -> int | None:
        """Steps after which what the model reads is longer than anything that a gradient has seen; None: unknown."""
        return self.reach if self.reach is not None else self.max_length

    @property
    def state_reset_interval(self) -> int | None:
        """Steps after which the state was zero again in training; None: never."""
        return None if self.carry_state else self.window


def training_facts(
    recipe: Recipe, steps: list[dict[str, Any]], examples: Examples, part: Part, subject: Subject
) -> Training:
    """Collect them.

    Args:
        recipe: resolved.
        steps: of the log.
        examples: the rows that are diagnosed on.
        part: the recurrence.
        subject: it at work.
    """
    bptt = recipe.training.bptt or BpttRecipe()
    cut: int | None = getattr(recipe.features.input, "max_length", None) if part.reads_input else None
    stack, lookback = subject.stacks[0], part.lookback
    return Training(
        cell=stack.cell.name,
        hidden_size=stack.hidden_size,
        window=bptt.window,
        reach=bptt.reach,
        carry_state=bptt.carry_state,
        max_length=cut,
        truncate=getattr(recipe.features.input, "truncate", "tail"),
        share_cut=None if cut is None else float((examples.sequences.lengths >= cut).mean()),
        unit=part.unit,
        clipping=clipping_facts(recipe.training.clip, recipe.training.max_norm, steps),
        lookback=lookback.steps if lookback else None,
        lookback_option=lookback.option if lookback else "",
    )


def clipping_facts(clip: str, max_norm: float, steps: list[dict[str, Any]]) -> Clipping | None:
    """Shares of clipped steps and typical norms; None without a step in the log."""
    if not steps:
        return None
    clipped = np.array([bool(step["clipped"]) for step in steps])
    norms = np.array([float(step["gradient_norm"]) for step in steps])
    late = slice(int(len(steps) * (1 - LATE_SHARE)), None)
    parts = np.array_split(np.arange(len(steps)), min(_CURVE_POINTS, len(steps)))
    return Clipping(
        clip=clip,
        max_norm=max_norm,
        num_steps=len(steps),
        share=float(clipped.mean()),
        late_share=float(clipped[late].mean()),
        typical_norm=float(np.median(norms[late])),
        at=[int(steps[int(part[len(part) // 2])]["step"]) for part in parts],
        share_by_step=[float(clipped[part].mean()) for part in parts],
        norm_by_step=[float(np.median(norms[part])) for part in parts],
    )
