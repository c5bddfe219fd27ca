r"""The gradient of a recurrence as textbooks write it, matrix after matrix: what the fast way is tested against.

.. math::

    L = \sum_t L_t, \qquad
    \frac{\partial L_t}{\partial W_{hh}} = \frac{\partial L_t}{\partial o_t} \frac{\partial o_t}{\partial h_t}
        \sum_{k=1}^{t} \Big( \prod_{i=k+1}^{t} \frac{\partial h_i}{\partial h_{i-1}} \Big)
        \frac{\partial^+ h_k}{\partial W_{hh}}

h is the whole state, of an LSTM h and c side by side; o_t is the layer's output; the product has the latest step on the
left; the last factor is the immediate derivative, h_{k-1} held fixed. Sources: R. Pascanu, T. Mikolov and Y. Bengio,
"On the difficulty of training recurrent neural networks", ICML 2013, arXiv:1211.5063, equations 3-5; I. Goodfellow, Y.
Bengio and A. Courville, "Deep Learning" (2016), section 10.2.2.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.func import jacrev

from ostinato.diagnostics.probe import LayerTrace


@dataclass(frozen=True, eq=False)
class TextbookRow:
    """The gradient of one row's loss, step by step.

    Args:
        states: (L, S), dL/dh_k for each step k, along all paths through this layer and direction.
        weights: (L, G*H, P), what step k adds to dL/dW_hh: all terms of the formula with that k, for every t >= k.
            Their sum over k is dL/dW_hh.
    """

    states: Tensor
    weights: Tensor


def textbook_gradient(trace: LayerTrace, output_gradient: Tensor, weight: str = "weight_hh") -> list[TextbookRow]:
    """The formula above for each row, in their original order; meant for small sizes: time L^2 S^2 G H P a row.

    Args:
        trace: one layer in one direction, see `probe.traces`.
        output_gradient: (sum L, P), dL_t/do_t at every step, in the order of the trace's steps; zeros where a step's
            output is not read.
        weight: name of the weight to take the gradient of.

    Example:
        >>> from ostinato import nn
        >>> from ostinato.diagnostics import Subject
        >>> from ostinato.diagnostics.probe import traces
        >>> from ostinato.types import Ragged
        >>> layer, x = nn.LSTM(3, 2), torch.randn(6, 1, 3)
        >>> subject = Subject((layer,), Ragged.from_padded(x, None, False), lambda output: output.values.sum(), True)
        >>> found = textbook_gradient(traces(subject)[0][0], torch.ones(6, 2))[0]
        >>> layer(x)[0].sum().backward()
        >>> torch.allclose(found.weights.sum(0), layer.weight_hh_l0.grad, atol=1e-5)
        True
    """
    ragged = trace.states
    parts = (trace.project(trace.inputs.values), trace.states_before(), ragged.values, output_gradient)
    rows = zip(*(ragged.with_values(part).split_rows() for part in parts), strict=True)
    return [_row(trace, weight, *row) for row in rows]


def _row(
    trace: LayerTrace, weight: str, x: Tensor, before: Tensor, states: Tensor, output_gradient: Tensor
) -> TextbookRow:
    jacobians, immediates, read_outs = [], [], []
    for step in range(len(x)):
        jacobians.append(_state_jacobian(trace, x[step], before[step]))
        immediates.append(_immediate(trace, weight, x[step], before[step]))
        read_outs.append(_read_out(trace, states[step]))
    from_states = torch.zeros_like(states)
    from_weights = states.new_zeros((len(x), *trace.weights[weight].shape))
    for t in range(len(x)):
        loss_to_state = output_gradient[t] @ read_outs[t]  # dL_t/do_t do_t/dh_t, (S,)
        product = torch.eye(trace.state_size).to(states)
        for k in range(t, -1, -1):
            reached = loss_to_state @ product
            from_states[k] += reached
            from_weights[k] += torch.tensordot(reached, immediates[k], dims=1)
            product = product @ jacobians[k]  # the factor i = k of the k before
    return TextbookRow(from_states, from_weights)


def _state_jacobian(trace: LayerTrace, x: Tensor, before: Tensor) -> Tensor:
    """dh_i/dh_{i-1}, (S, S)."""
    found: Tensor = jacrev(lambda state: trace.step(x[None], state[None])[0])(before)
    return found


def _immediate(trace: LayerTrace, weight: str, x: Tensor, before: Tensor) -> Tensor:
    """The immediate derivative of h_k with respect to the weight, (S, G*H, P)."""

    def step(value: Tensor) -> Tensor:
        return trace.step(x[None], before[None], {**trace.weights, weight: value})[0]

    found: Tensor = jacrev(step)(trace.weights[weight])
    return found


def _read_out(trace: LayerTrace, state: Tensor) -> Tensor:
    """do_t/dh_t, (P, S)."""
    found: Tensor = jacrev(lambda each: trace.output(each[None])[0])(state)
    return found
