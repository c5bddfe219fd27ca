"""Models whose recurrence is one encoder, read forward in time for many sessions at once."""

from __future__ import annotations

import copy
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from functools import cached_property, lru_cache
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor, nn

from ostinato.arrays import Array
from ostinato.cells import Cell
from ostinato.data.dataset import Features
from ostinato.data.given import drafted
from ostinato.errors import RecipeError
from ostinato.kernels.native_stream import Tokens
from ostinato.layers.encoder import RecurrentEncoder
from ostinato.layers.inputs import Vectors, width_of
from ostinato.nn import Embedding
from ostinato.nn.carried import CarriedLayers
from ostinato.recipe import Recipe
from ostinato.tasks.edited_layers import EditedLayers
from ostinato.tasks.intervening import Edit, Edits, edits_of
from ostinato.tasks.signature import TensorSpec, float_name
from ostinato.tasks.streaming import Answer, Read, Reading, Steps, StreamingModel, no_stream
from ostinato.types import Ragged

_SHORT, _MOST_REMEMBERED = 16, 4096


class EncoderStreaming(StreamingModel):
    """A model whose recurrence is a `RecurrentEncoder` that reads the input column alone.

    The state is that of the layers, and then what the task keeps. A task says what it answers by `answer`.

    Args:
        model: with the weights it has now.
        features: of the run.
        recipe: of the run.
        encoder: its layers.
        own: what the task keeps, zeros at the beginning.

    Raises:
        RunError: if the model can't run forward in time, with the reason.
    """

    def __init__(
        self,
        model: nn.Module,
        features: Features,
        recipe: Recipe,
        encoder: RecurrentEncoder,
        own: Sequence[TensorSpec] = (),
    ) -> None:
        refuse_further_columns(features)
        reason = features.input.whole_row_reason
        if reason is not None:
            raise no_stream(reason)
        self.features, self.column = features, str(recipe.data.input or "input")
        self._embedding = encoder.embedding
        layers: list[Any] = list(encoder.layers)
        self._stacks, self._table = layers, self._tokens(encoder)
        try:
            self._layers = CarriedLayers(layers, self._table)
        except RecipeError as error:
            raise no_stream(
                "a bidirectional layer reads from the end, which has not come yet",
                "train one that reads forward only: --set model.bidirectional=false",
            ) from error
        names = [f"encoder.{layer}.{part}" for layer, part in self._parts(layers)]
        sizes = [size for layer in self._layers.sizes for size in layer]
        dtype = float_name(model)
        self.states = (*(TensorSpec(name, dtype, (size,)) for name, size in zip(names, sizes, strict=True)), *own)
        self.dtype = np.dtype(dtype)
        self._run = self._layers.run
        self._remembered = lru_cache(_MOST_REMEMBERED)(self._encode_short)

    def _encode_short(self, key: str | tuple[str, ...]) -> Steps:
        """Letters and words come again and again; a column for each would cost more than the model."""
        return self._encoded(key if isinstance(key, str) else list(key))

    @staticmethod
    def _parts(layers: Sequence[Any]) -> Iterator[tuple[int, str]]:
        cells = [stack.cell for stack in layers for _ in range(stack.num_layers)]
        return ((layer, part) for layer, cell in enumerate(cells) for part in cell.state_names)

    def _tokens(self, encoder: RecurrentEncoder) -> Tokens | None:
        """The input as a table of the core's, where it is ids."""
        if not isinstance(encoder.embedding, Embedding):
            return None
        with torch.no_grad():
            vectors = encoder.embedding.vectors()
        nothing = vectors.new_zeros(len(vectors), encoder.output_size)
        return Tokens(vectors, nothing, nothing[:, 0], ())

    def zero(self) -> Array:
        return np.zeros(self.state_size, dtype=self.dtype)

    def encode(self, given: Any) -> Steps:
        key = tuple(given) if isinstance(given, list) and len(given) <= _SHORT else given
        short = isinstance(given, str) and len(given) <= _SHORT
        if short or (isinstance(key, tuple) and all(isinstance(part, str) for part in key)):
            return self._remembered(key)
        return self._encoded(given)

    def _encoded(self, given: Any) -> Steps:
        values = self.features.input.values_of(given)
        if values is None or not len(values):
            values = drafted([given], self.column, self.features.input, [self.column]).encoded.values
        return Steps(values)

    @torch.inference_mode()
    def read(self, batch: Sequence[Reading]) -> list[Read]:
        if not batch:
            return []
        states = torch.from_numpy(np.array([one.state for one in batch]))
        layers, own = states[:, : self._layers.state_size], states[:, self._layers.state_size :]
        vectors = self._vectors(np.concatenate([one.steps.values for one in batch]))
        hidden, after = self._run(list(torch.split(vectors, [len(one.steps) for one in batch])), layers)
        answers, kept = self.answer(batch, hidden, own)
        joined = torch.cat([after, kept], dim=1).numpy()
        return [Read(state, said) for state, said in zip(joined, answers, strict=True)]

    def intervened(self, interventions: Sequence[str]) -> Self:
        """The same model, parts of whose state are changed after every step, or gates at every step: what it answers
        and writes goes by what was changed, and so do the layers above and the next step.

        Args:
            interventions: `layer 1.c[3] = 0`, `layer 1.h[2, 5:8] *= 0.5`, `layer 1.c[3] = layer 1.c[5]`,
                `layer 1.f = 1`, …; parts and gates as `ostinato explore` names them.

        Raises:
            RecipeError: for what is none, or names what is not there.
        """
        return self.changed(edits_of(interventions))

    def changed(self, edits: Sequence[Edit]) -> Self:
        """As `intervened`."""
        if any(edit.begin for edit in edits):
            raise RecipeError("`from` only applies where steps are counted: to rows, prompts and steps of a session.")
        return self.edited(Edits(edits, self.shapes))

    def edited(self, edits: Edits) -> Self:
        """As `intervened`."""
        vectors = None if self._table is None else self._table.vectors.detach()
        layers = EditedLayers(self._stacks, self._one_by_one, vectors, edits)
        found = copy.copy(self)
        found._run = layers.run
        return found

    @cached_property
    def _one_by_one(self) -> list[CarriedLayers]:
        """Each layer by itself: whatever is changed runs these."""
        return [CarriedLayers([stack], None if at else self._table) for at, stack in enumerate(self._stacks)]

    @property
    def shapes(self) -> list[tuple[Cell, tuple[int, ...], int]]:
        """Of each layer the cell, the sizes of its state's tensors, and that of a gate."""
        return [(stack.cell, tuple(self._layers.sizes[at]), stack.hidden_size) for at, stack in enumerate(self._stacks)]

    @abstractmethod
    def answer(self, batch: Sequence[Reading], hidden: list[Tensor], own: Tensor) -> tuple[list[list[Answer]], Tensor]:
        """What is asked for, and what the task keeps (N, size) after it.

        Args:
            batch: what is read.
            hidden: (L_i, P) of each, the last layer's output.
            own: (N, size), what the task kept.
        """

    def _vectors(self, values: Array) -> Tensor:
        """What the layers read: (L, I), or ids (L,)."""
        given = torch.from_numpy(np.ascontiguousarray(values))
        if isinstance(self._embedding, Embedding):
            return given.long()
        if isinstance(self._embedding, Vectors):
            found: Tensor = self._embedding(given)
            return found
        steps = [self._embedding(Ragged.from_rows(given[t : t + 1], [0], [1])).values for t in range(len(given))]
        return torch.cat(steps) if steps else torch.zeros(0, width_of(self._embedding))


def first_answer(one: Reading, num_answers: int) -> int:
    """The first of so many answers that is asked for."""
    return {"each": 0, "last": max(num_answers - 1, 0), "none": num_answers}[one.answers]


def refuse_further_columns(features: Features) -> None:
    """Raises `RunError` where a model reads more than its input column."""
    if features.extra:
        raise no_stream(f"it reads further columns: {', '.join(features.extra)}")
