"""Diagnosis and verification of language models."""

from __future__ import annotations

from functools import partial
from typing import cast

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ostinato.arrays import Ids
from ostinato.data.dataset import Examples, Features
from ostinato.data.vocabulary import END_ID
from ostinato.errors import DataError, RunError
from ostinato.probes.cases import BACKWARDS, Case, EncoderCase, Form, Found
from ostinato.probes.part import MOST_STEPS, Part
from ostinato.probes.sample import MAX_STEPS, Sample, row_limits
from ostinato.probes.subject import Subject, stacks_of
from ostinato.tasks.language_model.model import LanguageModel
from ostinato.tasks.language_model.stream import TokenStream
from ostinato.tasks.language_model.unused import unused_context
from ostinato.tasks.probing import Reading
from ostinato.types import Ragged, State

_NUM_STEPS = 400
_WINDOWS = 4
_MAX_SCORES = 4_000_000
"""Scores that are kept at once: steps of all rows times the vocabulary."""


def parts(reading: Reading, num_steps: int | None) -> list[Part]:
    """Its layers, on rows of `num_steps` tokens: by default 400, or four of training's windows where that is more, at
    most 1600; where training did not carry the state, at most its window.

    Raises:
        DataError: for a text too short.
    """
    model, features, bptt = cast("LanguageModel", reading.model), reading.features, reading.recipe.training.bptt
    values = reading.examples.sequences.values
    if len(values) < 3:
        raise DataError(f"a diagnosis needs at least 3 tokens of text. Received: {len(values)}.")
    reach, restart = (bptt.reach, bptt.state_reset_interval) if bptt else (None, None)
    steps = num_steps or min(max(_NUM_STEPS, _WINDOWS * (reach or 0)), MOST_STEPS)
    steps = min(steps, restart or steps, len(values) - 1)
    lags = min(_NUM_STEPS, (len(values) - 2) // 2)

    def make(count: int, seed: int) -> Subject:
        return language_model_subject(model, values, count, steps, seed, documents=features.documents)

    unused = partial(unused_context, model, values, lags, restart=restart)
    return [Part("", make, features.input.step_noun, unused=unused)]


def language_model_subject(
    model: LanguageModel, values: Ids, num_rows: int, num_steps: int, seed: int = 0, *, documents: bool = False
) -> Subject:
    """Rows that end at random places of a text (seeded), and the nats of the token that follows each. With `ngrams`
    what counting knows there stays as it is: measured is what the network adds to it.

    Args:
        model: its layers and head; put it into evaluation mode before.
        values: the text.
        num_rows: N.
        num_steps: tokens of a row; fewer where the text, or with `documents` the document, begins later than that.
        seed: of the places.
        documents: whether the text is documents, each closed by `<end>`, in which the model starts over.
    """
    places = np.arange(min(num_steps, len(values) - 1), len(values))
    random = np.random.default_rng(seed)
    ends = np.sort(random.choice(places, size=min(num_rows, len(places)), replace=False))
    starts = np.maximum(ends - num_steps, 0)
    if documents:
        begins = np.flatnonzero(values == END_ID)
        last = np.searchsorted(begins, ends - 1, side="right") - 1
        starts = np.where(last >= 0, np.maximum(starts, begins[last]), starts) if len(begins) else starts
    device = model.encoder.device
    ids = Ragged.from_rows(values.astype(np.int64), starts, ends - starts).to(device)
    targets = torch.from_numpy(values[ends].astype(np.int64)).to(device)
    with torch.no_grad():
        inputs = model.encoder.embedding(ids)
        counted = model.known(ids)
        known = None if counted is None else ids.with_values(counted).select_last()

    def loss(output: Ragged) -> Tensor:
        return model.head.nll(model.scores(output.select_last(), known), targets)

    return Subject(stacks_of(model.encoder), inputs, loss, per_step=True)


def token_stream(case: Case, vectors: Ragged) -> Found:
    """`TokenStream`, which generates text: ids in, scores out; it keeps its state to itself."""
    ids, lengths = case.inputs.to_padded(batch_first=False)
    scores = TokenStream(cast("LanguageModel", case.module), case.inputs.num_rows).read(ids.long())
    return Ragged.from_padded(scores, lengths, batch_first=False).row_major(), None


class LanguageModelCase(EncoderCase):
    """A language model: outputs are the scores of the next token, (sum L, V)."""

    own_forms = (
        Form("token stream", token_stream, undefined=BACKWARDS, differentiable=False, embeds=False, bf16=False),
    )

    def outputs(self, hidden: Ragged, inputs: Ragged) -> Tensor:
        """(sum L, V), row after row."""
        model = cast("LanguageModel", self.module)
        known = model.known(inputs)
        return model.scores(hidden.row_major(), None if known is None else inputs.with_values(known).row_major())

    def read_ids(self) -> tuple[Tensor, list[State] | None]:
        """The encoder on packed ids, which may project the table in place of each token."""
        hidden, finals = self.encoder(self.inputs)
        return self.outputs(hidden, self.inputs), finals


def sample(examples: Examples, features: Features, num_rows: int, random: np.random.Generator) -> Sample:
    """Rows out of a text, and the nats of the token after each step.

    Raises:
        RunError: for a text too short.
    """
    values = examples.sequences.values
    longest = min(MAX_STEPS, max(16, _MAX_SCORES // (num_rows * features.text.vocab_size)), len(values) - 1)
    if longest < 2:
        raise RunError(f"a text of {len(values)} tokens is too short to be cut into rows of unequal length.")
    lengths = np.minimum(row_limits(num_rows, random, longest), longest)
    starts = random.integers(0, len(values) - lengths)
    after = np.concatenate([values[s + 1 : s + 1 + n] for s, n in zip(starts, lengths, strict=True)])
    wanted = torch.from_numpy(after.astype(np.int64))

    def loss(outputs: Tensor) -> Tensor:
        return F.cross_entropy(outputs, wanted.to(outputs.device), reduction="sum")

    return Sample(Ragged.from_rows(values.astype(np.int64), starts, lengths), loss)
