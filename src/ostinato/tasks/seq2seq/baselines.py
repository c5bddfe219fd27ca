"""Baselines of models that write a sequence for a sequence, and how they are compared: edits a token."""

from __future__ import annotations

from collections import Counter
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from ostinato.baselines.base import Baseline, BaselineComparison
from ostinato.data.dataset import Examples, Features, Prepared
from ostinato.data.features import TextFeature, TokensFeature
from ostinato.data.vocabulary import SPECIAL, UNK_ID
from ostinato.layers.beam_search import Written
from ostinato.metrics.classification import Metrics
from ostinato.tasks.seq2seq.model import Seq2Seq
from ostinato.tasks.transcripts import Transcript, compared, scores_of, transcribe

Ids = tuple[int, ...]
_MOST_SOURCES = 400


class PairsComparison(BaselineComparison):
    """Answers are a sequence of the target's ids for each of the rows of `sources`."""

    model: Seq2Seq
    lower_is_better, figure, unit, question = True, "token_error_rate", "sources", "one source"
    _found: list[Transcript] | None = None

    @property
    def validation(self) -> Examples:
        """One row for each of at most 400 different sources of the run's validation rows, evenly spaced."""
        rows = np.asarray([one.row for one in self.transcripts], dtype=np.int64)
        return self.prepared.validation.take(rows)

    @property
    def units(self) -> None:
        """Sources that are different, some of them: the rows by which an epoch is chosen are others."""

    @property
    def transcripts(self) -> list[Transcript]:
        """What the recurrent model writes for them, by greedy search or the recipe's beam."""
        if self._found is None:
            model, examples = self.model, self.prepared.validation
            target = self.prepared.features.sequence_target
            self._found = transcribe(model, examples, target, self.device, model.tokens.beam_size, most=_MOST_SOURCES)
        return self._found

    def own(self) -> list[Ids]:
        """Of the recurrent model."""
        return [one.written for one in self.transcripts]

    def answers(self, examples: Examples) -> list[Ids]:
        """What the recurrent model writes for some sources."""
        target = self.prepared.features.sequence_target
        found = transcribe(self.model, examples, target, self.device, self.model.tokens.beam_size)
        return [one.written for one in found]

    def scores(self, answers: list[Ids]) -> Metrics:
        """Error rates of all."""
        features, own = self.prepared.features, self.transcripts
        written = [(Written(answer, 0.0, 0.0),) for answer in answers]
        found = compared([one.row for one in own], written, [one.references for one in own], features.sequence_target)
        return scores_of(found, features)


class MostFrequentAnswer(Baseline):
    """The target that training data holds most often, whatever the source."""

    name, about, trivial = "most frequent answer", "the same sequence for every source", True

    def fit(self, train: Examples, features: Features) -> None:
        """Count whole targets."""
        targets = train.target_sequences
        counts = Counter(tuple(targets.row(i).tolist()) for i in range(len(targets)))
        self._answer = max(counts, key=lambda ids: (counts[ids], -len(ids)))

    def answer(self, data: Examples) -> list[Ids]:
        """The same for all."""
        return [self._answer] * len(data)

    def parameters(self) -> list[NDArray[Any]]:
        """One sequence."""
        return [np.asarray(self._answer, dtype=np.int32)]


class Copy(Baseline):
    """The source itself, each token as the target's vocabulary spells it."""

    name, about, trivial = "copy", "the source as it is", True

    @classmethod
    def applies(cls, prepared: Prepared) -> bool:
        """Where both sides are text."""
        pair = (prepared.features.input, prepared.features.target)
        return all(isinstance(feature, TextFeature | TokensFeature) for feature in pair)

    def fit(self, train: Examples, features: Features) -> None:
        """Which integer of the target each integer of the source is."""
        source, target = (cast("TextFeature", each).vocabulary for each in (features.input, features.target))
        ids = target.ids
        self._table = np.asarray([ids.get(token, UNK_ID) for token in source.tokens], dtype=np.int32)

    def answer(self, data: Examples) -> list[Ids]:
        """Looked up."""
        rows = data.sequences
        return [tuple(self._table[rows.row(i)].tolist()) for i in range(len(rows))]

    def parameters(self) -> list[NDArray[Any]]:
        """A number a token."""
        return [self._table]


class TokenByToken(Copy):
    """The target token that each source token is most often aligned with in training pairs, at the same relative place.

    A dictionary without any context: the place of a target token is taken to be proportional to that of its source.
    """

    name, about = "token by token", "each source token becomes the target token it is most often aligned with"

    @classmethod
    def applies(cls, prepared: Prepared) -> bool:
        """Always: both sides are integers."""
        return prepared.features.input.form == "ids"

    def fit(self, train: Examples, features: Features) -> None:
        """Count pairs of tokens."""
        source, target = train.sequences, train.target_sequences
        ends = np.repeat(target.offsets[:-1], source.lengths)
        within = np.arange(len(source.values)) - np.repeat(source.offsets[:-1], source.lengths)
        lengths = np.repeat(source.lengths, source.lengths)
        others = np.repeat(target.lengths, source.lengths)
        places = np.minimum(within * others // np.maximum(lengths, 1), np.maximum(others - 1, 0))
        there = others > 0
        size = int(target.values.max(initial=0)) + 1
        keys = source.values[there].astype(np.int64) * size + target.values[(ends + places)[there]]
        found, counts = np.unique(keys, return_counts=True)
        order = np.lexsort((counts, found // size))
        tokens = found[order] // size
        last = np.append(tokens[1:] != tokens[:-1], True)
        self._table = np.full(int(source.values.max(initial=len(SPECIAL))) + 2, UNK_ID, dtype=np.int32)
        self._table[tokens[last]] = found[order][last] % size

    def answer(self, data: Examples) -> list[Ids]:
        """Looked up."""
        rows = data.sequences
        picked = self._table[np.minimum(rows.values, len(self._table) - 1)]
        return [tuple(part.tolist()) for part in np.split(picked, rows.offsets[1:-1])]
