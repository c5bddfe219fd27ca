r"""Whether a recurrence forgets, keeps or amplifies a small change of its state, measured along real sequences.

A change u of the state grows from step to step by the step's Jacobian, ``u_t = J_t u_{t-1}``, ``J_t = ds_t / ds_{t-1}``
at the states and inputs that the layer really went through. The Lyapunov exponents are its average rates of growth in
the S directions of the state,

.. math::

    \lambda_i = \lim_{T \to \infty} \frac{1}{T} \sum_{t=1}^{T} \ln (R_t)_{ii}, \qquad Q_t R_t = J_t Q_{t-1}

in nats a step, the largest first: an orthonormal basis Q is carried along and made orthonormal again by a QR
factorisation. The gradient goes through the same Jacobians the other way, so that ``lambda_1 < 0`` is the rate at which
it vanishes and ``-1 / lambda_1`` the number of steps in which it falls to 1/e. Sources: G. Benettin et al., "Lyapunov
characteristic exponents for smooth dynamical systems", Meccanica 15 (1980); R. Engelken, F. Wolf and L. Abbott (2020),
arXiv:2006.02427, for recurrent networks; R. Vogt et al., "On Lyapunov exponents for RNNs", Frontiers in Applied
Mathematics and Statistics 8 (2022), along the inputs of a trained network.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor
from torch.func import vjp, vmap

from ostinato.diagnostics.probe import LayerTrace, Measured, traces
from ostinato.errors import DataError, RecipeError
from ostinato.probes.subject import Subject
from ostinato.types import Ragged

NEAR_CRITICAL_NATS_PER_STEP = 0.01
"""As long as the largest exponent may be this near to zero, a change lasts (or takes to grow) 100 steps."""

_MOST_WARM_UP_STEPS = 50
_NUM_RESAMPLES = 2000


@dataclass(frozen=True)
class LayerDynamics(Measured):
    """The Lyapunov exponents of one layer in one direction.

    Args:
        layer: `layer 1`, `layer 1 reverse`, ...
        exponents_nats_per_step: the first of them, the largest first, each the mean over rows. Minus infinity where
            every change in a direction dies within a step.
        low: lower end of the 95 % interval of the mean of the largest exponent over rows (percentile bootstrap).
        high: its upper end. With one row the interval has no width.
        regime: `vanishing` if high < -0.01 nats a step, `exploding` if low > 0.01, else `near-critical`.
        time_constant_steps: -1 / largest exponent, in which a change of the state falls to 1/e; None if it does not
            fall.
        kaplan_yorke_dimension: of the attractor that the state moves on, after J. Kaplan and J. Yorke (1979): 0 where
            every change vanishes, S where volumes do not shrink. None unless all S exponents were asked for.
        num_rows: rows that were long enough.
        warm_up_steps: steps at the beginning of each that were not counted.
    """

    layer: str
    exponents_nats_per_step: list[float]
    low: float
    high: float
    regime: str
    time_constant_steps: float | None
    kaplan_yorke_dimension: float | None = None
    num_rows: int = 0
    warm_up_steps: int = 0


def lyapunov_exponents(
    subject: Subject, num_exponents: int = 10, warm_up: int | None = None, qr_every: int = 1, seed: int = 0
) -> list[LayerDynamics]:
    """The first Lyapunov exponents of each layer and direction along a subject's rows.

    Args:
        subject: layers and rows; nothing of it changes.
        num_exponents: how many, >= 1; of a layer with fewer state features all, S.
        warm_up: steps, >= 0, at the beginning of each row in which the basis finds its directions and nothing is
            counted; rows that are no longer are left out. Default: a fifth of the median row, at most 50.
        qr_every: steps from one factorisation to the next, >= 1. More is faster, until the vectors of the basis fall
            together: keep ``exp(qr_every * (largest - smallest exponent))`` far below 1e7 in float32.
        seed: of the basis to begin with and of the bootstrap.

    Raises:
        RecipeError: if an argument is out of its range.
        DataError: if no row is longer than `warm_up`.

    Example:
        >>> from ostinato import nn
        >>> layer = nn.RNN(1, 2, nonlinearity="relu", bias=False)
        >>> with torch.no_grad():
        ...     _ = layer.weight_hh_l0.copy_(torch.eye(2) / 2), layer.weight_ih_l0.fill_(1.0)
        >>> rows = Ragged.from_padded(torch.ones(3, 50, 1))
        >>> found = lyapunov_exponents(Subject((layer,), rows, lambda output: output.select_last().sum(1), False))[0]
        >>> found.regime, round(found.exponents_nats_per_step[0], 4), round(found.time_constant_steps, 2)
        ('vanishing', -0.6931, 1.44)
    """
    for name, value, least in (("num_exponents", num_exponents, 1), ("warm_up", warm_up, 0), ("qr_every", qr_every, 1)):
        if value is not None and value < least:
            raise RecipeError(f"`{name}` must be at least {least}. Received: {value}.")
    return [_dynamics(trace, num_exponents, warm_up, qr_every, seed) for layer in traces(subject) for trace in layer]


def kaplan_yorke_dimension(exponents: list[float]) -> float:
    """``j + (lambda_1 + ... + lambda_j) / |lambda_{j+1}|``, j the most exponents whose sum is not negative.

    Source: J. Kaplan and J. Yorke, "Chaotic behavior of multidimensional difference equations", Lecture Notes in
    Mathematics 730 (1979).

    Args:
        exponents: all of them, the largest first.

    Example:
        >>> kaplan_yorke_dimension([0.5, 0.0, -1.0])
        2.5
    """
    total = 0.0
    for index, exponent in enumerate(exponents):
        if total + exponent < 0:
            return index + total / -exponent
        total += exponent
    return float(len(exponents))


def _dynamics(trace: LayerTrace, num_exponents: int, warm_up: int | None, qr_every: int, seed: int) -> LayerDynamics:
    lengths = _finite_lengths(trace)
    if warm_up is None:
        warm_up = min(_MOST_WARM_UP_STEPS, int(lengths.double().median()) // 5)
    long_enough = lengths > warm_up
    if not bool(long_enough.any()):
        raise DataError(
            f"a row must be longer than `warm_up` = {warm_up} steps for {trace.layer}. "
            f"Received: at most {int(lengths.max())} steps with finite states."
        )
    by_row = _by_row(trace, lengths * long_enough, min(num_exponents, trace.state_size), warm_up, qr_every, seed)
    by_row = by_row[long_enough.numpy()]
    exponents = by_row.mean(0)
    order = np.argsort(-exponents, kind="stable")
    low, high = _interval(by_row[:, order[0]], seed)
    exponents = exponents[order]
    largest = float(exponents[0])
    return LayerDynamics(
        layer=trace.layer,
        exponents_nats_per_step=exponents.tolist(),
        low=low,
        high=high,
        regime=_regime(low, high),
        time_constant_steps=-1 / largest if largest < 0 else None,
        kaplan_yorke_dimension=(
            kaplan_yorke_dimension(exponents.tolist()) if len(exponents) == trace.state_size else None
        ),
        num_rows=len(by_row),
        warm_up_steps=warm_up,
    )


@torch.no_grad()
def _by_row(
    trace: LayerTrace, lengths: Tensor, num_exponents: int, warm_up: int, qr_every: int, seed: int
) -> np.ndarray[Any, np.dtype[np.float64]]:
    """(N, num_exponents), in the original order of the rows, of which the first `lengths` steps are read."""
    starts = trace.states.lengths.cumsum(0) - trace.states.lengths
    inputs, before = (
        Ragged.from_rows(trace.states.with_values(values).row_major(), starts, lengths)
        for values in (trace.project(trace.inputs.values), trace.states_before())
    )
    basis = _first_frame(inputs, trace.state_size, num_exponents, seed)
    logs = torch.zeros(inputs.num_rows, num_exponents, dtype=torch.float64, device=inputs.device)
    counts = inputs.batch_sizes.tolist()
    push = _frame_push(trace)
    steps = zip(torch.split(inputs.values, counts), torch.split(before.values, counts), strict=True)
    for number, (x, state) in enumerate(steps, start=1):
        alive = len(x)
        basis = push(x, state, basis[:alive])
        rows_end = number == len(counts) or counts[number] < alive
        if rows_end or number == warm_up or number % qr_every == 0:
            basis, upper = torch.linalg.qr(basis)
            if number > warm_up:
                logs[:alive] += upper.diagonal(dim1=1, dim2=2).abs().double().log()
    counted = (inputs.lengths - warm_up).clamp(min=1).to(logs.device)
    rates: np.ndarray[Any, np.dtype[np.float64]] = (logs[inputs.unsorted_indices] / counted[:, None]).cpu().numpy()
    return rates


def _frame_push(trace: LayerTrace) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
    """From (x, state before, basis (N, S, K)) of a step to the basis times the step's Jacobian.

    J u is the derivative of v -> J^T v, which is linear, applied to u: two passes back in place of one forward, whose
    rules in torch cover fewer operations.
    """

    def push(x: Tensor, state: Tensor, basis: Tensor) -> Tensor:
        pull = vjp(lambda before: trace.step(x, before), state)[1]
        along = vjp(lambda cotangent: pull(cotangent)[0], torch.zeros_like(state))[1]
        (moved,) = vmap(along, in_dims=2, out_dims=2)(basis)
        return cast("Tensor", moved)

    return push


def _first_frame(inputs: Ragged, state_size: int, num_exponents: int, seed: int) -> Tensor:
    """(N, S, K): random orthonormal vectors, the same for every row."""
    random = torch.Generator().manual_seed(seed)
    start = torch.randn(state_size, num_exponents, generator=random, dtype=torch.float64)
    basis: Tensor = torch.linalg.qr(start).Q.to(inputs.values)
    return basis.expand(inputs.num_rows, state_size, num_exponents)


def _finite_lengths(trace: LayerTrace) -> Tensor:
    """(N,): steps of each row before the first whose state is not finite."""
    broken = ~trace.states.values.isfinite().all(1)
    rows = trace.states.sorted_indices[trace.states.rows_index()][broken].cpu()
    lengths: Tensor = trace.states.lengths.scatter_reduce(0, rows, trace.states.times_index()[broken].cpu(), "amin")
    return lengths


def _interval(values: np.ndarray[Any, np.dtype[np.float64]], seed: int) -> tuple[float, float]:
    """95 % interval of the mean: the 2.5 and 97.5 % quantiles of the means of resampled rows."""
    random = np.random.default_rng(seed)
    means = values[random.integers(len(values), size=(_NUM_RESAMPLES, len(values)))].mean(1)
    low, high = np.quantile(means, (0.025, 0.975), method="nearest")  # no line from -inf to a number
    return float(low), float(high)


def _regime(low: float, high: float) -> str:
    if high < -NEAR_CRITICAL_NATS_PER_STEP:
        return "vanishing"
    return "exploding" if low > NEAR_CRITICAL_NATS_PER_STEP else "near-critical"
