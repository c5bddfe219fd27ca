"""Covariates: further columns that are read with the input, as one vector a row or at each step."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TypeAlias, cast

import torch
from torch import Tensor, nn

from ostinato.data.features import Feature
from ostinato.errors import ShapeError
from ostinato.layers.encoder import RecurrentEncoder
from ostinato.layers.inputs import input_layer, width_of
from ostinato.nn import Pooling
from ostinato.recipe.model import ColumnsRecipe, PoolingRecipe
from ostinato.types import Ragged

Extra: TypeAlias = Mapping[str, Ragged]
"""Values of further columns, by name."""

NO_EXTRA: Extra = MappingProxyType({})


class RowCovariates(nn.Module):
    """Columns with one value a row are read by their input layer; sequences by a recurrent encoder and a pooling of
    their own, as the recipe describes the main one. The vectors of all columns are concatenated.

    Args:
        recipe: the model's part of a recipe.
        features: by column.

    Shapes: each column a Ragged of N rows; output (N, output_size).
    """

    def __init__(self, recipe: PoolingRecipe, features: Mapping[str, Feature]) -> None:
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


class StepCovariates(nn.Module):
    """The vectors of the input and of further columns, concatenated at each step; a column with one value a row has it
    at every step.

    Args:
        inputs: the layer of the input column.
        features: the further columns, by name.
        recipe: the model's part of a recipe.
    """

    def __init__(self, inputs: nn.Module, features: Mapping[str, Feature], recipe: ColumnsRecipe) -> None:
        super().__init__()
        self.inputs, self.names = inputs, tuple(features)
        self.ragged = tuple(feature.ragged for feature in features.values())
        self.layers = nn.ModuleList(input_layer(feature, recipe) for feature in features.values())
        self.embedding_dim = width_of(inputs) + sum(width_of(layer) for layer in self.layers)

    def forward(self, inputs: Ragged, extra: Extra) -> Ragged:
        """(sum L, embedding_dim)."""
        vectors = [cast("Tensor", self.inputs(inputs).values)]
        for name, ragged, layer in zip(self.names, self.ragged, self.layers, strict=True):
            read: Ragged = layer(extra[name])
            if ragged and not torch.equal(read.lengths, inputs.lengths):
                raise ShapeError(f"`{name}` must have as many steps as the input in every row.")
            order = inputs.sorted_indices[inputs.rows_index()]
            vectors.append(read.values if ragged else read.select_first()[order])
        return inputs.with_values(torch.cat(vectors, dim=1))
