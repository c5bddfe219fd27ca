r"""A penalty on gradients that shrink or grow on their way back.

.. math::

    \Omega = \operatorname{mean}_t \left(
        \frac{\lVert \delta_{t+1} \, \partial s_{t+1} / \partial s_t \rVert}{\lVert \delta_{t+1} \rVert} - 1 \right)^2,
    \qquad \delta_t = \frac{\partial L}{\partial s_t}

with s the state (h, or h and c) and L the batch's loss. As in the source, only :math:`\partial s_{t+1} / \partial s_t`
is differentiated, by the weights of the layer, with states and :math:`\delta` taken as constants. Source: R. Pascanu,
T. Mikolov and Y. Bengio, "On the difficulty of training recurrent neural networks", ICML 2013, section 3.3, eq. 9-10.
Deviation: the mean over steps and rows in place of the sum over steps, so that its weight does not depend on how many.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import cast

import torch
from torch import Tensor, nn

from ostinato.cells import Cell, Weights
from ostinato.nn import RecurrentStack
from ostinato.nn.stack import LayerCall
from ostinato.types import Ragged, State

_TINY, _ZERO = 1e-30, 1e-12


@contextmanager
def recording(model: nn.Module) -> Iterator[list[LayerCall]]:
    """Record the calls of all recurrent layers of a model while the context lasts; their outputs retain gradients."""
    calls: list[LayerCall] = []

    def hook(call: LayerCall) -> None:
        if call.output.requires_grad:
            call.output.retain_grad()
            calls.append(call)

    with hooked(model, hook):
        yield calls


@contextmanager
def hooked(model: nn.Module, hook: Callable[[LayerCall], None]) -> Iterator[None]:
    """While the context lasts, `hook` is called with every call of a model's recurrent layers."""
    stacks = [module for module in model.modules() if isinstance(module, RecurrentStack)]
    for stack in stacks:
        stack.call_hook = hook
    try:
        yield
    finally:
        for stack in stacks:
            stack.call_hook = None


def vanishing_penalty(calls: list[LayerCall]) -> Tensor:
    r""":math:`\Omega`, the mean over layers and directions; call it when the loss's gradients are there.

    Only the layers' weights get a gradient of it.
    """
    found = [
        _direction(call, direction)
        for call in calls
        for direction in range(call.stack.num_directions)
        if call.output.grad is not None and call.input.max_length > 1
    ]
    return torch.stack(found).mean() if found else torch.zeros(())


def _direction(call: LayerCall, direction: int) -> Tensor:
    stack, weights = call.stack, call.stack.weights_of(call.layer, direction)
    values = call.input.values if call.table is None else call.table[call.input.values]
    read, direct = call.input.with_values(values.detach()), cast("Tensor", call.output.grad)
    direct = direct.chunk(stack.num_directions, 1)[direction]
    if direction:
        read, direct = read.reversed(), call.input.with_values(direct).reversed().values
    projected = stack.cell.project(read.values, weights)
    before, deltas = _replay(stack.cell, read, projected.detach(), weights, _at(call.initial, direction), direct)
    later = read.times_index() > 0  # step 0 has no state before it that this batch made
    state = tuple(part[later].requires_grad_() for part in before)
    after = stack.cell.step(projected.detach()[later], state, weights)
    norms = torch.cat(deltas, 1)[later].norm(dim=1, keepdim=True)
    unit = tuple(part[later] / norms.clamp(min=_TINY) for part in deltas)
    back = torch.cat(torch.autograd.grad(after, state, unit, create_graph=True), 1)
    ratio = (back.square().sum(1) + _ZERO**2).sqrt()
    alive = norms.squeeze(1) > _TINY  # after the last loss of a row there is no gradient
    return (ratio[alive] - 1).square().mean() if bool(alive.any()) else ratio.sum() * 0.0


def _replay(
    cell: Cell, read: Ragged, projected: Tensor, weights: Weights, state: State, direct: Tensor
) -> tuple[State, State]:
    """The state before each step, and the loss's whole gradient by the state after it, (sum L, H) each.

    Args:
        direct: (sum L, H), the gradient that reaches a step's output from above.
    """
    counts = read.batch_sizes.tolist()
    fixed = {name: weight.detach() for name, weight in weights.items()}
    before: list[State] = []
    for x in torch.split(projected, counts):
        before.append(tuple(part[: len(x)].detach() for part in state))
        with torch.no_grad():
            state = cell.step(x, before[-1], fixed)
    steps = list(zip(torch.split(projected, counts), before, torch.split(direct, counts), strict=True))
    deltas: list[State] = []
    back: State = tuple(part[:0] for part in state)
    for x, start, above in reversed(steps):
        with torch.enable_grad():
            begin = tuple(part.requires_grad_() for part in start)
            after = cell.step(x, begin, fixed)
            ended = tuple(part.detach().requires_grad_() for part in after)  # h and c, apart from each other
            output = cell.output(ended)
        through = torch.autograd.grad(output, ended, above, allow_unused=True)
        delta = tuple(
            _padded(later, len(x)) + (0.0 if own is None else own) for later, own in zip(back, through, strict=True)
        )
        deltas.append(delta)
        back = torch.autograd.grad(after, begin, delta)
    return _joined(before), _joined(deltas[::-1])


def _padded(part: Tensor, num_rows: int) -> Tensor:
    """With rows of zeros for those that end here."""
    return torch.cat([part, part.new_zeros(num_rows - len(part), part.shape[1])])


def _joined(steps: list[State]) -> State:
    return tuple(torch.cat(parts).detach() for parts in zip(*steps, strict=True))


def _at(initial: State, direction: int) -> State:
    return tuple(part[direction].detach() for part in initial)
