"""Further columns beside the input: each becomes one vector a row."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TypeAlias, cast

import torch
from torch import Tensor, nn

from ostinato.data.features import Feature
from ostinato.models.encoder import RecurrentEncoder
from ostinato.models.inputs import input_layer, width_of
from ostinato.nn import Pooling
from ostinato.recipe import ModelRecipe
from ostinato.types import Ragged

Extra: TypeAlias = Mapping[str, Ragged]
"""Values of further columns, by name."""

NO_EXTRA: Extra = MappingProxyType({})


class BesideInputs(nn.Module):
    """Columns with one value a row are read by their input layer; sequences by a recurrent encoder and a pooling of
    their own, as the recipe describes the main one. The vectors of all columns stand one after the other.

    Args:
        recipe: the model's part of a recipe.
        features: by column.

    Shapes: each column a Ragged of N rows; output (N, output_size).
    """

    def __init__(self, recipe: ModelRecipe, features: Mapping[str, Feature]) -> None:
        super().__init__()
        self.names = tuple(features)
        layers: list[nn.Module] = []
        poolings: list[nn.Module] = []
        sizes: list[int] = []
        for feature in features.values():
            layer = input_layer(feature, recipe)
            if feature.ragged:
                encoder = RecurrentEncoder(recipe, inputs=layer)
                pooling = Pooling(recipe.pooling, encoder.output_size, recipe.bidirectional)
                layers.append(encoder)
                poolings.append(pooling)
                sizes.append(pooling.output_size)
            else:
                layers.append(layer)
                poolings.append(nn.Identity())
                sizes.append(width_of(layer))
        self.layers, self.poolings = nn.ModuleList(layers), nn.ModuleList(poolings)
        self.output_size = sum(sizes)

    def forward(self, extra: Extra) -> Tensor:
        """(N, output_size)."""
        vectors: list[Tensor] = []
        for name, layer, pooling in zip(self.names, self.layers, self.poolings, strict=True):
            if isinstance(layer, RecurrentEncoder):
                vectors.append(cast("Tensor", pooling(layer(extra[name])[0])))
            else:
                vectors.append(cast("Ragged", layer(extra[name])).select_first())
        return torch.cat(vectors, dim=1)
