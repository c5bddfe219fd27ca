"""The diagnosis of a run: which data, how many rows, and what its recipe and log add."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from torch import nn

from ostinato.arrays import Ids
from ostinato.data.dataset import Examples, Features
from ostinato.diagnostics.changes import with_changes_for
from ostinato.diagnostics.diagnosis import Diagnosis, diagnose
from ostinato.diagnostics.facts import Training, training_facts
from ostinato.diagnostics.of_category import parts_of
from ostinato.diagnostics.subject import language_model_subject
from ostinato.diagnostics.unused import unused_context
from ostinato.diagnostics.validation import validation_of
from ostinato.errors import DataError, RecipeError
from ostinato.recipe import Recipe
from ostinato.report.diagnosis import DIAGNOSIS_FILE
from ostinato.storage.files import write_atomically
from ostinato.storage.log import read_log
from ostinato.tasks.language_model.model import LanguageModel
from ostinato.tasks.registry import task_of

NUM_ROWS = 64
NUM_STEPS = 400
CONTEXT_ROWS = 4
"""The memory horizon is measured on so many times more rows: its noise falls with their root, and a loss is cheap."""

_WINDOWS = 4
_MOST_STEPS = 1600


class OpenRun(Protocol):
    """What a diagnosis needs of a run: `ostinato.Run` is one."""

    folder: Path
    recipe: Recipe
    features: Features
    model: nn.Module


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
        num_steps: steps of a row, >= 2. Language models: default 400, or four of training's windows where that is more,
            at most 1600; where training did not carry the state, at most its window. Of other rows the last so
            many (of what comes before an answer), default 1600.
        seed: of the choice of rows.
        say: is told what is read.

    Raises:
        RecipeError: if `num_rows` or `num_steps` is out of range.
        DataError: for data that can't be used.
        RunError: if the run is damaged, or its data have changed and no other are named.

    Example:
        >>> diagnosis = diagnose_run(ostinato.load("runs/island"))  # doctest: +SKIP
        >>> [advice.change for advice in diagnosis.advice]  # doctest: +SKIP
        ['--set training.bptt=128']
    """
    for name, value, least in (("num_rows", num_rows, 1), ("num_steps", num_steps, 2)):
        if value is not None and value < least:
            raise RecipeError(f"`{name}` must be at least {least}. Received: {value}.")
    model, features, recipe = run.model.eval(), run.features, run.recipe
    unit, spec = features.input.step_noun, task_of(recipe)
    steps, _ = read_log(run.folder / "log.jsonl")
    validation = validation_of(run.folder, run.recipe, say) if data is None else None
    if isinstance(model, LanguageModel):
        text = spec.load(str(data), features, recipe, say) if validation is None else validation
        values = text.sequences.values
        facts = training_facts(recipe, steps, None, unit)
        found = _language_model(model, values, facts, num_rows, num_steps, seed, documents=features.documents)
    else:
        rows = spec.load(str(data), features, recipe, say) if validation is None else validation
        if rows.targets is None and spec.needs_targets:
            raise DataError("the rows have no target to compute a loss with.")
        found = _parts(run, rows, steps, num_rows, num_steps, seed)
    found = with_changes_for(found, recipe, features)
    content = json.dumps(found.to_dict(), indent=1, ensure_ascii=False, allow_nan=False)
    write_atomically(run.folder / DIAGNOSIS_FILE, content.encode())
    return found


def _language_model(
    model: LanguageModel,
    values: Ids,
    facts: Training,
    num_rows: int,
    num_steps: int | None,
    seed: int,
    *,
    documents: bool,
) -> Diagnosis:
    if len(values) < 3:
        raise DataError(f"a diagnosis needs at least 3 tokens of text. Received: {len(values)}.")
    if num_steps is None:
        num_steps = min(max(NUM_STEPS, _WINDOWS * (facts.reach or 0)), _MOST_STEPS)
    num_steps = min(num_steps, facts.state_reset_interval or num_steps, len(values) - 1)
    subject, context = (
        language_model_subject(model, values, rows, num_steps, seed, documents=documents)
        for rows in (num_rows, CONTEXT_ROWS * num_rows)
    )
    lags = min(NUM_STEPS, (len(values) - 2) // 2)
    unused = unused_context(model, values, lags, restart=facts.state_reset_interval)
    return diagnose(subject, context=context, training=facts, unused=unused, seed=seed)


def _parts(
    run: OpenRun, rows: Examples, steps: list[dict[str, Any]], num_rows: int, num_steps: int | None, seed: int
) -> Diagnosis:
    """Of a model of any category of rows: its first recurrence, with the further ones as parts of that."""
    found: list[Diagnosis] = []
    for part in parts_of(run.model, rows, run.features, run.recipe):
        log = [] if found else steps  # what is said of the whole training is said once
        facts = training_facts(run.recipe, log, rows, part.unit, reads_input=part.reads_input)
        subject, context = (
            made if made.around or not made.has_context else made.last(num_steps or _MOST_STEPS)
            for made in (part.make(count, seed) for count in (num_rows, CONTEXT_ROWS * num_rows))
        )
        found.append(
            diagnose(subject, context=context, training=facts, name=part.name, remarks=part.remarks, seed=seed)
        )
    return replace(found[0], parts=tuple(found[1:]))
