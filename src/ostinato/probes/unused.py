"""How much of a model's loss its own past could still explain, lag by lag."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class UnusedContext:
    """Index i of both lists is lag i + 1: the newest token that the model has read has lag 1.

    Args:
        gain: nats a token, at each lag.
        usual: the median over lags.
        spread: standard deviation of the gain: over lags, from the median absolute deviation, or where that is more,
            by chance, at any lag, were nothing unused.
        loss: nats a token that the model needs where this was measured.
        num_tokens: how many were scored.
    """

    gain: list[float]
    usual: float
    spread: float
    loss: float
    num_tokens: int

    def stands_out(self, beyond: int, least_share: float, deviations: float) -> int | None:
        """The lag above `beyond` with the largest gain, if it stands out from all others and is not a multiple of a
        nearer one.

        Where each token depends on that 20 back, it does so through that one on the token 40 back: a multiple of a lag
        within `beyond` with as much gain is no dependence of its own. (Lags up to 3 are left aside: every text has
        something there.)

        Args:
            beyond: lags up to this are not looked at.
            least_share: of the model's loss that the gain above the usual must be worth.
            deviations: by how many of `spread` it must be above the usual.
        """
        later = self.gain[beyond:]
        if not later:
            return None
        lag = beyond + 1 + int(np.argmax(later))
        above = self.gain[lag - 1] - self.usual
        if any(lag % shorter == 0 and self.gain[shorter - 1] >= self.gain[lag - 1] for shorter in range(4, beyond + 1)):
            return None
        return lag if above > least_share * self.loss and above > deviations * self.spread else None
