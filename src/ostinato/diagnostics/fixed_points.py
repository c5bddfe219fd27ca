r"""Fixed and slow points of a recurrence under a constant input, and what happens near them.

Where a state moves little, the recurrence is nearly linear: points h with a small

.. math:: q(h) = \tfrac{1}{2} \lVert F(h) - h \rVert^2

and the eigenvalues of the Jacobian of F there say what is kept, forgotten, or rotated. Source: D. Sussillo and O.
Barak, "Opening the black box", Neural Computation 25 (2013). Deviations: q is minimised from many states at once by
Adam with a falling rate (as M. Golub and D. Sussillo, "FixedPointFinder", JOSS 3 (2018), do), and what then is almost
fixed is taken on by Newton's method in float64.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.func import jacrev

from ostinato.diagnostics.probe import LayerTrace, Measured
from ostinato.errors import RecipeError

FIXED = 1e-16
"""A point is fixed where q is below this share of its scale: of the mean square of the states that were begun from."""
SLOW_SHARE = 0.01
"""A point is slow where q is below this share of the median q of the states that were begun from, and least: a slope
that leads to none nearby says that the search has not ended there."""

_NEWTON_STEPS = 30
_RATE = 0.05
_SAME = 0.02
"""Points nearer to each other than this share of the states' spread are one."""
_ON_THE_WAY = 10
_AROUND = 0.2
"""What is near a point, as a share of the states' spread."""


@dataclass(frozen=True)
class FixedPoint(Measured):
    """A point where the state stays, or nearly so.

    Args:
        kind: `stable` where every small change dies, `unstable` where every one grows, else `saddle`.
        is_fixed: whether it stays; else it is a slow point, which is left in about 1 / `speed` steps.
        q: half the squared distance that a step moves it.
        speed: that distance over the spread of the states that were begun from.
        eigenvalues: (real, imaginary) of the Jacobian, the largest modulus first.
        num_growing: eigenvalues beyond the unit circle.
        slowest_steps: -1 / ln of the largest modulus, in which a change falls to 1/e; None where it doesn't fall.
        share: of the states begun from that led here.
        begun: the numbers of these states.
        state: (S,).
    """

    kind: str
    is_fixed: bool
    q: float
    speed: float
    eigenvalues: list[tuple[float, float]]
    num_growing: int
    slowest_steps: float | None
    share: float
    begun: list[int]
    state: list[float]


def fixed_points(
    trace: LayerTrace,
    constant_input: Tensor,
    starts: Tensor,
    num_steps: int = 1000,
    progress: Callable[[int, int], None] = lambda _, __: None,
) -> list[FixedPoint]:
    """Of one layer in one direction, while it reads the same input for ever.

    Args:
        trace: the layer, as `probe.traces` gives it.
        constant_input: (I,), what it reads at every step: the vector of a token, zeros, the mean of its inputs.
        starts: (M, S), states to begin from: some that it is in on real data.
        num_steps: of the minimisation, >= 1.
        progress: called with steps that are done, and how many there are; what it raises ends the work.

    Returns:
        fixed points, then slow ones, each where most begun states led to first.

    Raises:
        RecipeError: for a number out of range, or states of another size.
    """
    if starts.ndim != 2 or starts.shape[1] != trace.state_size or not len(starts):
        raise RecipeError(f"`starts` must be (M, {trace.state_size}), M >= 1. Received: {tuple(starts.shape)}.")
    with torch.no_grad():
        projected = trace.project(constant_input.detach().to(starts).unsqueeze(0))
    double = {name: weight.double() for name, weight in trace.weights.items()}

    def step(states: Tensor) -> Tensor:
        weights = double if states.dtype == torch.float64 else trace.weights
        return trace.step(projected.to(states).expand(len(states), -1), states, weights)

    return find_fixed_points(step, starts, num_steps, progress)


def find_fixed_points(
    step: Callable[[Tensor], Tensor],
    starts: Tensor,
    num_steps: int = 1000,
    progress: Callable[[int, int], None] = lambda _, __: None,
) -> list[FixedPoint]:
    """Of any map of states (N, S) to states (N, S), row by row, in the precision that it is given; see `fixed_points`.

    Example:
        >>> found = find_fixed_points(lambda h: torch.tanh(2 * h), torch.tensor([[0.5], [-0.8], [0.9]]))
        >>> [(one.kind, round(one.state[0], 3)) for one in found]
        [('stable', 0.958), ('stable', -0.958)]
    """
    if num_steps < 1:
        raise RecipeError(f"`num_steps` must be a positive integer. Received: {num_steps}.")
    starts = starts.detach()
    with torch.no_grad():
        usual = _q(step(starts), starts)
    spread = float((starts - starts.mean(0)).double().pow(2).sum(1).mean().sqrt()) or float(starts.norm(dim=1).mean())
    spread = spread or 1.0
    ended = _minimised(step, starts, num_steps, progress)
    with torch.no_grad():
        reached = _q(step(ended), ended).double()
    slow = SLOW_SHARE * float(usual.double().median())
    points = list[FixedPoint]()
    for group in _groups(ended.double().numpy(), reached.numpy(), _SAME * spread):
        near = ended[group[0]].double()
        state, is_fixed = _newton(step, near, FIXED * max(spread, 1e-6) ** 2, _AROUND * spread)
        q = float(_q(step(state.unsqueeze(0)), state.unsqueeze(0)))
        if is_fixed or (q <= slow and _rests(step, state, q, _AROUND * spread)):
            points.append(_described(step, state, is_fixed, q, spread, group, len(starts)))
    return _joined(points, _SAME * spread)


