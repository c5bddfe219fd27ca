"""``RNN``, ``LSTM`` and ``GRU``: drop-in for those of ``torch.nn``.

Arguments, parameter names, gate order, initial values from a seed and ``state_dict`` are those of ``torch.nn``. What is
added: ``lengths=`` and ``Ragged`` inputs, for which padding is never computed on, rows of length zero, ``backend=``,
dropout inside the recurrence, and variants of the cells. Arguments, shapes, returns and errors are those of
``RecurrentStack``.
"""

from __future__ import annotations

import torch

from ostinato.cells import Elman, Gru, Lstm
from ostinato.errors import ArgumentError
from ostinato.nn.checks import check_flags
from ostinato.nn.stack import RecurrentStack


class RNN(RecurrentStack):
    """Elman layers, ``h_t = tanh(W_ih x_t + b_ih + W_hh h_{t-1} + b_hh)``; equations in ``ostinato.cells.elman``.

    Args:
        nonlinearity: ``tanh`` or ``relu``; the fourth positional argument, as in torch.nn.
        proj_size: 0; an LSTM alone has a projection.
        layer_norm: layer-normalise the sums. The others: RecurrentStack.

    Example:
        >>> output, h_n = RNN(3, 4)(torch.zeros(7, 2, 3))
        >>> output.shape, h_n.shape
        (torch.Size([7, 2, 4]), torch.Size([1, 2, 4]))
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: str = "tanh",
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        *,
        backend: str = "auto",
        layer_norm: bool = False,
        recurrent_dropout: float = 0.0,
        weight_dropout: float = 0.0,
        zoneout: float | tuple[float, ...] = 0.0,
        precision: str = "full",
        recompute: bool = False,
    ) -> None:
        check_flags(layer_norm=layer_norm)
        if nonlinearity not in ("tanh", "relu"):
            raise ArgumentError(f"`nonlinearity` must be tanh or relu. Received: {nonlinearity!r}.")
        super().__init__(
            Elman(nonlinearity == "relu", layer_norm),
            input_size,
            hidden_size,
            num_layers,
            bias,
            batch_first,
            dropout,
            bidirectional,
            proj_size,
            device,
            dtype,
            backend=backend,
            recurrent_dropout=recurrent_dropout,
            weight_dropout=weight_dropout,
            zoneout=zoneout,
            precision=precision,
            recompute=recompute,
        )
        self.nonlinearity = nonlinearity


class LSTM(RecurrentStack):
    """Long short-term memory layers, gate order i, f, g, o; equations in ``ostinato.cells.lstm``.

    Args:
        peepholes: the gates see the cell state; not together with layer_norm.
        layer_norm: layer-normalise the sums and the cell state that is put out. The others: RecurrentStack.

    Example:
        >>> output, (h_n, c_n) = LSTM(3, 4)(torch.zeros(7, 2, 3))
        >>> output.shape, h_n.shape, c_n.shape
        (torch.Size([7, 2, 4]), torch.Size([1, 2, 4]), torch.Size([1, 2, 4]))
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        *,
        backend: str = "auto",
        peepholes: bool = False,
        layer_norm: bool = False,
        recurrent_dropout: float = 0.0,
        weight_dropout: float = 0.0,
        zoneout: float | tuple[float, ...] = 0.0,
        precision: str = "full",
        recompute: bool = False,
    ) -> None:
        check_flags(peepholes=peepholes, layer_norm=layer_norm)
        super().__init__(
            Lstm(peepholes, layer_norm),
            input_size,
            hidden_size,
            num_layers,
            bias,
            batch_first,
            dropout,
            bidirectional,
            proj_size,
            device,
            dtype,
            backend=backend,
            recurrent_dropout=recurrent_dropout,
            weight_dropout=weight_dropout,
            zoneout=zoneout,
            precision=precision,
            recompute=recompute,
        )


class GRU(RecurrentStack):
    """Gated recurrent unit layers, gate order r, z, n; equations in ``ostinato.cells.gru``.

    Args:
        proj_size: 0; an LSTM alone has a projection.
        reset_after: whether the reset gate acts after the product with ``W_hn`` (torch.nn) or before it (Cho 2014).
        layer_norm: layer-normalise the sums; only with reset_after. The others: RecurrentStack.

    Example:
        >>> output, h_n = GRU(3, 4)(torch.zeros(7, 2, 3))
        >>> output.shape, h_n.shape
        (torch.Size([7, 2, 4]), torch.Size([1, 2, 4]))
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        *,
        backend: str = "auto",
        reset_after: bool = True,
        layer_norm: bool = False,
        recurrent_dropout: float = 0.0,
        weight_dropout: float = 0.0,
        zoneout: float | tuple[float, ...] = 0.0,
        precision: str = "full",
        recompute: bool = False,
    ) -> None:
        check_flags(reset_after=reset_after, layer_norm=layer_norm)
        super().__init__(
            Gru(reset_after, layer_norm),
            input_size,
            hidden_size,
            num_layers,
            bias,
            batch_first,
            dropout,
            bidirectional,
            proj_size,
            device,
            dtype,
            backend=backend,
            recurrent_dropout=recurrent_dropout,
            weight_dropout=weight_dropout,
            zoneout=zoneout,
            precision=precision,
            recompute=recompute,
        )


def build(
    cell: str,
    input_size: int,
    hidden_size: int,
    *,
    num_layers: int = 1,
    bias: bool = True,
    batch_first: bool = False,
    dropout: float = 0.0,
    bidirectional: bool = False,
    proj_size: int = 0,
    backend: str = "auto",
    recurrent_dropout: float = 0.0,
    weight_dropout: float = 0.0,
    zoneout: float | tuple[float, ...] = 0.0,
    precision: str = "full",
    recompute: bool = False,
) -> RecurrentStack:
    """A stack of the registered cell called ``cell``; the arguments are those of ``RecurrentStack``.

    Raises:
        RecipeError: if there is no such cell, or the arguments describe no possible layer.
        BackendError: if there is no such backend.

    Example:
        >>> build("elman_relu", 3, 4, num_layers=2).output_size
        4
    """
    return RecurrentStack(
        cell,
        input_size,
        hidden_size,
        num_layers,
        bias,
        batch_first,
        dropout,
        bidirectional,
        proj_size,
        backend=backend,
        recurrent_dropout=recurrent_dropout,
        weight_dropout=weight_dropout,
        zoneout=zoneout,
        precision=precision,
        recompute=recompute,
    )
