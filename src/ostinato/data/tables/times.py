"""Cells of tables as time stamps."""

from __future__ import annotations

import polars as pl


def parse_times(cells: pl.Series) -> tuple[pl.Series, str] | None:
    """Stamps as integers, null where a cell can't be read, and their unit: "us" since 1970, or "step" (integers).

    None where no cell at all is a time stamp. Read are ISO 8601 (`2016-07-01`, `2016-07-01 13:00:00`, `2016-07`), the
    other forms that polars recognises by itself, and integers.
    """
    texts = cells.cast(pl.String).str.strip_chars()
    numbers = texts.cast(pl.Int64, strict=False)
    if numbers.null_count() == texts.null_count() and len(texts) > texts.null_count():
        return numbers, "step"
    monthly = texts.str.contains(r"^\d{4}-\d{2}$")
    texts = pl.select(pl.when(monthly).then(texts + "-01").otherwise(texts)).to_series()
    for shaped in (texts, texts.str.replace(r"(Z|[+-]\d\d:?\d\d)$", "")):
        try:
            found = shaped.str.to_datetime(strict=False, time_unit="us").cast(pl.Int64)
        except pl.exceptions.PolarsError:
            try:
                found = shaped.str.to_date(strict=False).cast(pl.Datetime("us")).cast(pl.Int64)
            except pl.exceptions.PolarsError:
                continue
        if found.null_count() < len(found):
            return found, "us"
    return (numbers, "step") if numbers.null_count() < len(numbers) else None
