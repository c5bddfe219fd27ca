"""Input layers: ids are embedded, vectors taken as they are; one layer for each *form* of feature."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import torch
from torch import Tensor, nn

from ostinato.data.features import Feature
from ostinato.data.vocabulary import PAD_ID
from ostinato.errors import RecipeError
from ostinato.layers.images import Pictures
from ostinato.layers.words import Words
from ostinato.nn import Embedding, OneHot
from ostinato.nn.jitter import Jitter
from ostinato.recipe.model import ColumnsRecipe, EmbeddingRecipe
from ostinato.types import Ragged

ValuesT = TypeVar("ValuesT", Tensor, Ragged)
_LARGEST_ONE_HOT = 4096


def embed_ids(vocab_size: int, recipe: EmbeddingRecipe, counts: Tensor | None = None) -> Embedding:
    """The embedding of a vocabulary, from N(0, embedding_std); `counts` (V,) normalise it if the recipe says so.

    Raises `RecipeError` for `embedding: one_hot` of a vocabulary so large that its unit matrix makes no sense.
    """
    if recipe.embedding == "one_hot":
        if vocab_size > _LARGEST_ONE_HOT:
            raise RecipeError(
                f"`model.embedding: one_hot` takes up to {_LARGEST_ONE_HOT:,} tokens. Received: {vocab_size:,}.",
                hint="--set model.embedding=learned",
            )
        return OneHot(vocab_size, recipe.embedding_dropout)
    embedding = Embedding(
        vocab_size,
        recipe.embedding_dim,
        padding_idx=PAD_ID,
        embedding_dropout=recipe.embedding_dropout,
        frequencies=counts if recipe.normalize_embeddings else None,
    )
    with torch.no_grad():
        embedding.weight.mul_(recipe.embedding_std)
    return embedding


class Vectors(nn.Module):
    """Values that are vectors already: (sum L, C), integers as floats, otherwise unchanged.

    Args:
        num_channels: C.
        noise: added in training; as `scale` see `nn.jitter.Jitter`.
        scale: of a row's factor in training.
    """

    def __init__(self, num_channels: int, noise: float = 0.0, scale: float = 0.0) -> None:
        super().__init__()
        self.embedding_dim = num_channels
        self.jitter = Jitter(noise, scale)

    def forward(self, values: ValuesT) -> ValuesT:
        """The same values as floats."""
        flat = values if isinstance(values, Tensor) else values.values
        flat = flat if flat.is_floating_point() else flat.to(torch.get_default_dtype())
        return cast("ValuesT", self.jitter(flat if isinstance(values, Tensor) else values.with_values(flat)))


def _ids(feature: Any, recipe: ColumnsRecipe) -> Embedding:
    return embed_ids(feature.vocab_size, recipe, torch.from_numpy(feature.counts))


INPUT_LAYERS: dict[str, Callable[[Any, ColumnsRecipe], nn.Module]] = {
    "ids": _ids,
    "vectors": lambda one, recipe: Vectors(one.value_shape[0], recipe.input_noise, recipe.input_scale),
    "words": lambda one, recipe: Words(_ids(one, recipe), len(one.characters), recipe.characters, recipe.backend),
    "pictures": lambda one, recipe: Pictures(one.value_shape, recipe.frames),
}
"""By `Feature.form`: what makes the layer from a feature and the model's recipe. Each layer turns a Ragged of values
into a Ragged of (sum L, `embedding_dim`)."""


def input_layer(feature: Feature, recipe: ColumnsRecipe) -> nn.Module:
    """The layer that reads a feature's values."""
    if feature.form not in INPUT_LAYERS:
        raise RecipeError(f"no layer reads values of the form {feature.form!r} (kind {feature.kind}).")
    return INPUT_LAYERS[feature.form](feature, recipe)


def width_of(layer: nn.Module) -> int:
    """Size of the vector that an input layer makes of one value."""
    return cast("int", layer.embedding_dim)
