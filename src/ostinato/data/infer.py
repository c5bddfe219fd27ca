"""What a recipe leaves open is read off the data: columns, kinds, units, the category; each with its reason."""

from __future__ import annotations

from typing import Any

from ostinato.data.aligned import check_characters, check_tagger
from ostinato.data.features import FITTED
from ostinato.data.fixed import check_conditional, check_frames, is_fixed
from ostinato.data.kinds import kind_of
from ostinato.data.sources import Source
from ostinato.data.text import resolve_text
from ostinato.data.written import is_written, resolve_written, unit_of
from ostinato.errors import RecipeError
from ostinato.recipe import Component, Recipe, TargetRecipe, TextRecipe, build_recipe
from ostinato.recipe.kinds import NotesRecipe, TagsRecipe

_USUAL_WINDOW = 100
_STREAMED = ("classifier", "language_model", "tagger", "next_step")
"""Categories that can be read window by window."""
_WRITERS = ("auto", "seq2seq", "conditional")
"""Categories whose target may be text."""
_NO_TARGET = ("language_model", "next_step", "forecaster")
_SEQUENCE_TARGETS = {"tags": "tagger", "notes": "tagger", "series": "tagger", "text": "seq2seq", "tokens": "seq2seq"}

_ONLY: dict[str, dict[str, tuple[str, ...]]] = {
    "model": {
        "pooling": ("classifier",),
        "head_size": ("classifier", "tagger"),
        "ngrams": ("classifier",),
        "tie_embeddings": ("language_model", "seq2seq", "conditional"),
        "tagger": ("tagger",),
        "unknown_words": ("tagger",),
        "feedback": ("tagger",),
        "decoder": ("seq2seq", "conditional"),
        "next_step": ("next_step",),
        "forecast": ("forecaster",),
    },
    "training": {
        "adversarial": ("classifier",),
        "label_smoothing": ("classifier", "tagger", "seq2seq", "conditional"),
    },
}
"""Keys that mean something to some categories only."""


def infer_recipe(recipe: Recipe, source: Source) -> tuple[Recipe, list[str]]:
    """`recipe` with its columns, kinds of features and category settled, and what was inferred in words.

    Raises `RecipeError` where the recipe contradicts itself and `DataError` where a column is missing.
    """
    notes: list[str] = []
    recipe = _columns(recipe, source, notes)
    recipe = _kinds(recipe, source, notes)
    recipe = _category(recipe, notes)
    _refuse_what_would_be_ignored(recipe)
    recipe = _units(recipe, source, notes)
    _check(recipe, source)
    if recipe.training.bptt is None:
        full = recipe.model.kind != "language_model"
        return _with(recipe, "training", bptt="full" if full else _USUAL_WINDOW), notes
    _check_windows(recipe)
    return recipe, notes


def means_something(section: str, key: str, kind: str) -> bool:
    """Whether a key of `model` or `training` has a meaning for a category (for any, while it is open: `auto`)."""
    owners = _ONLY.get(section, {}).get(key)
    return owners is None or kind == "auto" or kind in owners


def _with(recipe: Recipe, section: str, **values: Any) -> Recipe:
    mapping = recipe.model_dump()
    mapping[section] |= values
    return build_recipe(mapping)


def _columns(recipe: Recipe, source: Source, notes: list[str]) -> Recipe:
    """Which columns are read."""
    data, columns = recipe.data, source.columns()
    target = data.target
    if target is None and source.usual_target in columns and recipe.model.kind not in _NO_TARGET:
        target = source.usual_target
        reason = "the folder has one subfolder a class" if source.format == "folder" else f"usual of {source.format}"
        notes.append(f"target: {target} ({reason})")
    used = data.input or (source.usual_input if source.usual_input in columns else None)
    if used is None:
        raise RecipeError(
            f"`data.input` is not set. Columns of `{source.path}`: {', '.join(columns)}.",
            hint="name the column that holds the sequence: --input text",
        )
    source.require(*(name for name in (used, target, data.group, *data.extra, *recipe.features.extra) if name))
    return _with(recipe, "data", input=used, target=target, format=source.format)


