"""Arrays that grow: in memory while they are small, in a temporary file that is mapped once they are large.

Such files have no name and are created where `tempfile` puts them: `TMPDIR` says where, if /tmp is small or in memory.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import IO, Any

import numpy as np

from ostinato.arrays import Array, Ids
from ostinato.errors import DataError

SPILL_BYTES = 1 << 24
"""More than this waits in a file."""
_STEP_BYTES = 1 << 23


def steps_of(values: Array) -> int:
    """How many values make some megabytes: what is worked on at a time."""
    return max(1, _STEP_BYTES // max(1, values[:1].nbytes))


def stretches(values: Array, like: Array | None = None) -> Iterator[slice]:
    """Slices of some megabytes of `values`, or of as many values such as `like`; an empty one where there is none."""
    step = steps_of(values if like is None else like)
    return (slice(start, start + step) for start in range(0, max(len(values), 1), step))


def blank(shape: tuple[int, ...], dtype: Any) -> Array:
    """An array to be filled; a large one is a temporary file that is mapped."""
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    if size <= SPILL_BYTES:
        return np.empty(shape, dtype)
    with _room(), tempfile.TemporaryFile() as file:
        if hasattr(os, "posix_fallocate"):  # a mapping of a file with holes dies where the disk is full
            os.posix_fallocate(file.fileno(), 0, size)
        else:
            os.ftruncate(file.fileno(), size)
        return np.asarray(np.memmap(file, dtype=dtype, mode="r+", shape=shape))


@contextmanager
def _room() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise DataError(
            f"large data are buffered in temporary files, which can't be written in {tempfile.gettempdir()}: "
            f"{error.strerror or error}.",
            hint="let the environment variable TMPDIR name a folder with more room",
        ) from error


def spooled(parts: Iterable[Array]) -> Array:
    """Arrays one after the other; in a mapped file where they are large."""
    spool = Spool()
    for part in parts:
        spool.add(part)
    return spool.finish()


class Spool:
    """Collects values; beyond `SPILL_BYTES` they go to an unnamed temporary file that is mapped into memory."""

    def __init__(self) -> None:
        self._parts: list[Array] = []
        self._bytes = 0
        self._file: IO[bytes] | None = None
        self._mapped: Array | None = None
        self._like: Array = np.empty(0, dtype=np.int32)

    def __del__(self) -> None:
        if self._file is not None:
            self._file.close()

    def add(self, values: Array) -> None:
        """Append `values`, (n, ...): all of one type, with the same axes after the first."""
        if len(self._like) and len(values) and values.shape[1:] != self._like.shape[1:]:
            raise DataError(
                f"every row must have values of one shape. Received: {self._like.shape[1:]}, then {values.shape[1:]}."
            )
        self._parts.append(
            values if values.nbytes else values.copy()
        )  # a view of nothing would hold all it is cut from
        self._bytes += values.nbytes
        if len(values) or not len(self._like):
            self._like = values[:1].copy()
        if self._bytes > SPILL_BYTES and not values.dtype.hasobject:
            self._spill()

    def finish(self, table: Ids | None = None) -> Array:
        """Everything added, in order; with `table`, each integer replaced by `table[integer]`. Ends the adding."""
        if self._file is not None:
            self._spill()
            with self._file as file:  # the mapping holds the file open
                stored = np.asarray(np.memmap(file, dtype=self._like.dtype, mode="r+"))
            self._mapped, self._file = stored.reshape(-1, *self._like.shape[1:]), None
            self._parts = [self._mapped]
        parts = [part for part in self._parts if len(part)] or [self._like[:0]]
        values = parts[0] if len(parts) == 1 else np.concatenate(parts)
        self._parts = [values]
        if table is None:
            return values
        if values is not self._mapped:
            return table[values]
        for some in stretches(values):
            values[some] = table[values[some]]
        return values

    def _spill(self) -> None:
        with _room():
            if self._file is None:
                self._file = tempfile.TemporaryFile()  # noqa: SIM115 (closed when it is mapped)
            for part in self._parts:
                self._file.write(np.ascontiguousarray(part).reshape(-1).view(np.uint8).data)
            self._file.flush()
        self._parts, self._bytes = [], 0
