"""Recurrent layers over pieces of many sequences, each of which goes on from a state of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from ostinato.kernels.native_stream import CoreStream, Tokens
from ostinato.nn.stack import RecurrentStack
from ostinato.nn.stream import Stream, core_stream
from ostinato.types import State

ROWS_AT_ONCE = 64


class CarriedLayers:
    """Layers in evaluation that read a piece of each of many sequences, from the state that its piece before left.

    What a sequence gives does not depend, to the last bit, on which others are read beside it, nor on how it is cut
    into pieces. In the native core, whose sums have one order, sequences are read side by side; elsewhere one by one,
    step by step. A state is flat: all tensors of all layers, the lowest first, concatenated. Not for several threads at
    once.

    Args:
        layers: stacks one upon the other; in one direction.
        tokens: with it the pieces are ids.

    Raises:
        RecipeError: if the layers can't be streamed.

    Example:
        >>> carried = CarriedLayers([RecurrentStack("gru", 3, 4)])
        >>> outputs, states = carried.run([torch.zeros(2, 3), torch.zeros(5, 3)], torch.zeros(2, carried.state_size))
        >>> [one.shape for one in outputs], states.shape
        ([torch.Size([2, 4]), torch.Size([5, 4])], torch.Size([2, 4]))
    """

    def __init__(self, layers: Sequence[RecurrentStack], tokens: Tokens | None = None) -> None:
        core = core_stream(layers, ROWS_AT_ONCE, tokens=tokens)
        self._reader: _Reader = _StepByStep(layers, tokens) if core is None else _SideBySide(core, tokens)
        self.native = core is not None
        self.output_size = layers[-1].output_size
        self._like = next(layers[0].parameters()).detach().new_empty(0)
        self.sizes = [
            stack.cell.state_sizes(stack.hidden_size, stack.proj_size)
            for stack in layers
            for _ in range(stack.num_layers)
        ]
        """Features of each tensor of each layer's state."""
        self.state_size = sum(size for layer in self.sizes for size in layer)

    def run(self, pieces: Sequence[Tensor], states: Tensor) -> tuple[list[Tensor], Tensor]:
        """The last layer's output after each step of each piece, and the states then.

        Args:
            pieces: (L_i, I), or ids (L_i,), of each sequence; a piece may be empty.
            states: (N, state_size), as returned; zeros begin a sequence. It stays as it is.

        Returns:
            outputs (L_i, P) of each sequence, and states (N, state_size).
        """
        lengths = [piece.shape[0] for piece in pieces]
        if len(set(lengths)) == 1 and lengths[0] and len(pieces) <= self._reader.num_rows:
            return self._side_by_side(list(pieces), states)
        outputs, after = [self._like.new_empty(0, self.output_size)] * len(pieces), states.clone()
        order = sorted((row for row, length in enumerate(lengths) if length), key=lambda row: -lengths[row])
        for first in range(0, len(order), self._reader.num_rows):
            rows = order[first : first + self._reader.num_rows]
            if lengths[rows[0]] == lengths[rows[-1]]:
                read, after[rows] = self._side_by_side([pieces[row] for row in rows], states[rows])
            else:
                read, after[rows] = self._staircase([pieces[row] for row in rows], states[rows])
            for row, found in zip(rows, read, strict=True):
                outputs[row] = found
        return outputs, after

    def _staircase(self, pieces: list[Tensor], states: Tensor) -> tuple[list[Tensor], Tensor]:
        """Of pieces that get shorter: where the shortest ends, the others go on."""
        after, done, parts = states.clone(), 0, [list[Tensor]() for _ in pieces]
        while pieces:
            until, count = pieces[-1].shape[0], len(pieces)
            read, after[:count] = self._side_by_side([piece[done:until] for piece in pieces], after[:count])
            for part, found in zip(parts, read, strict=False):
                part.append(found)
            done, pieces = until, [piece for piece in pieces if piece.shape[0] > until]
        return [torch.cat(part) for part in parts], after

    def _side_by_side(self, pieces: list[Tensor], states: Tensor) -> tuple[list[Tensor], Tensor]:
        """Of pieces of one length."""
        read = pieces[0].unsqueeze(1) if len(pieces) == 1 else torch.stack(pieces, dim=1)  # (L, n, ...)
        found, left = self._reader.run(read, self._split(states))
        return list(found.unbind(1)), torch.cat([part for state in left for part in state], dim=1)

    def _split(self, states: Tensor) -> list[State]:
        """(n, state_size) into the tensors of each layer."""
        parts = list(torch.split(states, [size for layer in self.sizes for size in layer], dim=1))
        return [tuple(parts.pop(0) for _ in layer) for layer in self.sizes]


class _Reader(Protocol):
    """What runs up to `num_rows` pieces of equal length: (L, n, I) or ids (L, n) to (L, n, P), from states to
    states."""

    num_rows: int

    def run(self, read: Tensor, states: list[State]) -> tuple[Tensor, list[State]]: ...


class _SideBySide:
    """In the native core."""

    num_rows = ROWS_AT_ONCE

    def __init__(self, core: CoreStream, tokens: Tokens | None) -> None:
        self._core, self._reads_tokens = core, tokens is not None

    def run(self, read: Tensor, states: list[State]) -> tuple[Tensor, list[State]]:
        self._core.use_rows(read.shape[1])
        self._core.set_states(states)
        found = torch.empty(*read.shape[:2], self._core.output_size, dtype=self._core.dtype)
        if self._reads_tokens:
            self._core.run_tokens(read.long().contiguous(), found)
        else:
            self._core.run(read.detach().to(found).contiguous(), found)
        return found, self._core.states()


class _StepByStep:
    """By the layers as they are, whose products depend on how many rows and steps there are: one by one."""

    num_rows = 1

    def __init__(self, layers: Sequence[RecurrentStack], tokens: Tokens | None) -> None:
        self._stream = Stream(layers)
        self._vectors = None if tokens is None else tokens.vectors.detach()

    def run(self, read: Tensor, states: list[State]) -> tuple[Tensor, list[State]]:
        self._stream.states = states
        vectors = read if self._vectors is None else self._vectors[read.long()]
        like = states[0][0]
        return torch.stack([self._stream.step(step.to(like)) for step in vectors]), self._stream.states
