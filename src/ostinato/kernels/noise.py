r"""What a scan may be given besides the weights: a mask on the hidden state, and how much of the old state is kept.

.. math::

    \hat s_t &= \mathrm{step}(x_t, s_{t-1}; m) \quad (h_{t-1} m \text{ in place of } h_{t-1} \text{ in products}) \\
    s_t &= z_t s_{t-1} + (1 - z_t) \hat s_t

Sources: m, variational dropout of the hidden state: Y. Gal and Z. Ghahramani, "A Theoretically Grounded Application of
Dropout in Recurrent Neural Networks", NeurIPS 2016, section 4. z, zoneout: D. Krueger et al., "Zoneout: Regularizing
RNNs by Randomly Preserving Hidden Activations", ICLR 2017, arXiv:1606.01305. Deviation: an LSTM's proposed h uses the
proposed c, not the one that zoneout leaves. The layers of ``ostinato.nn`` draw both, a backend only applies them.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, eq=False)
class Noise:
    """The noise of one layer in one direction, for one call.

    Args:
        hidden_mask: (N, P), rows in the packed order; multiplies h where it enters a product with ``weight_hh``, the
            same at every step. P is the size of h. None: ones.
        zoneout: for each tensor of the state, in the order of ``state_names``, None (nothing of the old is kept) or
            (sum L, size) in the packed order of the batch: the share of the old state at each step, in [0, 1]. While
            training zeros and ones, in evaluation the probability itself. Empty: None for all.
    """

    hidden_mask: Tensor | None = None
    zoneout: tuple[Tensor | None, ...] = ()
