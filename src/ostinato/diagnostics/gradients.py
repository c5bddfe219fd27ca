r"""How far the gradient of a loss reaches back, measured on real sequences: its norm, and what it adds, lag by lag.

.. math::

    \frac{\partial L}{\partial s_j} = \frac{\partial L}{\partial y_j} \frac{\partial y_j}{\partial s_j}
        + \frac{\partial L}{\partial s_{j+1}} \frac{\partial s_{j+1}}{\partial s_j}, \qquad
    \frac{\partial L}{\partial W_{hh}} = \sum_j C_j, \quad
    C_j = \frac{\partial L}{\partial s_j} \frac{\partial^+ s_j}{\partial W_{hh}}

s_j is the state after step j (of an LSTM, h and c together), y_j the layer's output, and the last factor the immediate
derivative: that of one step, the state before it held fixed. The lag of s_j is the number of recurrent steps from it to
the last one of its direction: of a row of L steps T - j with T = L for the forward direction; the reverse direction
takes its last step at the row's first value. Where the loss is that of a step within the row (`Subject.places`), lags
count from that step, in either direction; what a direction does beyond it reaches it through the layer above alone, and
is left out. Solved from the end it is the sum over products of Jacobians that
`textbook` writes out. Sources: P. Werbos, "Backpropagation through time", Proc. IEEE 78 (1990); R. Pascanu, T. Mikolov
and Y. Bengio, "On the difficulty of training recurrent neural networks", ICML 2013, arXiv:1211.5063, equations 3-5.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.func import vjp, vmap

from ostinato.diagnostics.probe import LayerTrace, Measured, outputs, traces, undisturbed
from ostinato.errors import RecipeError
from ostinato.probes.subject import Subject, by_stack
from ostinato.types import Ragged, State

HORIZON_SHARE = 0.99
"""The share of the gradient of W_hh that lies within the horizon."""

_BYTES_AT_ONCE = 2**24
_MOST_FIT_POINTS = 400


@dataclass(frozen=True)
class LayerGradients(Measured):
    """How the gradient of one layer in one direction goes back in time; index k of every list is lag k.

    Args:
        layer: `layer 1`, `layer 1 reverse`, ...
        norms: geometric mean over rows of the norm of dL/ds at that lag, in units of the norm of the row's gradient at
            the last layer's output. Rows that are shorter, or whose gradient is exactly zero there, are left out; 0.0
            where none is left.
        low: 10 % quantile over the rows that are long enough, zeros among them.
        high: 90 % quantile of the same.
        share: of the gradient of W_hh: ||C_k|| / sum_j ||C_j|| of each row, averaged over the rows in which it is not
            zero; a short row has nothing at long lags. A row's first step adds nothing, as it begins with h = 0. Adds
            up to 1 over all lags, or to 0 if no gradient arrives.
        horizon_steps: the smallest lag up to which at least 99 % of the share lies; 0 if no gradient arrives.
        factor_per_step: by which the norm changes with each step back, from a robust line through its logarithm: 0.93
            shrinks to 1e-3 in 95 steps. None with fewer than three lags that at least half of the rows reach.
        cumulative_share: running sum of `share`.
        num_rows: rows long enough, at each lag.
    """

    layer: str
    norms: list[float]
    low: list[float]
    high: list[float]
    share: list[float]
    horizon_steps: int
    factor_per_step: float | None
    cumulative_share: list[float] = field(default_factory=list)
    num_rows: list[int] = field(default_factory=list)


@dataclass(frozen=True, eq=False)
class RowGradients:
    """The gradients of one layer in one direction, row by row, before anything is averaged.

    Args:
        trace: where they were measured.
        states: (sum L, S) float64, dL/ds_j of each row's own loss, index 0 being lag 0: rows run back in time.
        norms: (sum L,) float64, of each C_j, in the same order.
    """

    trace: LayerTrace
    states: Ragged
    norms: Ragged


def gradient_by_lag(subject: Subject, max_lag: int | None = None) -> list[LayerGradients]:
    """How far back the loss of a subject's rows reaches, for each layer and direction.

    Each row's gradient is divided by its norm at the output of the last layer (all steps together), so that a row which
    the model has learnt well, with a small loss, counts like any other. The gradient of a state is the whole one, along
    every path: later steps, outputs that are read elsewhere (pooling over all steps), and the layers above.

    One pass back through time a layer and direction, in float64 between the steps, so that vanishing and exploding
    gradients keep their size from 1e-300 to 1e300.

    Args:
        subject: layers, rows and loss; its weights, gradients and torch's random generators stay as they are.
        max_lag: the longest lag to report, >= 0; default: all. The shares are those of the whole gradient all the same.

    Raises:
        DataError: if no row has a step.
        RecipeError: if `max_lag` is negative.

    Example:
        >>> from ostinato import nn
        >>> _ = torch.manual_seed(0)
        >>> rows = Ragged.from_padded(torch.randn(2, 30, 3))
        >>> subject = Subject((nn.RNN(3, 4),), rows, lambda output: output.select_last().sum(1), per_step=False)
        >>> found = gradient_by_lag(subject)[0]
        >>> found.layer, len(found.norms), found.horizon_steps < 29
        ('layer 1', 30, True)
    """
    if max_lag is not None and max_lag < 0:
        raise RecipeError(f"`max_lag` must not be negative. Received: {max_lag}.")
    return [_summary(found, max_lag) for found in row_gradients(subject)]


def row_gradients(subject: Subject) -> list[RowGradients]:
    """The gradients of every layer and direction, the lowest layer first, row by row; see `gradient_by_lag`."""
    layers = traces(subject)
    found: list[RowGradients] = []
    gradient, finals = loss_gradients(subject, layers)
    for directions, ends in zip(reversed(layers), reversed(finals), strict=True):
        parts = gradient.chunk(len(directions), dim=1)
        done = [
            _walk_back(trace, trace.to_time(part), end)
            for trace, part, end in zip(directions, parts, ends, strict=True)
        ]
        found = [_from_answer(rows, subject.places) for rows, _ in done] + found
        gradient = torch.stack([below for _, below in done]).sum(0)
    return found


def loss_gradients(subject: Subject, layers: list[list[LayerTrace]]) -> tuple[Tensor, list[list[Tensor]]]:
    """dL/dy (sum L, D*P) of the last layer's output, and dL/ds (N, S) of the last state of each layer and direction,
    in the order of the packed rows: all of a row together of norm 1, or zero; float64."""
    output = outputs(layers[-1])
    with torch.enable_grad(), undisturbed(subject):
        leaf = output.values.detach().requires_grad_()
        ends = [[trace.states.select_last().detach().requires_grad_() for trace in directions] for directions in layers]
        total = subject.losses(output.with_values(leaf), _final_states(subject, layers, ends)).sum()
        every = [leaf, *(end for directions in ends for end in directions)]
        gradient, *rest = torch.autograd.grad(total, every, allow_unused=True, materialize_grads=True)
    order = output.sorted_indices
    given = iter(rest)
    finals = [[next(given).double()[order] for _ in directions] for directions in layers]
    gradient, rows = gradient.double(), output.rows_index()
    squares = gradient.new_zeros(output.num_rows).index_add(0, rows, gradient.square().sum(1))
    for final in (each for directions in finals for each in directions):
        squares = squares + final.square().sum(1)
    size = squares.sqrt().masked_fill(squares == 0, 1.0)
    return gradient / size[rows].unsqueeze(1), [[each / size.unsqueeze(1) for each in ends] for ends in finals]


def _final_states(subject: Subject, layers: list[list[LayerTrace]], ends: list[list[Tensor]]) -> list[State]:
    """Last states (N, S) of each layer and direction as a stack returns them, (D*num_layers, N, H) a tensor."""
    states: list[State] = []
    for own in by_stack(subject.stacks, zip(layers, ends, strict=True)):
        split = [torch.split(end, list(trace.sizes), dim=1) for pair in own for trace, end in zip(*pair, strict=True)]
        states.append(tuple(torch.stack(parts) for parts in zip(*split, strict=True)))
    return states


def _from_answer(found: RowGradients, places: Tensor | None) -> RowGradients:
    """Without the steps that a direction takes after the answered one, so that lag 0 is that one."""
    if places is None:
        return found
    lengths = found.states.lengths
    kept = lengths - places if found.trace.reverse else places + 1
    starts = lengths.cumsum(0) - kept

    def cut(ragged: Ragged) -> Ragged:
        return Ragged.from_rows(ragged.row_major(), starts, kept)

    return RowGradients(found.trace, cut(found.states), cut(found.norms))


@torch.no_grad()
def _walk_back(trace: LayerTrace, gradient: Tensor, final: Tensor) -> tuple[RowGradients, Tensor]:
    """All rows of a layer and direction from their last step to their first, aligned there.

    Args:
        trace: the layer.
        gradient: (sum L, P) float64, dL/dy in the order of the trace's steps.
        final: (N, S) float64, what the last state adds to that, in the order of the packed rows.

    Returns:
        what was found, and dL/dx (sum L, I), float64 in the order of the batch.
    """
    read_out = _pull_output(trace, gradient)
    like = trace.states

    def back(values: Tensor) -> list[Tensor]:
        return list(torch.split(like.with_values(values).reversed().values, like.batch_sizes.tolist()))

    pull = _step_pull(trace)
    delta = final
    deltas, norms, below = [], [], []
    steps = zip(back(read_out), back(trace.project(trace.inputs.values)), back(trace.states_before()), strict=True)
    for direct, x, before in steps:
        delta = delta[: len(direct)] + direct
        size = delta.norm(dim=1, keepdim=True)
        unit = (delta / size.masked_fill(size == 0, 1.0)).to(before.dtype)
        deltas.append(delta)
        to_x, to_state, squares = pull(x, before, unit)
        norms.append(squares.double().sqrt() * size.squeeze(1))
        below.append(to_x.double() * size)
        delta = to_state.double() * size
    lagged = like.reversed()
    found = RowGradients(trace, lagged.with_values(torch.cat(deltas)), lagged.with_values(torch.cat(norms)))
    return found, trace.to_time(_pull_input(trace, like.with_values(torch.cat(below)).reversed().values))


def _step_pull(trace: LayerTrace) -> Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor, Tensor]]:
    """From (x, state before, dL/ds) of a step to dL/dx, dL/d(state before) and ||C||^2 of each row."""
    recurrent = trace.recurrent_weights()

    def one_row(x: Tensor, before: Tensor, unit: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        def step(x: Tensor, state: Tensor, weights: dict[str, Tensor]) -> Tensor:
            return trace.step(x[None], state[None], {**trace.weights, **weights})[0]

        to_x, to_state, to_weights = vjp(step, x, before, recurrent)[1](unit)
        return to_x, to_state, torch.stack([each.square().sum() for each in to_weights.values()]).sum()

    a_row = sum(each.numel() * each.element_size() for each in recurrent.values())
    pulled: Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor, Tensor]] = vmap(
        one_row, chunk_size=max(1, _BYTES_AT_ONCE // max(1, a_row))
    )
    return pulled


def _pull_output(trace: LayerTrace, gradient: Tensor) -> Tensor:
    """(sum L, S) float64: dL/dy through `cell.output`, the state's later steps left aside."""
    states = trace.states.values.double()
    found: Tensor = vjp(trace.output, states)[1](gradient)[0]
    return found


