"""Pictures and frames of a video: a small convolutional network makes one vector of each."""

from __future__ import annotations

from typing import TypeVar

import torch
from torch import Tensor, nn

from ostinato.errors import RecipeError
from ostinato.recipe.parts import FramesRecipe
from ostinato.types import Ragged

ValuesT = TypeVar("ValuesT", Tensor, Ragged)


class Pictures(nn.Module):
    """[convolution → ReLU → 2 × 2 pooling] for each of `channels`, then dropout, a linear layer and ReLU. In
    training, `recipe.mirror` is the share of rows whose pictures are mirrored, every frame of a row alike.

    Convolutions keep the size, poolings halve it, rounding up. Integers (pixels of 8 bits) are scaled to 0..1 here, so
    that pictures wait in memory as one byte a pixel; floats are taken as they are.

    Source: the layers of LeNet-5 (LeCun, Bottou, Bengio, Haffner 1998, "Gradient-based learning applied to document
    recognition", section II.B), with ReLU and maxima.

    Args:
        shape: (C, H, W) of a picture.
        recipe: `model.frames`.

    Shapes: a Ragged of (sum L, C, H, W), or a tensor (..., C, H, W); output a Ragged of (sum L, embedding_dim), or
    (..., embedding_dim).

    Raises:
        RecipeError: for more poolings than the picture can be halved.

    Example:
        >>> layer = Pictures((1, 28, 28), FramesRecipe(output_size=10))
        >>> layer(torch.zeros(5, 3, 1, 28, 28, dtype=torch.uint8)).shape
        torch.Size([5, 3, 10])
    """

    def __init__(self, shape: tuple[int, ...], recipe: FramesRecipe) -> None:
        super().__init__()
        channels, height, width = shape
        smallest = min(height, width)
        if smallest <= 2 ** (len(recipe.channels) - 1):
            raise RecipeError(
                f"`model.frames.channels` must have at most {(smallest - 1).bit_length()} entries: each halves the "
                f"picture, which has {height} × {width} pixels. Received: {list(recipe.channels)}."
            )
        layers: list[nn.Module] = []
        for size in recipe.channels:
            layers += [nn.Conv2d(channels, size, recipe.kernel, padding=recipe.kernel // 2), nn.ReLU()]
            pool = nn.MaxPool2d if recipe.pooling == "max" else nn.AvgPool2d
            layers.append(pool(2, ceil_mode=True))
            channels, height, width = size, -(-height // 2), -(-width // 2)
        self.convolutions = nn.Sequential(*layers)
        self.dropout = nn.Dropout(recipe.dropout)
        self.output = nn.Linear(channels * height * width, recipe.output_size)
        self.embedding_dim, self.shape, self.mirror = recipe.output_size, tuple(shape), recipe.mirror

    def forward(self, values: ValuesT) -> ValuesT:
        """A vector for each picture."""
        if isinstance(values, Ragged):
            return values.with_values(self._vectors(self._mirrored(values)))
        leading = values.shape[: -len(self.shape)]
        return self._vectors(values.flatten(0, len(leading) - 1)).view(*leading, -1)

    def _mirrored(self, rows: Ragged) -> Tensor:
        """In training, all pictures of some rows with left and right exchanged."""
        pictures = rows.values
        if not self.training or not self.mirror:
            return pictures
        chosen = torch.rand(rows.num_rows, device=pictures.device) < self.mirror
        return torch.where(chosen[rows.rows_index()].view(-1, 1, 1, 1), pictures.flip(-1), pictures)

    def _vectors(self, pictures: Tensor) -> Tensor:
        """(n, C, H, W) to (n, embedding_dim)."""
        if not pictures.is_floating_point():
            pictures = pictures.to(self.output.weight.dtype) / 255
        found = self.dropout(self.convolutions(pictures).flatten(1))
        return torch.relu(self.output(found))
