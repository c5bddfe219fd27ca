"""A class or a number for each sequence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray
from sklearn.base import ClassifierMixin, ClassNamePrefixFeaturesOutMixin, RegressorMixin, TransformerMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_array, check_is_fitted, column_or_1d

from ostinato.arrays import Array
from ostinato.data.inference.target import alike
from ostinato.errors import DataError, RecipeError
from ostinato.sklearn.base import SequenceEstimator, free_name

_TARGET = "target"
_OF_ONE_FIT = {
    "training.steps": None,
    "training.max_minutes": None,
    "training.patience": None,
    "training.schedule": "constant",
}
"""What counts over all epochs of a training, and what it is where these come one by one."""


class _RowsToOne(ClassNamePrefixFeaturesOutMixin, TransformerMixin, SequenceEstimator):  # type: ignore[misc]
    """A value a row: fitted at once, or an epoch of some rows at a time; what a row is to the network as a vector."""

    task = "classification"
    kind = ""

    def __sklearn_tags__(self) -> Any:
        """Vectors are of single precision, whatever X is."""
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = []
        return tags

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train on rows and their targets.

        Args:
            X: sequences, see `ostinato.data.in_memory.as_table`; or an array or a table of numbers, (N, L).
            y: (N,), a class or a number each.
            sample_weight: (N,): how often a row counts.

        Raises:
            ValueError: for data that can't be used.
            RecipeError: for parameters that describe no possible training.
        """
        table, target, settings = self._with_target(X, y, sample_weight, reset=True)
        return self._train(table, {"features.target.kind": self.kind, **settings}, **self._named(target))

    def transform(self, X: Any) -> Array:
        """(N, F): what each row is to the network before its output, for other estimators; see `Run.vectors`.

        Raises:
            NotFittedError: before `fit`.
        """
        check_is_fitted(self)
        return self.run_.vectors(self._read(X, reset=False))

    def _train(self, table: pl.DataFrame, settings: Mapping[str, Any], **columns: Any) -> Self:
        super()._train(table, settings, **columns)
        self._n_features_out = int(self.run_.vectors(table.head(1)).shape[1])
        return self

    def _fit_some(self, X: Any, y: Any, sample_weight: Any) -> Self:
        """One epoch of some rows, with the vocabulary and the scales of the first; after `fit` from nothing."""
        first = not self._goes_on
        given = {key: value for key, value in (self.options or {}).items() if key in _OF_ONE_FIT}
        given |= {name: getattr(self, name) for name in ("max_steps", "minutes") if getattr(self, name) is not None}
        if given:
            name, value = next(iter(given.items()))
            raise RecipeError(
                f"`{name}` counts over a whole training, not over calls of `partial_fit`: only `fit` can have it. "
                f"Received: {value!r}."
            )
        table, target, _ = self._with_target(X, y, sample_weight, reset=first)
        table = table.select(*self._columns[:1], *self._columns[1], target)
        if not first:
            return self._train_on(table)
        settings = {
            "features.target.kind": self.kind,
            "data.validation": table,
            "training.epochs": 1,
            "training.keep": "last",
            **_OF_ONE_FIT,
        }
        return self._train(table, settings, **self._named(target))

    @property
    def _goes_on(self) -> bool:
        """Whether there was a `partial_fit` before."""
        return self.__sklearn_is_fitted__() and isinstance(self.run_.recipe.data.validation, str)

    def _named(self, target: str) -> dict[str, Any]:
        input, extra = self._columns
        return {"input": input, "target": target, "extra": extra}

    def _with_target(
        self, X: Any, y: Any, sample_weight: Any, *, reset: bool
    ) -> tuple[pl.DataFrame, str, dict[str, Any]]:
        """Rows with a target, its column, and settings that go with them."""
        if y is None:
            raise ValueError(f"This {type(self).__name__} estimator requires y to be passed, but the target y is None.")
        table = self._read(X, reset=reset, fewest=2 if reset else 1)
        name = free_name(_TARGET, table)
        values = self._encoded(y, reset=reset)
        if len(values) != len(table):
            raise ValueError(f"X and y must have as many rows. Received: {len(table)} and {len(values)}.")
        table, settings = self._weighted(table.with_columns(pl.Series(name, values)), sample_weight)
        return table, name, settings

    def _encoded(self, y: Any, *, reset: bool) -> Any:
        raise NotImplementedError