def _kinds(recipe: Recipe, source: Source, notes: list[str]) -> Recipe:
    """Which kind of feature reads each column, where the recipe says nothing of it."""
    data, features = recipe.data, recipe.features
    resolved: dict[str, Any] = features.model_dump()
    if features.input == TextRecipe() and (found := _as_input(kind_of(source, str(data.input)), features.target)):
        resolved["input"] = {"kind": found[0]}
        notes.append(f"input: {data.input} as {found[0]} ({found[1]})")
    for name in data.extra:
        if name not in features.extra:
            kind, reason = _as_input(kind_of(source, name)) or ("category", "its cells are names")
            resolved["extra"][name] = {"kind": kind}
            notes.append(f"extra: {name} as {kind} ({reason})")
    for name, component in features.extra.items():
        if component == TextRecipe() and (found := _as_input(kind_of(source, name))):
            resolved["extra"][name] = {"kind": found[0]}
    if data.target and features.target == TargetRecipe():
        found = (known, f"a {source.format} file says so") if (known := source.kind_of(data.target)) else None
        if found is None and recipe.model.kind in _WRITERS and (why := is_written(source, data.target)):
            found = ("text", why)
        if found and found[0] in _SEQUENCE_TARGETS:
            resolved["target"] = {"kind": found[0]}
            notes.append(f"target: {data.target} as {found[0]} ({found[1]})")
    return recipe if resolved == features.model_dump() else _with(recipe, "features", **resolved)


def _as_input(found: tuple[str, str] | None, target: Component | None = None) -> tuple[str, str] | None:
    """A kind and its reason, for a column that is read: tags are tokens there, and so is a text with a tag a word."""
    if found is None and isinstance(target, TagsRecipe) and target.split != "characters":
        return "tokens", "the target has a tag for each word"
    return ("tokens", found[1]) if found is not None and found[0] == "tags" else found


def _category(recipe: Recipe, notes: list[str]) -> Recipe:
    """Which category of sequence modelling it is."""
    target = recipe.data.target
    kind: str = recipe.model.kind
    if kind == "auto":
        kind, reason = _category_of(recipe)
        notes.append(f"model: {kind} ({reason})")
    if (kind in _NO_TARGET) != (target is None):
        needs = "takes no target column" if kind in _NO_TARGET else "needs a target column"
        raise RecipeError(f"`model.kind: {kind}` {needs}. Received: `data.target` = {target!r}.")
    return _with(recipe, "model", kind=kind)


def _category_of(recipe: Recipe) -> tuple[str, str]:
    features, target = recipe.features, recipe.data.target
    if target is None:
        of_kind = {"notes": "next_step", "series": "forecaster"}
        kind = of_kind.get(features.input.kind, "language_model")
        return kind, "there is no target column"
    if isinstance(features.target, TargetRecipe):
        return "classifier", f"there is a target column, {target}"
    if is_fixed(features.input):
        return "conditional", f"{recipe.data.input} is one value a row, {target} a sequence"
    kind = _SEQUENCE_TARGETS[features.target.kind]
    return kind, f"{target} holds {'a label for each step' if kind == 'tagger' else 'a sequence of its own'}"


def _units(recipe: Recipe, source: Source, notes: list[str]) -> Recipe:
    """How text is cut into tokens."""
    features, kind = recipe.features, recipe.model.kind
    resolved: dict[str, Any] = {}
    usual = "words" if kind in ("classifier", "tagger") else "characters"
    if isinstance(features.input, TextRecipe):
        unit, reason = features.input.unit or usual, f"the default of a {kind.replace('_', ' ')}"
        if kind == "seq2seq" and features.input.unit is None:
            unit, reason = unit_of(source, str(recipe.data.input))
        if features.input.unit is None:
            notes.append(f"input: {recipe.data.input} as {unit} ({reason})")
        resolved["input"] = resolve_text(features.input, unit).model_dump()
    if isinstance(features.target, TextRecipe):
        unit = features.target.unit or usual
        if features.target.unit is None:
            unit, reason = unit_of(source, str(recipe.data.target))
            notes.append(f"target: {recipe.data.target} as {unit} ({reason})")
        resolved["target"] = resolve_written(features.target, unit).model_dump()
    if isinstance(features.target, TagsRecipe) and features.target.split is None:
        letters = resolved.get("input", {}).get("unit") == "characters" or features.input.kind in ("dna", "protein")
        resolved["target"] = {**features.target.model_dump(), "split": "characters" if letters else "blanks"}
    extra = {
        name: (resolve_text(one, one.unit or "words") if isinstance(one, TextRecipe) else one).model_dump()
        for name, one in features.extra.items()
    }
    return _with(recipe, "features", **resolved, extra=extra)


