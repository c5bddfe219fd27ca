"""All parts of a state side by side, read some steps at a time: they may lie in a file that is larger than memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Column = NDArray[Any]

_STEPS_AT_ONCE = 16_384
_RIDGE = 1e-3
_LEAST_GAIN = 0.01


@dataclass(frozen=True)
class States:
    """Series (T, units) by name.

    Args:
        series: arrays, in memory or mapped; of float16, float32 or float64.
    """

    series: Mapping[str, NDArray[Any]]

    @cached_property
    def names(self) -> list[tuple[str, int]]:
        """What each column is."""
        return [(name, unit) for name, part in self.series.items() for unit in range(part.shape[1])]

    @cached_property
    def num_steps(self) -> int:
        """T."""
        return len(next(iter(self.series.values())))

    def at(self, step: int) -> NDArray[np.float32]:
        """(S,)."""
        return np.concatenate([np.asarray(part[step], dtype=np.float32) for part in self.series.values()])

    def blocks(self) -> Iterator[tuple[slice, NDArray[np.float32]]]:
        """All columns, (n, S) each time."""
        for some in steps_at_once(self.num_steps):
            yield some, np.concatenate([part[some].astype(np.float32) for part in self.series.values()], axis=1)

    def columns(self, places: Sequence[int]) -> NDArray[np.float32]:
        """(T, len(places)): some of them."""
        found = np.empty((self.num_steps, len(places)), dtype=np.float32)
        for at, place in enumerate(places):
            name, unit = self.names[place]
            found[:, at] = self.series[name][:, unit]
        return found

    @cached_property
    def moments(self) -> tuple[Floats, Floats]:
        """Mean and standard deviation of each column."""
        shift = self.at(0)
        sums = np.zeros((2, len(shift)))
        for _, block in self.blocks():
            moved = block - shift
            sums += moved.sum(axis=0, dtype=np.float64), (moved**2).sum(axis=0, dtype=np.float64)
        mean, square = sums / self.num_steps
        return shift + mean, np.sqrt(np.maximum(square - mean**2, 0.0))

    def correlations(self, wanted: Floats, masks: Sequence[Column]) -> list[Floats]:
        """Pearson's r of each column with `wanted`, at the steps of each mask; 0 of one that never changes there."""
        shift = self.at(0)
        goals = [_centred(wanted, mask) for mask in masks]
        sums = np.zeros((3 * len(masks), len(shift)))
        for some, block in self.blocks():
            moved = block - shift
            squared = moved**2
            for at, (mask, goal) in enumerate(zip(masks, goals, strict=True)):
                weights = np.stack([mask[some], goal[some]]).astype(np.float32)
                sums[3 * at : 3 * at + 2] += weights @ moved
                sums[3 * at + 2] += weights[0] @ squared
        found = []
        for at, (mask, goal) in enumerate(zip(masks, goals, strict=True)):
            total, product, square = sums[3 * at : 3 * at + 3]
            spread = np.maximum(square - total**2 / max(mask.sum(), 1), 0.0)
            scale = np.sqrt(spread * (goal**2).sum())
            there = (spread > 1e-9 * square) & (scale > 1e-12)
            found.append(np.where(there, product / np.where(there, scale, 1.0), 0.0))
        return found

    def distances(self, step: int) -> Floats:
        """(T,): how far each state is from that after `step`, in deviations of each unit."""
        deviation, here = self.moments[1], self.at(step)
        scale = (1 / np.where(deviation > 0, deviation, 1.0)).astype(np.float32)
        found = np.empty(self.num_steps)
        for some, block in self.blocks():
            found[some] = np.sqrt((((block - here) * scale) ** 2).mean(axis=1))
        return found

    def path(self, dimensions: int) -> Floats:
        """(T, dimensions): along the directions of largest variance."""
        mean = self.moments[0]
        product = np.zeros((len(mean), len(mean)))
        for _, block in self.blocks():
            centred = (block - mean).astype(np.float32)
            product += centred.T @ centred
        directions = np.linalg.eigh(product)[1][:, ::-1][:, :dimensions]
        found = np.empty((self.num_steps, dimensions))
        for some, block in self.blocks():
            found[some] = (block - mean) @ directions
        return found


def steps_at_once(num_steps: int, size: int = _STEPS_AT_ONCE) -> Iterator[slice]:
    """Stretches of steps that fit into memory."""
    for first in range(0, num_steps, size):
        yield slice(first, min(first + size, num_steps))


def _centred(wanted: Floats, mask: Column) -> Floats:
    """Less its mean at the steps of a mask; 0 elsewhere."""
    return np.where(mask, wanted - wanted[mask].mean() if mask.any() else 0.0, 0.0)


def probe(
    read: NDArray[np.float32], wanted: Floats, fitting: Column, scoring: Column, most: int
) -> tuple[list[int], float]:
    """Orthogonal matching pursuit: columns of `read` (T, C) are added while each explains one per cent more of the
    fitting half, `most` at the most; R² of their ridge regression on the other half.

    Only products of columns are needed, which are summed some steps at a time.
    """
    products = np.zeros((2, read.shape[1] + 2, read.shape[1] + 2))
    shift, middle = read[0].astype(np.float64), float(wanted[fitting].mean())
    for some in steps_at_once(len(read)):
        goal = np.where(fitting[some] | scoring[some], wanted[some] - middle, 0.0)
        block = np.column_stack([read[some] - shift, goal, np.ones(len(goal))])
        for half, mask in enumerate((fitting, scoring)):
            kept = block[mask[some]]
            products[half] += kept.T @ kept
    fit, score = products
    total = fit[:-1, -1]
    centred = fit[:-1, :-1] - np.outer(total, total) / fit[-1, -1]
    gram, towards, spread = centred[:-1, :-1], centred[:-1, -1], centred[-1, -1]
    chosen, weights = _pursued(gram, towards, spread, most)
    line = np.zeros(len(score))
    line[chosen] = -weights
    line[-2:] = 1.0, (weights @ total[chosen]) / fit[-1, -1] - total[-1] / fit[-1, -1]
    errors, told = line @ score @ line, score[-2, -2] - score[-2, -1] ** 2 / score[-1, -1]
    return chosen, float(1 - errors / told) if told > 0 else 0.0


def _pursued(gram: Floats, towards: Floats, spread: float, most: int) -> tuple[list[int], Floats]:
    """Which columns, and their weights, of products of what is centred."""
    chosen, left = list[int](), spread
    weights: Floats = np.zeros(0)
    sizes = np.sqrt(np.maximum(np.diag(gram), 1e-12))
    for _ in range(min(most, len(gram))):
        rest = np.abs(towards - gram[:, chosen] @ weights) / sizes
        rest[chosen] = -1.0
        tried = [*chosen, int(rest.argmax())]
        part = gram[np.ix_(tried, tried)]
        found = np.linalg.solve(part + _RIDGE * np.diag(np.diag(part) + 1e-12), towards[tried])
        error = float(spread - 2 * found @ towards[tried] + found @ part @ found)
        if left - error < _LEAST_GAIN * spread:
            break
        chosen, weights, left = tried, np.asarray(found, dtype=np.float64), error
    return chosen, weights
