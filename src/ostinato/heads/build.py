"""Which head a target and a recipe ask for."""

from __future__ import annotations

from functools import singledispatch

from ostinato.data.targets import ClassTarget, LabelsTarget, NumberTarget, TargetFeature
from ostinato.heads import distributions as values
from ostinato.heads.base import OutputHead
from ostinato.heads.classes import Bernoulli, Chain, Ctc, Labels, Softmax, TwoClasses
from ostinato.heads.frames import FrameHead
from ostinato.heads.mixture import MixtureDensity
from ostinato.heads.notes import IndependentNotes, Nade, NoteByNote, TiedNoteByNote
from ostinato.nn import LinearChainCRF
from ostinato.recipe.forecast import WindowsRecipe
from ostinato.recipe.model import FrameOutputRecipe

RowHead = Softmax | Labels | values.Point
"""Of one value a row: it also gives `answers`, the `mixture` of several models, and the `members` of each output."""


@singledispatch
def row_head(target: TargetFeature) -> RowHead:
    """Of one value a row: a class of several or of two, labels, or a number. The type of a target says which; another
    type of target registers its own (`row_head.register`)."""
    raise TypeError(f"no head is registered for a {type(target).__name__}")


@row_head.register
def _(target: ClassTarget) -> RowHead:
    return (TwoClasses if target.num_outputs == 1 else Softmax)(target.classes)


@row_head.register
def _(target: LabelsTarget) -> RowHead:
    return Labels(target.classes)


@row_head.register
def _(target: NumberTarget) -> RowHead:
    return values.Point("mse", target.mean, target.std)


def step_head(
    kind: str, output: str = "softmax", *, beam_size: int = 1, crf: LinearChainCRF | None = None
) -> OutputHead:
    """Of one value a step, of a target of `tags`, `notes` or `series`; of labels without alignment where `output` is
    ctc; `crf`: the scores of a chain."""
    if output == "ctc":
        return Ctc(beam_size)
    if crf is not None:
        return Chain(crf)
    return {"notes": Bernoulli(), "series": values.Series("mse")}.get(kind, Softmax())


def value_head(recipe: WindowsRecipe) -> values.ValueHead:
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


def frame_head(
    recipe: FrameOutputRecipe, input_size: int, num_values: int, *, notes: bool, tied: bool = False
) -> FrameHead:
    """Of a frame of so many numbers or notes, given states of `input_size`; `tied`: each note has a state."""
    shape = recipe.notes
    if not notes:
        return MixtureDensity(input_size, num_values, recipe.numbers)
    if shape.output == "independent":
        return IndependentNotes(input_size, num_values, tied)
    output = Nade if shape.output == "nade" else TiedNoteByNote if tied else NoteByNote
    return output(input_size, num_values, shape.output_size, shape.output_dropout)
