"""The idx files of MNIST and its kin: pictures, with their labels in a file beside."""

from __future__ import annotations

import lzma
import re
import struct
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

import numpy as np
import polars as pl

from ostinato.arrays import Array
from ostinato.data.io.blocks import Block
from ostinato.data.readers.base import Claim, Source
from ostinato.errors import DataError
from ostinato.storage.decompress import open_binary

_NAMED = re.compile(r"[.-]idx\d-ubyte(\.gz|\.bz2|\.xz)?$", re.IGNORECASE)
_WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_BYTES = 0x08
_ROWS = 4096
_MOST_AXES = 4


class IdxSource(Source):
    """Pictures of 8 bits and, where they lie beside, their labels: columns `image`, `label` and, of digits, `word`.

    `train-images-idx3-ubyte.gz` has its labels in `train-labels-idx1-ubyte.gz`. `image` holds (H, W) numbers a row, or
    (C, H, W); `word` is the label's English name, for labels of 0 to 9.

    Source of the format: http://yann.lecun.com/exdb/mnist/ (two zero bytes, the type of the values, the number of axes,
    their sizes as big-endian integers, then the values).

    Raises:
        DataError: while reading, for another type of values, a file that is cut off, or unequal numbers of pictures
            and labels.
    """

    format = "idx"
    usual_input = "image"
    usual_target = "label"

    @classmethod
    def claim(cls, path: Path) -> Claim | None:
        """A file named as one."""
        return Claim.NAME if _NAMED.search(path.name) and not path.is_dir() else None

    def kind_of(self, column: str) -> str | None:
        """Pictures."""
        return "image" if column == "image" else None

    def _labels(self) -> Path | None:
        path = labels_beside(self.path)
        return path if path != self.path and path.is_file() else None

    def _read_columns(self) -> list[str]:
        if self._labels() is None:
            self.note(f"{self.path}: no labels next to it (…images… and …labels… by name): pictures alone")
            return ["image"]
        return ["image", "label", "word"]

    def _read_blocks(self, columns: Sequence[str]) -> Iterator[Block]:
        labels = self._read_labels() if set(columns) & {"label", "word"} else None
        with open_binary(self.path) as stream:
            shape = _header(stream, self.path)
            if len(shape) not in (3, 4):
                raise DataError(f"`{self.path}` holds no pictures: its shape is {_listed(shape)}.")
            if labels is not None and len(labels) != shape[0]:
                raise DataError(
                    f"`{self.path}` holds {shape[0]:,} pictures, the file next to it {len(labels):,} labels."
                )
            for first in range(0, shape[0], _ROWS):
                count = min(_ROWS, shape[0] - first)
                pictures = _values(stream, (count, *shape[1:]), self.path)
                part = None if labels is None else labels[first : first + count]
                yield self._block(columns, pictures, part, first)

    def _block(self, columns: Sequence[str], pictures: Array, labels: Array | None, first: int) -> Block:
        made = {"image": pl.Series("image", pictures)} if "image" in columns else {}
        if labels is not None:
            given = labels.tolist()
            made["label"] = pl.Series("label", [str(one) for one in given], dtype=pl.String)
            words = [_WORDS[one] if one < len(_WORDS) else None for one in given]
            made["word"] = pl.Series("word", words, dtype=pl.String)
        frame = pl.DataFrame({name: made[name] for name in columns})
        return Block(frame, (str(self.path),), np.arange(first + 1, first + 1 + len(frame), dtype=np.int64))

    def _read_labels(self) -> Array:
        path = self._labels()
        if path is None:
            raise DataError(f"`{self.path}` has no labels next to it.")
        with open_binary(path) as stream:
            shape = _header(stream, path)
            if len(shape) != 1:
                raise DataError(f"`{path}` holds no labels: its shape is {_listed(shape)}.")
            return _values(stream, shape, path)


def labels_beside(path: Path) -> Path:
    """Where the labels of a file of pictures would lie."""
    return path.with_name(path.name.replace("images", "labels").replace("idx3", "idx1").replace("idx4", "idx1"))


def read_idx(path: Path) -> Array:
    """All values of a file, in its own shape. Raises `DataError` for another type of values, or a file cut off."""
    with open_binary(path) as stream:
        return _values(stream, _header(stream, path), path)


def _header(stream: IO[bytes], path: Path) -> tuple[int, ...]:
    """The size of each axis."""
    zero, kind, axes = struct.unpack(">HBB", _read(stream, 4, path))
    if zero or not 1 <= axes <= _MOST_AXES:
        raise DataError(f"`{path}` is not an idx file: its header is wrong.")
    if kind != _BYTES:
        raise DataError(f"`{path}` holds values of type 0x{kind:02X}; only unsigned bytes, 0x08, are supported.")
    sizes: tuple[int, ...] = struct.unpack(f">{axes}I", _read(stream, 4 * axes, path))
    return sizes


def _values(stream: IO[bytes], shape: tuple[int, ...], path: Path) -> Array:
    raw = _read(stream, int(np.prod(shape, dtype=np.int64)), path)
    return np.frombuffer(raw, dtype=np.uint8).reshape(shape)


def _read(stream: IO[bytes], count: int, path: Path) -> bytes:
    """Exactly so many bytes."""
    try:
        raw = stream.read(count)
    except (OSError, EOFError, lzma.LZMAError, zlib.error) as error:
        raise DataError(f"can't read `{path}`: {str(error).rstrip('.')}.") from error
    if len(raw) < count:
        raise DataError(f"`{path}` is cut off: {count - len(raw):,} bytes are missing.")
    return raw


def _listed(shape: tuple[int, ...]) -> str:
    return " × ".join(map(str, shape))
