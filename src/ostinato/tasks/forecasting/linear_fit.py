"""The linear path solved for: ridge regression around a simple forecast, chosen by a rolling origin.

All that is tried is told from sums of products over windows, block by block in time: each block but the first is
forecast by what the blocks before it say. A lookback, or leaving out the last value, is a part of the same sums.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np
from numpy.typing import NDArray

from ostinato.arrays import Offsets
from ostinato.baselines.base import Figures
from ostinato.tasks.forecasting.linear_maps import simple_maps

_PENALTIES = (np.inf, 10.0, 3.0, 1.0, 3e-1, 1e-1, 3e-2, 1e-2, 1e-3, 1e-4)
"""Of the mean square of what is read; infinite: the simple forecast itself."""
_BLOCKS = 5
_LEAST_WINDOWS = 4
"""Of a block."""
_MOST_WINDOWS = 6000
"""Of a channel."""
_MOST_MAPS = 16
"""Channels beyond that share one map."""
_CENTRES = 2
_NEARLY, _WALK, _STANDARD_ERRORS = 1.005, 1.02, 0.5
"""Times the least error is no worse; times it the last value is taken; what a simpler forecast may be worse by."""
_ROUNDS, _RATE, _ROUNDING = 2000, 5.0, 1e-9


@dataclass(frozen=True)
class Linear:
    """What was chosen. weight: (1 or C, lookback + 1, horizon), as `LinearPath.weight`; error: mean squared error of
    forecasts by a rolling origin; naive: that of the last value."""

    lookback: int
    weight: Figures
    error: float
    naive: float


@dataclass(frozen=True)
class _Sums:
    """Over windows of the inputs x (F,) and outputs y (H,): products xx, xy, and yy."""

    xx: Figures
    xy: Figures
    yy: float
    count: int

    def __add__(self, other: _Sums) -> _Sums:
        return _Sums(self.xx + other.xx, self.xy + other.xy, self.yy + other.yy, self.count + other.count)

    def of(self, kept: Offsets) -> _Sums:
        """Some inputs alone."""
        return _Sums(self.xx[np.ix_(kept, kept)], self.xy[kept], self.yy, self.count)

    def error(self, weight: Figures) -> float:
        """The sum of squared errors of (F, H)."""
        return self.yy - 2 * float((weight * self.xy).sum()) + float((weight * (self.xx @ weight)).sum())


class _Ridge:
    """Weights (F, H) of least squared error, penalised by their distance from a centre, for any penalty; only those of
    `kept` inputs move."""

    def __init__(self, sums: _Sums, kept: Offsets) -> None:
        self._kept, self._sums = kept, sums.of(kept)
        self._values, self._vectors = np.linalg.eigh(self._sums.xx)
        self._scale = max(float(np.trace(self._sums.xx[:-1, :-1])) / max(len(kept) - 1, 1), 1e-9)

    def around(self, centre: Figures, penalty: float) -> Figures:
        """(F, H)."""
        if not np.isfinite(penalty):
            return centre
        moved = self._vectors.T @ (self._sums.xy - self._sums.xx @ centre[self._kept])
        found = centre.copy()
        found[self._kept] += self._vectors @ (moved / (np.maximum(self._values, 0.0) + penalty * self._scale)[:, None])
        return found


def fit_linear(
    series: Sequence[NDArray[np.floating]], lookbacks: Sequence[int], horizon: int, seasons: tuple[int, ...]
) -> Linear:
    """The shortest lookback that forecasts nearly as well as the best, and its weights by all windows.

    Args:
        series: (L, C) each, the training part.
        lookbacks: steps a window may have.
        horizon: steps of a forecast.
        seasons: steps of those there may be.
    """
    longest = max(lookbacks)
    width = series[0].shape[1]
    most = _MOST_WINDOWS * min(width, _MOST_MAPS) // width
    each_blocks = (
        _blocks([one[:, channel] for one in series], longest, horizon, seasons, most) for channel in range(width)
    )
    if width <= _MOST_MAPS:
        sums = list(each_blocks)
        pooled = [_total(list(parts)) for parts in zip(*sums, strict=True)]
    else:
        pooled = reduce(lambda one, other: [a + b for a, b in zip(one, other, strict=True)], each_blocks)
        sums = [pooled]
    tests = [test for _, test in _folds(pooled)]
    members: list[_Member] = []
    found: list[tuple[int, _Member]] = []
    for lookback in sorted(lookbacks):
        members += _members(pooled, lookback, horizon, seasons)
        found.append((lookback, _stacked(members, tests)))
    least = min(_error(one, tests) for _, one in found)
    lookback, best = next(one for one in found if _error(one[1], tests) <= _NEARLY * least)
    last = _Member([0 * one for one in best.folds], 0 * best.whole)
    is_walk = bool(tests) and _error(last, tests) <= _WALK * least
    best = last if is_walk else best
    each = [best]
    if not is_walk and len(sums) > 1:
        each = [_of_channel(blocks, best) for blocks in sums]
    errors = (
        [_error(best, tests)]
        if len(each) == 1
        else [_error(one, [test for _, test in _folds(blocks)]) for one, blocks in zip(each, sums, strict=True)]
    )
    count = max(sum(test.count for test in tests), 1) * horizon
    weight = np.stack([one.whole for one in each])[:, longest - lookback :]
    return Linear(lookback, weight, sum(errors) / count, sum(test.yy for test in tests) / count)


@dataclass(frozen=True)
class _Member:
    """A forecast: its weights (F, H) by what is known before each fold, and by all windows."""

    folds: list[Figures]
    whole: Figures


def _error(member: _Member, tests: list[_Sums]) -> float:
    """The sum of squared errors, no less than rounding leaves of it."""
    found = sum(test.error(weight) for weight, test in zip(member.folds, tests, strict=True))
    return max(found, _ROUNDING * sum(test.yy for test in tests))


def _members(blocks: list[_Sums], lookback: int, horizon: int, seasons: tuple[int, ...]) -> Iterator[_Member]:
    """Of a lookback: the best simple forecast; and ridge regression around it, with and without the last value."""
    folds, total = _folds(blocks), _total(blocks)
    tests = [test for _, test in folds]
    size = len(total.xx)
    maps = []
    for one in simple_maps(lookback, horizon, seasons):
        whole = np.zeros((size, horizon))
        whole[size - len(one) :] = one
        maps.append(_Member([whole] * len(folds), whole))
    maps.sort(key=lambda one: _error(one, tests))
    yield maps[0]
    if not folds:
        return
    steps = np.arange(size - 1 - lookback, size - 2)
    for kept in (np.append(steps, size - 1), np.append(steps, [size - 2, size - 1])):
        ridges = [_Ridge(sums, kept) for sums in (*(train for train, _ in folds), total)]
        centres = [one.whole for one in maps if len(kept) == lookback + 1 or not one.whole[-2].any()][:_CENTRES]
        centres.append(0 * total.xy)
        yield _simplest([_around(ridges, centre, one) for one in _PENALTIES for centre in centres], tests)


def _simplest(members: list[_Member], tests: list[_Sums]) -> _Member:
    """The first whose error is above the least by no more than half a standard error over the folds."""
    if not tests:
        return members[0]
    errors = np.asarray([[test.error(w) for w, test in zip(one.folds, tests, strict=True)] for one in members])
    excess = errors - errors[errors.sum(axis=1).argmin()]
    spread = excess.std(axis=1) * np.sqrt(len(tests) / max(len(tests) - 1, 1))
    return members[int(np.argmax(excess.mean(axis=1) <= _STANDARD_ERRORS * spread / np.sqrt(len(tests))))]


def _around(ridges: list[_Ridge], centre: Figures, penalty: float) -> _Member:
    *folds, whole = [ridge.around(centre, penalty) for ridge in ridges]
    return _Member(folds, whole)


def _of_channel(blocks: list[_Sums], shared: _Member) -> _Member:
    """Of one channel: what all share, and weights of its own around them."""
    folds = _folds(blocks)
    kept = np.flatnonzero((shared.whole != 0).any(axis=1))
    kept = np.arange(kept.min(initial=len(shared.whole) - 1), len(shared.whole))
    ridges = [_Ridge(train, kept) for train, _ in folds]
    whole, tests = _Ridge(_total(blocks), kept), [test for _, test in folds]
    members = []
    for penalty in _PENALTIES:
        own = [ridge.around(centre, penalty) for ridge, centre in zip(ridges, shared.folds, strict=True)]
        members.append(_Member(own, whole.around(shared.whole, penalty)))
    return _stacked([shared, _simplest(members, tests)], tests)


def _stacked(members: list[_Member], tests: list[_Sums]) -> _Member:
    """The mean of forecasts with shares of zero or more that has the least squared error: one linear map again.

    The shares are found by exponentiated gradients, from equal ones.
    """
    if not tests:
        return members[0]
    shares = np.full(len(members), 1 / len(members))
    products, answers = np.zeros((len(members), len(members))), np.zeros(len(members))
    for number, test in enumerate(tests):
        weights = np.stack([one.folds[number] for one in members])
        products += np.einsum("ifh,jfh->ij", weights, test.xx @ weights, optimize=True)
        answers += np.einsum("ifh,fh->i", weights, test.xy)
    scale = max(sum(test.yy for test in tests), 1e-12)
    for _ in range(_ROUNDS):
        shares = shares * np.exp(-_RATE * (products @ shares - answers) / scale)
        shares /= shares.sum()
    folds = zip(*(one.folds for one in members), strict=True)
    mixed = [np.tensordot(shares, np.stack(parts), 1) for parts in folds]
    return _Member(mixed, np.tensordot(shares, np.stack([one.whole for one in members]), 1))


def _folds(blocks: list[_Sums]) -> list[tuple[_Sums, _Sums]]:
    """What is known before each block but the first, and the block: of every block two sums, the second of windows
    that reach into the block after it."""
    found = []
    for number in range(2, len(blocks), 2):
        before = [*blocks[: number - 2], blocks[number - 2]]
        found.append((sum(before[1:], before[0]), blocks[number] + blocks[number + 1]))
    return found


def _total(blocks: list[_Sums]) -> _Sums:
    return sum(blocks[1:], blocks[0])


def _blocks(
    series: Sequence[NDArray[np.floating]], lookback: int, horizon: int, seasons: tuple[int, ...], most: int
) -> list[_Sums]:
    """Of each block of some series (L,) the windows that end before the next, and those that don't; at most so many."""
    origins = [np.arange(max(min(lookback, len(one) - horizon), 1), len(one) - horizon + 1) for one in series]
    every = max(1, -(-sum(map(len, origins)) // most))
    count = int(np.clip(min(map(len, origins)) // every // _LEAST_WINDOWS, 1, _BLOCKS))
    size = lookback + 1
    sums = [_Sums(np.zeros((size, size)), np.zeros((size, horizon)), 0.0, 0) for _ in range(2 * count)]
    for one, all_of_it in zip(series, origins, strict=True):
        cut = np.array_split(all_of_it[::every], count)
        for number, block in enumerate(cut):
            ends = cut[number + 1][0] if number + 1 < count else np.inf
            for part, some in enumerate((block[block + horizon <= ends], block[block + horizon > ends])):
                sums[2 * number + part] += _summed(one, some, lookback, horizon, seasons)
    return sums


def _summed(
    values: NDArray[np.floating], origins: Offsets, lookback: int, horizon: int, seasons: tuple[int, ...]
) -> _Sums:
    steps = origins[:, None] + np.arange(-lookback, 0)
    past = values[continued(steps, origins, max(seasons, default=1))].astype(np.float64)
    last = past[:, -1:]
    inputs = np.concatenate([past[:, :-1] - last, last, np.ones_like(last)], axis=1)
    outputs = values[origins[:, None] + np.arange(horizon)].astype(np.float64) - last
    return _Sums(inputs.T @ inputs, inputs.T @ outputs, float((outputs**2).sum()), len(origins))


def continued(steps: Offsets, lengths: Offsets, season: int) -> Offsets:
    """Steps (N, L) of a series, those before its first taken from its first season, where `lengths` (N,) hold one."""
    period = np.where(lengths >= season, season, 1)[:, None]
    return np.where(steps < 0, steps % period, steps)


def lookbacks_of(shortest: int, horizon: int, seasons: tuple[int, ...]) -> Iterator[int]:
    """What is tried for series of which the shortest has so many steps."""
    tried = {2, 6, 13, 24, 48, 96, 192, 336, *(count * one + 1 for one in seasons if one > 1 for count in (1, 2, 3))}
    most = min(max(shortest // 3, 2), 400)
    tried = {steps for steps in tried if steps <= most} | {one + 1 for one in seasons if one <= min(shortest // 2, 400)}
    yield from sorted(tried)
