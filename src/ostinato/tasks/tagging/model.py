"""Many-to-many, synchronised: an output for each step. Tags (one a step, chains of them, or without an alignment),
several labels a step, or numbers a step."""

from __future__ import annotations

from typing import Any, ClassVar, cast

import numpy as np
import torch
from torch import Tensor, nn

from ostinato.data.batching import Batch
from ostinato.data.dataset import Features
from ostinato.data.features import Feature
from ostinato.errors import RecipeError
from ostinato.heads.build import step_head
from ostinato.layers.covariates import NO_EXTRA, Extra, StepCovariates
from ostinato.layers.encoder import RecurrentEncoder
from ostinato.layers.inputs import input_layer
from ostinato.layers.words import UnknownWords
from ostinato.nn import LinearChainCRF
from ostinato.recipe import TrainingRecipe
from ostinato.tasks.tagging.recipe import TaggingRecipe
from ostinato.types import Ragged, State


class Tagger(nn.Module):
    """input layer → recurrent stack → (ReLU layer) → an output for each step.

    What the outputs mean is `recipe.output` and the target's kind:

    - softmax: ``p(y_t | x)`` of each tag, cross-entropy; the loss is nats a step.
    - crf: scores of a linear chain (`nn.LinearChainCRF`); nats a step, too, so that both can be compared.
    - ctc: labels shorter than the input (`nn.ctc`), one output more, the blank; nats a label.
    - a target of notes: a logistic unit a note; nats a frame. A target of numbers: mean squared error.

    With `recipe.delay` d, d blank steps follow each row and the output of step t + d answers step t, so that a
    network which reads forward only sees d steps ahead: A. Graves and J. Schmidhuber (2005), "Framewise phoneme
    classification with bidirectional LSTM", section 2.1. A row may be shorter than d: its answers come after its end.

    Args:
        recipe: the model's part of a recipe.
        inputs: the layer that reads the values of a step, or what reads several columns side by side.
        num_outputs: K tags, notes or numbers (for ctc without the blank).
        kind: of the target: tags (also for ctc's labels), notes, series.
        counts: (V,), how often training data held each word, where the input is words; for `recipe.unknown_words`.

    Example:
        >>> from ostinato.layers.inputs import embed_ids
        >>> model = Tagger(TaggingRecipe(hidden_size=8), embed_ids(50, TaggingRecipe()), num_outputs=3)
        >>> model(Ragged.from_rows(torch.tensor([4, 7, 7]), starts=[0, 1], lengths=[1, 2])).values.shape
        torch.Size([3, 3])
    """

    own_parts: ClassVar[dict[str, str]] = {}
    """What precedes the hidden layer, in words, by name."""

    def __init__(
        self,
        recipe: TaggingRecipe,
        inputs: nn.Module,
        num_outputs: int,
        kind: str = "tags",
        counts: Tensor | None = None,
    ) -> None:
        super().__init__()
        self.recipe, self.kind = recipe, kind
        self.unknown = UnknownWords(counts if counts is not None else torch.zeros(0), recipe.unknown_words)
        self.encoder = RecurrentEncoder(recipe, inputs=self.reads(inputs, num_outputs))
        self.dropout = nn.Dropout(recipe.head_dropout)
        size = self.encoder.output_size
        self.hidden = nn.Sequential(nn.Linear(size, recipe.head_size), nn.ReLU()) if recipe.head_size else nn.Identity()
        self.output = nn.Linear(recipe.head_size or size, num_outputs + (self.recipe.output == "ctc"))
        self.crf = LinearChainCRF(num_outputs) if self.recipe.output == "crf" else None
        self.head = step_head(kind, recipe.output, beam_size=recipe.beam_size, crf=self.crf)
        hidden = {"hidden": f"{recipe.head_size:,} units, ReLU"} if recipe.head_size else {}
        self.parts = {**self.own_parts, **hidden, "output": f"{self.output.out_features:,} a step"}
        if self.crf is not None:
            self.parts["crf"] = "scores of one tag after another"

    def reads(self, inputs: nn.Module, num_outputs: int) -> nn.Module:
        """What the encoder reads the values of a step with: the layer itself."""
        return inputs

    def forward(self, inputs: Ragged, extra: Extra = NO_EXTRA) -> Ragged:
        """Outputs (sum L, K): logits, scores or numbers, in the structure of the inputs."""
        hidden = self._states(self.unknown(inputs), extra)
        return hidden.with_values(self.answer(hidden.values))

    def answer(self, hidden: Tensor) -> Tensor:
        """The head: hidden states (M, D*H) to outputs (M, K)."""
        answered: Tensor = self.output(self.hidden(self.dropout(hidden)))
        return answered

    def loss(self, batch: Batch, training: TrainingRecipe) -> Tensor:
        """The mean loss of a step (ctc: of a label)."""
        outputs = self.led(batch.inputs, batch.sequence_targets, batch.extra)
        total, count = self.head.total(outputs, batch.sequence_targets, training.label_smoothing)
        return total / max(count, 1)

    def led(self, inputs: Ragged, answers: Ragged, extra: Extra = NO_EXTRA) -> Ragged:
        """Outputs (sum L, K), led along the true answers where the model reads its own (teacher forcing)."""
        return cast("Ragged", self(inputs, extra))

    def window_outputs(self, inputs: Ragged, states: list[State]) -> tuple[Ragged, list[State]]:
        """Outputs (sum L, K) of pieces of rows that go on from `states` (D, N, H), and the states after them.

        Only where steps are scored independently: not for crf or ctc, nor with a delay.
        """
        hidden, after = self.encoder(self.unknown(inputs), states)
        return hidden.with_values(self.answer(hidden.values)), after

    def _states(self, inputs: Ragged, extra: Extra) -> Ragged:
        """(sum L, D*H): the hidden state that answers each step."""
        layer = self.encoder.embedding
        if not isinstance(layer, StepCovariates) and not self.recipe.delay:
            return cast("Ragged", self.encoder(inputs)[0])
        vectors: Ragged = layer(inputs, extra) if isinstance(layer, StepCovariates) else cast("Ragged", layer(inputs))
        if not self.recipe.delay:
            return self.encoder.run(vectors)[0]
        longer, answers = delayed(vectors, self.recipe.delay)
        return vectors.with_values(self.encoder.run(longer)[0].values.index_select(0, answers))


