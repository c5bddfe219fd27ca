r"""How far gradients have to go back: truncation that adapts to how fast they decay.

With :math:`\phi_k` the mean norm of the gradient of a step's loss by the state k steps before, what a reach of K steps
cuts off is at most, relative to what it keeps,

.. math::

    \delta(K) = \frac{\sum_{K < k \le R} \phi_k + \phi_R \beta / (1 - \beta)}{\sum_{k \le K} \phi_k}

where :math:`\beta` is the rate at which :math:`\phi` falls in the farther half of the R steps looked at. The reach is
the smallest K with :math:`\delta(K) \le` `max_bias`. Source: C. Aicher, N. Foti and E. Fox, "Adaptively Truncating
Backpropagation Through Time to Control Gradient Bias", UAI 2019, arXiv:1905.07473, section 4. Deviation: the paper
divides by the norm of the truncated gradient; here by the sum of the norms it is made of, which needs no second pass.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from ostinato.recipe import BpttRecipe

_FIRST, _EVERY = 10, 50
"""Updates before the first measurement, and between two."""


def adaptive_reach(norms: Sequence[float], step: int, max_bias: float) -> int:
    """The smallest number of steps K with :math:`\\delta(K)` <= `max_bias`; as far as was looked where there is none.

    Args:
        norms: phi at lags 0, step, 2 step, … R.
        step: between two of them.
        max_bias: in 0 … 1.
    """
    farther = [(i, math.log(norm)) for i, norm in enumerate(norms) if norm > 0][len(norms) // 2 :]
    rate = (farther[-1][1] - farther[0][1]) / (farther[-1][0] - farther[0][0]) if len(farther) > 1 else -math.inf
    beta = math.exp(rate)
    if beta >= 1:
        return step * (len(norms) - 1)
    beyond = norms[-1] * beta / (1 - beta)
    for k in range(1, len(norms)):
        if sum(norms[k + 1 :]) + beyond <= max_bias * sum(norms[: k + 1]):
            return step * k
    return step * (len(norms) - 1)


class Reach:
    """k2 of the next update. Fixed, unless the recipe's truncation is adaptive: then it is measured now and again."""

    def __init__(self, recipe: BpttRecipe) -> None:
        self._recipe = recipe
        self.steps = recipe.reach or 0
        self._updates = 0

    def __call__(self) -> int:
        """k2, at least k1 and at most the recipe's `backprop`."""
        return self.steps

    def seen(self, measure: Callable[[], tuple[Sequence[float], int]]) -> None:
        """An update is done; `measure()` returns the norms by lag, and the steps between two lags."""
        if self._recipe.truncation != "adaptive":
            return
        self._updates += 1
        if self._updates == _FIRST or self._updates % _EVERY == 0:
            found = adaptive_reach(*measure(), self._recipe.max_bias)
            self.steps = min(max(found, self._recipe.window or 1), self._recipe.reach or found)

    @property
    def saved(self) -> list[int]:
        """What it depends on, to be saved."""
        return [self.steps, self._updates]

    @saved.setter
    def saved(self, numbers: Sequence[int]) -> None:
        self.steps, self._updates = numbers
