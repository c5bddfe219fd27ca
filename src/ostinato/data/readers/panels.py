"""Arrays of series: NumPy's `.npy` and `.npz`, and HDF5 (the extra `hdf5`); a row a series, its label beside."""

from __future__ import annotations

import io
import re
import tokenize
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, ClassVar

import numpy as np
import polars as pl

from ostinato.arrays import Array
from ostinato.data.io.blocks import Block
from ostinato.data.readers.base import Source
from ostinato.data.tables.list_columns import list_column
from ostinato.errors import DataError
from ostinato.media.extras import library
from ostinato.storage.decompress import open_binary
from ostinato.wording import listed

_SERIES = re.compile(
    r"(?:x|data|series|inputs?|features|sequences|samples|signals?|values|arr_0)(?P<part>_\w+)?$", re.I
)
_LABELS = ("y", "label", "labels", "target", "targets", "class", "classes")
_LAYOUTS = ("nlc", "ncl")
_BLOCK_VALUES = 1 << 20


@dataclass
class PanelSource(Source):
    """Columns `series`, `label` where there is one, and others of one value a row under their own names.

    The series are an array (N, L), or (N, L, C) or (N, C, L): the longer axis is time, which is said; `FILE#X.ncl` or
    `FILE#X.nlc` says otherwise. The array is called X, data, series or the like, labels y, label or target; with parts,
    `X_train` and `y_train`, `FILE#train` names one. Steps that are NaN at the end are not there.
    """

    format: ClassVar[str] = "arrays"
    suffixes: ClassVar[tuple[str, ...]] = (".npz", ".npy")
    usual_input: ClassVar[str | None] = "series"
    usual_target: ClassVar[str | None] = "label"
    _names: dict[str, str] = field(default_factory=dict, init=False, repr=False)
    _turned: bool = field(default=False, init=False, repr=False)

    def kind_of(self, column: str) -> str | None:
        """The series are series."""
        return "series" if column == "series" else None

    def _opened(self) -> AbstractContextManager[Mapping[str, Any]]:
        """The arrays by name; each has a shape and is read when it is cut."""
        found: AbstractContextManager[Mapping[str, Any]] = numpy_arrays(self.path)
        return found

    def _read_columns(self) -> list[str]:
        with self._opened() as arrays:
            name, layout = self._chosen(arrays)
            shape = arrays[name].shape
            if len(shape) not in (2, 3) or not all(shape) or arrays[name].dtype.kind not in "iufb":
                raise DataError(
                    f"`{name}` of `{self.name}` must be numbers in rows, (N, L) or (N, L, C). "
                    f"Received: shape {tuple(shape)}, {arrays[name].dtype}."
                )
            if len(shape) == 3:
                self._turned = layout == "ncl" if layout else shape[2] > shape[1]
                self._say_layout(name, shape, layout)
            part = self._part_of(name)
            self._names = {"series": name}
            for other in arrays:
                plain = other.rpartition("/")[2].removesuffix(part)
                of_part = self._part_of(other) == part
                if other != name and of_part and arrays[other].shape in ((shape[0],), (shape[0], 1)):
                    self._names["label" if plain.lower() in _LABELS else plain] = other
        return list(self._names)

    def _say_layout(self, name: str, shape: Sequence[int], layout: str) -> None:
        axes = "channels, steps" if self._turned else "steps, channels"
        other = f"{self.path}#{name}.{_LAYOUTS[not self._turned]}"
        self.note(
            f"{self.path}: {name} {tuple(shape)} is rows, {axes}" + ("" if layout else f"; the other way: {other}")
        )

    def _chosen(self, arrays: Mapping[str, Any]) -> tuple[str, str]:
        """The array of series, and the order of its axes where it is given."""
        part, layout = self.part or "", ""
        if part.rpartition(".")[2] in _LAYOUTS:
            part, _, layout = part.rpartition(".")
        if part in arrays:
            return part, layout
        found = [name for name in arrays if _SERIES.match(name.rpartition("/")[2]) and len(arrays[name].shape) > 1]
        found = found or [name for name in arrays if len(arrays[name].shape) > 1]
        if part:
            found = [name for name in found if self._part_of(name) == f"_{part}" or part in name.split("/")]
        if len(found) == 1:
            return found[0], layout
        what = (
            f"has no series `{part}`" if part else "holds several arrays that may be series" if found else "holds none"
        )
        parts = [self._part_of(name).removeprefix("_") or name for name in found]
        raise DataError(
            f"`{self.name}` {what}. Arrays: {listed(list(arrays), 10)}.",
            hint=None if parts else "series are an array (N, L) or (N, L, C)",
            instead=self._another(parts[0]) if parts else None,
        )

    @staticmethod
    def _part_of(name: str) -> str:
        """`_train` of `X_train`."""
        plain = name.rpartition("/")[2]
        match = _SERIES.match(plain) or re.match(rf"(?:{'|'.join(_LABELS)})(?P<part>_\w+)?$", plain, re.I)
        return (match["part"] or "") if match else ""

    def _read_blocks(self, columns: Sequence[str]) -> Iterator[Block]:
        self.columns()
        with self._opened() as arrays:
            read = {column: arrays[self._names[column]] for column in columns}
            shape = arrays[self._names["series"]].shape
            rows = max(1, _BLOCK_VALUES // int(np.prod(shape[1:])))
            for first in range(0, shape[0], rows):
                last = min(first + rows, shape[0])
                made = [
                    self._series(array[first:last]) if column == "series" else _texts(column, array[first:last])
                    for column, array in read.items()
                ]
                yield Block(pl.DataFrame(made), (str(self.path),), np.arange(first + 1, last + 1, dtype=np.int64))

    def _series(self, values: Array) -> pl.Series:
        values = np.asarray(values, dtype=np.float64)
        values = values[:, :, None] if values.ndim == 2 else values.transpose(0, 2, 1) if self._turned else values
        there = np.asarray(~np.isnan(values).all(axis=2))  # (rows, L)
        lengths = np.where(there.any(axis=1), there.shape[1] - there[:, ::-1].argmax(axis=1), 0)
        flat = values[np.arange(there.shape[1]) < lengths[:, None]]
        return list_column("series", flat[:, 0] if flat.shape[1] == 1 else flat, lengths)


@dataclass
class Hdf5Source(PanelSource):
    """HDF5, as `arrays`; arrays in groups are called `group/X`."""

    format: ClassVar[str] = "hdf5"
    suffixes: ClassVar[tuple[str, ...]] = (".h5", ".hdf5", ".hdf")

    @contextmanager
    def _opened(self) -> Iterator[Mapping[str, Any]]:
        h5py = library("h5py", "reading HDF5", "hdf5")
        with h5py.File(self.path, "r") as file:
            found: dict[str, Any] = {}
            file.visititems(lambda name, item: found.update({name: item}) if isinstance(item, h5py.Dataset) else None)
            if any(name.rpartition("/")[2] in ("axis0", "block0_values", "table") for name in found):
                raise DataError(
                    f"`{self.name}` was written by pandas' to_hdf, which is not read.",
                    hint="write Parquet: pandas.read_hdf(FILE).to_parquet(OTHER)",
                )
            yield found


@contextmanager
def numpy_arrays(path: Path) -> Iterator[Mapping[str, Any]]:
    """The arrays of an .npz or .npy file by name, compressed or not, each read when it is asked for; objects never.

    Raises:
        DataError: for a file that is none, or whose header claims more than there is.
    """
    with open_binary(path) as stream:
        try:
            raw = io.BytesIO(stream.read())
            if raw.getvalue()[:2] != b"PK":
                yield {_X: _Lazy(path, _X, raw, len(raw.getvalue()))}
                return
            with zipfile.ZipFile(raw) as members:
                names = [info for info in members.infolist() if info.filename.endswith(".npy")]
                yield {
                    info.filename.removesuffix(".npy"): _Lazy(path, info.filename, members.open(info), info.file_size)
                    for info in names
                }
        except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError) as error:
            said = str(error).rstrip(".") or type(error).__name__
            raise DataError(f"`{path}` is not a readable NumPy archive: {said}.") from error


