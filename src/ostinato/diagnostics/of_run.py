"""The diagnosis of a run: which data, how many rows, and what its recipe and log add."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from ostinato.data.dataset import Examples
from ostinato.diagnostics.changes import with_changes_for
from ostinato.diagnostics.diagnosing import diagnose
from ostinato.diagnostics.diagnosis import Diagnosis
from ostinato.diagnostics.facts import training_facts
from ostinato.diagnostics.validation import examples_for
from ostinato.errors import RecipeError
from ostinato.nn.modes import evaluating
from ostinato.probes.part import MOST_STEPS
from ostinato.report.diagnosis import DIAGNOSIS_FILE
from ostinato.storage.files import write_atomically
from ostinato.storage.log import read_log
from ostinato.tasks.generation import OpenRun
from ostinato.tasks.probing import Reading
from ostinato.tasks.registry import task_of

NUM_ROWS = 64
CONTEXT_ROWS = 4
"""The memory horizon is measured on this many times more rows: its noise falls with their root, and a loss is cheap."""


def diagnose_run(
    run: OpenRun,
    data: str | Path | None = None,
    *,
    num_rows: int = NUM_ROWS,
    num_steps: int | None = None,
    seed: int = 0,
    say: Callable[[str], None] = lambda _: None,
) -> Diagnosis:
    """Diagnose a trained run on real data, also written to its `diagnosis.json`; nothing else of it changes.

    Args:
        run: opened by `ostinato.load`.
        data: a file or catalogue name, read as the run's own data were; default: its validation data.
        num_rows: rows, or single answers of models that give several a row, to measure gradients, gates and states on,
            >= 1; the memory horizon takes four times as many.
        num_steps: steps of a row, >= 2: the last so many (of what comes before an answer), default 1600. Of a text:
            default 400, or four of training's windows where that is more, at most 1600; where training did not carry
            the state, at most its window.
        seed: of the choice of rows.
        say: called with messages on what is read.

    Raises:
        RecipeError: if `num_rows` or `num_steps` is out of range.
        DataError: for data that can't be used.
        RunError: if the run is damaged, or its data have changed and no other are named.

    Example:
        >>> diagnosis = diagnose_run(ostinato.load("runs/island"), num_rows=4)
        >>> Path("runs/island/diagnosis.json").is_file()
        True
    """
    for name, value, least in (("num_rows", num_rows, 1), ("num_steps", num_steps, 2)):
        if value is not None and value < least:
            raise RecipeError(f"`{name}` must be at least {least}. Received: {value}.")
    steps, _ = read_log(run.folder / "log.jsonl")
    rows = examples_for(run.folder, run.recipe, run.features, data, say)
    with evaluating(run.model):
        found = _diagnosed(run, rows, steps, num_rows, num_steps, seed)
    found = with_changes_for(found, run.recipe, run.features)
    content = json.dumps(found.to_dict(), indent=1, ensure_ascii=False, allow_nan=False)
    write_atomically(run.folder / DIAGNOSIS_FILE, content.encode())
    return found


def _diagnosed(
    run: OpenRun, rows: Examples, steps: list[dict[str, Any]], num_rows: int, num_steps: int | None, seed: int
) -> Diagnosis:
    """The first recurrence of the model, with the further ones as parts of that."""
    found: list[Diagnosis] = []
    spec = task_of(run.recipe)
    for part in spec.probes(Reading(spec, run.model, rows, run.features, run.recipe), num_steps):
        log = [] if found else steps  # notes on training as a whole are given once
        subject, context = (
            made if made.around or not made.has_context else made.last(num_steps or MOST_STEPS)
            for made in (part.make(count, seed) for count in (num_rows, CONTEXT_ROWS * num_rows))
        )
        found.append(
            diagnose(
                subject,
                context=context,
                training=training_facts(run.recipe, log, rows, part, subject),
                unused=part.unused and part.unused(),
                name=part.name,
                remarks=part.remarks,
                seed=seed,
            )
        )
    return replace(found[0], parts=tuple(found[1:]))
