"""What the layers draw for a call: dropout of the hidden state and of its weights, and zoneout.

All draws come from torch's global generator, and nothing is drawn where the probability is 0.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from ostinato.kernels.noise import Noise
from ostinato.nn.dropout import draw_mask
from ostinato.types import Ragged


def draw_noise(
    ragged: Ragged,
    sizes: tuple[int, ...],
    recurrent_dropout: float,
    zoneout: tuple[float, ...],
    training: bool,
    like: Tensor,
) -> Noise | None:
    """The noise of one layer in one direction for one call, or None if there is none.

    Args:
        ragged: the batch that the layer reads.
        sizes: features of each tensor of the state.
        recurrent_dropout: probability of zeroing a feature of a row's h at all of its steps, the rest scaled by
            1 / (1 - p). Only while training. The mask is drawn in the original order of the rows, so that it does not
            depend on the packing.
        zoneout: for each tensor of the state the probability that a value keeps that of the step before: redrawn at
            every step while training, in evaluation the share of the old value, its expectation.
        training: whether the layer is.
        like: has the dtype and device wanted.
    """
    mask = None
    if training and recurrent_dropout:
        mask = draw_mask((ragged.num_rows, sizes[0]), recurrent_dropout, like)
        mask = mask.index_select(0, ragged.sorted_indices)
    shares = tuple(
        _draw_shares((ragged.values.shape[0], size), p, like, training) if p else None
        for size, p in zip(sizes, zoneout, strict=True)
    )
    return Noise(mask, shares if any(zoneout) else ()) if mask is not None or any(zoneout) else None


def drop_weights(weights: dict[str, Tensor], p: float, training: bool) -> dict[str, Tensor]:
    """DropConnect: the weights with entries of ``weight_hh`` zeroed with probability ``p``, the rest over 1 - p.

    Source: S. Merity, N. Keskar and R. Socher, "Regularizing and Optimizing LSTM Language Models" (2017),
    arXiv:1708.02182, section 3. One draw, so the same entries are missing at all steps of a call.
    """
    if not training or not p:
        return weights
    return weights | {"weight_hh": F.dropout(weights["weight_hh"], p, True)}


def _draw_shares(shape: tuple[int, int], p: float, like: Tensor, training: bool) -> Tensor:
    """Ones with probability ``p``, else zeros; ``p`` itself in evaluation."""
    share = torch.empty(shape, dtype=like.dtype, device=like.device)
    return share.bernoulli_(p) if training else share.fill_(p)
