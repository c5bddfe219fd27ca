"""What a recipe leaves open is read off the data: the column, the unit, the kind of model; each with its reason."""

from __future__ import annotations

from ostinato.data.sources import Source
from ostinato.data.text import resolve_text
from ostinato.errors import RecipeError
from ostinato.recipe import Recipe, build_recipe

_BOTH = {"classifier": "needs a target column", "language_model": "takes no target column"}

_USUAL_WINDOW = 100

_ONLY: dict[str, dict[str, tuple[str, ...]]] = {
    "classifier": {
        "model": ("pooling", "head_size", "ngrams"),
        "training": ("adversarial", "label_smoothing"),
    },
    "language_model": {"model": ("tie_embeddings",)},
}
"""Keys that mean something to one kind of model only."""


def infer_recipe(recipe: Recipe, source: Source) -> tuple[Recipe, list[str]]:
    """`recipe` with its columns, text unit and model kind settled, and what was inferred in words.

    Raises `RecipeError` where the recipe contradicts itself and `DataError` where a column is missing.
    """
    notes: list[str] = []
    data = recipe.data
    columns = source.columns()
    target = data.target
    if target is None and source.format == "folder" and "label" in columns and recipe.model.kind != "language_model":
        target = "label"
        notes.append("target: label (the folder has one subfolder a class)")
    if data.input is None:
        if source.format not in ("text", "folder"):
            raise RecipeError(
                f"`data.input` is not set. Columns of `{source.path}`: {', '.join(columns)}.",
                hint="name the column that holds the sequence: --input text",
            )
        data = data.model_copy(update={"input": "text"})
    source.require(*(name for name in (data.input, target, data.group) if name))
    kind = recipe.model.kind
    if kind == "auto":
        kind = "classifier" if target else "language_model"
        reason = f"there is a target column, {target}" if target else "there is no target column"
        notes.append(f"model: {kind} ({reason})")
    if (kind == "classifier") != (target is not None):
        raise RecipeError(f"`model.kind: {kind}` {_BOTH[kind]}. Received: `data.target` = {target!r}.")
    _refuse_what_would_be_ignored(recipe, kind)
    text = recipe.features.input
    if text.unit is None:
        unit = "words" if kind == "classifier" else "characters"
        text = resolve_text(text, unit)
        notes.append(f"input: {data.input} as {unit} (the default of a {kind.replace('_', ' ')})")
    else:
        text = resolve_text(text, text.unit)
    if kind == "language_model" and text.max_length is not None:
        raise RecipeError("`features.input.max_length` has no meaning for a language model: it reads one long text.")
    if data.group is not None and (kind == "language_model" or isinstance(data.validation, str)):
        raise RecipeError(
            "`data.group` has no meaning here: it says how a classifier's rows are split, and none are.",
            hint="leave it out, or let `data.validation` be a share of the rows",
        )
    if source.format == "text" and text.emoticons == "append":
        raise RecipeError(
            "`features.input.emoticons: append` has no meaning for one long text: it has no rows to append to.",
            hint="in_place keeps them where they stand",
        )
    resolved = recipe.model_dump()
    resolved["data"] |= {"input": data.input, "target": target, "format": source.format}
    resolved["features"]["input"] = text.model_dump()
    resolved["model"]["kind"] = kind
    if recipe.training.bptt is None:
        resolved["training"]["bptt"] = "full" if kind == "classifier" else _USUAL_WINDOW
    elif kind == "classifier":
        _check_streamed_classifier(recipe)
    return build_recipe(resolved), notes


def _check_streamed_classifier(recipe: Recipe) -> None:
    """A classifier that reads window by window never sees a row whole."""
    bptt = recipe.training.bptt
    if bptt is None or bptt.window is None:
        return
    needs_all = {"model.bidirectional": recipe.model.bidirectional, "training.adversarial": recipe.training.adversarial}
    for key, value in needs_all.items():
        if value:
            raise RecipeError(
                f"`{key}` needs whole rows, but `training.bptt` reads windows of {bptt.window}. Received: {value!r}.",
                hint="set training.bptt=full",
            )


def _refuse_what_would_be_ignored(recipe: Recipe, kind: str) -> None:
    for owner, sections in _ONLY.items():
        for section, keys in sections.items():
            component = getattr(recipe, section)
            for key in keys if owner != kind else ():
                value = getattr(component, key)
                if value != type(component).model_fields[key].default:
                    raise RecipeError(
                        f"`{section}.{key}` has no meaning for a {kind.replace('_', ' ')}. Received: {value!r}.",
                        hint=f"only a {owner.replace('_', ' ')} uses it",
                    )
