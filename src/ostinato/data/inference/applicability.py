"""Which option of a recipe means something to which category and data: for errors, `recipe init` and `recipe options`.

What an option needs of its own component (`clip_quantile` of `clip`) stands beside it, in `Component.needs`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from pydantic import BaseModel

from ostinato.data.features import FEATURES, form_of
from ostinato.data.inference.written import FRAMES
from ostinato.errors import RecipeError
from ostinato.recipe import Component, Recipe, TextRecipe, build_recipe, build_saved, remove
from ostinato.recipe.kinds import SeriesRecipe

WRITERS = ("seq2seq", "conditional")
FRAME_WRITERS = ("next_step", *WRITERS)
"""Categories that may write frames."""
ROWS = ("classifier", "tagger", *WRITERS, "next_step")
"""Categories whose rows are independent of each other."""
TARGETED = ("classifier", "tagger", *WRITERS)
"""Categories that predict a column."""


@dataclass(frozen=True)
class Condition:
    """When an option means something. words: what it needs, or, of `categories`, nothing more to say."""

    words: str
    holds: Callable[[Recipe], bool]
    categories: tuple[str, ...] = ()


def named(category: str) -> str:
    """A category as a text has it."""
    return category.replace("_", " ")


def _only(*categories: str) -> Condition:
    words = ", ".join(named(one) for one in categories)
    return Condition(words, lambda recipe: recipe.model.kind in ("auto", *categories), categories)


def _all_but(*categories: str) -> Condition:
    known = (*ROWS, "language_model", "forecaster")
    of = _only(*(kind for kind in known if kind not in categories))
    return Condition(f"any category but {', '.join(named(one) for one in categories)}", of.holds, of.categories)


def _columns(recipe: Recipe) -> tuple[Component, ...]:
    """All that is read, the target not among it."""
    return (recipe.features.input, *recipe.features.extra.values())


def _embeds(recipe: Recipe) -> bool:
    if recipe.model.kind in ("forecaster", "next_step"):
        return False
    if recipe.model.kind in WRITERS and _writes_tokens(recipe):
        return True
    return any(form_of(one) in ("ids", "words") for one in _columns(recipe))


def _written(recipe: Recipe) -> str:
    """The kind of what is written, or answered."""
    return str(
        getattr(recipe.features.input if recipe.model.kind == "next_step" else recipe.features.target, "kind", "")
    )


def _writes_tokens(recipe: Recipe) -> bool:
    return recipe.model.kind not in WRITERS or _written(recipe) not in FRAMES


def _writes_frames(recipe: Recipe) -> bool:
    return recipe.model.kind == "auto" or (recipe.model.kind in FRAME_WRITERS and _written(recipe) in FRAMES)


def _writes_notes(recipe: Recipe) -> bool:
    return recipe.model.kind == "auto" or _written(recipe) == "notes"


def _writes_numbers(recipe: Recipe) -> bool:
    return recipe.model.kind == "auto" or (_writes_frames(recipe) and _written(recipe) != "notes")


def _scales_rows(recipe: Recipe) -> bool:
    read_otherwise = recipe.model.kind in ("forecaster", "next_step")
    return not read_otherwise and any(form_of(one) == "vectors" for one in _columns(recipe))


def _adds_noise(recipe: Recipe) -> bool:
    return _scales_rows(recipe) or (recipe.model.kind in FRAME_WRITERS and _writes_numbers(recipe))


def _reads_input(recipe: Recipe) -> bool:
    """A forecaster reads tables; settled, its recipe says `series`."""
    return recipe.model.kind != "forecaster" or recipe.features.input in (TextRecipe(), SeriesRecipe())


def _reads_sequences(recipe: Recipe) -> bool:
    return recipe.model.kind != "conditional" or _reads_sequences_beside(recipe)


def _pools(recipe: Recipe) -> bool:
    return recipe.model.kind not in WRITERS or _reads_sequences_beside(recipe)


def _reads_sequences_beside(recipe: Recipe) -> bool:
    kinds = [getattr(one, "kind", "") for one in recipe.features.extra.values()]
    return any(kind not in FEATURES or FEATURES[kind].ragged for kind in kinds)


_RULES: tuple[tuple[Condition, tuple[str, ...]], ...] = (
    (_only("classifier"), ("model.ngrams", "model.ngram_buckets", "model.ngram_dropout")),
    (_only("classifier"), ("training.adversarial", "data.stratify", "model.convolution", "model.members")),
    (_only("classifier", *WRITERS), ("model.pooling",)),
    (_only("classifier", "tagger"), ("model.head_size",)),
    (_only("tagger"), ("model.tagger", "model.unknown_words", "model.feedback")),
    (_only(*WRITERS), ("model.decoder",)),
    (_only("seq2seq"), tuple(f"model.decoder.{key}" for key in ("attention", "score", "attention_size"))),
    (_only("seq2seq"), ("model.decoder.input_feeding", "model.decoder.bridge")),
    (_only("conditional"), ("model.decoder.condition",)),
    (_only("language_model", *WRITERS), ("model.tie_embeddings",)),
    (_only("next_step"), ("features.input.transpose", "features.target.transpose")),
    (_only("next_step"), tuple(f"model.next_step.{key}" for key in ("recurrence", "reach", "cut_frames"))),
    (_only(*FRAME_WRITERS), ("model.next_step", "model.numbers")),
    (Condition("frames of notes to write", _writes_notes), ("model.next_step",)),
    (Condition("frames of numbers to write", _writes_numbers), ("model.numbers",)),
    (Condition("frames to write", _writes_frames), ("model.decoder.length",)),
    (
        Condition("tokens to write", _writes_tokens),
        ("model.decoder.beam_size", "model.decoder.length_penalty", "model.decoder.embedding_dim"),
    ),
    (Condition("tokens to write", _writes_tokens), ("model.tie_embeddings", "training.label_smoothing")),
    (_only("forecaster"), ("model.forecast",)),
    (_only(*TARGETED), ("training.label_smoothing", "features.target")),
    (_only("classifier", "tagger", *WRITERS, "next_step"), ("data.extra", "features.extra")),
    (_only(*ROWS), ("data.session", "data.time", "data.group", "data.fold", "data.split_seed")),
    (replace(_all_but("forecaster"), holds=_reads_input), ("features.input",)),
    (_all_but("forecaster"), ("data.names", "data.max_characters", "data.distinct")),
    (_all_but("forecaster"), ("data.where", "data.validation_where", "data.test_where")),
    (_all_but("language_model"), ("features.input.max_length", "features.input.truncate")),
    (
        Condition("a column read as words, characters, names or other ids", _embeds),
        (
            *(f"model.{key}" for key in ("embedding", "embedding_dim", "embedding_std", "embedding_dropout")),
            "model.normalize_embeddings",
        ),
    ),
    (
        Condition("a column that is read as numbers: series, audio, shares of letters", _scales_rows),
        ("model.input_scale",),
    ),
    (Condition("a column that is read, or written, as numbers: series, audio", _adds_noise), ("model.input_noise",)),
    (
        Condition(
            "a column of pictures or video", lambda recipe: any(form_of(one) == "pictures" for one in _columns(recipe))
        ),
        ("model.frames",),
    ),
    (
        Condition(
            "a column whose words are read by their characters (features.input.kind: tokens, characters: true)",
            lambda recipe: any(form_of(one) == "words" for one in _columns(recipe)),
        ),
        ("model.characters",),
    ),
    (Condition("a further column that is a sequence", _pools), ("model.pooling",)),
    (
        Condition(
            "a sequence that is read: a conditional model is given one value a row",
            _reads_sequences,
        ),
        ("model.bidirectional",),
    ),
    (Condition("a text as input", lambda recipe: recipe.features.input.kind == "text"), ("model.ngrams",)),
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
        Condition("a single network (`model.members: 1`)", lambda recipe: recipe.model.members == 1),
        ("model.ngrams", "training.adversarial", "training.vanishing_penalty"),
    ),
    (
        Condition("classes or labels to predict", lambda recipe: recipe.features.target.kind != "number"),
        ("training.label_smoothing",),
    ),
    (
        Condition(
            "a target of labels", lambda recipe: getattr(recipe.features.target, "kind", "") in ("auto", "labels")
        ),
        ("features.target.separator",),
    ),
    (Condition("`data.test`", lambda recipe: recipe.data.test is not None), ("model.forecast.test_continues",)),
    (
        Condition("a column of time stamps", lambda recipe: recipe.model.forecast.time is not None),
        ("model.forecast.sort", "model.forecast.on_gap"),
    ),
    (
        Condition(
            "`model.forecast.split: null` (of a forecaster), which leaves the validation part to it",
            lambda recipe: (
                recipe.model.kind != "forecaster"
                or recipe.model.forecast.split is None
                or isinstance(recipe.data.validation, str)
            ),
        ),
        ("data.validation",),
    ),
)
"""A condition, and the options, or groups of them, that need it."""


def conditions_of(path: str) -> list[Condition]:
    """What an option needs, `model.decoder.bridge` for example."""
    return [condition for condition, keys in _RULES if any(path == key or path.startswith(f"{key}.") for key in keys)]


def applies(path: str, recipe: Recipe) -> bool:
    """Whether an option, or a group of them, has a meaning in a recipe, as far as it is settled."""
    return all(condition.holds(recipe) for condition in conditions_of(path))


def refuse_inapplicable(recipe: Recipe) -> None:
    """Raise `RecipeError` for the first option that was changed and that nothing would read."""
    for path, value, condition in _inapplicable(recipe):
        if condition.categories:
            raise RecipeError(
                f"`{path}` does not apply to a {named(recipe.model.kind)}. Received: {_shown(value)}.",
                hint=f"only a {' or '.join(named(one) for one in condition.categories)} uses it: "
                f"--set model.kind={condition.categories[0]} makes it one",
            )
        raise RecipeError(f"`{path}` only applies with {condition.words}. Received: {_shown(value)}.")


def saved_recipe(mapping: Mapping[str, Any]) -> tuple[Recipe, dict[str, Any]]:
    """The recipe of a run that was made before some of its options were known to mean nothing: without them.

    Args:
        mapping: of a settled recipe, as it was saved.

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
        elif value != field.get_default(call_default_factory=True):
            yield here, value


def _shown(value: object) -> str:
    return f"kind {value.kind}" if isinstance(value, Component) and hasattr(value, "kind") else repr(value)
