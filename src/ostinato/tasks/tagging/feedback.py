r"""Output recurrence of a whole model: what it answered a step ago enters the next step's input.

.. math::
    p(y_t \mid x_{\le t}, y_{<t}) = f(x_t, e(y_{t-1}), h_{t-1})

In training :math:`y_{t-1}` is the true answer (teacher forcing: Williams & Zipser 1989, "A learning algorithm for
continually running fully recurrent neural networks"), afterwards the model's own. Cells whose output comes back within
a layer (`cells.jordan`) are the same idea one level below.
"""

from __future__ import annotations

from typing import ClassVar, cast

import torch
from torch import Tensor, nn

from ostinato.data.dataset import Features
from ostinato.heads.base import NumberReader, TagReader
from ostinato.heads.build import step_head
from ostinato.layers.covariates import NO_EXTRA, Extra, StepCovariates
from ostinato.layers.inputs import width_of
from ostinato.tasks.tagging.model import Tagger, build_tagger
from ostinato.tasks.tagging.recipe import TaggingRecipe
from ostinato.types import Ragged, State

_SIZE = 32
"""Numbers that represent the answer before."""


class WithAnswer(nn.Module):
    """The input's vectors (sum L, I), each concatenated with 32 numbers for the previous answer.

    Args:
        inputs: the layer that reads the values of a step, or what reads several columns side by side.
        answers: the layer that reads the answer before.
    """

    def __init__(self, inputs: nn.Module, answers: NumberReader | TagReader) -> None:
        super().__init__()
        self.inputs, self.answers = inputs, answers
        self.embedding_dim = width_of(inputs) + _SIZE

    def read(self, inputs: Ragged, extra: Extra) -> Ragged:
        """The input's vectors alone."""
        vectors = self.inputs(inputs, extra) if isinstance(self.inputs, StepCovariates) else self.inputs(inputs)
        return cast("Ragged", vectors)

    def with_answers(self, vectors: Tensor, before: Tensor) -> Tensor:
        """(M, I) and the answers before them to (M, embedding_dim)."""
        return torch.cat([vectors, self.answers(before)], dim=1)


class FeedbackTagger(Tagger):
    """A tagger that reads its answer to the step before (`model.feedback: output`).

    `loss` is teacher-forced (`led`); calling the model runs it freely, greedily and step by step, so that its loss on
    validation data is that of a model which has only its own answers to go by.

    Args: as of `Tagger`; outputs must be decided step by step, in one direction and without delay.

    Example:
        >>> from ostinato.layers.inputs import embed_ids
        >>> model = FeedbackTagger(TaggingRecipe(hidden_size=8), embed_ids(50, TaggingRecipe()), num_outputs=3)
        >>> model(Ragged.from_rows(torch.tensor([4, 7, 7]), starts=[0, 1], lengths=[1, 2])).values.shape
        torch.Size([3, 3])
    """

    own_parts: ClassVar[dict[str, str]] = {"feedback": f"the answer before, as {_SIZE} numbers"}

    def reads(self, inputs: nn.Module, num_outputs: int) -> nn.Module:
        """The input, and the answer before it."""
        return WithAnswer(inputs, step_head(self.kind).reader(num_outputs, _SIZE))

    @property
    def layer(self) -> WithAnswer:
        """What reads the input and the answer before."""
        return cast("WithAnswer", self.encoder.embedding)

    def led(self, inputs: Ragged, answers: Ragged, extra: Extra = NO_EXTRA) -> Ragged:
        """Outputs (sum L, K) given answers (sum L, ...), of which each step sees those before it."""
        vectors = self.layer.read(self.unknown(inputs), extra)
        begins = vectors.times_index() == 0
        before = answers.values.index_select(0, vectors.previous_index()).clone()
        before[begins] = self.layer.answers.first(int(begins.sum()), vectors.values).to(before.dtype)
        read = vectors.with_values(self.layer.with_answers(vectors.values, before))
        return read.with_values(self.answer(self.encoder.run(read)[0].values))

    def forward(self, inputs: Ragged, extra: Extra = NO_EXTRA) -> Ragged:
        """Outputs (sum L, K), each step given the model's own likeliest answer to the one before."""
        vectors = self.layer.read(self.unknown(inputs), extra)
        counts = vectors.batch_sizes.tolist()
        states: list[State] | None = None
        before = self.layer.answers.first(counts[0] if counts else 0, vectors.values)
        outputs: list[Tensor] = []
        for step in torch.split(vectors.values, counts):
            rows = len(step)
            if states is not None:
                states = [tuple(part[:, :rows] for part in state) for state in states]
            read = self.layer.with_answers(step, before[:rows]).unsqueeze(0)  # (1, rows, I)
            hidden, states = self.encoder.run(read, states)
            outputs.append(self.answer(hidden[0]))
            before = self.head.point(outputs[-1].detach())
        return vectors.with_values(
            torch.cat(outputs) if outputs else vectors.values.new_zeros(0, self.output.out_features)
        )


def build_any_tagger(recipe: TaggingRecipe, features: Features) -> Tagger:
    """The tagger of a resolved recipe, with or without feedback."""
    return build_tagger(recipe, features, FeedbackTagger if recipe.feedback == "output" else Tagger)
