"""The log of a run as a table."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from ostinato.storage.log import read_log


def history_of(log: Path) -> pl.DataFrame:
    """A row a validation: its step, epoch and figures, and the mean loss of training since the one before.

    Args:
        log: `log.jsonl` of a run.
    """
    steps, validations = read_log(log)
    rows = []
    before = 0
    for found in validations:
        losses = [one["loss"] for one in steps if before < one["step"] <= found["step"]]
        plain = {key: value for key, value in found.items() if isinstance(value, int | float | str) or value is None}
        rows.append({**plain, "training_loss": sum(losses) / len(losses) if losses else None})
        before = found["step"]
    return pl.DataFrame(rows, infer_schema_length=None)
