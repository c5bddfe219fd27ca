"""All measurements of a model together, and the advice that follows."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from ostinato.diagnostics.activations import LayerActivations, layer_activations
from ostinato.diagnostics.advice import FINE, Advice, advise
from ostinato.diagnostics.facts import Training
from ostinato.diagnostics.gradients import LayerGradients, gradient_by_lag, loss_gradients
from ostinato.diagnostics.horizon import Horizon, memory_horizon
from ostinato.diagnostics.lyapunov import LayerDynamics, lyapunov_exponents
from ostinato.diagnostics.probe import json_ready, outputs, traces, undisturbed
from ostinato.diagnostics.spectra import WeightSpectrum, weight_spectra
from ostinato.diagnostics.subject import Subject
from ostinato.diagnostics.unused import UnusedContext
from ostinato.errors import DataError

NUM_EXPONENTS = 4
"""Enough to see whether the slowest direction is alone; more cost in proportion."""

LYAPUNOV_ROWS = 16
"""An exponent is an average over hundreds of steps already; 16 rows give its interval."""


@dataclass(frozen=True)
class Drift:
    """What changes when the model reads on beyond the length that training saw.

    Args:
        trained_steps: that length.
        loss_change: mean loss after the whole rows minus that after `trained_steps`, paired.
        loss_change_error: its standard error.
        growth: root mean square of the state at the end over that at `trained_steps`, the largest of all layers.
    """

    trained_steps: int
    loss_change: float
    loss_change_error: float
    growth: float


@dataclass(frozen=True)
class Diagnosis:
    """What a model can remember, why, and what to do about it.

    Args:
        num_rows: rows that gradients, gates and states were measured on.
        num_steps: of the longest.
        per_step: whether the model has a loss at each step.
        reads_every_step: whether the head reads every step (pooling), and not each row's last ones only.
        gradients: gradient by lag, of each layer and direction.
        dynamics: Lyapunov exponents, likewise; empty where a state is not finite.
        spectra: of the recurrent weights.
        activations: gates, units and states.
        horizon: loss by context: what comes before, or, around each step, on either side.
        drift: beyond the trained length; None where that is not known, or no row is longer.
        unused: dependence that the model leaves unused, by lag; language models of a run only.
        training: how it was trained; None outside a run.
        advice: what to change.
        notes: what is fine.
        name: of the recurrence, where the model has several: `encoder`, `decoder`.
        horizon_ahead: loss by the context that comes after the answered step; None where there is none.
        around: whether context is what each step sees on either side.
        remarks: what does not apply to this model, and why.
        parts: of the model's further recurrences.
    """

    num_rows: int
    num_steps: int
    per_step: bool
    reads_every_step: bool
    gradients: list[LayerGradients]
    dynamics: list[LayerDynamics]
    spectra: list[WeightSpectrum]
    activations: list[LayerActivations]
    horizon: Horizon
    drift: Drift | None = None
    unused: UnusedContext | None = None
    training: Training | None = None
    advice: tuple[Advice, ...] = ()
    notes: tuple[Advice, ...] = ()
    name: str = ""
    horizon_ahead: Horizon | None = None
    around: bool = False
    remarks: tuple[str, ...] = ()
    parts: tuple[Diagnosis, ...] = ()

    @property
    def gradient_horizon(self) -> int:
        """Steps within which 99 % of the gradient of the recurrent weights lies, in the layer where it is furthest."""
        return max(each.horizon_steps for each in self.gradients)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; what is not finite is None."""
        own = {**json_ready(replace(self, parts=())), "gradient_horizon": self.gradient_horizon}
        return {**own, "parts": [part.to_dict() for part in self.parts]}


