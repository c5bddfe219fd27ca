"""A picture a row: pixels from a table, or PNG, JPEG and BMP files by Pillow."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import polars as pl

from ostinato.arrays import Array
from ostinato.data.features.base import Draft, FittedFeature
from ostinato.data.sequences import Sequences
from ostinato.errors import DataError
from ostinato.media.extras import library
from ostinato.media.files import MEDIA, MOST_PIXELS, PICTURES, media_path
from ostinato.recipe.kinds import ImageRecipe

_MODES = {"grey": "L", "rgb": "RGB"}


class ImageFeature(FittedFeature):
    """Pictures as (C, H, W) pixels of 8 bits, which the model scales to 0..1; all must have one size.

    A cell is a path, or pixels, also as JSON text: rows of numbers, (H, W) or (C, H, W), integers of 0 to 255 or, if
    none is above 1, shares of white.

    Args:
        recipe: of the feature.
        shape: (C, H, W) of the training rows.

    Example:
        >>> feature = ImageFeature(ImageRecipe(), (1, 2, 2))
        >>> feature.encode(pl.Series([[[0, 255], [9, 9]]])).values.shape
        (1, 1, 2, 2)
    """

    form = "pictures"
    recipe_type = ImageRecipe
    suffixes = MEDIA["image"]
    ragged = False
    reads_files = True

    def __init__(self, recipe: ImageRecipe, shape: tuple[int, ...]) -> None:
        self.recipe, self.shape = recipe, shape

    @property
    def value_shape(self) -> tuple[int, ...]:
        """(C, H, W)."""
        return self.shape

    @classmethod
    def read(cls, recipe: ImageRecipe, cells: pl.Series) -> Draft:
        """Pixels; all pictures of a block must be as large as its first good one."""
        return _draft(recipe, cells, None)

    def draft(self, cells: pl.Series) -> Draft:
        """Pixels; all pictures must be as large as those of training."""
        return _draft(self.recipe, cells, self.shape)

    @classmethod
    def fit(cls, recipe: ImageRecipe, values: Array) -> ImageFeature:
        """The size is all that is learnt."""
        return cls(recipe, tuple(values.shape[1:]))

    def decode(self, values: Array) -> str:
        """How large a picture is."""
        return described(values.shape[-3:])

    def to_dict(self) -> dict[str, Any]:
        """The size."""
        return {"recipe": self.recipe.model_dump(mode="json"), "shape": list(self.shape)}

    @classmethod
    def from_dict(cls, saved: dict[str, Any]) -> ImageFeature:
        """The inverse of `to_dict`."""
        return cls(ImageRecipe.model_validate(saved["recipe"]), tuple(saved["shape"]))


def described(shape: tuple[int, ...]) -> str:
    """The size in words: 28 × 28 pixels."""
    channels, height, width = shape
    return f"{height} × {width} pixels" + (f" in {channels} colours" if channels > 1 else "")


def _draft(recipe: ImageRecipe, cells: pl.Series, shape: tuple[int, ...] | None) -> Draft:
    """Pictures of one shape; None: that of the first good one."""
    if isinstance(cells.dtype, pl.Array) and recipe == ImageRecipe(colour=recipe.colour) and not cells.null_count():
        whole = _whole(recipe, cells)
        if whole is not None and (shape is None or whole.shape[1:] == shape):
            lengths = np.ones(len(cells), dtype=np.int64)
            return Draft(lengths, Sequences.from_lengths(whole, lengths))
    found: list[Array] = []
    lengths = np.zeros(len(cells), dtype=np.int64)
    problems: dict[int, str] = {}
    for row, cell in enumerate(cells):
        try:
            listed = _listed(cell)
            picture = _opened(recipe, listed) if isinstance(listed, str) else _pixels(recipe, listed)
        except DataError as error:
            problems[row] = error.message.removesuffix(".")
            continue
        shape = shape or picture.shape
        if picture.shape != shape:
            problems[row] = f"a picture of {described(picture.shape)}; the others have {described(shape)}"
            continue
        lengths[row] = 1
        found.append(picture)
    values = np.stack(found) if found else np.zeros((0, *(shape or (1, 1, 1))), dtype=np.uint8)
    return Draft(lengths, Sequences.from_lengths(values, lengths), problems)


def _listed(cell: Any) -> Any:
    """Pixels in a table as JSON text, parsed; any other cell as it is."""
    if not isinstance(cell, str) or not cell.lstrip().startswith("["):
        return cell
    try:
        return json.loads(cell)
    except json.JSONDecodeError as error:
        raise DataError("neither a file nor rows of numbers") from error


def _whole(recipe: ImageRecipe, cells: pl.Series) -> Array | None:
    """A column of equal pictures of 8 bits at once, (N, C, H, W); None where each must be looked at."""
    values = cells.to_numpy()
    if values.dtype != np.uint8 or values.ndim not in (3, 4):
        return None
    values = values[:, None] if values.ndim == 3 else values
    return values if recipe.colour == "keep" or values.shape[1] == _channels(recipe) else None


def _channels(recipe: ImageRecipe) -> int:
    return 3 if recipe.colour == "rgb" else 1


def _pixels(recipe: ImageRecipe, cell: Any) -> Array:
    """(C, H, W) from rows of numbers."""
    listed = cell.to_list() if isinstance(cell, pl.Series) else cell
    try:
        values = np.asarray(listed, dtype=np.float64)
    except (ValueError, TypeError) as error:
        raise DataError("not a rectangle of numbers") from error
    if values.ndim not in (2, 3) or not values.size:
        raise DataError(f"not a picture: numbers of shape {values.shape} in place of (H, W) or (C, H, W)")
    if not np.isfinite(values).all() or values.min() < 0 or values.max() > 255:
        raise DataError("pixels must be 0 to 255, or 0 to 1")
    values = values[None] if values.ndim == 2 else values
    whole = bool((values == np.round(values)).all())
    eight_bits = np.round(values if whole else values * 255).astype(np.uint8) if whole or values.max() <= 1 else None
    if eight_bits is None:
        raise DataError("pixels must be integers from 0 to 255, or numbers from 0 to 1")
    if recipe.size is None and (recipe.colour == "keep" or len(eight_bits) == _channels(recipe)):
        return eight_bits
    if len(eight_bits) not in (1, 3):
        raise DataError(f"{len(eight_bits)} colours can't be made into others or resized, 1 or 3 can")
    image = _library()
    packed = eight_bits[0] if len(eight_bits) == 1 else np.ascontiguousarray(eight_bits.transpose(1, 2, 0))
    return _array(recipe, image.fromarray(packed))


def _opened(recipe: ImageRecipe, cell: str) -> Array:
    """(C, H, W) from a file."""
    image = _library()
    path = media_path(cell)
    try:
        with image.open(path, formats=PICTURES) as opened:
            if opened.width * opened.height > MOST_PIXELS:
                raise DataError(f"a picture of more than {MOST_PIXELS:,} pixels: {opened.width} × {opened.height}")
            return _array(recipe, opened)
    except DataError:
        raise
    except (OSError, ValueError, SyntaxError, MemoryError, image.DecompressionBombError) as error:
        raise DataError(f"not a readable picture: {type(error).__name__}") from error


def _array(recipe: ImageRecipe, picture: Any) -> Array:
    """A Pillow image as the recipe wants it, (C, H, W) of 8 bits."""
    if picture.mode.startswith("I"):  # 16 bits
        picture = _library().fromarray((np.asarray(picture) // 257).astype(np.uint8))
    plain = picture.mode in ("1", "L", "LA")
    mode = _MODES.get(recipe.colour) or ("L" if plain else "RGB")
    picture = picture.convert(mode)
    if recipe.size is not None:
        height, width = recipe.size
        picture = picture.resize((width, height), _library().Resampling.BILINEAR)
    values: Array = np.asarray(picture, dtype=np.uint8)
    return values[None] if values.ndim == 2 else np.ascontiguousarray(values.transpose(2, 0, 1))


def _library() -> Any:
    return library("PIL.Image", "reading pictures", "video")