def _check(recipe: Recipe, source: Source) -> None:
    data, kind, text = recipe.data, recipe.model.kind, recipe.features.input
    if isinstance(text, NotesRecipe) and text.transpose and kind != "next_step":
        raise RecipeError(
            f"`features.input.transpose` has no meaning for a {kind.replace('_', ' ')}. Received: {text.transpose}.",
            hint="only next_step moves the pieces it is trained on",
        )
    check_characters(recipe)
    check_conditional(recipe)
    check_frames(recipe)
    _check_jitter(recipe)
    if kind == "tagger":
        check_tagger(recipe)
    if kind == "language_model" and not isinstance(text, TextRecipe):
        raise RecipeError(f"a language model reads text. Received: `features.input.kind` = {text.kind!r}.")
    if isinstance(text, TextRecipe) and kind == "language_model" and text.max_length is not None:
        raise RecipeError("`features.input.max_length` has no meaning for a language model: it reads one long text.")
    if data.group is not None and (kind == "language_model" or (isinstance(data.validation, str) and not data.fold)):
        raise RecipeError(
            "`data.group` has no meaning here: it says how a classifier's rows are split, and none are.",
            hint="leave it out, or let `data.validation` be a share of the rows",
        )
    if data.stratify:
        _check_stratified(recipe)
    if isinstance(text, TextRecipe) and source.format == "text" and text.emoticons == "append":
        raise RecipeError(
            "`features.input.emoticons: append` has no meaning for one long text: it has no rows to append to.",
            hint="in_place keeps them where they stand",
        )


def _check_stratified(recipe: Recipe) -> None:
    """A share of each class needs classes, and a share."""
    if recipe.features.target.kind not in ("auto", "class"):
        raise RecipeError(
            "`data.stratify` draws the validation share from each class, so the target must be one of several classes. "
            f"Received: `features.target.kind` = {recipe.features.target.kind!r}."
        )
    if isinstance(recipe.data.validation, str) and not recipe.data.fold:
        raise RecipeError("`data.stratify` has no meaning where validation is a file of its own. Received: true.")


def _check_jitter(recipe: Recipe) -> None:
    """Noise is for inputs that are numbers."""
    form = FITTED[recipe.features.input.kind].form if recipe.features.input.kind in FITTED else "ids"
    for key in ("input_noise", "input_scale"):
        if getattr(recipe.model, key) and form != "vectors":
            raise RecipeError(
                f"`model.{key}` has no meaning for an input of kind {recipe.features.input.kind}. "
                f"Received: {getattr(recipe.model, key)!r}.",
                hint="only inputs that are numbers take it: series, audio, shares of letters",
            )


def _check_windows(recipe: Recipe) -> None:
    """What reads window by window never sees a row whole."""
    bptt, kind = recipe.training.bptt, recipe.model.kind
    if bptt is None or bptt.window is None or kind == "language_model":
        return
    needs_all: dict[str, object] = {
        "model.bidirectional": recipe.model.bidirectional,
        "training.adversarial": recipe.training.adversarial,
    }
    if kind not in _STREAMED:
        needs_all["model.kind"] = kind
    for key, value in needs_all.items():
        if value:
            raise RecipeError(
                f"`{key}` needs whole rows, but `training.bptt` reads windows of {bptt.window}. Received: {value!r}.",
                hint="set training.bptt=full",
            )


def _refuse_what_would_be_ignored(recipe: Recipe) -> None:
    kind = recipe.model.kind
    for section, keys in _ONLY.items():
        component = getattr(recipe, section)
        for key, owners in keys.items():
            value = getattr(component, key)
            if kind not in owners and value != type(component).model_fields[key].default:
                raise RecipeError(
                    f"`{section}.{key}` has no meaning for a {kind.replace('_', ' ')}. Received: {value!r}.",
                    hint=f"only a {' or '.join(owners).replace('_', ' ')} uses it",
                )
