"""Sequences laid on parallel streams and read in windows, so that state can be carried from window to window.

A window is cut where one sequence ends and the next begins inside it: its *pieces* are rows of a `Ragged` of their own.
Those that begin a sequence start from zeros, the others from the state their stream was left in, so that no mask and no
padding is needed for exact resets anywhere.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

from ostinato.arrays import Offsets
from ostinato.types import Ragged, State

Flags: TypeAlias = "NDArray[np.bool_]"


@dataclass(frozen=True)
class Pieces:
    """P parts of sequences that lie on N streams, ordered by stream and time.

    offsets: where each piece begins in the flat values; at: the step of its stream on which it begins; lengths: its
    steps; streams, rows: the numbers of its stream and sequence; begins, ends: whether it holds the first and the last
    step of its sequence. All (P,).
    """

    offsets: Offsets
    at: Offsets
    lengths: Offsets
    streams: Offsets
    rows: Offsets
    begins: Flags
    ends: Flags

    def __len__(self) -> int:
        return len(self.offsets)

    def between(self, start: int, stop: int, index: NDArray[Any] | slice = slice(None)) -> Pieces:
        """What lies on steps start … stop - 1 of the streams; `index`: the pieces that reach in there."""
        at, lengths = self.at[index], self.lengths[index]
        first, last = np.maximum(at, start), np.minimum(at + lengths, stop)
        return Pieces(
            self.offsets[index] + first - at,
            first,
            last - first,
            self.streams[index],
            self.rows[index],
            self.begins[index] & (first == at),
            self.ends[index] & (last == at + lengths),
        )


@dataclass(frozen=True)
class Window:
    """Steps start … stop - 1 of `num_streams` streams."""

    pieces: Pieces
    start: int
    stop: int
    num_streams: int

    @property
    def num_steps(self) -> int:
        """Steps of all pieces together."""
        return int(self.pieces.lengths.sum())

    def take(self, values: NDArray[Any], shift: int = 0) -> Ragged:
        """The values that the pieces cover, one row a piece, or those `shift` places further on."""
        picked = np.take(values, self._index.values.numpy() + shift, axis=0)
        return self._index.with_values(torch.from_numpy(picked))

    def split(self, num_steps: int) -> list[Window]:
        """The same in windows of at most so many steps."""
        cuts = [*range(self.start, self.stop, num_steps), self.stop]
        return [self.between(start, stop) for start, stop in itertools.pairwise(cuts)]

    def between(self, start: int, stop: int) -> Window:
        """A part of the window."""
        at, end = self.pieces.at, self.pieces.at + self.pieces.lengths
        inside = np.flatnonzero((at < stop) & ((end > start) | ((at == end) & (at >= start))))
        return Window(self.pieces.between(start, stop, inside), start, stop, self.num_streams)

    def enter(self, states: Sequence[State]) -> list[State]:
        """From the states that the streams were left in, (D, N, H) each, to those the pieces begin in, (D, P, H)."""
        if self._whole and not self.pieces.begins.any():
            return list(states)
        device = states[0][0].device
        streams = torch.from_numpy(self.pieces.streams).to(device)
        fresh = torch.from_numpy(self.pieces.begins).to(device).view(1, -1, 1)
        return [tuple(part.index_select(1, streams).masked_fill(fresh, 0.0) for part in state) for state in states]

    def leave(self, states: Sequence[State], finals: Sequence[State]) -> list[State]:
        """`states` of the streams, with those that have a piece here in the final state of their last one."""
        if self._whole:
            return list(finals)
        device = states[0][0].device
        streams = self.pieces.streams
        last = np.flatnonzero(np.append(streams[1:] != streams[:-1], True)[: len(streams)])
        at, of = torch.from_numpy(streams[last]).to(device), torch.from_numpy(last).to(device)
        return [
            tuple(part.index_copy(1, at, final.index_select(1, of)) for part, final in zip(*pair, strict=True))
            for pair in zip(states, finals, strict=True)
        ]

    @cached_property
    def _whole(self) -> bool:
        """Whether every stream has exactly one piece, so that pieces are streams."""
        return np.array_equal(self.pieces.streams, np.arange(self.num_streams))

    @cached_property
    def _index(self) -> Ragged:
        """The place of every value in the flat values, packed."""
        pieces = self.pieces
        ends = pieces.lengths.cumsum()
        starts = ends - pieces.lengths
        flat = np.arange(int(ends[-1]) if len(ends) else 0) + np.repeat(pieces.offsets - starts, pieces.lengths)
        return Ragged.from_rows(flat, starts, pieces.lengths)


@dataclass(frozen=True)
class Tapes:
    """Where every sequence lies on `num_streams` parallel streams."""

    pieces: Pieces
    num_streams: int

    @classmethod
    def of_text(cls, count: int, num_streams: int, begins: Offsets | None = None, shift: int = 0) -> Tapes:
        """`count` values in a row cut into streams of equal length, of which every step but the last has a next value.

        Fewer than `num_streams` values at the end are left out; a stream has at least two. With `shift` the cuts move
        on and the last stream goes on at the beginning of the values, which starts over.

        Args:
            count: values.
            num_streams: N, lowered where the values are too few.
            begins: places at which a document begins, so that state starts from zeros there.
            shift: in 0 … length of a stream - 1.
        """
        num_streams = max(1, min(num_streams, count // 2))
        length = count // num_streams
        total = length * num_streams
        firsts = shift + np.arange(num_streams) * length  # in unrolled places: from `shift` once around
        inner = np.append(np.asarray(begins if begins is not None else (), dtype=np.int64), 0)
        inner = np.where(inner < shift, inner + total, inner)[inner < total]
        cuts = np.union1d(firsts, inner)
        streams = np.searchsorted(firsts, cuts, side="right") - 1
        at = cuts - firsts[streams]
        stops = np.append(cuts[1:], shift + total)
        stops = np.minimum(stops, firsts[streams] + length - 1)  # the last step of a stream has no next value in it
        stops = np.where(cuts < total, np.minimum(stops, total - 1), stops)  # nor has the last value of all
        kept = np.flatnonzero(stops > cuts)
        begun = np.ones(len(kept), dtype=np.bool_)
        pieces = Pieces(cuts[kept] % total, at[kept], (stops - cuts)[kept], streams[kept], kept, begun, begun)
        return cls(pieces, num_streams)

    @classmethod
    def of_rows(cls, offsets: Offsets, order: Offsets, num_streams: int, horizon: int = 0) -> Tapes:
        """Whole sequences one after the other, in some order, on streams of about equal length.

        Args:
            offsets: sequence i is `values[offsets[i] : offsets[i + 1]]`.
            order: the sequences, each once.
            num_streams: N.
            horizon: steps at the end of each sequence that are left out, since they have no value so far ahead:
                `take(values, shift=horizon)` then stays within the sequence.
        """
        lengths = np.maximum(offsets[order + 1] - offsets[order] - horizon, 0)
        ends = lengths.cumsum()
        total = int(ends[-1]) if len(ends) else 0
        streams = np.minimum((ends - lengths) * num_streams // max(total, 1), num_streams - 1)
        firsts = np.searchsorted(streams, streams)  # the first sequence of each one's stream
        at = (ends - lengths) - (ends - lengths)[firsts]
        whole = np.ones(len(order), dtype=np.bool_)
        return cls(Pieces(offsets[order], at, lengths, streams, order, whole, whole), num_streams)

    @cached_property
    def length(self) -> int:
        """Steps of the longest stream."""
        return int((self.pieces.at + np.maximum(self.pieces.lengths, 1)).max(initial=0))

    def window(self, start: int, stop: int) -> Window:
        """Steps start … stop - 1 of all streams, at most up to the end of the longest."""
        stop = min(stop, self.length)
        begins, ends, stride = self._keys
        streams = np.arange(self.num_streams) * stride
        first = np.searchsorted(ends, streams + start, side="right")
        counts = np.maximum(np.searchsorted(begins, streams + stop, side="left") - first, 0)
        before = counts.cumsum() - counts
        index = np.arange(int(counts.sum())) + np.repeat(first - before, counts)
        return Window(self.pieces.between(start, stop, index), start, stop, self.num_streams)

    @cached_property
    def _keys(self) -> tuple[Offsets, Offsets, int]:
        """Where pieces begin and end, of all streams in one increasing order."""
        stride = self.length + 1
        begins = self.pieces.streams * stride + self.pieces.at
        return begins, begins + np.maximum(self.pieces.lengths, 1), stride


Layout = Callable[[int], Tapes]
"""The tapes of an epoch, by its number."""
