"""TorchScript of recurrent layers: what torch's own layers compute is traced and scripted as these.

A trace of our loop over time would hold for the example's number of steps alone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from ostinato.errors import BackendError
from ostinato.nn.opening import SequencesT
from ostinato.nn.weights import RecurrentWeights
from ostinato.types import Ragged, State

is_tracing: Callable[[], bool] = torch._C._is_tracing
_KINDS: dict[str, tuple[Any, dict[str, str]]] = {
    "lstm": (nn.LSTM, {}),
    "gru": (nn.GRU, {}),
    "rnn_tanh": (nn.RNN, {"nonlinearity": "tanh"}),
    "rnn_relu": (nn.RNN, {"nonlinearity": "relu"}),
}


def as_torch(stack: RecurrentWeights, caller: str) -> nn.RNNBase:
    """The layer of ``torch.nn`` that computes the same, with the same weights (not copies).

    Args:
        stack: the layer.
        caller: what needs it.

    Raises:
        BackendError: if ``torch.nn`` has none.
    """
    noisy = any(stack.zoneout) or (stack.training and (stack.recurrent_dropout or stack.weight_dropout))
    if stack.cell.torch_name is None or noisy or stack.precision != "full":
        raise _refused(caller, f"torch.nn has no layer that computes what {stack!r} does")
    layer, options = _KINDS[stack.cell.torch_name]
    names = ("input_size", "hidden_size", "num_layers", "bias", "batch_first", "bidirectional", "proj_size")
    given: dict[str, Any] = {name: getattr(stack, name) for name in names}
    if not stack.proj_size:
        del given["proj_size"]  # of an LSTM alone
    twin: nn.RNNBase = layer(**given, **options, device="meta").train(stack.training)
    twin.dropout = stack.dropout
    for name in [name for name, _ in twin.named_parameters()]:
        delattr(twin, name)
        setattr(twin, name, getattr(stack, name))
    return twin


def traced(
    stack: RecurrentWeights, input: SequencesT, hx: Tensor | State | None, more: bool
) -> tuple[SequencesT, Tensor | State]:
    """What ``torch.jit.trace`` records; ``more``: lengths or all states are asked for.

    Raises:
        BackendError: if the trace would hold for this example alone.
    """
    if more or isinstance(input, Ragged):
        raise _refused("torch.jit.trace", "lengths, Ragged and the states of all steps are read while it records")
    recorded: tuple[SequencesT, Tensor | State] = as_torch(stack, "torch.jit.trace")(input, hx)
    return recorded


def _refused(caller: str, why: str) -> BackendError:
    return BackendError(
        f"`{caller}` can't hold this layer: {why}.",
        hint="torch.export.export takes every layer that the native core runs.",
    )
