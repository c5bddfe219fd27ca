"""Derivatives that the core does not compute: of its gradients, and of many gradients at once.

When `create_graph=True` asks for the first, or `is_grads_batched=True` for the second, the layer is computed again in
the cell's own equations, which torch differentiates to any order. Only then: an ordinary backward pass is the core's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ostinato.cells import Cell, NativeKernel, Weights
from ostinato.kernels import reference
from ostinato.kernels.directions import by_direction
from ostinato.kernels.native_layer import Call
from ostinato.kernels.native_plan import split_bias
from ostinato.kernels.noise import Noise
from ostinato.types import Ragged

INPUT_WEIGHTS = ("weight_ih", "bias_ih", "bias_hh", "gain_ih")


@dataclass(frozen=True)
class Equations:
    """What a layer computes.

    Args:
        cell: its recurrence.
        kernel: the core's kernel for it.
        names: where the call's values are the input's sums: the weights they were made with, in the order of `sources`.
        tokens: whether `sources` begins with ids, the values being rows of a table.
    """

    cell: Cell
    kernel: NativeKernel
    names: tuple[str, ...] = ()
    tokens: bool = False

    def differentiate(
        self, call: Call, sources: Sequence[Tensor], gradients: Sequence[Tensor | None], needed: Sequence[bool]
    ) -> list[Tensor | None]:
        """Gradients of values, initial states and weights, in this order, with a graph of their own.

        Args:
            call: as for the core; values that are sums are taken from `sources`, the core having written over them.
            sources: ids where there are, what was projected, and each direction's `names`.
            gradients: of output, h_n, c_n and c of every step, or None.
            needed: which of values, initial states and weights need one.
        """
        create_graph = torch.is_grad_enabled()
        with torch.enable_grad():
            values = self._sums(sources) if self.names else call.values
            parts = [values, *call.initial, *call.weights]
            pairs = zip(self._run(call, values), gradients, strict=False)
            ends, given = zip(*((end, gradient) for end, gradient in pairs if gradient is not None), strict=True)
            wanted = [part for part, need in zip(parts, needed, strict=True) if need]
            found = iter(torch.autograd.grad(ends, wanted, given, create_graph=create_graph, allow_unused=True))
        return [next(found) if need else None for need in needed]

    def _sums(self, sources: Sequence[Tensor]) -> Tensor:
        """(sum L, D*G*H)."""
        rest = list(sources)
        ids = rest.pop(0) if self.tokens else None
        read, count = rest.pop(0), len(self.names)
        each = [dict(zip(self.names, rest[at : at + count], strict=True)) for at in range(0, len(rest), count)]
        sums = torch.cat([project(self.cell, self.kernel, read, weights) for weights in each], dim=1)
        return sums if ids is None else sums.index_select(0, ids)

    def _run(self, call: Call, values: Tensor) -> list[Tensor]:
        """Output (sum L, D*P), h_n and c_n (D, N, ...), and c of every step, (D, sum L, H)."""
        names, (num_directions, num_rows) = call.plan.names, call.initial[0].shape[:2]
        order = torch.arange(num_rows)
        lengths = (call.batch_sizes.unsqueeze(0) > order.unsqueeze(1)).sum(1)
        batch = Ragged(values, call.batch_sizes, order, order, lengths)
        cut = range(0, len(call.weights), len(names))
        weights = [dict(zip(names, call.weights[at : at + len(names)], strict=True)) for at in cut]
        if self.names:
            sums: Sequence[Tensor] = values.chunk(num_directions, dim=1)
        else:
            sums = [project(self.cell, self.kernel, values, each) for each in weights]
            weights = [without_input(self.kernel, each) for each in weights]
        noise = dict(zip(call.plan.noise, call.noise, strict=True))
        num_states = len(call.initial)
        options = {"noise": [_noise(noise, d, num_states) for d in range(num_directions)], "all_states": True}
        states = list(zip(*(part.unbind(0) for part in call.initial), strict=True))
        steps = [_step_weights(each) for each in weights]
        output, finals, every = by_direction(reference.scan_sums, self.cell, batch, states, steps, options, sums)
        ends = [torch.stack(parts) for parts in zip(*finals, strict=True)]
        return [output, *ends] if len(ends) == 1 else [output, *ends, torch.stack([state[1] for state in every])]


def project(cell: Cell, kernel: NativeKernel, values: Tensor, weights: Weights) -> Tensor:
    """The input's sums with every bias but a b_hn that is kept apart, (sum L, G*H), by torch's own operations."""
    sums = cell.project(values, weights)
    return sums + split_bias(weights["bias_hh"], kernel.resets_after)[0] if "bias_hh" in weights else sums


def without_input(kernel: NativeKernel, weights: Weights) -> dict[str, Tensor]:
    """What is left of the weights once the input is projected."""
    left = {name: weight for name, weight in weights.items() if name not in INPUT_WEIGHTS}
    if kernel.resets_after and "bias_hh" in weights:
        left["bias_hn"] = split_bias(weights["bias_hh"], True)[1]
    return left


def _step_weights(left: dict[str, Tensor]) -> dict[str, Tensor]:
    """As a cell's step takes them: b_hn as the last part of a `bias_hh` that is zero elsewhere."""
    rest = {name: weight for name, weight in left.items() if name != "bias_hn"}
    if "bias_hn" in left:
        zeros = left["bias_hn"].new_zeros(2 * len(left["bias_hn"]))
        rest["bias_hh"] = torch.cat([zeros, left["bias_hn"]])
    return rest


def _noise(noise: dict[str, Tensor], direction: int, num_states: int) -> Noise:
    mask, h, c = (noise[n][direction] if n in noise else None for n in ("hidden_mask", "zoneout_h", "zoneout_c"))
    return Noise(mask, () if h is None and c is None else (h, c)[:num_states])
