"""How rows of unequal length lie in memory: what follows from their lengths alone, for ``ostinato.types.Ragged``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeAlias, cast

import numpy as np
import torch
from torch import Tensor

from ostinato.errors import ShapeError

Array: TypeAlias = "Tensor | np.ndarray[Any, Any]"
Counts: TypeAlias = "Tensor | np.ndarray[Any, Any] | Sequence[int]"


class Packing(Protocol):
    """What says where the values of each row lie; the fields are those of ``Ragged``."""

    @property
    def batch_sizes(self) -> Tensor: ...
    @property
    def lengths(self) -> Tensor: ...
    @property
    def sorted_indices(self) -> Tensor: ...
    @property
    def unsorted_indices(self) -> Tensor: ...


def permute(values: Tensor, index: Tensor, inverse: Tensor) -> Tensor:
    """``values[index]`` for a permutation ``index`` whose inverse is known.

    With gradients it is written as a scatter to ``inverse``: the backward of ``index_copy`` is a gather, that of
    ``index_select`` a slow accumulating scatter, which a permutation does not need.
    """
    if torch.is_grad_enabled() and values.requires_grad:
        return torch.empty_like(values).index_copy_(0, inverse, values)
    return values.index_select(0, index)


class Layout:
    """Everything that follows from the lengths of the rows alone; all on the CPU."""

    def __init__(self, lengths: Tensor) -> None:
        self.lengths = lengths
        self.sorted_indices = torch.argsort(lengths, descending=True, stable=True)
        ended = torch.bincount(lengths, minlength=1).cumsum(0)  # (max L + 1,): rows of at most so many steps
        self.batch_sizes = len(lengths) - ended[:-1]
        self.cache: dict[tuple[str, torch.device], Tensor] = {}

    def places(self) -> tuple[Tensor, Tensor]:
        """For every packed value its original row and its step, (sum L,) each."""
        rows, times = places_of(self.batch_sizes)
        cpu = rows.device
        self.cache |= {("rows", cpu): rows, ("times", cpu): times}
        return torch.from_numpy(_numpy(self.sorted_indices)[_numpy(rows)]), times


def places_of(batch_sizes: Tensor) -> tuple[Tensor, Tensor]:
    """For every packed value its row in the sorted order and its step, (sum L,) each.

    In numpy: on a busy machine torch's threads, waiting for each other, cost more than this work.
    """
    counts = _numpy(batch_sizes)
    times = np.repeat(np.arange(len(counts)), counts)
    rows = np.arange(len(times)) - (counts.cumsum() - counts)[times]
    return torch.from_numpy(rows), torch.from_numpy(times)


def in_transforms() -> bool:
    """Whether one of ``torch.func``'s transforms (grad, vmap, jvp, ...) is at work."""
    return bool(torch._C._are_functorch_transforms_active())  # type: ignore[attr-defined, unused-ignore]


def _numpy(counts: Tensor) -> np.ndarray[Any, Any]:
    """As an array; under a transform of ``torch.func`` a tensor has no memory to share with one."""
    return np.array(counts.tolist(), dtype=np.int64) if in_transforms() else counts.numpy()


def _starts(counts: Tensor) -> Tensor:
    """Exclusive running sum: where each of the groups begins."""
    return counts.cumsum(0) - counts


def inverse_of(order: Tensor) -> Tensor:
    return torch.empty_like(order).scatter_(0, order, torch.arange(len(order), device=order.device))


def _row_major(packing: Packing) -> Tensor:
    lengths = packing.lengths
    rows = torch.repeat_interleave(torch.arange(len(lengths)), lengths)
    times = torch.arange(len(rows)) - _starts(lengths)[rows]
    return _starts(packing.batch_sizes)[times] + packing.unsorted_indices.cpu()[rows]


def _reverse(packing: Packing) -> Tensor:
    rows, times = places_of(packing.batch_sizes)
    sorted_lengths = packing.lengths[packing.sorted_indices.cpu()]
    return _starts(packing.batch_sizes)[sorted_lengths[rows] - 1 - times] + rows


def _previous(packing: Packing) -> Tensor:
    rows, times = places_of(packing.batch_sizes)
    return _starts(packing.batch_sizes)[(times - 1).clamp(min=0)] + rows


def _non_empty(packing: Packing) -> Tensor:
    return packing.lengths.nonzero().flatten()


def _last(packing: Packing) -> Tensor:
    rows = _non_empty(packing)
    return _starts(packing.batch_sizes)[packing.lengths[rows] - 1] + packing.unsorted_indices.cpu()[rows]


INDICES: dict[str, Callable[[Packing], Tensor]] = {
    "rows": lambda packing: places_of(packing.batch_sizes)[0],
    "times": lambda packing: places_of(packing.batch_sizes)[1],
    "row_major": _row_major,
    "row_major_inverse": lambda packing: inverse_of(_row_major(packing)),
    "reverse": _reverse,
    "previous": _previous,
    "non_empty": _non_empty,
    "first": lambda packing: packing.unsorted_indices.cpu()[_non_empty(packing)],
    "last": _last,
}


def counts_of(counts: Counts, name: str) -> Tensor:
    """(N,) int64 on the CPU out of what the caller has."""
    tensor = counts.detach().cpu() if isinstance(counts, Tensor) else torch.as_tensor(np.asarray(counts))
    if tensor.dim() != 1 or (len(tensor) and (tensor.is_floating_point() or tensor.is_complex())):
        raise ShapeError(f"`{name}` must be a list of integers. Received: {tensor.dtype}, shape {tuple(tensor.shape)}.")
    tensor = tensor.long()
    if len(tensor) and int(tensor.min()) < 0:
        raise ShapeError(f"`{name}` must not be negative. Received: {int(tensor.min())}.")
    return tensor


def gather(values: Array, index: Tensor) -> Tensor:
    if isinstance(values, Tensor):
        return values.index_select(0, index.to(values.device))
    picked = cast("np.ndarray[Any, Any]", np.take(values, _numpy(index), axis=0))
    if picked.dtype.kind == "u" and picked.dtype.itemsize > 1:
        picked = picked.astype(np.int64)
    return torch.from_numpy(picked)
