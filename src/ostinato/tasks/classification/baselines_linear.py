"""Linear baselines of classifiers: on counts of n-grams, and on summary statistics of any columns."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ostinato.arrays import Array
from ostinato.baselines.counting import NgramCounts, summary_of, token_rows
from ostinato.baselines.solvers import ending_early
from ostinato.data.dataset import Examples, Prepared
from ostinato.data.targets import ClassTarget, LabelsTarget, NumberTarget
from ostinato.tasks.classification.baselines import ClassBaseline, Floats


class LinearBaseline(ClassBaseline):
    """Logistic or ridge regression of scikit-learn on what `features_of` makes of a row."""

    modules = ("sklearn.linear_model", "sklearn.feature_extraction.text")
    strength = 1.0
    """Inverse strength of the penalty on weights (scikit-learn's C)."""

    def features_of(self, examples: Examples, fit: bool) -> Any:
        """(N, F), dense or sparse."""
        raise NotImplementedError

    def fit_rows(self, train: Examples, targets: Array) -> None:
        """Fit one model for classes or a number, one a label for labels."""
        from sklearn.linear_model import LogisticRegression, Ridge

        found = self.features_of(train, fit=True)
        with ending_early():
            if isinstance(self.target, NumberTarget):
                self._models: list[Any] = [Ridge(alpha=1 / self.strength).fit(found, targets)]
            elif self.target.num_outputs == 1 or isinstance(self.target, LabelsTarget):
                wanted = targets if targets.ndim == 2 else targets[:, None]
                self._models = [_two_classes(found, column, self.strength) for column in wanted.T]
            else:
                model = LogisticRegression(C=self.strength, max_iter=300, tol=1e-3)
                self._models = [model.fit(found, targets)]

    def answer_rows(self, examples: Examples) -> Floats:
        """Of the fitted models."""
        found = self.features_of(examples, fit=False)
        if isinstance(self.target, NumberTarget):
            return self.target.original(self._models[0].predict(found))
        if self.target.num_outputs > 1 and isinstance(self.target, ClassTarget):
            model = self._models[0]
            answers = np.zeros((len(examples), len(self.target.classes)))
            answers[:, model.classes_] = model.predict_proba(found)
            return answers
        second = np.stack([_probability(model, found) for model in self._models], axis=1)
        return second if isinstance(self.target, LabelsTarget) else np.concatenate([1 - second, second], axis=1)

    def parameters(self) -> list[NDArray[Any]]:
        """Weights."""
        models = [model for model in self._models if not isinstance(model, float)]
        return [np.asarray(part, dtype=np.float32) for model in models for part in (model.coef_, model.intercept_)]


def _two_classes(found: Any, column: Array, strength: float) -> Any:
    """A logistic regression; of a label that all rows or none have, its share."""
    from sklearn.linear_model import LogisticRegression

    if len(np.unique(column)) < 2:
        return float(column[0])
    return LogisticRegression(C=strength, solver="liblinear", tol=1e-3, random_state=0).fit(found, column > 0.5)


def _probability(model: Any, found: Any) -> Floats:
    if isinstance(model, float):
        return np.full(found.shape[0], model)
    return np.asarray(model.predict_proba(found)[:, 1], dtype=np.float64)


def _reads_tokens(prepared: Prepared) -> bool:
    feature = prepared.features.input
    return feature.ragged and feature.form in ("ids", "words")


class TfidfLogistic(LinearBaseline):
    """Counts of n-grams, log-scaled and weighted by how few rows hold them, rows scaled to length one."""

    name = "TF-IDF + logistic regression"
    about = "how often a row holds each n-gram, rare ones weighing more"
    strength = 10.0

    @classmethod
    def applies(cls, prepared: Prepared) -> bool:
        """Where the input is a sequence of tokens."""
        return _reads_tokens(prepared)

    @property
    def details(self) -> str:
        """The n-grams."""
        return f"n-grams up to {self._counts.order}, {self._counts.num_columns:,} of them"

    def features_of(self, examples: Examples, fit: bool) -> Any:
        """(N, n-grams): (1 + ln tf) (1 + ln((1 + N) / (1 + df))), each row divided by its norm."""
        from sklearn.feature_extraction.text import TfidfTransformer

        rows = token_rows(examples.sequences)
        if fit:
            self._counts = NgramCounts(self.features.input.longest_ngram)
            counts = self._counts.fit(rows)
            self._weights = TfidfTransformer(sublinear_tf=True).fit(counts)
            return self._weights.transform(counts)
        return self._weights.transform(self._counts.transform(rows))

    def parameters(self) -> list[NDArray[Any]]:
        """Weights, frequencies of rows, n-grams."""
        return [*super().parameters(), self._weights.idf_.astype(np.float32), *self._counts.keys]


class NbSvm(ClassBaseline):
    """Presence of n-grams scaled by naive Bayes' log ratio, under a linear model for each class.

    Source: Wang & Manning 2012, "Baselines and bigrams", eq. 1-3 (β = 0.25, α = 1). Deviation: logistic loss in place
    of the squared hinge, so that there are probabilities.
    """

    name = "NB-SVM"
    about = "which n-grams a row holds, weighted by naive Bayes (Wang & Manning 2012), logistic loss"
    modules = ("sklearn.linear_model",)
    _interpolation = 0.25

    @classmethod
    def applies(cls, prepared: Prepared) -> bool:
        """Where the input is a sequence of tokens and the target a class or labels."""
        return _reads_tokens(prepared) and prepared.features.row_target.kind != "number"

    @property
    def details(self) -> str:
        """The n-grams."""
        return f"n-grams up to {self._counts.order}, {self._counts.num_columns:,} of them"

    def fit_rows(self, train: Examples, targets: Array) -> None:
        """A ratio and a model for each class (of two: for the second)."""
        self._counts = NgramCounts(self.features.input.longest_ngram)
        held = self._binary(self._counts.fit(token_rows(train.sequences)))
        if targets.ndim == 1:
            outputs = range(1, 2) if self.target.num_outputs == 1 else range(len(self.target.classes))
            members = np.stack([targets == k for k in outputs], axis=1)
        else:
            members = targets > 0.5
        self._models, self._ratios = [], []
        for inside in members.T:
            counts = np.asarray(held.T @ np.stack([inside, ~inside], axis=1).astype(np.float32)) + 1.0
            shares = counts / counts.sum(axis=0)
            self._ratios.append(np.log(shares[:, 0] / shares[:, 1]).astype(np.float32))
            self._models.append(self._fit_one(held * self._ratios[-1][None, :], inside))

    def _fit_one(self, scaled: Any, inside: Array) -> tuple[Array, float]:
        """w' = (1 - β) mean|w| + β w, and the intercept."""
        from sklearn.linear_model import LogisticRegression

        if inside.all() or not inside.any():
            return np.zeros(scaled.shape[1], dtype=np.float32), 20.0 if inside.all() else -20.0
        model = LogisticRegression(solver="liblinear", C=1.0, dual=True, max_iter=50, tol=0.1, random_state=0)
        with ending_early():
            model.fit(scaled.tocsr(), inside)
        weights = model.coef_[0]
        mixed = (1 - self._interpolation) * np.abs(weights).mean() + self._interpolation * weights
        return mixed.astype(np.float32), float(model.intercept_[0])

    def _binary(self, counts: Any) -> Any:
        counts.data[:] = 1.0
        return counts

    def answer_rows(self, examples: Examples) -> Floats:
        """Probabilities of each class (over several classes scaled to one)."""
        held = self._binary(self._counts.transform(token_rows(examples.sequences)))
        pairs = zip(self._models, self._ratios, strict=True)
        scores = np.stack([held @ (ratio * weights) + bias for (weights, bias), ratio in pairs], axis=1)
        found = 1.0 / (1.0 + np.exp(-np.clip(scores.astype(np.float64), -30, 30)))
        if isinstance(self.target, LabelsTarget):
            return found
        if found.shape[1] == 1:
            return np.concatenate([1 - found, found], axis=1)
        return np.asarray(found / found.sum(axis=1, keepdims=True))

    def parameters(self) -> list[NDArray[Any]]:
        """Weights times ratios, and n-grams."""
        return [*(weights for weights, _ in self._models), *self._counts.keys]


class SummaryLinear(LinearBaseline):
    """A linear model of a few statistics of each column: what does not care for order."""

    name = "linear on summary statistics"
    about = "logistic or ridge regression on each column's mean, spread, ends, extremes, and the further columns"

    @classmethod
    def applies(cls, prepared: Prepared) -> bool:
        """Where something but the words of a large vocabulary is there."""
        features = prepared.features
        return any(
            feature.form in ("vectors", "pictures") or int(getattr(feature, "vocab_size", 0)) <= 64
            for feature in (features.input, *features.extra.values())
        )

    def features_of(self, examples: Examples, fit: bool) -> Array:
        """(N, F) standardised by the training rows."""
        found = summary_of(examples, self.features)
        if fit:
            std = found.std(axis=0)
            self._scale = (found.mean(axis=0), np.where(std > 0, std, 1.0))
        mean, std = self._scale
        return np.asarray((found - mean) / std)

    def parameters(self) -> list[NDArray[Any]]:
        """Weights and scales."""
        return [*super().parameters(), *self._scale]
