"""Which head a target and a recipe ask for."""

from __future__ import annotations

from ostinato.data.targets import TargetFeature
from ostinato.heads import distributions as values
from ostinato.heads.base import OutputHead
from ostinato.heads.classes import Bernoulli, Chain, Ctc, Labels, Softmax, TwoClasses
from ostinato.heads.frames import FrameHead
from ostinato.heads.notes import IndependentNotes, Nade, NoteByNote, TiedNoteByNote
from ostinato.heads.numbers import Numbers
from ostinato.nn import LinearChainCRF
from ostinato.recipe import ModelRecipe
from ostinato.recipe.forecast import ForecastRecipe
from ostinato.recipe.model import TaggerRecipe

RowHead = Softmax | Labels | values.Point
"""Of one value a row: it also gives `answers` and the `mixture` of several models."""


def row_head(target: TargetFeature) -> RowHead:
    """Of one value a row: a class of several or of two, labels, or a number."""
    if target.kind == "number":
        return values.Point("mse", target.mean, target.std)
    if target.kind == "labels":
        return Labels(target.classes)
    return (TwoClasses if target.num_outputs == 1 else Softmax)(target.classes)


def step_head(kind: str, recipe: TaggerRecipe, crf: LinearChainCRF | None = None) -> OutputHead:
    """Of one value a step, of a target of `tags`, `notes` or `series`; `crf`: the scores of a chain."""
    if recipe.output == "ctc":
        return Ctc(recipe.beam_size)
    if crf is not None:
        return Chain(crf)
    return {"notes": Bernoulli(), "series": values.Series("mse")}.get(kind, Softmax())


def value_head(recipe: ForecastRecipe) -> values.ValueHead:
    """Of a value that is forecast.

    Raises:
        MissingLibraryError: for a distribution whose quantiles need scipy, without it: better now than after training.
    """
    if recipe.output in ("student_t", "negative_binomial"):
        values.scipy_special()
    if recipe.output == "quantiles":
        return values.Quantiles(recipe.quantiles)
    made = {
        "gaussian": values.Gaussian,
        "student_t": values.StudentT,
        "negative_binomial": values.NegativeBinomial,
    }.get(recipe.output)
    return made() if made else values.Point(recipe.output)


def frame_head(recipe: ModelRecipe, input_size: int, num_values: int, *, notes: bool) -> FrameHead:
    """Of a frame of so many numbers or notes, given states of `input_size`."""
    shape = recipe.next_step
    if not notes:
        return Numbers(input_size, num_values, recipe.numbers)
    tied = shape.recurrence == "note"
    if shape.output == "independent":
        return IndependentNotes(input_size, num_values, tied)
    kind = Nade if shape.output == "nade" else TiedNoteByNote if tied else NoteByNote
    return kind(input_size, num_values, shape.output_size, shape.output_dropout)
