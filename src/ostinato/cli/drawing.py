"""`ostinato generate` for a model that writes a sequence for what is given: texts drawn for it."""

from __future__ import annotations

import json as json_module
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

from ostinato.cli.console import print_json, print_text
from ostinato.cli.writing import Wanted
from ostinato.errors import RunError

if TYPE_CHECKING:
    from ostinato.run import Run

DRAWN = 10
"""Texts, where nobody says how many."""


def write_drawn(run: Run, wanted: Wanted) -> None:
    """Draw texts for what is given and print them, one a line."""
    from ostinato.tasks.conditional.model import Conditional
    from ostinato.tasks.conditional.sampling import draw
    from ostinato.tasks.seq2seq.model import Seq2Seq

    wanted.refuse(f"{run.recipe.model.kind} model", "prompt", "precision", "out")
    given = given_of(wanted.condition, (str(run.recipe.data.input), *run.features.extra), run)
    texts = draw(
        cast("Conditional | Seq2Seq", run.model),
        run.features,
        run.recipe,
        given,
        num=DRAWN if wanted.num is None else wanted.num,
        max_new_tokens=wanted.max_new_tokens,
        temperature=wanted.temperature,
        top_k=wanted.top_k,
        top_p=wanted.top_p,
        seed=wanted.seed,
    )
    if wanted.json:
        print_json({"condition": given, "texts": texts, "seed": wanted.seed})
        return
    for text in texts:
        print_text(text)


def given_of(condition: Sequence[str], columns: Sequence[str], run: Run) -> Any:
    """What a command gives to write for: one cell, or a mapping of them by column. Raises `RunError` for others."""
    example = " ".join(f"--condition {name}=…" for name in columns) if len(columns) > 1 else "--condition …"
    if len(columns) == 1 and len(condition) == 1:
        return _cell(condition[0].removeprefix(f"{columns[0]}="))
    named = dict(part.split("=", 1) for part in condition if "=" in part)
    if len(named) != len(condition) or sorted(named) != sorted(columns):
        raise RunError(
            f"`{run.folder}` writes for a given {', '.join(columns)}. Received: {', '.join(condition) or 'nothing'}.",
            hint=f"ostinato generate {run.folder} {example}",
        )
    return {name: _cell(value) for name, value in named.items()}


def _cell(value: str) -> Any:
    """Text, or a JSON list: numbers, pixels."""
    if not value.lstrip().startswith("["):
        return value
    try:
        return json_module.loads(value)
    except json_module.JSONDecodeError:
        return value
