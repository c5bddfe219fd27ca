"""Which option of a recipe means something to its task and data: for errors, `recipe init` and `recipe options`.

Options that only some tasks have are in their sections (`tasks/<task>/recipe.py`). What an option needs of its
own component (`clip_quantile` of `clip`) is declared with it, in `Component.needs`. Here is what crosses components.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from pydantic import BaseModel

from ostinato.data.features import feature_type, form_of, is_fixed
from ostinato.data.targets import target_type
from ostinato.errors import RecipeError
from ostinato.recipe import Component, ModelRecipe, Recipe, TextRecipe, build_recipe, build_saved, remove
from ostinato.recipe.base import is_usual
from ostinato.recipe.forecast import TimeSeriesRecipe
from ostinato.recipe.kinds import SeriesRecipe
from ostinato.recipe.mistakes import does_not_apply
from ostinato.recipe.model import EmbeddingRecipe
from ostinato.recipe.sections import noun, sections


@dataclass(frozen=True)
class Condition:
    """When an option means something. words: what it needs; tasks: whether a task has it, where that is all."""

    words: str
    holds: Callable[[Recipe], bool]
    tasks: Callable[[type[ModelRecipe]], bool] | None = None

    @property
    def needs(self) -> str:
        """What it needs in words: the tasks, where that is all."""
        named = [one.noun for one in sections() if self.tasks is not None and self.tasks(one.recipe)]
        return self.words or ", ".join(named)


def _only(tasks: Callable[[type[ModelRecipe]], bool], words: str = "") -> Condition:
    return Condition(words, lambda recipe: recipe.model.undecided or tasks(type(recipe.model)), tasks)


def _columns(recipe: Recipe) -> tuple[Component, ...]:
    """All that is read, the target not among it."""
    return (recipe.features.input, *recipe.features.extra.values())


def _is_read_as(recipe: Recipe, *forms: str) -> bool:
    """Whether a column is read so. What is written more of is read as it is written."""
    read = _columns(recipe)[1:] if recipe.model.writes == "input" else _columns(recipe)
    return any(form_of(one) in forms for one in read)


def _embeds(recipe: Recipe) -> bool:
    return _is_read_as(recipe, "ids", "words") or (recipe.model.writes == "target" and _writes_tokens(recipe))


def _frames(recipe: Recipe) -> str:
    """What the frames are that are written, or answered; none: no frames are."""
    feature = feature_type(recipe.features.input if recipe.model.writes == "input" else recipe.features.target)
    return feature.frames_hold if feature else ""


def _answers_frames(recipe: Recipe) -> bool:
    """Whether the target is numbers or notes at each step."""
    feature = feature_type(recipe.features.target)
    return bool(feature and feature.frames_hold)


def _writes_tokens(recipe: Recipe) -> bool:
    return recipe.model.writes != "target" or not _frames(recipe)


def _writes(*frames: str) -> Callable[[Recipe], bool]:
    return lambda recipe: recipe.model.undecided or (bool(recipe.model.writes) and _frames(recipe) in frames)


_writes_numbers = _writes("numbers")


def _translates(recipe: Recipe) -> bool:
    return _writes_tokens(recipe) and (recipe.model.undecided or form_of(recipe.features.input) == "ids")


def _counts_ngrams(recipe: Recipe) -> bool:
    if recipe.model.writes == "target":
        return _writes_tokens(recipe)
    feature = feature_type(recipe.features.input)
    return feature is not None and feature.ngrams and form_of(recipe.features.input) == "ids"


def _unit_of(source: object) -> str:
    """Of a text what it is cut into; words where that is still open."""
    return (source.unit or "words") if isinstance(source, TextRecipe) else ""


def _target_reads(path: str) -> Callable[[Recipe], bool]:
    return lambda recipe: path not in target_type(recipe.features.target).unread


_target_of_classes = _target_reads("training.class_weight")


def _adds_noise(recipe: Recipe) -> bool:
    return _is_read_as(recipe, "vectors") or _writes_numbers(recipe)


def _reads_input(recipe: Recipe) -> bool:
    """Tables of series are read as they are; a resolved recipe says `series`."""
    return recipe.model.rows != "series" or recipe.features.input in (TextRecipe(), SeriesRecipe())


def _reads_sequences_beside(recipe: Recipe) -> bool:
    return any(not is_fixed(one) for one in recipe.features.extra.values())


_ROWS = _only(lambda task: task.rows == "independent")
_NO_SERIES = _only(lambda task: task.rows != "series", "any task but forecasting")
_TO_WRITE = Condition("tokens to write", _writes_tokens)
_OF_TIME = ("time", "time_format", "on_duplicate")
"""Of the options of series, those of sessions, too."""
_RULES: tuple[tuple[Condition, tuple[str, ...]], ...] = (
    (_only(lambda task: task.answers == "row"), ("training.adversarial", "data.stratify")),
    (_only(lambda task: task.weighs_classes), ("training.class_weight",)),
    (_only(lambda task: task.predicts_column), ("training.label_smoothing", "features.target")),
    (_only(lambda task: task.writes == "input"), ("features.input.transpose", "features.target.transpose")),
    (
        _only(lambda task: task.rows == "series"),
        tuple(f"data.{key}" for key in TimeSeriesRecipe.model_fields if key not in _OF_TIME),
    ),
    (_only(lambda task: task.rows != "text"), tuple(f"data.{key}" for key in _OF_TIME)),
    (_ROWS, ("data.extra", "features.extra", "data.session", "data.group", "data.fold", "data.split_seed")),
    (replace(_NO_SERIES, holds=_reads_input), ("features.input",)),
    (_NO_SERIES, ("data.names", "data.max_characters", "data.distinct")),
    (_NO_SERIES, ("data.where", "data.validation_where", "data.test_where")),
    (
        _only(lambda task: task.rows != "text", "any task but language_model"),
        ("features.input.max_length", "features.input.truncate"),
    ),
    (Condition("frames of notes to write", _writes("notes")), ("model.notes", "model.recurrence", "model.reach")),
    (Condition("frames of numbers to write", _writes_numbers), ("model.numbers",)),
    (Condition("frames to write", _writes("numbers", "notes")), ("model.decoder.length",)),
    (_TO_WRITE, ("model.decoder.beam_size", "model.decoder.length_penalty", "model.decoder.embedding_dim")),
    (_TO_WRITE, ("model.tie_embeddings", "training.label_smoothing")),
    (Condition("tokens to read and tokens to write", _translates), ("model.decoder.lexicon",)),
    (
        Condition("a column read as words, characters, names or other ids", _embeds),
        tuple(f"model.{key}" for key in EmbeddingRecipe.model_fields if key not in ModelRecipe.model_fields),
    ),
    (
        Condition(
            "a column that is read as numbers: series, audio, shares of letters",
            lambda recipe: _is_read_as(recipe, "vectors"),
        ),
        ("model.input_scale", "model.random_kernels"),
    ),
    (Condition("a column that is read, or written, as numbers: series, audio", _adds_noise), ("model.input_noise",)),
    (
        Condition("a column of pictures or video", lambda recipe: _is_read_as(recipe, "pictures")),
        ("model.frames",),
    ),
    (
        Condition(
            "a column whose words are read by their characters (features.input.kind: tokens, characters: true)",
            lambda recipe: _is_read_as(recipe, "words"),
        ),
        ("model.characters",),
    ),
    (
        Condition(
            "a further column that is a sequence",
            lambda recipe: recipe.model.writes != "target" or _reads_sequences_beside(recipe),
        ),
        ("model.pooling",),
    ),
    (
        Condition(
            "a sequence that is read: a conditional model is given one value a row",
            lambda recipe: not recipe.model.given_value or _reads_sequences_beside(recipe),
        ),
        ("model.bidirectional",),
    ),
    (Condition("a text, or letters as ids, as input, or tokens to write", _counts_ngrams), ("model.ngrams",)),
    (
        Condition("a text that is read as words", lambda recipe: _unit_of(recipe.features.input) == "words"),
        ("model.ngram_letters",),
    ),
    (
        Condition("an input whose vectors are learnt", lambda recipe: form_of(recipe.features.input) == "ids"),
        ("training.adversarial",),
    ),
    (
        Condition(
            "rows that are read as a whole (`training.bptt: full`)",
            lambda recipe: recipe.training.bptt is None or recipe.training.bptt.window is None,
        ),
        ("model.convolution", "model.members"),
    ),
    (
        Condition("a single network (`model.members: 1`)", lambda recipe: getattr(recipe.model, "members", 1) == 1),
        ("training.adversarial", "training.vanishing_penalty"),
    ),
    (
        Condition("classes or labels to predict", _target_reads("training.label_smoothing")),
        ("training.label_smoothing",),
    ),
    (Condition("a target of labels", _target_reads("features.target.separator")), ("features.target.separator",)),
    (
        Condition("a target of classes: the share is drawn from each of them", _target_reads("data.stratify")),
        ("data.stratify",),
    ),
    (
        Condition("a target of classes", lambda recipe: _target_of_classes(recipe) and not _answers_frames(recipe)),
        ("training.class_weight", "model.random_kernels"),
    ),
    (
        Condition(
            "tags that are scored one by one (`model.output: softmax`)",
            lambda recipe: getattr(recipe.model, "output", "softmax") == "softmax",
        ),
        ("training.class_weight",),
    ),
    (Condition("`data.test`", lambda recipe: recipe.data.test is not None), ("data.test_continues",)),
    (
        Condition("a column of time stamps", lambda recipe: recipe.data.time is not None),
        ("data.sort", "data.on_gap", "data.on_duplicate", "data.time_format"),
    ),
    (
        Condition(
            "a `data.validation` that is a share of the rows (a file of its own is never learnt from)",
            lambda recipe: recipe.data.fold is not None or isinstance(recipe.data.validation, float),
        ),
        ("training.refit",),
    ),
    (
        Condition(
            "`data.split: null` (of a forecaster), which leaves the validation part to it",
            lambda recipe: recipe.data.split is None or isinstance(recipe.data.validation, str),
        ),
        ("data.validation",),
    ),
)
"""A condition, and the options, or groups of them, that need it."""


def conditions_of(path: str) -> list[Condition]:
    """What an option needs, `model.decoder.bridge` for example."""
    return [condition for condition, keys in _RULES if any(path == key or path.startswith(f"{key}.") for key in keys)]


def applies(path: str, recipe: Recipe) -> bool:
    """Whether an option, or a group of options, applies to a recipe, as far as it is resolved."""
    return all(condition.holds(recipe) for condition in conditions_of(path))


def refuse_inapplicable(recipe: Recipe) -> None:
    """Raise `RecipeError` for the first option that was changed and that nothing would read."""
    for path, value, condition in _inapplicable(recipe):
        if condition.tasks is not None:
            owners = [one for one in sections() if condition.tasks(one.recipe)]
            text, hint = does_not_apply(path, _shown(value), noun(recipe.model.task), owners)
            raise RecipeError(text, hint=hint)
        raise RecipeError(f"`{path}` only applies with {condition.words}. Received: {_shown(value)}.")


def saved_recipe(mapping: Mapping[str, Any]) -> tuple[Recipe, dict[str, Any]]:
    """The recipe of a run that was made before some of its options were known to mean nothing: without them.

    Args:
        mapping: of a resolved recipe, as it was saved.

    Returns:
        The recipe, and by their path the options that were left out, with what they held.
    """
    recipe, unread = build_saved(mapping)
    kept = recipe.model_dump()
    for path, _, _ in _inapplicable(recipe):
        group = path.removesuffix(".kind") if path.startswith("features.") else path
        held = remove(kept, group)
        unread |= {} if held is None else {group: held}
    return (build_recipe(kept) if unread else recipe), unread


def _inapplicable(recipe: Recipe) -> Iterator[tuple[str, object, Condition]]:
    """Every option that was changed and that nothing would read, and the first condition that does not hold."""
    for path, value in _changed(recipe):
        unmet = next((condition for condition in conditions_of(path) if not condition.holds(recipe)), None)
        if unmet is not None:
            yield path, value, unmet


def _changed(component: BaseModel, path: str = "") -> Iterator[tuple[str, object]]:
    """Every option that is not as it is when nothing is said, by its path."""
    for name, field in type(component).model_fields.items():
        value, here = getattr(component, name), f"{path}{name}"
        if isinstance(value, BaseModel):
            if isinstance(field.default, BaseModel) and type(field.default) is not type(value):
                yield f"{here}.kind", getattr(value, "kind", None)
            yield from _changed(value, f"{here}.")
        elif isinstance(value, dict):
            for key, one in value.items():
                yield f"{here}.{key}", one
                yield from _changed(one, f"{here}.{key}.")
        elif not is_usual(value, field):
            yield here, value


def _shown(value: object) -> str:
    return f"kind {value.kind}" if isinstance(value, Component) and hasattr(value, "kind") else repr(value)
