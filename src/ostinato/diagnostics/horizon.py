"""How far back a model really looks: its loss as a function of the context it sees."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from ostinato.probes.subject import Subject

Floats = NDArray[np.float64]

GAIN_SHARE = 0.99
"""The horizon is where this share of the gain from memory is reached."""

NOISE_ERRORS = 3.0
"""A difference below this many standard errors is noise: by chance, one in 700 is larger."""

_REFINEMENTS = 3
_RESAMPLES = 200


@dataclass(frozen=True)
class Horizon:
    r"""Loss by context. With :math:`\ell_n(k)` the loss of row n when the model sees its last k steps only:

    .. math:: e(k) = \frac{1}{N} \sum_n [\ell_n(k) - \ell_n(\infty)], \quad \text{gain} = e(1)

    Args:
        context: k, steps that the model saw, increasing; the last is the longest row.
        loss: mean loss of all rows at each k.
        excess: e(k), the mean of paired differences to the whole row.
        error: its standard error over rows.
        full_loss: mean loss with the whole rows.
        gain: what memory is worth: e(1), the loss of a model that sees the newest step only, above the full one.
        gain_error: its standard error.
        steps: the k at which 99 % of the gain is reached; None where there is no gain beyond noise.
        low: 5 % quantile of `steps` over resampled rows (bootstrap); None as `steps`.
        high: 95 % quantile.
        num_rows: N.
        rises: the context beyond which the loss grows again, by more than noise; None where more is never worse.
    """

    context: list[int]
    loss: list[float]
    excess: list[float]
    error: list[float]
    full_loss: float
    gain: float
    gain_error: float
    steps: float | None
    low: float | None
    high: float | None
    num_rows: int
    rises: int | None

    def change(self, num_steps: int) -> tuple[float, float] | None:
        """What the whole rows cost more than their last `num_steps` steps, and its standard error; negative: less.

        None where the rows are no longer than that. Taken at the smallest k of `context` that is at least `num_steps`.
        """
        for steps, excess, error in zip(self.context[:-1], self.excess, self.error, strict=False):
            if steps >= num_steps:
                return -excess, error
        return None


def memory_horizon(subject: Subject, seed: int = 0, *, ahead: bool = False) -> Horizon:
    """The loss of the same rows with their states reset 1, 2, 4, … steps before the end, and what follows from it.

    The curve is made monotone first (isotonic regression: the least squares among curves that never rise, weighted by
    rows), so that noise alone does not move the crossing; between two k it is interpolated over log k. A few more k are
    measured where the crossing lies. Rows shorter than k count as they are.

    Args:
        subject: rows, layers and loss.
        seed: of the bootstrap that gives the interval.
        ahead: of the context that comes after the answered step (`Subject.places`), in place of what comes before.

    Returns:
        the curve and the horizon; where less context has no loss (`Subject.has_context`), a curve of one point.

    Example:
        >>> memory_horizon(subject).steps  # doctest: +SKIP
        41.3
    """
    longest = _longest(subject, ahead)
    contexts = _powers(longest) if subject.has_context else [longest]
    losses = {steps: _losses(subject, steps, ahead) for steps in contexts}
    crossing = _crossing(contexts, np.stack([losses[steps] for steps in contexts]).mean(1))
    for steps in _between(contexts, crossing):
        losses[steps] = _losses(subject, steps, ahead)
    contexts = sorted(losses)
    table = np.stack([losses[steps] for steps in contexts])  # (K, N)
    return _read(contexts, table, np.random.default_rng(seed))


def _longest(subject: Subject, ahead: bool) -> int:
    """Steps of the longest context."""
    if subject.places is None:
        return subject.inputs.max_length
    return int((subject.inputs.lengths - subject.places if ahead else subject.places + 1).max())


def _losses(subject: Subject, num_steps: int, ahead: bool) -> Floats:
    """(N,), in double precision."""
    return np.asarray(subject.losses_within(num_steps, ahead).detach().to(torch.float64).cpu().numpy())


def _powers(longest: int) -> list[int]:
    """1, 2, 4, … and the longest."""
    found = [1]
    while found[-1] * 2 < longest:
        found.append(found[-1] * 2)
    return found if longest <= 1 else [*found, longest]


def _between(contexts: list[int], crossing: float | None) -> list[int]:
    """More contexts in the stretch where the crossing lies, evenly over the logarithm."""
    if crossing is None:
        return []
    upper = next(number for number, steps in enumerate(contexts) if steps >= crossing)
    if upper == 0:
        return []
    picked = np.geomspace(contexts[upper - 1], contexts[upper], _REFINEMENTS + 2)[1:-1]
    return sorted({round(float(steps)) for steps in picked} - set(contexts))


def _read(contexts: list[int], table: Floats, random: np.random.Generator) -> Horizon:
    num_rows = table.shape[1]
    differences = table - table[-1]
    excess = differences.mean(1)
    error = differences.std(1, ddof=1) / np.sqrt(num_rows) if num_rows > 1 else np.full(len(contexts), np.inf)
    gain, gain_error = float(excess[0]), float(error[0])
    steps = low = high = None
    if gain > NOISE_ERRORS * gain_error:
        steps = _crossing(contexts, table.mean(1))
        drawn = random.integers(num_rows, size=(_RESAMPLES, num_rows))
        found = [_crossing(contexts, table[:, rows].mean(1)) for rows in drawn]
        reached = [each for each in found if each is not None]
        low, high = (float(np.quantile(reached, q)) for q in (0.05, 0.95))
    return Horizon(
        context=contexts,
        loss=table.mean(1).tolist(),
        excess=excess.tolist(),
        error=error.tolist(),
        full_loss=float(table[-1].mean()),
        gain=gain,
        gain_error=gain_error,
        steps=steps,
        low=low,
        high=high,
        num_rows=num_rows,
        rises=_rises(contexts, excess, error),
    )


def _rises(contexts: list[int], excess: Floats, error: Floats) -> int | None:
    best = int(excess.argmin())
    return contexts[best] if -excess[best] > NOISE_ERRORS * error[best] else None


def _crossing(contexts: list[int], curve: Floats) -> float | None:
    """Where the monotone curve has come 99 % of its way down; None if it does not go down, or is not finite."""
    fitted = isotonic(curve)
    if not np.isfinite(fitted).all() or fitted[0] <= fitted[-1]:
        return None
    share = (fitted[0] - fitted) / (fitted[0] - fitted[-1])
    upper = int(np.argmax(share >= GAIN_SHARE))
    if upper == 0 or share[upper] == share[upper - 1]:
        return float(contexts[upper])
    part = (GAIN_SHARE - share[upper - 1]) / (share[upper] - share[upper - 1])
    left, right = np.log(contexts[upper - 1]), np.log(contexts[upper])
    return float(np.exp(left + part * (right - left)))


def isotonic(values: Floats) -> Floats:
    """The curve that never rises nearest to `values` in least squares, by pooling adjacent violators.

    Source: R. Barlow et al., "Statistical Inference under Order Restrictions" (1972), chapter 1.

    Example:
        >>> isotonic(np.array([3.0, 1.0, 2.0, 0.0])).tolist()
        [3.0, 1.5, 1.5, 0.0]
    """
    blocks: list[tuple[float, int]] = []
    for value in values.tolist():
        mean, count = float(value), 1
        while blocks and blocks[-1][0] <= mean:
            before, size = blocks.pop()
            mean, count = (before * size + mean * count) / (size + count), size + count
        blocks.append((mean, count))
    return np.concatenate([np.full(count, mean) for mean, count in blocks])
