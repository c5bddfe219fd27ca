"""Ragged rows as a column of lists, and back, without a Python object a number."""

from __future__ import annotations

import numpy as np
import polars as pl

from ostinato.arrays import Array, Ids, Offsets


def list_column(name: str, values: Array | pl.Series, lengths: Offsets) -> pl.Series:
    """Rows of `lengths` values each as a column of lists; values (sum L, C) become lists of lists of C."""
    flat = pl.Series(name, values)
    if isinstance(flat.dtype, pl.Array):
        flat = flat.arr.to_list()
    row = np.repeat(np.arange(len(lengths)), lengths)
    made = pl.DataFrame({"\0row": row, name: flat}).group_by("\0row", maintain_order=True).agg(name)
    if len(made) < len(lengths):
        every = pl.DataFrame({"\0row": np.arange(len(lengths))})
        made = every.join(made, on="\0row", how="left", maintain_order="left")
        made = made.with_columns(pl.col(name).fill_null(pl.lit([], dtype=made.schema[name])))
    return made[name]


def arrays_of(cells: pl.Series) -> list[Array] | None:
    """Lists of numbers, or of frames of one number of numbers, as arrays (L, C), NaN where there is no number.

    None where some cell is anything else, which must be looked at one by one.
    """
    if cells.dtype != pl.List or cells.null_count():
        return None
    lengths = cells.list.len().to_numpy().astype(np.int64)
    flat = cells.filter(lengths > 0).explode()
    width = 1
    if not len(flat):
        return [np.zeros((0, width)) for _ in cells]
    if flat.dtype == pl.List:
        widths = flat.list.len().unique()
        if flat.null_count() or len(widths) != 1 or widths[0] == 0:
            return None
        width = int(widths[0])
        flat = flat.explode()
    if not flat.dtype.is_numeric():
        return None
    values = flat.cast(pl.Float64).fill_null(float("nan")).to_numpy().reshape(-1, width)
    return np.split(values, np.cumsum(lengths)[:-1])


def distinct_of(texts: pl.Series) -> tuple[list[str], Ids]:
    """Each text once, in order of appearance, and for each of `texts` (no nulls) the number of its own."""
    names = texts.unique(maintain_order=True)
    numbers = pl.Series(np.arange(len(names), dtype=np.int32))
    return names.to_list(), texts.replace_strict(names, numbers, return_dtype=pl.Int32).to_numpy().astype(np.int32)


def words_of(cells: pl.Series) -> tuple[Array, Offsets] | None:
    """Lists of texts, one after the other as objects, and their lengths; None where some cell is anything else."""
    if cells.dtype != pl.List(pl.String) or cells.null_count():
        return None
    lengths = cells.list.len().to_numpy().astype(np.int64)
    flat = cells.filter(lengths > 0).explode()
    if flat.null_count():
        return None
    names, numbers = distinct_of(flat)
    return np.asarray([*names, None], dtype=object)[numbers], lengths
