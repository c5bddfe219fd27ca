"""Which steps an update looks at, which of them count, and how far gradients go back: truncated BPTT as a plan.

Sources: R. Williams and J. Peng, "An Efficient Gradient-Based Algorithm for On-Line Training of Recurrent Network
Trajectories", Neural Computation 2 (1990), BPTT(h; h'), here k2 = h, k1 = h'; random truncation: C. Tallec and Y.
Ollivier, "Unbiasing Truncated Backpropagation Through Time" (2017), arXiv:1705.08209.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ostinato.data.streams import Tapes, Window
from ostinato.recipe import BpttRecipe

_ALPHA = 6.0
"""Tallec & Ollivier's alpha: P(more than L windows) falls as L^-alpha, so that the scaled gradient has a variance."""


@dataclass(frozen=True)
class Chunk:
    """Part of an update, run at once.

    counts: whether its losses are in this update (or in the one before); carries: whether the state after it is where
    the next update begins; scale: what gradients that pass its beginning are multiplied by; learns: whether gradients
    are computed at all.
    """

    window: Window
    counts: bool = True
    carries: bool = True
    scale: float = 1.0
    learns: bool = True


@dataclass(frozen=True)
class Update:
    """The chunks of an update in their order in time, its number in the plan, and the step on which the next begins."""

    chunks: tuple[Chunk, ...]
    number: int
    after: int

    @property
    def start(self) -> int:
        """The step of the streams on which it begins."""
        return self.chunks[0].window.start

    @property
    def num_steps(self) -> int:
        """Steps that are new in it, of all streams."""
        return sum(chunk.window.num_steps for chunk in self.chunks if chunk.counts or not chunk.learns)


def fixed_updates(
    tapes: Tapes, recipe: BpttRecipe, begin: int, number: int, reach: Callable[[], int]
) -> Iterator[Update]:
    """Updates every k1 steps whose gradients reach back k2 (`reach()`, called for each update; at least k1).

    Update i looks at the steps from max(0, (i + 1) k1 - k2) to (i + 1) k1; those before i k1 are run again with the
    weights of now, and their losses do not count again. An update's first steps are run from the state that the one
    before left there.

    Args:
        tapes: where the sequences lie.
        recipe: k1.
        begin: the step at which update `number` begins.
        number: of the first update.
        reach: k2; it may change from update to update.
    """
    k1 = recipe.window or tapes.length
    for counted in range(number * k1, tapes.length, k1):
        stop = min(counted + k1, tapes.length)
        after = max(begin, stop + k1 - reach())
        cuts = sorted({begin, counted, stop, *([after] if begin < after < stop else [])})
        chunks = (
            Chunk(tapes.window(first, last), counts=first >= counted, carries=last == after)
            for first, last in itertools.pairwise(cuts)
        )
        yield Update(tuple(chunks), counted // k1, after)
        begin = after


def random_updates(tapes: Tapes, recipe: BpttRecipe, lengths: Sequence[int]) -> Iterator[Update]:
    """Updates of `lengths` windows, gradients scaled between windows to make up for the cuts."""
    k1 = recipe.window or tapes.length
    first = 0
    for number, count in enumerate(lengths):
        stops = [(first + m + 1) * k1 for m in range(count)]
        scales = [1.0] + [1 / (1 - cut_probability(recipe, m)) for m in range(1, count)]
        chunks = (
            Chunk(tapes.window(stop - k1, stop), scale=scale, carries=stop == stops[-1])
            for stop, scale in zip(stops, scales, strict=True)
        )
        first += count
        yield Update(tuple(chunks), number, min(stops[-1], tapes.length))


def cut_probability(recipe: BpttRecipe, num_windows: int) -> float:
    r"""The probability that an update ends after its m-th window:

    .. math:: c_m = \alpha / ((\alpha - 1) l_0 + m), \quad \alpha = 6, \quad l_0 = k_2 / k_1

    so that it has about :math:`l_0` windows on average. Gradients that pass between two windows are multiplied by
    :math:`1 / (1 - c_m)`: their expectation is that of full BPTT. Deviation from Tallec & Ollivier: gradients are cut
    between windows of k1 steps only, not after any step; the expectation is the same.
    """
    k1, k2 = recipe.window or 1, recipe.reach or 1
    return _ALPHA / ((_ALPHA - 1) * k2 / k1 + num_windows)


def random_lengths(num_windows: int, recipe: BpttRecipe, random: np.random.Generator) -> list[int]:
    """The windows of an epoch shared out over updates at random."""
    lengths, current = [], 0
    for number in random.random(num_windows):
        current += 1
        if number < cut_probability(recipe, current):
            lengths.append(current)
            current = 0
    return lengths + [current] * (current > 0)


def with_losses(updates: Iterator[Update], has_loss: Callable[[Window], bool]) -> Iterator[Update]:
    """Updates without a loss (no sequence ends there) are read, without gradients, ahead of the next that has one."""
    ahead: list[Chunk] = []
    for update in updates:
        if any(has_loss(chunk.window) for chunk in update.chunks if chunk.counts):
            yield Update((*ahead, *update.chunks), update.number, update.after)
            ahead = []
            continue
        carrying = max((n for n, chunk in enumerate(update.chunks) if chunk.carries), default=-1)
        ahead += [
            Chunk(chunk.window, counts=False, carries=True, learns=False) for chunk in update.chunks[: carrying + 1]
        ]
