"""Pictures: idx files with their labels beside, PNG files named in a table, pixels given by hand."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray
from PIL import Image

from ostinato.data.features import make_builder
from ostinato.data.features.image import ImageFeature
from ostinato.data.readers.registry import open_source
from ostinato.data.rejects import BadRows
from ostinato.errors import DataError
from ostinato.recipe import build_recipe
from ostinato.recipe.kinds import ImageRecipe
from ostinato.tasks.prepare import prepare

PIXELS = np.random.default_rng(0).integers(0, 256, (6, 4, 3), dtype=np.uint8)


def idx_bytes(values: NDArray[Any]) -> bytes:
    return struct.pack(f">HBB{values.ndim}I", 0, 8, values.ndim, *values.shape) + values.astype(np.uint8).tobytes()


def write_idx(folder: Path, pixels: NDArray[Any], labels: list[int]) -> Path:
    (folder / "train-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx_bytes(np.asarray(labels))))
    path = folder / "train-images-idx3-ubyte.gz"
    path.write_bytes(gzip.compress(idx_bytes(pixels)))
    return path


def _frame(path: Path, columns: list[str]) -> pl.DataFrame:
    return pl.concat([block.table for block in open_source(path, BadRows()).blocks(columns)])


def test_pictures_labels_and_words(tmp_path: Path) -> None:
    path = write_idx(tmp_path, PIXELS, [3, 0, 9, 10, 1, 1])
    frame = _frame(path, ["image", "label", "word"])
    assert np.array_equal(frame["image"].to_numpy(), PIXELS)
    assert frame["label"].to_list() == ["3", "0", "9", "10", "1", "1"]
    assert frame["word"].to_list() == ["three", "zero", "nine", None, "one", "one"]
    (tmp_path / "train-labels-idx1-ubyte.gz").unlink()
    assert open_source(path, BadRows()).columns() == ["image"]


@pytest.mark.parametrize(
    ("pictures", "labels", "message"),
    [
        (idx_bytes(PIXELS)[:-5], idx_bytes(np.zeros(6)), "is cut off: 5 bytes are missing"),
        (idx_bytes(PIXELS), idx_bytes(np.zeros(5)), "holds 6 pictures, the file next to it 5 labels"),
        (b"PNG and more", idx_bytes(np.zeros(6)), "is not an idx file: its header is wrong"),
        (b"\0\0\x0d\x03" + b"\0" * 12, idx_bytes(np.zeros(6)), "holds values of type 0x0D"),
        (idx_bytes(np.zeros(6)), idx_bytes(np.zeros(6)), "holds no pictures: its shape is 6"),
    ],
)
def test_files_that_are_none_are_refused(tmp_path: Path, pictures: bytes, labels: bytes, message: str) -> None:
    path = tmp_path / "t-images-idx3-ubyte"
    path.write_bytes(pictures)
    (tmp_path / "t-labels-idx1-ubyte").write_bytes(labels)
    with pytest.raises(DataError, match=message):
        _frame(path, ["image", "label"])


def test_pixels_become_channels_of_eight_bits() -> None:
    whole = ImageFeature.read(ImageRecipe(), pl.Series(PIXELS)).content
    assert np.array_equal(whole.values, PIXELS[:, None])  # type: ignore[union-attr]
    feature = ImageFeature(ImageRecipe(), (1, 4, 3))
    assert np.array_equal(feature.encode(pl.Series([PIXELS[0].tolist()])).values, PIXELS[:1, None])
    shares = feature.encode(pl.Series([(PIXELS[1] / 255).tolist()]))
    assert np.array_equal(shares.values, PIXELS[1:2, None])
    again = ImageFeature.from_dict(feature.to_dict())
    assert (again.value_shape, again.ragged, again.form) == ((1, 4, 3), False, "pictures")


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ([[1, 2, 3], [4, 5]], "not a rectangle of numbers"),
        ([1, 2, 3], r"numbers of shape \(3,\)"),
        ([[-1, 2]], "pixels must be 0 to 255"),
        ([[0.5, 2]], "integers from 0 to 255, or numbers from 0 to 1"),
        (PIXELS[0, :2].tolist(), "a picture of 2 × 3 pixels; the others have 4 × 3 pixels"),
    ],
)
def test_a_picture_that_does_not_fit_says_why(cell: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        ImageFeature(ImageRecipe(), (1, 4, 3)).encode(pl.Series([cell]))


def _files(folder: Path) -> Path:
    for number, pixels in enumerate(PIXELS):
        Image.fromarray(pixels).save(folder / f"{number}.png")
    lines = [f"{number}.png,{'ab'[number % 2]}" for number in range(6)]
    table = folder / "pictures.csv"
    table.write_text("\n".join(["picture,label", *lines]) + "\n")
    return table


def test_files_beside_a_table_are_read_and_bad_ones_named(tmp_path: Path) -> None:
    table = _files(tmp_path)
    recipe: dict[str, Any] = {"data": {"train": str(table), "input": "picture", "target": "label", "validation": 0.34}}
    recipe["data"]["stratify"] = True
    prepared = prepare(build_recipe(recipe))
    assert prepared.features.input.value_shape == (1, 4, 3)
    assert prepared.train.sequences.values.dtype == np.uint8  # type: ignore[union-attr]
    Image.fromarray(PIXELS[0, :2]).save(tmp_path / "3.png")
    (tmp_path / "4.png").write_bytes(b"no picture")
    (tmp_path / "5.png").unlink()
    with pytest.raises(DataError) as caught:
        prepare(build_recipe(recipe))
    for line, reason in (
        (5, "a picture of 2 × 3 pixels; the others have 4 × 3"),
        (6, "not a readable picture"),
        (7, "no such"),
    ):
        assert f"pictures.csv:{line}: {reason}" in caught.value.message


def test_colour_and_size_are_made_equal(tmp_path: Path) -> None:
    Image.fromarray(PIXELS[0]).resize((8, 9)).convert("RGB").save(tmp_path / "a.png")
    Image.fromarray(PIXELS[1]).save(tmp_path / "b.png")
    cells = pl.Series([str(tmp_path / "a.png"), str(tmp_path / "b.png")])
    builder = make_builder(ImageRecipe(size=(5, 6), colour="grey"))
    assert builder.draft(cells).content.values.shape == (2, 1, 5, 6)  # type: ignore[union-attr]
    kept = ImageFeature.read(ImageRecipe(size=(5, 6)), cells)
    assert "of 5 × 6 pixels; the others have 5 × 6 pixels in 3 colours" in kept.problems[1]
