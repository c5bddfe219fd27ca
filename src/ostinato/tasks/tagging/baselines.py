"""Baselines of taggers, and how they are compared with one: a tag, notes or numbers at each step."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ostinato.baselines.base import Baseline, BaselineComparison
from ostinato.baselines.counting import token_rows
from ostinato.baselines.window import around
from ostinato.data.dataset import Examples, Features, Prepared
from ostinato.metrics.classification import Metrics
from ostinato.tasks.tagging.evaluation import Tagged, metrics_of, run
from ostinato.tasks.tagging.model import Tagger
from ostinato.tasks.tagging.recipe import TaggingRecipe

Answers = list[NDArray[Any]]


class TaggingComparison(BaselineComparison):
    """Answers are one array a row: (L,) tags, (L, C) notes or numbers."""

    model: Tagger

    @property
    def figure(self) -> str:  # type: ignore[override]
        """Accuracy, or F1 where the recipe watches it; of numbers the squared error; of labels the error rate."""
        model = self.model
        if model.recipe.output == "ctc":
            return "token_error_rate"
        if model.kind == "series":
            return "mse"
        return "f1" if self.prepared.recipe.training.monitor == "f1" else "accuracy"

    @property
    def lower_is_better(self) -> bool:  # type: ignore[override]
        """Of errors."""
        return self.figure in ("token_error_rate", "mse")

    def answers(self, examples: Examples) -> Answers:
        """Of the recurrent model."""
        return run(self.model, examples, self.device).answers

    def scores(self, answers: Answers) -> Metrics:
        """Metrics on all rows."""
        return metrics_of(self.model, Tagged(answers, None, None), self.validation, self.prepared.features)


def _is_tagging(prepared: Prepared) -> bool:
    features = prepared.features
    aligned = TaggingRecipe.of(prepared.recipe).output != "ctc"
    return aligned and getattr(features.target, "kind", "") == "tags"


class MostFrequentTag(Baseline):
    """The same tag at every step: the most frequent one of training data."""

    name, about, trivial = "most frequent tag", "the same tag at every step", True

    @classmethod
    def applies(cls, prepared: Prepared) -> bool:
        """Where each step has a tag."""
        return _is_tagging(prepared)

    def fit(self, train: Examples, features: Features) -> None:
        """Count."""
        tags = train.target_sequences.values
        self._tag = int(np.bincount(tags[tags >= 0]).argmax())

    def answer(self, data: Examples) -> Answers:
        """One tag a step."""
        return [np.full(length, self._tag) for length in data.sequences.lengths]

    def parameters(self) -> list[NDArray[Any]]:
        """One number."""
        return [np.asarray([self._tag])]


class MostFrequentLabels(Baseline):
    """The same labels for every row: those that most rows of training data have."""

    name, about, trivial = "most frequent labels", "the same labels for every row", True

    @classmethod
    def applies(cls, prepared: Prepared) -> bool:
        """Where labels have no step of their own (CTC)."""
        return TaggingRecipe.of(prepared.recipe).output == "ctc"

    def fit(self, train: Examples, features: Features) -> None:
        """Count."""
        labels = train.target_sequences
        rows = [labels.row(row) for row in range(len(labels.lengths))]
        ((common, _),) = Counter(tuple(row.tolist()) for row in rows).most_common(1)
        self._labels = np.asarray(common, dtype=labels.values.dtype)

    def answer(self, data: Examples) -> Answers:
        """Once for each row."""
        return [self._labels] * len(data)

    def parameters(self) -> list[NDArray[Any]]:
        """The labels."""
        return [self._labels]


class TagOfWord(Baseline):
    """The tag that training data gave a token most often; to tokens it never showed, that of rare ones together.

    The usual first baseline of taggers: Charniak et al. 1993, "Equations for part-of-speech tagging".
    """

    name, about, trivial = "most frequent tag of each token", "looks up each token, without context", True

    @classmethod
    def applies(cls, prepared: Prepared) -> bool:
        """Where each step has a token and a tag."""
        return _is_tagging(prepared) and prepared.features.input.form in ("ids", "words")

    def fit(self, train: Examples, features: Features) -> None:
        """Count pairs."""
        tokens, tags = token_rows(train.sequences).values, train.target_sequences.values
        known = tags >= 0
        size, count = int(tokens.max(initial=0)) + 1, int(tags.max(initial=0)) + 1
        pairs = np.bincount(tokens[known].astype(np.int64) * count + tags[known], minlength=size * count)
        table = pairs.reshape(size, count)
        seen = table.sum(axis=1)
        rare = table[seen == 1].sum(axis=0) if (seen == 1).any() else table.sum(axis=0)
        self._unknown = int(rare.argmax())
        self._table = np.where(seen > 0, table.argmax(axis=1), self._unknown).astype(np.int32)

    def answer(self, data: Examples) -> Answers:
        """Looked up."""
        rows = token_rows(data.sequences)
        inside = rows.values < len(self._table)
        tags = np.where(inside, self._table[np.where(inside, rows.values, 0)], self._unknown)
        return np.split(tags, rows.offsets[1:-1])

    def parameters(self) -> list[NDArray[Any]]:
        """A tag a token."""
        return [self._table]


class WindowLogistic(Baseline):
    """Multinomial logistic regression on the tokens (or numbers) within two steps of each step."""

    name = "logistic regression on a window"
    about = "the tokens within two steps of each step, learnt by stochastic gradients"
    modules = ("sklearn.linear_model",)

    @classmethod
    def applies(cls, prepared: Prepared) -> bool:
        """Where each step has a tag, and is a token or a few numbers."""
        return _is_tagging(prepared) and prepared.features.input.form in ("ids", "words", "vectors")

    def fit(self, train: Examples, features: Features) -> None:
        """Five passes."""
        from sklearn.linear_model import SGDClassifier

        tags = train.target_sequences.values
        known = tags >= 0
        model = SGDClassifier(loss="log_loss", alpha=1e-6, average=True, max_iter=5, tol=None, random_state=0)
        self._model = model.fit(around(train.sequences)[np.flatnonzero(known)], tags[known])

    def answer(self, data: Examples) -> Answers:
        """The likeliest tag of each step."""
        sequences = data.sequences
        return np.split(np.asarray(self._model.predict(around(sequences))), sequences.offsets[1:-1])

    def parameters(self) -> list[NDArray[Any]]:
        """Weights."""
        return [self._model.coef_.astype(np.float32), self._model.intercept_.astype(np.float32)]