class SequenceClassifier(ClassifierMixin, _RowsToOne):  # type: ignore[misc]
    """A class for each sequence. Parameters: see `SequenceEstimator`.

    Attributes:
        classes_: the classes, sorted.
        run_: the `Run`.

    Example:
        >>> model = SequenceClassifier(hidden_size=8, epochs=1).fit([[0.0, 1.0], [1.0, 0.0, 2.0]] * 20, [0, 1] * 20)
        >>> model.predict([[0.0, 1.0, 1.0]]).shape
        (1,)
    """

    kind = "class"

    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> Self:
        """One epoch of some rows; vocabulary and classes are those of the first ones.

        Args:
            X: as of `fit`.
            y: (N,), a class each; the first ones hold all that there are.
            classes: all classes.
            sample_weight: (N,): how often a row counts.

        Raises:
            ValueError: for data that can't be used, or a class that the first rows did not have.
        """
        self._all_classes(y, classes)
        return self._fit_some(X, y, sample_weight)

    def predict(self, X: Any) -> NDArray[Any]:
        """(N,): the class of each row, as the run decides (`threshold`).

        Raises:
            NotFittedError: before `fit`.
        """
        found = self._predictions(X)
        places = {name: place for place, name in enumerate(self._names)}
        most = [max(one.probabilities or {}, key=dict(one.probabilities or {}).__getitem__) for one in found]
        answers = [one.label if one.label is not None else likely for one, likely in zip(found, most, strict=True)]
        return np.asarray(self.classes_[[places[answer] for answer in answers]])

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """(N, K): the probability of each class of `classes_`.

        Raises:
            NotFittedError: before `fit`.
        """
        found = self._predictions(X)
        rows = [[(one.probabilities or {}).get(name, 0.0) for name in self._names] for one in found]
        probabilities = np.asarray(rows, dtype=np.float64).reshape(len(rows), len(self._names))
        scaled: NDArray[np.float64] = probabilities / probabilities.sum(axis=1, keepdims=True)
        return scaled

    def _with_target(
        self, X: Any, y: Any, sample_weight: Any, *, reset: bool
    ) -> tuple[pl.DataFrame, str, dict[str, Any]]:
        table, target, settings = super()._with_target(X, y, sample_weight, reset=reset)
        if reset and table[target].n_unique() < 2:
            raise DataError(
                "rows of at least two classes with a `sample_weight` above zero were expected. Received: one class, "
                f"{table[target][0]!r}."
            )
        return table, target, settings

    def _all_classes(self, y: Any, classes: Any) -> None:
        if not self._goes_on and classes is not None:
            missing = np.setdiff1d(np.asarray(classes), np.asarray(y)).tolist()
            if missing:
                raise DataError(f"the first rows must hold each class. Received: none of {missing[0]!r}.")

    def _encoded(self, y: Any, *, reset: bool) -> list[str]:
        y = column_or_1d(y, warn=True)
        check_classification_targets(y)
        found = np.unique(y)
        if reset:
            if len(found) < 2:
                raise DataError(f"at least two classes were expected. Received: one class, {found.tolist()[0]!r}.")
            self.classes_, self._names = found, names_of(found)
        unknown = np.setdiff1d(found, self.classes_).tolist()
        if unknown:
            raise DataError(f"classes of the first rows were expected. Received: {unknown[0]!r}.")
        return [self._names[place] for place in np.searchsorted(self.classes_, y).tolist()]


class SequenceRegressor(RegressorMixin, _RowsToOne):  # type: ignore[misc]
    """A number for each sequence. Parameters: see `SequenceEstimator`.

    Attributes:
        run_: the `Run`.
    """

    kind = "number"

    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """One epoch of some rows; the vocabulary and the scale of the numbers are those of the first ones.

        Args:
            X: as of `fit`.
            y: (N,), a number each.
            sample_weight: (N,): how often a row counts.

        Raises:
            ValueError: for data that can't be used.
        """
        return self._fit_some(X, y, sample_weight)

    def predict(self, X: Any) -> NDArray[np.float64]:
        """(N,): the number of each row.

        Raises:
            NotFittedError: before `fit`.
        """
        return np.asarray([one.value for one in self._predictions(X)], dtype=np.float64)

    def _encoded(self, y: Any, *, reset: bool) -> NDArray[np.float64]:
        found: NDArray[np.float64] = check_array(
            column_or_1d(y, warn=True), ensure_2d=False, dtype=np.float64, input_name="y", ensure_min_samples=0
        )
        return found


def names_of(classes: NDArray[Any]) -> list[str]:
    """What a run calls classes: as they are, or by their numbers where several would be called alike."""
    names = [str(one).strip() for one in classes.tolist()]
    apart = len({alike(name) for name in names}) == len(names) and all(names) and classes.dtype.kind != "f"
    return names if apart else [str(place) for place in range(len(names))]
