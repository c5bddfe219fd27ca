"""State tracking: the running product of the elements of a group, of which parity is the smallest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from ostinato.arrays import Array
from ostinato.longrange.task import Task, uniform_nll


class StateTracking(Task):
    """The product of all elements read so far, at every step.

    Each step reads an element of a finite group, uniformly drawn, and the target is x_1 x_2 ... x_t. Over Z2 it is
    parity. A model that forgets one element knows nothing: a guess costs ln |G| at every step but the first. Groups
    that don't commute, S3 the smallest, ask for the order as well; those that are not solvable, A5 the smallest, are
    complete for NC1, which linear recurrences with diagonal transitions can't express. ``length``: all steps. Solved:
    99 % of the steps.

    Source: W. Merrill, J. Petty and A. Sabharwal, "The Illusion of State in State-Space Models" (ICML 2024),
    arXiv:2404.08819, section 5.

    Args:
        name: of the task.
        table: (|G|, |G|), the number of the product of two elements; element 0 is the unit.
    """

    source: ClassVar[str] = "Merrill, Petty & Sabharwal 2024"
    per_step = True
    min_length = 1

    def __init__(self, name: str, table: Array) -> None:
        self.name = name
        self.table = table
        self.num_inputs = self.num_outputs = len(table)

    def baseline(self, length: int) -> float:
        """ln |G| at every step but the first, which is its own answer."""
        return uniform_nll(self.num_outputs) * (length - 1) / length

    def rows(self, random: np.random.Generator, lengths: Array) -> tuple[Array, Array]:
        """(N, max L) twice, int64."""
        inputs = random.integers(0, self.num_inputs, (len(lengths), int(lengths.max())))
        targets = np.empty_like(inputs)
        product = np.zeros(len(lengths), np.int64)
        for step in range(inputs.shape[1]):
            product = self.table[product, inputs[:, step]]
            targets[:, step] = product
        return inputs, targets


def cyclic(order: int) -> Array:
    """The table of the integers modulo `order` under addition."""
    numbers = np.arange(order)
    return (numbers[:, None] + numbers) % order


def generated(*generators: Sequence[int]) -> Array:
    """The table of the group that permutations generate, each written as the images of 0, 1, ...

    The product of a and b is first a, then b. Elements are numbered in the order in which they are found.

    Example:
        >>> len(generated((1, 0, 2), (1, 2, 0)))
        6
    """
    unit = tuple(range(len(generators[0])))
    found = {unit: 0}
    for element in (reached := [unit]):
        for generator in generators:
            product = tuple(generator[image] for image in element)
            if product not in found:
                found[product] = len(found)
                reached.append(product)
    return np.array([[found[tuple(b[image] for image in a)] for b in reached] for a in reached])
