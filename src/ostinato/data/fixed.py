"""What a recipe may say where the input is one value a row, or pictures: checked before anything is read."""

from __future__ import annotations

from ostinato.data.features import FITTED
from ostinato.errors import RecipeError
from ostinato.recipe import Component, Recipe
from ostinato.recipe.model import DecoderRecipe, FramesRecipe

_OF_SOURCES = ("score", "attention_size", "input_feeding", "bridge")
"""Options of a decoder that are about a source of several steps."""


def is_fixed(component: Component) -> bool:
    """Whether a column read so has one value a row."""
    kind = str(getattr(component, "kind", "text"))
    return kind in FITTED and not FITTED[kind].ragged


def check_conditional(recipe: Recipe) -> None:
    """A conditional model is given one value a row, and has nothing to attend to.

    Raises:
        RecipeError: for an input that is a sequence, or options that would be ignored.
    """
    options, decoder = DecoderRecipe.model_fields, recipe.model.decoder
    if recipe.model.kind != "conditional":
        if recipe.model.kind == "seq2seq" and decoder.condition != options["condition"].default:
            raise RecipeError(
                f"`model.decoder.condition` has no meaning for a seq2seq. Received: {decoder.condition!r}.",
                hint="only a conditional model uses it",
            )
        return
    if not is_fixed(recipe.features.input):
        fixed = ", ".join(kind for kind, feature in FITTED.items() if not feature.ragged)
        raise RecipeError(
            f"a conditional model is given one value a row: `features.input.kind` must be one of {fixed}. "
            f"Received: {recipe.features.input.kind!r}.",
            hint="a sequence is read by a seq2seq: --set model.kind=seq2seq",
        )
    ignored = [key for key in _OF_SOURCES if getattr(decoder, key) != options[key].default]
    if decoder.attention == "bahdanau":
        ignored.append("attention")
    if ignored:
        raise RecipeError(
            f"`model.decoder.{ignored[0]}` has no meaning for a conditional model, which has nothing to attend to. "
            f"Received: {getattr(decoder, ignored[0])!r}.",
            hint="only a seq2seq uses it",
        )


def check_frames(recipe: Recipe) -> None:
    """A convolution needs pictures. Raises `RecipeError` where no column holds any and the recipe describes one."""
    columns = (recipe.features.input, *recipe.features.extra.values())
    kinds = {str(getattr(column, "kind", "text")) for column in columns}
    pictured = any(kind in FITTED and FITTED[kind].form == "pictures" for kind in kinds)
    if recipe.model.frames != FramesRecipe() and not pictured:
        raise RecipeError(
            "`model.frames` has no meaning where no column holds pictures or video. "
            f"Received: inputs of kind {', '.join(sorted(kinds))}."
        )