def delayed(vectors: Ragged, delay: int) -> tuple[Ragged, Tensor]:
    """Rows with `delay` steps of zeros behind, and for each step t of the old where step t + delay of the new lies.

    Example:
        >>> longer, answers = delayed(Ragged.from_rows(torch.ones(3, 1), starts=[0, 2], lengths=[2, 1]), 1)
        >>> [row.flatten().tolist() for row in longer.split_rows()], answers.tolist()
        ([[1.0, 1.0, 0.0], [1.0, 0.0]], [2, 3, 4])
    """
    lengths = vectors.lengths.numpy()
    ends = np.cumsum(lengths + delay)
    starts = ends - lengths - delay
    source = np.full(int(ends[-1]) if len(ends) else 0, len(vectors.values), dtype=np.int64)
    old = np.repeat(starts, lengths) + np.arange(int(lengths.sum())) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    source[old] = vectors.row_major_index().cpu().numpy()
    picked = Ragged.from_rows(source, starts, lengths + delay).to(vectors.device)
    blank = vectors.values.new_zeros(1, *vectors.values.shape[1:])
    longer = picked.with_values(torch.cat([vectors.values, blank]).index_select(0, picked.values))
    places = longer.row_major_index().cpu().numpy()
    answers = Ragged.from_rows(places, starts + delay, lengths).values
    return longer, answers.to(vectors.device)


def build_tagger(recipe: TaggingRecipe, features: Features, make: type[Tagger] = Tagger) -> Tagger:
    """The tagger of a resolved recipe, of the class `make`. Raises `RecipeError` for a target that is no sequence."""
    target, source = features.target, features.input
    if not isinstance(target, Feature) or not target.ragged:
        raise RecipeError("a tagger needs a target with a value for each step.", hint="--set features.target.kind=tags")
    layer = input_layer(source, recipe)
    inputs = StepCovariates(layer, features.extra, recipe) if features.extra else layer
    outputs = target.value_shape[0] if target.form == "vectors" else int(cast("int", getattr(target, "vocab_size", 0)))
    kind = target.kind if target.form == "vectors" else "tags"
    counts = torch.from_numpy(cast("Any", source).counts) if recipe.unknown_words else None
    return make(recipe, inputs, outputs, kind, counts)
