"""A stack of layers run step by step in the native core: what the core needs to know, from what the layers hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from ostinato.cells import Cell, NativeKernel, Weights
from ostinato.kernels import native
from ostinato.kernels.native_layer import core, num_threads
from ostinato.kernels.native_plan import STACKED, padded, split_bias
from ostinato.types import State

_LARGEST_TABLE_BYTES = 32 << 20
"""A projected embedding table larger than this leaves the caches, and costs more than projecting a token."""


@dataclass(frozen=True)
class StreamedLayer:
    """One layer, forward in time.

    Args:
        cell: its recurrence.
        weights: by name.
        zoneout: the share of each tensor of the state that is kept at a step, as evaluation has it.
    """

    cell: Cell
    weights: Weights
    zoneout: tuple[float, ...]


@dataclass(frozen=True)
class Tokens:
    """What comes before and after the layers of a language model.

    Args:
        vectors: (V, I), the first layer's input for each token.
        weight: (V, P), scores = weight h + bias.
        bias: (V,).
        banned: tokens that are never drawn.
    """

    vectors: Tensor
    weight: Tensor
    bias: Tensor
    banned: tuple[int, ...]


def unavailable_reason(layers: Sequence[StreamedLayer]) -> str | None:
    """Why these layers can't be streamed by the core, or None if they can."""
    for layer in layers:
        weight = layer.weights["weight_hh"]
        reason = native.unavailable_reason(layer.cell, weight.device, weight.dtype)
        if reason is not None:
            return reason
    return None


class CoreStream:
    """The core's stream: packed weights, state, buffers. `nn.Stream` is what users see.

    Args:
        layers: the lowest first.
        num_rows: N.
        precision: `full` or `int8`.
        tokens: for a language model.
    """

    def __init__(
        self, layers: Sequence[StreamedLayer], num_rows: int, precision: str = "full", tokens: Tokens | None = None
    ) -> None:
        self.dtype = layers[0].weights["weight_hh"].dtype
        self.num_rows = num_rows
        native.target()
        made = {torch.float32: core.Stream32, torch.float64: core.Stream64}[self.dtype]
        with torch.no_grad():
            given = {} if tokens is None else _tokens(tokens, layers[0])
            entries = [_entry(layer, fed=number > 0 or "table" not in given) for number, layer in enumerate(layers)]
            self._core: Any = made(entries, given, num_rows, precision, num_threads())
        self.vocab_size = 0 if tokens is None else len(tokens.vectors)
        self.features = [int(size) for size in self._core.state_features()]
        self._tensors = [len(layer.cell.state_names) for layer in layers]
        self.output_size = int(self.features[sum(self._tensors[:-1])])

    @property
    def weight_bytes(self) -> int:
        """What a step reads of weights."""
        return int(self._core.weight_bytes())

    def use_rows(self, num_rows: int) -> None:
        """From now on so many rows, 1 to as many as it was made for; the first ones keep their states."""
        self._core.use_rows(num_rows)
        self.num_rows = num_rows

    def run(self, x: Tensor, output: Tensor) -> None:
        """(L, N, I) -> `output` (L, N, P), in place."""
        self._core.run(_array(x), _array(output))

    def run_tokens(self, ids: Tensor, output: Tensor | None = None, scores: Tensor | None = None) -> None:
        """Tokens (L, N) -> `output` (L, N, P) and `scores` (L, N, V), in place, where given."""
        self._core.run_tokens(_array(ids), *(None if one is None else _array(one) for one in (output, scores)))

    def draw(
        self, ids: Tensor, uniforms: Tensor, *, temperature: float, top_k: int | None, top_p: float, end: int | None
    ) -> Tensor:
        """Tokens (L', N) drawn one after the other, each read before the next, after `ids` (N,) were read.

        Args:
            ids: (N,) int64.
            uniforms: (L, N) float64 in [0, 1), one for each token to draw.
            temperature, top_k, top_p: as `generation.sampling.next_token`.
            end: a token that ends its row; L' < L once every row has ended.

        Raises:
            ArithmeticError: if the scores are not numbers.
        """
        drawn = torch.empty(uniforms.shape, dtype=torch.int64)
        try:
            made = self._core.draw(ids, uniforms, temperature, top_k or 0, top_p, -1 if end is None else end, drawn)
        except ValueError as error:
            if "not numbers" in str(error):
                raise ArithmeticError(str(error)) from error
            raise
        return drawn[:made]

    def states(self) -> list[State]:
        """A copy of the state of each layer, (N, features) each."""
        parts = [torch.empty(self.num_rows, size, dtype=self.dtype) for size in self.features]
        for index, part in enumerate(parts):
            self._core.read_state(index, _array(part))
        return [tuple(parts.pop(0) for _ in range(count)) for count in self._tensors]

    def set_states(self, states: Sequence[State]) -> None:
        """The inverse of `states`."""
        for index, part in enumerate(part for state in states for part in state):
            self._core.write_state(index, _array(part.to(self.dtype).contiguous()))


