"""The report's section on simple baselines, from the run's `baselines.json`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ostinato.baselines.conclusion import NAMES, duration, latency, lead, signed, size, written
from ostinato.baselines.found import BASELINES_FILE, Baselines, Entry, Part
from ostinato.baselines.paired import Gap
from ostinato.errors import RunError
from ostinato.report.data import Section
from ostinato.storage.files import read_json
from ostinato.wording import command

_MOST_COLUMNS = 3
_SHOWN = (
    *("accuracy", "exact", "f1", "micro_f1", "auc", "log_loss", "r2", "mae", "mase", "smape", "rmse"),
    *("bits_per_character", "bits_per_token", "perplexity", "nats_per_frame", "token_error_rate"),
    *("sequence_error_rate", "bleu", "mse"),
)
"""Metrics to show next to the deciding one, in order of preference."""
_SAID = ("conclusion", "scored", "passed_over", "num_units", "unit", "question")


def baselines_section(folder: Path, steps: list[Section]) -> Section | None:
    """What the template shows; None for a run without `baselines.json`.

    Args:
        folder: the run directory.
        steps: of the log; a comparison with earlier weights is marked as such.

    Raises:
        RunError: if the file is damaged.
    """
    path = folder / BASELINES_FILE
    if not path.is_file():
        return None
    try:
        found = Baselines.from_dict(read_json(path))
        outdated = bool(steps and steps[-1]["step"] != found.steps)
        return {**table_of(found), "outdated": outdated, "best": None if outdated else _best(found)}
    except (KeyError, TypeError, AttributeError) as error:
        raise RunError(
            f"`{path}` is damaged: {type(error).__name__}: {error}.",
            hint=f"write it again: {command('baselines', folder)}",
        ) from error


def _best(found: Baselines) -> Section | None:
    """The best baseline, shown next to the headline figure; None where none was tried."""
    best = next((one for one in found.ranked if one.gap is not None and one.part is None), None)
    if best is None:
        return None
    value = written(best.standing(found.own, found.figure), found.figure)
    return {"figure": found.figure, "name": NAMES.get(found.figure, found.figure), "by": best.name, "value": value}


def table_of(found: Baselines) -> Section:
    """Headings and rows of the table, the best method first; and the sentence."""
    figure, metrics = found.figure, found.own.metrics
    columns = [figure, *(key for key in _SHOWN if key != figure and metrics.get(key) is not None)][:_MOST_COLUMNS]
    parts = [one.part for one in found.baselines if one.part is not None]
    folds = next((one.folds for one in found.baselines if one.folds is not None), None)
    names = [NAMES.get(key, key) for key in columns]
    return {
        **{
            key: getattr(found, key) for key in ("conclusion", "passed_over", "num_units", "unit", "question", "scored")
        },
        "columns": [
            *names,
            *(f"{names[0]}, {part.num_units:,} {found.unit}" for part in parts),
            *([f"{names[0]}, {folds.num_folds} folds of {folds.num_rows:,} training rows"] if folds else []),
        ],
        "rows": [_row(one, columns, parts, found, folded=folds is not None) for one in found.ranked],
        "parts": [part.num_units for part in parts],
    }


def _row(entry: Entry, columns: list[str], parts: list[Part], found: Baselines, *, folded: bool) -> Section:
    whole = {} if entry.part else entry.metrics
    values = [_cell(whole.get(key), key) for key in columns]
    values += [_cell(part.figures.get(entry.name), found.figure) for part in parts]
    values += [_cell(entry.folds and entry.folds.metrics.get(found.figure), found.figure)] if folded else []
    partly = entry.num_rows < found.num_train
    learnt = f"learnt from {entry.num_rows:,} of {found.num_train:,} rows" if partly else ""
    return {
        "name": entry.name,
        "about": "; ".join(text for text in (entry.about, entry.details, learnt) if text),
        "own": entry.gap is None,
        "values": values,
        "gap": None if entry.gap is None else _limits(entry.gap, found.figure),
        "seconds": "–" if entry.seconds == 0 else duration(entry.seconds, short=True),
        "size": size(entry.num_bytes),
        "latency": latency(entry.latency_ms),
    }


def _cell(value: Any, figure: str) -> str:
    return "–" if value is None else written(value, figure)


def _limits(gap: Gap, figure: str) -> str:
    if gap.low is None or gap.high is None:
        return f"{signed(gap.mean, figure)}, too few to say"
    span = " to ".join(signed(limit, figure) for limit in (gap.low, gap.high))
    return {"better": lead(gap, figure), "worse": lead(gap, figure).replace("ahead", "behind")}.get(
        gap.verdict, f"level, {span}"
    )
