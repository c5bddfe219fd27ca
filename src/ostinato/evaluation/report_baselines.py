"""The report's section on what simple rivals reach, out of the run's `baselines.json`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ostinato.errors import RunError
from ostinato.evaluation.baselines import BASELINES_FILE
from ostinato.evaluation.baselines.conclusion import NAMES, duration, signed, size, written
from ostinato.evaluation.report_data import Section
from ostinato.storage.files import read_json

_MOST_COLUMNS = 3
_SHOWN = (
    "accuracy",
    "exact",
    "f1",
    "micro_f1",
    "auc",
    "log_loss",
    "r2",
    "mae",
    "rmse",
    "bits_per_character",
    "bits_per_token",
    "perplexity",
    "nats_per_frame",
    "token_error_rate",
    "sequence_error_rate",
    "bleu",
    "mse",
)
"""Metrics in the order in which they are wanted beside the deciding one."""
_MORE_NAMES = {
    "exact": "rows right",
    "auc": "AUC",
    "log_loss": "log loss",
    "r2": "R²",
    "perplexity": "perplexity",
    "sequence_error_rate": "sequence error rate",
    "bleu": "BLEU",
}


def baselines_section(folder: Path, steps: list[Section]) -> Section | None:
    """What the template shows; None for a run without `baselines.json`.

    Args:
        folder: the run directory.
        steps: of the log: baselines beside earlier weights are marked as such.

    Raises:
        RunError: if the file is damaged.
    """
    path = folder / BASELINES_FILE
    if not path.is_file():
        return None
    try:
        return {**table_of(found := read_json(path)), "outdated": bool(steps and steps[-1]["step"] != found["steps"])}
    except (KeyError, TypeError, AttributeError) as error:
        raise RunError(
            f"`{path}` is damaged: {type(error).__name__}: {error}.",
            hint=f"write it anew: ostinato baselines {folder}",
        ) from error


def table_of(found: dict[str, Any]) -> Section:
    """Headings and rows of the table, the best method first; and the sentence."""
    figure, entries = found["figure"], [found["own"], *found["rivals"]]
    others = [key for key in _SHOWN if key != figure and found["own"]["metrics"].get(key) is not None]
    columns = [figure, *others[: _MOST_COLUMNS - 1]]
    sign = 1 if found["lower_is_better"] else -1
    ranked = sorted(entries, key=lambda entry: sign * entry["metrics"][figure])
    return {
        **{key: found[key] for key in ("conclusion", "passed_over", "num_units", "num_train", "unit", "question")},
        "columns": [NAMES.get(key) or _MORE_NAMES.get(key, key) for key in columns],
        "rows": [_row(entry, columns, figure, found) for entry in ranked],
    }


def _row(entry: dict[str, Any], columns: list[str], figure: str, found: dict[str, Any]) -> Section:
    values = [entry["metrics"].get(key) for key in columns]
    gap = entry["gap"]
    part = entry["num_rows"] < found["num_train"]
    limits = None if gap is None else f"{signed(gap['low'], figure)} to {signed(gap['high'], figure)}"
    learnt = f"learnt from {entry['num_rows']:,} of {found['num_train']:,} rows" if part else ""
    return {
        "name": entry["name"],
        "about": "; ".join(text for text in (entry["about"], entry["details"], learnt) if text),
        "own": gap is None,
        "values": ["–" if v is None else written(v, key) for v, key in zip(values, columns, strict=True)],
        "gap": limits,
        "seconds": duration(entry["seconds"]),
        "size": size(entry["num_bytes"]),
        "latency": f"{entry['latency_ms']:.2g} ms" if entry["latency_ms"] < 10 else f"{entry['latency_ms']:,.0f} ms",
    }
