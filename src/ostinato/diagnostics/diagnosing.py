"""All measurements of a model, and the advice that follows."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace

from ostinato.diagnostics.activations import LayerActivations, layer_activations
from ostinato.diagnostics.advice import advise
from ostinato.diagnostics.diagnosis import FINE, Diagnosis, Drift
from ostinato.diagnostics.facts import Training
from ostinato.diagnostics.gradients import gradient_by_lag, loss_gradients
from ostinato.diagnostics.horizon import Horizon, memory_horizon
from ostinato.diagnostics.lyapunov import LayerDynamics, lyapunov_exponents
from ostinato.diagnostics.probe import outputs, traces, undisturbed
from ostinato.diagnostics.spectra import weight_spectra
from ostinato.errors import DataError
from ostinato.nn.modes import evaluating
from ostinato.probes.subject import Subject
from ostinato.probes.unused import UnusedContext

NUM_EXPONENTS = 4
"""Enough to see whether the slowest direction is alone; more cost in proportion."""

LYAPUNOV_ROWS = 16
"""An exponent is an average over hundreds of steps already; 16 rows give its interval."""


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
    """With advice, and notes on what is fine."""
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
    with ExitStack() as modes:
        for stack in dict.fromkeys(stack for subject in subjects for stack in subject.stacks):
            modes.enter_context(evaluating(stack))
        yield