def diagnose(
    subject: Subject,
    *,
    context: Subject | None = None,
    training: Training | None = None,
    unused: UnusedContext | None = None,
    name: str = "",
    remarks: tuple[str, ...] = (),
    seed: int = 0,
) -> Diagnosis:
    """Measure everything, without changing the model: weights, gradients, modes and random generators stay.

    Works for any trained or fresh model, with or without a run. Everything is measured in evaluation mode; where the
    loss has dropout of its own, put that into evaluation mode before.

    Args:
        subject: layers, rows and loss. About 64 rows of 400 steps are enough.
        context: the same with more rows, for the memory horizon, which is cheap and noisy; default: `subject`.
        training: how the model was trained; advice about windows, clipping and truncation needs it.
        unused: as `unused_context` measured it.
        name: of the recurrence, where the model has several.
        remarks: what does not apply to this model, and why.
        seed: of everything random.

    Raises:
        DataError: if no row has a step.

    Example:
        >>> import torch
        >>> from ostinato import nn
        >>> from ostinato.types import Ragged
        >>> rows = Ragged.from_padded(torch.randn(4, 30, 3))
        >>> subject = Subject((nn.RNN(3, 4),), rows, lambda output: output.select_last().sum(1), per_step=False)
        >>> diagnose(subject).num_steps
        30
    """
    with undisturbed(subject), _evaluating(subject, context or subject):
        activations = layer_activations(subject)
        horizon = memory_horizon(context or subject, seed)
        found = Diagnosis(
            num_rows=subject.inputs.num_rows,
            num_steps=subject.inputs.max_length,
            per_step=subject.per_step,
            reads_every_step=_reads_every_step(subject),
            gradients=gradient_by_lag(subject),
            dynamics=_dynamics(subject, seed),
            spectra=weight_spectra(subject.last(1)),
            activations=activations,
            horizon=horizon,
            horizon_ahead=None if subject.places is None else memory_horizon(context or subject, seed, ahead=True),
            around=subject.around,
            drift=None if training is None else _drift(training.trained_steps, horizon, activations),
            unused=unused,
            training=training,
            name=name,
            remarks=remarks,
        )
    return _advised(found)


def _advised(found: Diagnosis) -> Diagnosis:
    """With what should be changed, and what is fine, told apart."""
    said = advise(found)
    return replace(
        found,
        advice=tuple(advice for advice in said if advice.kind != FINE),
        notes=tuple(advice for advice in said if advice.kind == FINE),
    )


def _dynamics(subject: Subject, seed: int) -> list[LayerDynamics]:
    """Of the first rows; none where states are not finite from the beginning."""
    try:
        return lyapunov_exponents(subject.first_rows(LYAPUNOV_ROWS), NUM_EXPONENTS, seed=seed)
    except DataError:  # no row has a finite stretch that is long enough
        return []


def _reads_every_step(subject: Subject) -> bool:
    """Whether the loss of a row changes with the layers' output at a step in its middle, read off its gradient."""
    if subject.places is not None:
        return False
    layers = traces(subject)
    output = outputs(layers[-1])
    gradient, _ = loss_gradients(subject, layers)
    lengths = output.lengths[output.sorted_indices.cpu()][output.rows_index().cpu()]
    times = output.times_index().cpu()
    inner = (times > 0) & (times < lengths - 1)
    return bool(gradient.cpu()[inner].any())


def _drift(trained_steps: int | None, horizon: Horizon, activations: list[LayerActivations]) -> Drift | None:
    change = None if trained_steps is None else horizon.change(trained_steps)
    if trained_steps is None or change is None:
        return None
    growth = 0.0
    for layer in activations:
        for sizes in layer.state_rms.values():
            within = [size for step, size in zip(layer.steps, sizes, strict=True) if step <= trained_steps]
            if within[-1] > 0:
                growth = max(growth, sizes[-1] / within[-1])
    return Drift(trained_steps, *change, growth if math.isfinite(growth) else math.inf)


@contextmanager
def _evaluating(*subjects: Subject) -> Iterator[None]:
    """The layers in evaluation mode inside, each in its own mode afterwards."""
    stacks = {stack: stack.training for subject in subjects for stack in subject.stacks}
    for stack in stacks:
        stack.eval()
    try:
        yield
    finally:
        for stack, mode in stacks.items():
            stack.train(mode)
