"""What features of numbers share: each number scaled by the mean and deviation that training rows had."""

from __future__ import annotations

from typing import Any, Self

import numpy as np

from ostinato.arrays import Array
from ostinato.data.features.base import FittedFeature
from ostinato.data.moments import Moments
from ostinato.errors import DataError


class ScaledFeature(FittedFeature):
    """`(x - mean) / std` of each of D numbers; a number that never changes becomes 0.

    Args:
        recipe: of the feature.
        mean: (D,) of the training rows.
        std: (D,) of the training rows; infinite where a number never changes.
    """

    form = "vectors"

    def __init__(self, recipe: Any, mean: Array, std: Array) -> None:
        self.recipe, self.mean, self.std = recipe, mean, std

    @property
    def value_shape(self) -> tuple[int, ...]:
        """(D,)."""
        return (len(self.mean),)

    @classmethod
    def fit(cls, recipe: Any, values: Array) -> Self:
        """Mean and deviation of the training rows, where the recipe does not have it otherwise (`normalize`)."""
        if not len(values):
            raise DataError(f"there is no value to fit {recipe.kind} to.")
        if getattr(recipe, "normalize", "global") != "global":
            return cls(recipe, np.zeros(values.shape[1]), np.ones(values.shape[1]))
        moments = Moments.of(values)
        return cls(recipe, moments.mean, np.where(moments.std > 0, moments.std, np.inf))

    def transform(self, values: Array) -> Array:
        """(sum L, D) float32."""
        return ((values - self.mean) / self.std).astype(np.float32)

    def restore(self, values: Array) -> Array:
        """The inverse of `transform`, (L, D) float64; a number that never changed in training gets that value."""
        std = np.where(np.isinf(self.std), 0.0, self.std)
        return np.asarray(np.asarray(values, dtype=np.float64) * std + self.mean)

    def to_dict(self) -> dict[str, Any]:
        """Mean and standard deviation."""
        std = [None if np.isinf(s) else float(s) for s in self.std]
        return {"recipe": self.recipe.model_dump(mode="json"), "mean": self.mean.tolist(), "std": std}

    @classmethod
    def from_dict(cls, saved: dict[str, Any]) -> Self:
        """The inverse of `to_dict`."""
        std = np.asarray([np.inf if s is None else s for s in saved["std"]], dtype=np.float64)
        recipe = cls.recipe_type.model_validate(saved["recipe"])
        return cls(recipe, np.asarray(saved["mean"], dtype=np.float64), std)
