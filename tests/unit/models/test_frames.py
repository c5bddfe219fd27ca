"""The convolution over pictures: one vector each, however they are packed; 8 bits are scaled; sizes that don't fit."""

from __future__ import annotations

import pytest
import torch
from pydantic import ValidationError

from ostinato.errors import RecipeError
from ostinato.layers.images import Pictures
from ostinato.recipe.parts import FramesRecipe
from ostinato.types import Ragged


def _layer(shape: tuple[int, ...] = (2, 7, 5), **recipe: object) -> Pictures:
    torch.manual_seed(0)
    given = {"channels": (3, 4), "output_size": 6, **recipe}
    return Pictures(shape, FramesRecipe.model_validate(given)).double()


def test_a_clip_is_read_picture_by_picture() -> None:
    layer = _layer()
    pictures = torch.rand(5, 2, 7, 5, dtype=torch.float64)
    alone = torch.cat([layer(one.unsqueeze(0)) for one in pictures])
    ragged = layer(Ragged.from_rows(pictures, starts=[0, 2], lengths=[2, 3]))
    torch.testing.assert_close(ragged.row_major(), alone, rtol=0, atol=1e-12)
    torch.testing.assert_close(layer(pictures.view(5, 1, 2, 7, 5)).squeeze(1), alone, rtol=0, atol=1e-12)
    assert layer.embedding_dim == 6
    assert alone.abs().sum() > 0


def test_eight_bits_are_scaled_and_floats_are_taken_as_they_are() -> None:
    layer = _layer()
    pixels = torch.randint(0, 256, (3, 2, 7, 5), dtype=torch.uint8)
    torch.testing.assert_close(layer(pixels), layer(pixels.double() / 255))


def test_the_last_row_and_column_of_odd_sizes_count() -> None:
    layer = _layer(pooling="mean")
    pictures = torch.zeros(1, 2, 7, 5, dtype=torch.float64)
    other = pictures.clone()
    other[0, :, -1, -1] = 5.0
    assert not torch.equal(layer(pictures), layer(other))


def test_more_halvings_than_pixels_are_refused() -> None:
    Pictures((1, 4, 9), FramesRecipe(channels=(2, 2)))
    with pytest.raises(RecipeError, match=r"must have at most 2 entries: .* has 4 × 9 pixels\. Received: \[2, 2, 2\]"):
        Pictures((1, 4, 9), FramesRecipe(channels=(2, 2, 2)))


def test_an_even_kernel_is_refused() -> None:
    with pytest.raises(ValidationError, match=r"`model.frames.kernel` must be an odd number\. Received: 4"):
        FramesRecipe(kernel=4)