def _q(after: Tensor, before: Tensor) -> Tensor:
    """(N,)."""
    return (after - before).pow(2).sum(1) / 2


def _minimised(
    step: Callable[[Tensor], Tensor], starts: Tensor, num_steps: int, progress: Callable[[int, int], None]
) -> Tensor:
    """Each state where its q is least, as far as so many steps lead; the best one on the way."""
    states = starts.clone().requires_grad_()
    best, least = starts.clone(), torch.full((len(starts),), torch.inf, dtype=starts.dtype)
    scale = float(starts.std()) if starts.numel() > 1 else 1.0
    optimiser = torch.optim.Adam([states], lr=_RATE * max(scale, 1e-3))
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, num_steps, eta_min=1e-4 * _RATE * max(scale, 1e-3))
    for number in range(num_steps):
        optimiser.zero_grad()
        q = _q(step(states), states)
        q.sum().backward()  # type: ignore[no-untyped-call]
        with torch.no_grad():
            better = q < least
            best[better], least[better] = states[better], q[better]
        optimiser.step()
        schedule.step()
        if number % 50 == 0:
            progress(number, num_steps)
    progress(num_steps, num_steps)
    return best


def _groups(states: NDArray[np.float64], q: NDArray[np.float64], near: float) -> list[list[int]]:
    """States that ended in one place, the one with the least q first; the largest group first."""
    groups = list[list[int]]()
    for number in np.argsort(q, kind="stable").tolist():
        if not math.isfinite(q[number]):
            continue
        found = next((one for one in groups if np.linalg.norm(states[number] - states[one[0]]) <= near), None)
        if found is None:
            groups.append([number])
        else:
            found.append(number)
    return sorted(groups, key=len, reverse=True)


def _newton(step: Callable[[Tensor], Tensor], begin: Tensor, enough: float, furthest: float) -> tuple[Tensor, bool]:
    """Where F(h) = h near a point, and whether there is such a place no further away than `furthest`."""
    state = begin
    for _ in range(_NEWTON_STEPS):
        with torch.no_grad():
            residual = step(state.unsqueeze(0))[0] - state
        if float(residual.pow(2).sum()) / 2 <= enough:
            return state, True
        jacobian = _jacobian(step, state) - torch.eye(len(state), dtype=state.dtype)
        moved = state - torch.linalg.lstsq(jacobian, residual.unsqueeze(1)).solution[:, 0]
        if not bool(torch.isfinite(moved).all()) or float((moved - begin).norm()) > furthest:
            return begin, False
        state = moved
    return begin, False


def _rests(step: Callable[[Tensor], Tensor], state: Tensor, q: float, around: float) -> bool:
    """Whether q is at its least there, as far as its slope can tell: else the search has not ended."""
    at = state.clone().requires_grad_()
    (slope,) = torch.autograd.grad(_q(step(at.unsqueeze(0)), at.unsqueeze(0)).sum(), at)
    return float(slope.norm()) * around <= q


def _jacobian(step: Callable[[Tensor], Tensor], state: Tensor) -> Tensor:
    found: Tensor = jacrev(lambda one: step(one.unsqueeze(0))[0])(state)
    return found.detach()


def _described(
    step: Callable[[Tensor], Tensor],
    state: Tensor,
    is_fixed: bool,
    q: float,
    spread: float,
    begun: list[int],
    count: int,
) -> FixedPoint:
    values = np.linalg.eigvals(_jacobian(step, state).numpy())
    values = values[np.argsort(-np.abs(values), kind="stable")]
    growing = int((np.abs(values) > 1).sum())
    largest = float(np.abs(values[0]))
    return FixedPoint(
        kind="stable" if growing == 0 else "unstable" if growing == len(values) else "saddle",
        is_fixed=is_fixed,
        q=q,
        speed=math.sqrt(2 * q) / spread,
        eigenvalues=[(float(one.real), float(one.imag)) for one in values],
        num_growing=growing,
        slowest_steps=-1 / math.log(largest) if 0 < largest < 1 else None,
        share=len(begun) / count,
        begun=begun,
        state=state.tolist(),
    )


def _joined(points: list[FixedPoint], near: float) -> list[FixedPoint]:
    """Points that Newton's method led to one place are one, and a slow one near another with less q was on its way
    there; fixed ones first."""
    kept = list[FixedPoint]()
    for one in sorted(points, key=lambda point: (not point.is_fixed, point.q)):
        within = near if one.is_fixed else _ON_THE_WAY * near
        at = next((n for n, old in enumerate(kept) if math.dist(old.state, one.state) <= within), None)
        if at is None:
            kept.append(one)
        else:
            old = kept[at]
            kept[at] = replace(old, share=old.share + one.share, begun=[*old.begun, *one.begun])
    return sorted(kept, key=lambda point: (not point.is_fixed, -point.share))
