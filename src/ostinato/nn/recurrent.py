"""``RNN``, ``LSTM`` and ``GRU``: drop-in for those of ``torch.nn``.

Arguments, parameter names, gate order, initial values from a seed and ``state_dict`` are those of ``torch.nn``. What is
added: ``lengths=`` and ``Ragged`` inputs, for which padding is never computed on, rows of length zero, and
``backend=``. Arguments, shapes, returns and errors are those of ``RecurrentStack``.
"""

from __future__ import annotations

import torch

from ostinato.errors import RecipeError
from ostinato.nn.stack import RecurrentStack


class RNN(RecurrentStack):
    """Elman layers, ``h_t = tanh(W_ih x_t + b_ih + W_hh h_{t-1} + b_hh)``; equations in ``ostinato.cells.elman``.

    Args:
        nonlinearity: ``tanh`` or ``relu``; the fourth positional argument, as in torch.nn. The others: RecurrentStack.

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
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        *,
        backend: str = "auto",
    ) -> None:
        if nonlinearity not in ("tanh", "relu"):
            raise RecipeError(f"`nonlinearity` must be tanh or relu. Received: {nonlinearity!r}.")
        super().__init__(
            "elman" if nonlinearity == "tanh" else "elman_relu",
            input_size,
            hidden_size,
            num_layers,
            bias,
            batch_first,
            dropout,
            bidirectional,
            device=device,
            dtype=dtype,
            backend=backend,
        )
        self.nonlinearity = nonlinearity


class LSTM(RecurrentStack):
    """Long short-term memory layers, gate order i, f, g, o; equations in ``ostinato.cells.lstm``.

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
    ) -> None:
        super().__init__(
            "lstm",
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
        )


class GRU(RecurrentStack):
    """Gated recurrent unit layers, gate order r, z, n; equations in ``ostinato.cells.gru``.

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
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        *,
        backend: str = "auto",
    ) -> None:
        super().__init__(
            "gru",
            input_size,
            hidden_size,
            num_layers,
            bias,
            batch_first,
            dropout,
            bidirectional,
            device=device,
            dtype=dtype,
            backend=backend,
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
    )