def _pull_input(trace: LayerTrace, gradient: Tensor) -> Tensor:
    """(sum L, I) float64: the gradient of the projected inputs through `cell.project`."""
    weights = {name: each.double() for name, each in trace.weights.items()}
    inputs = trace.inputs.values.double()
    found: Tensor = vjp(lambda values: trace.cell.project(values, weights), inputs)[1](gradient)[0]
    return found


def _summary(found: RowGradients, max_lag: int | None) -> LayerGradients:
    """Averages over rows, lag by lag."""
    counts = found.norms.batch_sizes.tolist()
    contributions = found.norms.values.cpu()
    rows = found.norms.rows_index().cpu()
    totals = torch.zeros(found.norms.num_rows, dtype=torch.float64).index_add(0, rows, contributions)
    shares = contributions / totals.masked_fill(totals == 0, 1.0)[rows]
    contributing = max(1, int((totals > 0).sum()))
    share = np.array([float(part.sum()) for part in torch.split(shares, counts)]) / contributing
    by_lag = [part.numpy() for part in torch.split(found.states.values.norm(dim=1).cpu(), counts)]
    means = [_geometric_mean(part) for part in by_lag]
    bounds = [np.quantile(part, (0.1, 0.9)).tolist() for part in by_lag]
    running = share.cumsum()
    kept = slice(None, None if max_lag is None else max_lag + 1)
    return LayerGradients(
        layer=found.trace.layer,
        norms=means[kept],
        low=[each[0] for each in bounds[kept]],
        high=[each[1] for each in bounds[kept]],
        share=share[kept].tolist(),
        horizon_steps=int(np.argmax(running >= HORIZON_SHARE * running[-1])),
        factor_per_step=_factor([mean for mean, count in zip(means, counts, strict=True) if 2 * count >= counts[0]]),
        cumulative_share=running[kept].tolist(),
        num_rows=counts[kept],
    )


def _geometric_mean(values: np.ndarray[Any, np.dtype[np.float64]]) -> float:
    positive = values[values > 0]
    return float(np.exp(np.log(positive).mean())) if len(positive) else 0.0


def _factor(norms: list[float]) -> float | None:
    """exp of the median slope of the logarithm between any two lags (Theil 1950, Sen 1968)."""
    lags = np.array([lag for lag, norm in enumerate(norms) if 0 < norm < math.inf])
    if len(lags) < 3:
        return None
    lags = lags[np.unique(np.linspace(0, len(lags) - 1, min(len(lags), _MOST_FIT_POINTS)).round().astype(int))]
    logs = np.log(np.array(norms)[lags])
    first, second = np.triu_indices(len(lags), k=1)
    return float(np.exp(np.median((logs[second] - logs[first]) / (lags[second] - lags[first]))))
