"""Which earlier steps a step's surprise came from: gradients, and integrated gradients."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from ostinato.diagnostics.probe import undisturbed
from ostinato.errors import RecipeError, RunError
from ostinato.exploration.track import Track
from ostinato.nn.modes import evaluating
from ostinato.probes.subject import Subject
from ostinato.tasks.generation import OpenRun
from ostinato.tasks.probing import Reading
from ostinato.tasks.registry import task_of
from ostinato.types import State

Method = Literal["gradient", "integrated"]
NUM_STEPS = 200
_POINTS = 32
_LEAST = 2


@dataclass(frozen=True)
class Attribution:
    """What a step's loss came from.

    Args:
        at: the step.
        first: the step of the first value.
        values: of each step from `first` to that before `at`: gradient times what was read, summed over its features.
            Where it is above zero, reading it made the loss larger.
        loss: at the step, in nats.
        without: with nothing (zeros) read from `first` on; of `integrated` the values add up to the loss less this.
    """

    at: int
    first: int
    values: list[float]
    loss: float
    without: float

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


def attribute(
    run: OpenRun, track: Track, at: int, method: Method = "integrated", num_steps: int = NUM_STEPS
) -> Attribution:
    r"""Of the loss at a step of a track to the steps before it, in its row.

    `gradient` is :math:`x_t \cdot \partial \ell / \partial x_t`; `integrated` its mean along the straight way from
    nothing read to what was read, at 32 points (M. Sundararajan, A. Taly and Q. Yan, "Axiomatic attribution for deep
    networks", ICML 2017), whose values add up. The state that the first of these steps begins in is kept as it was.

    Args:
        run: whose track it is.
        track: of it.
        at: the step, at least the third of its row.
        method: `gradient` or `integrated`.
        num_steps: that are looked at, up to the row's beginning.

    Raises:
        RecipeError: for a step that has fewer before it.
        RunError: for a model that has no loss at a step, or reads further columns.
    """
    position = int(track.exploration.columns["position"][at]) if 0 <= at < track.num_steps else 0
    if position < _LEAST:
        raise RecipeError(f"a step with at least {_LEAST} before it in its row was expected. Received: {at}.")
    first = at - min(num_steps, position)
    spec = task_of(run.recipe)
    reading = Reading(spec, run.model, track.examples(first, at + 1), run.features, run.recipe)
    with evaluating(run.model):
        part = spec.probes(reading, at - first)[0]
        subject = part.make(1, 0)
        if not subject.per_step or len(subject.inputs.values) > at - first:
            raise RunError(
                "only a model with a loss at each step, such as a language model, says where that came from."
            )
        first = at - len(subject.inputs.values)
        subject = replace(subject, initial=initial_states(track, first, subject))
        with undisturbed(subject):
            return _attributed(subject, at, first, method)


def _attributed(subject: Subject, at: int, first: int, method: Method) -> Attribution:
    read = subject.inputs.values.detach()
    shares = [1.0] if method == "gradient" else [(point + 0.5) / _POINTS for point in range(_POINTS)]
    total = torch.zeros_like(read)
    for share in shares:
        given = (share * read).requires_grad_()
        (gradient,) = torch.autograd.grad(_loss(subject, given), given)
        total += gradient
    with torch.no_grad():
        loss, without = float(_loss(subject, read)), float(_loss(subject, torch.zeros_like(read)))
    values = (read * total / len(shares)).sum(1).double()
    return Attribution(at, first, values.tolist(), loss, without)


def _loss(subject: Subject, given: Tensor) -> Tensor:
    one = replace(subject, inputs=subject.inputs.with_values(given))
    return one.losses(*one.run()).sum()


def initial_states(track: Track, first: int, subject: Subject) -> list[State] | None:
    """The state before `first`, as the track has it; None: the row begins there."""
    if not int(track.exploration.columns["position"][first]):
        return None
    found, layer = list[State](), 0
    for stack in subject.stacks:
        if stack.bidirectional:
            return None
        names = [f"layer {layer + number + 1}" for number in range(stack.num_layers)]
        layer += stack.num_layers
        parts = [
            [track.pyramids[f"{name}.{part}"].values[first - 1] for name in names] for part in stack.cell.state_names
        ]
        like = subject.inputs.values
        found.append(tuple(torch.from_numpy(np.stack(one).astype(np.float32)).to(like)[:, None] for one in parts))
    return found
