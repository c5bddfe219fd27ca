"""Diagnosis and verification of classifiers."""

from __future__ import annotations

from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ostinato.arrays import Offsets
from ostinato.data.batching import BucketedBatches
from ostinato.data.dataset import Examples, Features
from ostinato.probes.batches import some_rows
from ostinato.probes.cases import EncoderCase
from ostinato.probes.part import Part
from ostinato.probes.sample import MAX_STEPS, Sample, row_limits
from ostinato.probes.subject import Subject, stacks_of
from ostinato.tasks.classification.ensemble import Ensemble
from ostinato.tasks.classification.model import Classifier
from ostinato.tasks.probing import Reading
from ostinato.types import Ragged, State

_CONVOLUTIONS = (
    "the memory measured is that of the recurrent layers alone: the parallel convolutions saw all of each row"
)
_FIRST = "of several networks (`model.members`), the first was examined"


def parts(reading: Reading) -> list[Part]:
    """The recurrent layers; of several networks those of the first."""
    model = reading.model
    one = model.classifiers[0] if isinstance(model, Ensemble) else cast("Classifier", model)
    remarks = (_FIRST,) * (one is not model) + (_CONVOLUTIONS,) * (one.convolution is not None)

    def make(count: int, seed: int) -> Subject:
        return classifier_subject(one, reading.examples, count, seed)

    return [Part("", make, reading.features.input.step_noun, remarks=remarks)]


def classifier_subject(model: Classifier, examples: Examples, num_rows: int, seed: int = 0) -> Subject:
    """A random sample of rows (seeded), and the loss of each; of the recurrent path alone, without n-grams.

    Parallel convolutions read whole rows, however little the layers are shown.
    """
    rows = some_rows(len(examples), num_rows, seed)
    batch = BucketedBatches(examples, len(rows)).batch(rows).to(model.encoder.device)
    with torch.no_grad():
        inputs = model.encoder.embedding(batch.inputs)

    def loss(output: Ragged) -> Tensor:
        return model.head.nll(model.scores(output, inputs, batch.extra), batch.row_targets)

    return Subject(stacks_of(model.encoder), inputs, loss, per_step=False)


class ClassifierCase(EncoderCase):
    """A classifier: outputs are (N, K), n-grams included."""

    def outputs(self, hidden: Ragged, inputs: Ragged) -> Tensor:
        """(N, K)."""
        model = cast("Classifier", self.module)
        return model.joined(model.scores(hidden, model.encoder.embedding(inputs)), inputs)

    def read_ids(self) -> tuple[Tensor, list[State] | None]:
        """The model as `predict` calls it; it keeps its final states to itself."""
        return cast("Tensor", self.module(self.inputs)), None


def sample(
    model: Classifier, examples: Examples, features: Features, num_rows: int, random: np.random.Generator
) -> Sample | None:
    """Rows of a column of ids or numbers, cut to unequal lengths, and their loss; None for other columns, for further
    ones, and for several networks."""
    values = examples.sequences.values
    wide = values.ndim > 1 and values.dtype.kind in "iub"  # notes, pixels, a word with its characters
    if not isinstance(model, Classifier) or features.extra or wide:
        return None
    rows: Offsets = random.choice(len(examples), size=min(num_rows, len(examples)), replace=False)
    limits = row_limits(len(rows), random, MAX_STEPS)[: len(rows)]
    lengths = np.minimum(examples.sequences.lengths[rows], limits)
    wanted = torch.from_numpy(np.ascontiguousarray(cast("NDArray[np.float32]", examples.targets)[rows]))

    def loss(outputs: Tensor) -> Tensor:
        truth = wanted.to(outputs) if wanted.is_floating_point() else wanted.to(outputs.device)
        return model.head.nll(outputs, truth).sum()

    return Sample(Ragged.from_rows(values, examples.sequences.offsets[rows], lengths), loss)