def _array(tensor: Tensor) -> Any:
    """The same memory: the core takes a tensor as well, but asks it ten times as long for where it is."""
    return tensor.detach().numpy()


def _entry(layer: StreamedLayer, fed: bool) -> dict[str, Any]:
    weights, kernel = layer.weights, native.kernel_of(layer.cell)
    hidden = weights["weight_hh"].shape[0] // len(layer.cell.gates)
    size = weights["weight_hh"].shape[1]
    inputs = weights["weight_ih"].shape[1]
    units, output_units = padded(hidden), padded(size)

    def gates(tensor: Tensor, columns: int | None = None) -> Tensor:
        """(G*H, ...) -> (G*units, columns)."""
        split = tensor.detach().view(-1, hidden, *tensor.shape[1:])
        full = F.pad(
            split, (0, (columns or 0) - split.shape[-1], 0, units - hidden) if columns else (0, units - hidden)
        )
        return full.flatten(0, 1).contiguous()

    entry: dict[str, Any] = {
        "cell": kernel.name,
        "inputs": inputs,
        "units": units,
        "output_units": output_units,
        "hidden_size": hidden,
        "output_size": size,
        "reset_before": kernel.reset_before,
        "weight_hh": gates(weights["weight_hh"], output_units),
        "zoneout_h": layer.zoneout[0],
        "zoneout_c": layer.zoneout[1] if len(layer.zoneout) > 1 else 0.0,
    }
    if fed:
        entry["weight_ih"] = gates(weights["weight_ih"], padded(inputs))
        bias = _bias(kernel, weights)
        if bias is not None:
            entry["bias"] = gates(bias)
        if "gain_ih" in weights:
            entry["gain_ih"] = gates(weights["gain_ih"])
    if kernel.resets_after and "bias_hh" in weights:
        entry["bias_hn"] = gates(split_bias(weights["bias_hh"], True)[1])
    if "weight_hr" in weights:
        missing = (0, units - hidden, 0, output_units - size)
        entry["weight_hr"] = F.pad(weights["weight_hr"].detach(), missing).contiguous()
    for name in STACKED:
        if name in weights:
            entry[name] = gates(weights[name])
    return entry


def _bias(kernel: NativeKernel, weights: Weights) -> Tensor | None:
    """(G*H,): what is added to the sums besides a b_hn that is kept apart."""
    if "bias_ih" not in weights:
        return None
    return weights["bias_ih"].detach() + split_bias(weights["bias_hh"].detach(), kernel.resets_after)[0]


def _tokens(tokens: Tokens, first: StreamedLayer) -> dict[str, Any]:
    """A table of the first layer's sums of every token where that is small, else the vectors."""
    vectors, weights = tokens.vectors.detach(), first.weights
    hidden = weights["weight_hh"].shape[0] // len(first.cell.gates)
    units = padded(hidden)
    given: dict[str, Any] = {
        "vocab_size": len(vectors),
        "weight": F.pad(
            tokens.weight.detach(), (0, padded(tokens.weight.shape[1]) - tokens.weight.shape[1])
        ).contiguous(),
        "bias": tokens.bias.detach().contiguous(),
        "banned": list(tokens.banned),
    }
    if len(vectors) * len(first.cell.gates) * units * vectors.element_size() <= _LARGEST_TABLE_BYTES:
        sums = first.cell.project(vectors, weights)
        bias = _bias(native.kernel_of(first.cell), weights)
        if bias is not None:
            sums = sums + (bias - weights["bias_ih"].detach())
        split = sums.view(len(vectors), -1, hidden)
        given["table"] = F.pad(split, (0, units - hidden)).flatten(1).contiguous()
    else:
        given["vectors"] = F.pad(vectors, (0, padded(vectors.shape[1]) - vectors.shape[1])).contiguous()
    return given
