"""Values (T, units) with their least, largest and mean over ever longer stretches: any stretch is drawn by reading few.

Level k holds these of every 8^k steps, so that all levels together take three sevenths of the values themselves, and a
tile of 512 columns reads 2,048 entries at most. Steps without a number count in no mean of their own eight steps, and
above these in none where all eight have none.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

FACTOR = 8
TILE = 512
"""Columns of a tile."""
Kind = Literal["low", "high", "mean"]
KINDS: tuple[Kind, ...] = ("low", "high", "mean")
_AT_ONCE = 1 << 22
"""Values that are read at once while levels are made."""


class Pyramid:
    """Mapped values and their levels.

    Args:
        values: (T, units).
        levels: (3, n, units) each, in the order of `KINDS`.
    """

    def __init__(self, values: NDArray[Any], levels: list[NDArray[Any]]) -> None:
        self.values, self.levels = values, levels

    @classmethod
    def open(cls, path: Path, num_steps: int, units: int, dtype: str) -> Pyramid:
        """From the file that `build` completed."""
        kind, sizes = np.dtype(dtype), _sizes(num_steps)
        mapped = np.memmap(path, dtype=kind, mode="r")
        values, at, levels = mapped[: num_steps * units].reshape(num_steps, units), num_steps * units, []
        for size in sizes:
            levels.append(mapped[at : at + 3 * size * units].reshape(3, size, units))
            at += 3 * size * units
        return cls(values, levels)

    @classmethod
    def build(cls, path: Path, num_steps: int, units: int, dtype: str) -> None:
        """Write the levels behind the values of a file, some megabytes at a time."""
        kind, sizes = np.dtype(dtype), _sizes(num_steps)
        if not num_steps:
            return
        with path.open("r+b") as file:
            os.posix_fallocate(file.fileno(), 0, file_bytes(num_steps, units, dtype))  # a full disk is told here
        mapped = np.memmap(path, dtype=kind, mode="r+")
        at, below = num_steps * units, mapped[: num_steps * units].reshape(1, num_steps, units)
        covered = 1
        for size in sizes:
            level = mapped[at : at + 3 * size * units].reshape(3, size, units)
            few = max(1, _AT_ONCE // (FACTOR * units))
            for first in range(0, size, few):
                part = below[:, first * FACTOR : (first + few) * FACTOR]
                counts = _counts(num_steps, covered, first * FACTOR, part.shape[1])
                level[:, first : first + few] = _grouped(part, FACTOR, counts)
            at, below, covered = at + 3 * size * units, level, covered * FACTOR
        mapped.flush()

    @property
    def num_steps(self) -> int:
        """T."""
        return len(self.values)

    def stretches(self, zoom: int, first: int, count: int, kinds: tuple[Kind, ...] = KINDS) -> NDArray[np.float32]:
        """(kinds, n, units): least, largest and mean of each of up to `count` stretches of 2^zoom steps, from number
        `first` on; fewer where the values end."""
        level = min(zoom // 3, len(self.levels))
        inside = 1 << (zoom - 3 * level)
        source = self.values[None] if level == 0 else self.levels[level - 1]
        part = source[:, first * inside : (first + count) * inside]
        if inside == 1 and level == 0:
            return np.repeat(part.astype(np.float32), len(kinds), axis=0)
        counts = _counts(self.num_steps, FACTOR**level, first * inside, part.shape[1])
        return _grouped(part, inside, counts, kinds)

    def span(self, first: int, last: int, columns: int) -> tuple[int, NDArray[np.float32]]:
        """Steps a stretch, and the stretches from the one that holds step `first` to that of `last`, `columns` at most
        and two more."""
        zoom = max(0, int(np.ceil(np.log2(max(last - first, 1) / columns))))
        begin = first >> zoom
        return 1 << zoom, self.stretches(zoom, begin, ((last - 1) >> zoom) + 1 - begin)


def file_bytes(num_steps: int, units: int, dtype: str) -> int:
    """Of values and levels."""
    return (num_steps + 3 * sum(_sizes(num_steps))) * units * np.dtype(dtype).itemsize


def _sizes(num_steps: int) -> list[int]:
    """Entries of each level, until a tile shows all."""
    found, size = list[int](), num_steps
    while size > TILE:
        size = -(-size // FACTOR)
        found.append(size)
    return found


def _counts(num_steps: int, covered: int, first: int, count: int) -> NDArray[np.float64]:
    """Steps that each entry stands for: the last one may stand for fewer."""
    begins = (first + np.arange(count)) * covered
    return np.minimum(num_steps - begins, covered).astype(np.float64)


def _grouped(
    part: NDArray[Any], size: int, counts: NDArray[np.float64], kinds: tuple[Kind, ...] = KINDS
) -> NDArray[np.float32]:
    """(1 or 3, n, units) to (kinds, n / size, units): least, largest, and mean weighted by the counts (n,)."""
    sources = [part[0 if len(part) == 1 else KINDS.index(kind)] for kind in kinds]
    if size == 1 or not part.shape[1]:
        return np.stack(sources).astype(np.float32)
    starts = np.arange(0, part.shape[1], size)
    return np.stack(
        [_one(kind, source.astype(np.float32), starts, counts) for kind, source in zip(kinds, sources, strict=True)]
    )


def _one(
    kind: Kind, read: NDArray[np.float32], starts: NDArray[Any], counts: NDArray[np.float64]
) -> NDArray[np.float32]:
    """(n, units) to (stretches, units)."""
    if kind != "mean":
        return (np.fmin if kind == "low" else np.fmax).reduceat(read, starts, axis=0)
    there, weights = np.isfinite(read), counts[:, None].astype(np.float32)
    if there.all():
        total = np.add.reduceat(counts, starts)[:, None].astype(np.float32)
        return np.asarray(np.add.reduceat(read * weights, starts, axis=0) / total)
    told = np.add.reduceat(there * weights, starts, axis=0)
    summed = np.add.reduceat(np.where(there, read, 0.0).astype(np.float32) * weights, starts, axis=0)
    return np.where(told > 0, summed / np.where(told > 0, told, 1.0), np.nan).astype(np.float32)
