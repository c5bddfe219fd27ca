"""``Ragged`` (a batch of rows of unequal length) and ``State``: the two types that travel between the layers.

Shape legend, used everywhere in Ostinato: N batch (rows), L time (steps), D directions, I input, H hidden, G gates,
V vocabulary. ``sum L`` is the number of values of all rows together. Features that follow are written ``...``.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TypeAlias

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from ostinato.errors import ShapeError
from ostinato.packing import INDICES, Array, Counts, Layout, counts_of, gather, inverse_of, permute, places_of

State: TypeAlias = tuple[Tensor, ...]
"""State of one layer in one direction: one tensor (N, H) for each of the cell's ``state_names``, ``h`` first."""


@dataclass(frozen=True, eq=False)
class Ragged:
    """Rows of unequal length, packed time-major: no padding is stored and none is computed on.

    The rows are ordered by decreasing length (stable), and the values of step 0 of every row come first, then those of
    step 1 of every row that has one, and so on. ``PackedSequence`` is the same layout; unlike it, rows of length zero
    are legal: they own no value, and ``len(lengths)`` may exceed ``batch_sizes[0]``.

    Args:
        values: (sum L, ...), the packed values, on any device.
        batch_sizes: (max L,) int64 on the CPU, how many rows are alive at each step; empty if every row is empty.
        sorted_indices: (N,) int64, ``sorted_indices[k]`` is the original row that lies at place k of the packed order.
        unsorted_indices: (N,) int64, its inverse: the place of each original row.
        lengths: (N,) int64 on the CPU, in the original order of the rows.

    Raises:
        ShapeError: if ``values`` does not hold ``sum(batch_sizes)`` values. Use the ``from_`` constructors, which work
            out the structure themselves.

    Example:
        >>> ragged = Ragged.from_rows(torch.arange(6), starts=[0, 2], lengths=[2, 4])
        >>> ragged.values
        tensor([2, 0, 3, 1, 4, 5])
        >>> [row.tolist() for row in ragged.split_rows()]
        [[0, 1], [2, 3, 4, 5]]
    """

    values: Tensor
    batch_sizes: Tensor
    sorted_indices: Tensor
    unsorted_indices: Tensor
    lengths: Tensor
    _cache: dict[tuple[str, torch.device], Tensor] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        if torch.compiler.is_compiling():
            return  # the check reads numbers, which the compiler does not have
        expected = int(self.batch_sizes.sum())
        received = self.values.shape[0] if self.values.dim() else -1
        if received != expected:
            raise ShapeError(
                f"`values` must hold sum(lengths) = {expected} values along its first axis. "
                f"Received: shape {tuple(self.values.shape)}."
            )

    # Constructors

    @classmethod
    def from_rows(cls, values: Array, starts: Counts, lengths: Counts) -> Ragged:
        """Pack rows cut out of flat ``values``: row n is ``values[starts[n] : starts[n] + lengths[n]]``.

        One vectorised gather, whatever the number of rows. Rows may overlap and may lie in any order. A numpy array is
        read only where the rows lie, so it may be a memory map; numpy's unsigned integers wider than a byte become
        int64, the rest keep their type.

        Args:
            values: (total, ...), tensor or numpy array.
            starts: (N,) integers, the offset of each row's first value.
            lengths: (N,) integers >= 0.

        Raises:
            ShapeError: if a row reaches outside ``values``, or ``starts`` and ``lengths`` don't match.
        """
        counts = counts_of(lengths, "lengths")
        offsets = counts_of(starts, "starts")
        if offsets.shape != counts.shape:
            raise ShapeError(
                f"`starts` and `lengths` must have one entry a row each. Received: {len(offsets)} and {len(counts)}."
            )
        if len(counts) and int((offsets + counts).max()) > values.shape[0]:
            row = int((offsets + counts).argmax())
            raise ShapeError(
                f"every row must end within the {values.shape[0]} `values`. "
                f"Received: row {row} from {int(offsets[row])} to {int(offsets[row] + counts[row])}."
            )
        layout = Layout(counts)
        rows, times = layout.places()
        index = offsets.numpy()[rows.numpy()] + times.numpy()
        return cls._of(layout, gather(values, torch.from_numpy(index)))

    @classmethod
    def from_offsets(cls, values: Array, offsets: Counts) -> Ragged:
        """Pack Arrow-style rows: row n is ``values[offsets[n] : offsets[n + 1]]``; ``offsets`` has N + 1 entries."""
        bounds = counts_of(offsets, "offsets")
        if len(bounds) == 0 or bool((bounds[1:] < bounds[:-1]).any()):
            raise ShapeError(f"`offsets` must be N + 1 integers that never decrease. Received: {bounds.tolist()[:8]}.")
        return cls.from_rows(values, bounds[:-1], bounds[1:] - bounds[:-1])

    @classmethod
    def from_padded(cls, padded: Tensor, lengths: Counts | None = None, batch_first: bool = True) -> Ragged:
        """Pack a padded batch (N, L, ...), or (L, N, ...) if not ``batch_first``. Padding is never read.

        Args:
            padded: the batch.
            lengths: (N,) integers from 0 to L, or None if every row has all L steps.
            batch_first: which of the two axes comes first.

        Raises:
            ShapeError: if there isn't one length a row, or a length exceeds the time axis.
        """
        if padded.dim() < 2:
            raise ShapeError(f"`padded` must have a batch and a time axis. Received: shape {tuple(padded.shape)}.")
        num_rows, num_steps = padded.shape[:2] if batch_first else (padded.shape[1], padded.shape[0])
        if lengths is None:
            order = torch.arange(num_rows, device=padded.device)
            dense = (padded.transpose(0, 1) if batch_first else padded).flatten(0, 1)
            steps = torch.full((num_steps if num_rows else 0,), num_rows)
            return cls(dense, steps, order, order, torch.full((num_rows,), num_steps))
        counts = counts_of(lengths, "lengths")
        if len(counts) != num_rows:
            raise ShapeError(f"`lengths` must have one entry for each of {num_rows} rows. Received: {len(counts)}.")
        if num_rows and int(counts.max()) > num_steps:
            raise ShapeError(
                f"`lengths` must not exceed the {num_steps} steps of the time axis. Received: {int(counts.max())} "
                f"(row {int(counts.argmax())}).",
                hint="check `batch_first`: the time axis may be the other one.",
            )
        if num_rows and int(counts.min()) == num_steps:
            return cls.from_padded(padded, None, batch_first)
        layout = Layout(counts)
        rows, times = layout.places()
        index = rows * num_steps + times if batch_first else times * num_rows + rows
        return cls._of(layout, padded.flatten(0, 1).index_select(0, index.to(padded.device)))

    @classmethod
    def from_packed(cls, packed: PackedSequence) -> Ragged:
        """The same values and order as a ``PackedSequence``; nothing is copied."""
        batch_sizes = packed.batch_sizes
        num_rows = int(batch_sizes[0])
        rows, _ = places_of(batch_sizes)
        order = packed.sorted_indices
        inverse = packed.unsorted_indices
        if order is None or inverse is None:
            order = inverse = torch.arange(num_rows, device=packed.data.device)
        lengths = torch.bincount(rows, minlength=num_rows)[inverse.cpu()]
        return cls(packed.data, batch_sizes, order, inverse, lengths)

    @classmethod
    def _of(cls, layout: Layout, values: Tensor) -> Ragged:
        order = layout.sorted_indices.to(values.device)
        return cls(values, layout.batch_sizes, order, inverse_of(order), layout.lengths, layout.cache)

    # Views

    def to_packed(self) -> PackedSequence:
        """The same values as a ``PackedSequence``; nothing is copied.

        Raises:
            ShapeError: if there is no row, or a row has length zero: ``PackedSequence`` can't hold it.
        """
        num_empty = int((self.lengths == 0).sum())
        if num_empty or not self.num_rows:
            raise ShapeError(
                f"a PackedSequence holds rows of length >= 1. Received: {num_empty} of {self.num_rows} rows are empty.",
                hint="leave the empty rows out, or stay with Ragged, for which they are legal.",
            )
        return PackedSequence(self.values, self.batch_sizes, self.sorted_indices, self.unsorted_indices)

    def to_padded(
        self, batch_first: bool = True, padding_value: float = 0.0, total_length: int | None = None
    ) -> tuple[Tensor, Tensor]:
        """Padded batch in the original order of the rows, and ``lengths``.

        Args:
            batch_first: (N, L, ...) if true, else (L, N, ...).
            padding_value: what the steps after a row's end are set to.
            total_length: size of the time axis; default and least the longest row.

        Raises:
            ShapeError: if ``total_length`` is shorter than the longest row.
        """
        num_steps = self.max_length if total_length is None else total_length
        if num_steps < self.max_length:
            raise ShapeError(
                f"`total_length` must be at least the longest row, {self.max_length}. Received: {total_length}."
            )
        features = self.values.shape[1:]
        if self.num_rows and num_steps and int(self.lengths.min()) == num_steps:
            dense = self.values.reshape(num_steps, self.num_rows, *features)
            if not bool((self.sorted_indices[1:] > self.sorted_indices[:-1]).all()):
                dense = dense.index_select(1, self.unsorted_indices)
            return (dense.transpose(0, 1) if batch_first else dense), self.lengths
        rows = self.sorted_indices[self.rows_index()]
        times = self._index("times")
        index = rows * num_steps + times if batch_first else times * self.num_rows + rows
        flat = self.values.new_full((self.num_rows * num_steps, *features), padding_value)
        flat = flat.index_copy(0, index, self.values)
        shape = (self.num_rows, num_steps) if batch_first else (num_steps, self.num_rows)
        return flat.view(*shape, *features), self.lengths

    def with_values(self, values: Tensor) -> Ragged:
        """Other ``values`` (sum L, ...) in the same structure; its cached indices are shared."""
        return replace(self, values=values)

    def to(self, device: torch.device | str) -> Ragged:
        """The same batch on another device; ``batch_sizes`` and ``lengths`` stay on the CPU."""
        if self.values.device == torch.device(device):
            return self
        return replace(
            self,
            values=self.values.to(device),
            sorted_indices=self.sorted_indices.to(device),
            unsorted_indices=self.unsorted_indices.to(device),
        )

    def split_rows(self) -> list[Tensor]:
        """One tensor (L_n, ...) a row, in the original order."""
        return list(torch.split(self.row_major(), self.lengths.tolist()))

    def row_major(self) -> Tensor:
        """(sum L, ...): the values row after row, in the original order of the rows."""
        return permute(self.values, self.row_major_index(), self._index("row_major_inverse"))

    def reversed(self) -> Ragged:
        """Every row reversed in time."""
        index = self.reverse_index()
        return self.with_values(permute(self.values, index, index))

    def select_last(self) -> Tensor:
        """(N, ...): the last value of each row in the original order; zeros for an empty row."""
        return self._select("last")

    def select_first(self) -> Tensor:
        """(N, ...): the first value of each row in the original order; zeros for an empty row."""
        return self._select("first")

    # Structure

    @property
    def num_rows(self) -> int:
        """N, empty rows included."""
        return self.lengths.shape[0]

    @property
    def max_length(self) -> int:
        """Steps of the longest row; 0 if every row is empty."""
        return self.batch_sizes.shape[0]

    @property
    def device(self) -> torch.device:
        """Where ``values`` and every index lie."""
        return self.values.device

    def rows_index(self) -> Tensor:
        """(sum L,): for every packed value the place of its row in the sorted order."""
        return self._index("rows")

    def times_index(self) -> Tensor:
        """(sum L,): for every packed value its step."""
        return self._index("times")

    def row_major_index(self) -> Tensor:
        """(sum L,): ``values[index]`` lies row after row in the original order, as segment reductions want it."""
        return self._index("row_major")

    def reverse_index(self) -> Tensor:
        """(sum L,): ``values[index]`` has every row reversed in time; applied twice it changes nothing."""
        return self._index("reverse")

    def previous_index(self) -> Tensor:
        """(sum L,): for every packed value where its row's value of the step before lies; its own place at step 0."""
        return self._index("previous")

    def _select(self, which: str) -> Tensor:
        picked = self.values.index_select(0, self._index(which))
        if picked.shape[0] == self.num_rows:
            return picked
        out = self.values.new_zeros((self.num_rows, *self.values.shape[1:]))
        return out.index_copy(0, self._index("non_empty"), picked)

    def _index(self, name: str) -> Tensor:
        """The structural index called ``name`` on the device of the values; computed once a structure and device."""
        here, cpu = (name, self.device), (name, torch.device("cpu"))
        if cpu not in self._cache:
            self._cache[cpu] = INDICES[name](self)
        if here not in self._cache:
            self._cache[here] = self._cache[cpu].to(self.device)
        return self._cache[here]