_X = "X"


class _Lazy:
    """An array of which the header is read; the values are when it is cut."""

    def __init__(self, path: Path, name: str, stream: IO[bytes], size: int) -> None:
        self._stream = stream
        self._values: Array | None = None
        called = f"the array `{name}` of `{path}`"
        try:
            version = np.lib.format.read_magic(stream)
            header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            self.shape, self._fortran, self.dtype = header(stream)
        except (ValueError, SyntaxError, EOFError, tokenize.TokenError, TypeError) as error:
            raise DataError(f"{called} has no NumPy header: {str(error)[:100].rstrip('.')}.") from error
        count = int(np.prod(self.shape, dtype=np.float64))
        if self.dtype.hasobject:
            raise DataError(f"{called} holds Python objects, which are never loaded.")
        if count * self.dtype.itemsize > size:
            raise DataError(f"{called} claims {count:,} values of {self.dtype}, and is {size:,} bytes.")

    def __getitem__(self, rows: Any) -> Array:
        if self._values is None:
            flat = np.frombuffer(self._stream.read(), dtype=self.dtype)
            order = "F" if self._fortran else "C"
            self._values = flat.reshape(self.shape, order=order)  # type: ignore[call-overload]
        found: Array = self._values[rows]
        return found


def _texts(name: str, cells: Array) -> pl.Series:
    """One value a row as text: whole numbers without a point."""
    cells = np.asarray(cells).reshape(len(cells))
    if cells.dtype.kind == "f" and bool((cells == np.round(cells)).all()):
        cells = cells.astype(np.int64)
    if cells.dtype.kind in "SO":
        cells = np.asarray(
            [cell.decode("utf-8", "replace") if isinstance(cell, bytes) else str(cell) for cell in cells]
        )
    return pl.Series(name, cells.tolist() if cells.dtype.kind == "U" else cells).cast(pl.String)
