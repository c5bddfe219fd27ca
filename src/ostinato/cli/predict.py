"""`ostinato predict`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ostinato.cli.console import format_figure, print_json, print_text
from ostinato.errors import DataError

if TYPE_CHECKING:
    from ostinato.evaluation.prediction import Prediction


def predict(
    run: Annotated[Path, typer.Argument(help="A run directory.")],
    texts: Annotated[list[str] | None, typer.Argument(help="The texts; none: a text a line from stdin.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object a text.")] = False,
) -> None:
    """Predict the target of texts."""
    given = texts or [line.rstrip("\n") for line in sys.stdin if line.strip()]
    if not given:
        raise DataError(
            "no text to predict.", hint='ostinato predict RUN "A film I will not forget :)", or a text a line on stdin'
        )
    from ostinato.run import load

    for text, prediction in zip(given, load(run).predict(given), strict=True):
        if json:
            print_json({"text": text, **prediction.to_dict()})
        else:
            print_text(_in_words(prediction))


def _in_words(prediction: Prediction) -> str:
    if prediction.value is not None:
        return format_figure(prediction.value)
    probabilities = prediction.probabilities or {}
    ranked = sorted(probabilities.items(), key=lambda item: -item[1])[:5]
    said = prediction.label if prediction.label is not None else ", ".join(prediction.labels or ()) or "(none)"
    return f"{said}\t" + "  ".join(f"{name} {p:.1%}" for name, p in ranked)
