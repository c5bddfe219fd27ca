"""What a recipe leaves open is read off the data: columns, kinds, units, the category; each with its reason."""

from __future__ import annotations

from typing import Any

from ostinato.data.features import FEATURES, feature_named, feature_type
from ostinato.data.inference.applicability import refuse_inapplicable
from ostinato.data.inference.kinds import kind_of
from ostinato.data.inference.likely import no_input, only_other
from ostinato.data.inference.sample import DataSample
from ostinato.data.inference.step_targets import answers_steps, stepwise
from ostinato.data.inference.written import (
    check_written,
    frames_of,
    is_given,
    is_spelled,
    is_written,
    resolve_written,
    unit_of,
)
from ostinato.data.targets import TARGETS
from ostinato.data.text import resolve_text
from ostinato.errors import RecipeError
from ostinato.recipe import Recipe, TargetRecipe, TextRecipe, build_recipe
from ostinato.recipe.auto import for_task
from ostinato.recipe.kinds import TagsRecipe
from ostinato.recipe.sections import noun, sections
from ostinato.wording import option, with_article

_USUAL_WINDOW = 100


def infer_recipe(recipe: Recipe, sample: DataSample) -> tuple[Recipe, list[str]]:
    """`recipe` with its columns, kinds of features and task resolved, and what was inferred, in words.

    Raises `RecipeError` where the recipe contradicts itself and `DataError` where a column is missing.
    """
    notes: list[str] = []
    recipe = _columns(recipe, sample, notes)
    recipe = _kinds(recipe, sample, notes)
    recipe = _target_kind(recipe, sample, notes)
    recipe = _split_words(recipe, sample, notes)
    recipe = _category(recipe, sample, notes)
    refuse_inapplicable(recipe)
    recipe = _units(recipe, sample, notes)
    _check(recipe, sample)
    if recipe.training.bptt is None:
        recipe = _with(recipe, "training", bptt=_USUAL_WINDOW if recipe.model.rows == "text" else "full")
    return recipe, notes


def _with(recipe: Recipe, section: str, **values: Any) -> Recipe:
    mapping = recipe.model_dump()
    mapping[section] |= values
    return build_recipe(mapping)


def _columns(recipe: Recipe, sample: DataSample, notes: list[str]) -> Recipe:
    """Which columns are read."""
    data, columns, source = recipe.data, sample.columns(), sample.source
    target = data.target
    if target is None and source.usual_target in columns and recipe.model.predicts_column:
        target = source.usual_target
        reason = "the folder has one subfolder per class" if source.format == "folder" else f"usual of {source.format}"
        notes.append(f"target: {target} ({reason})")
    used = data.input or (source.usual_input if source.usual_input in columns else None)
    if used is None:
        named = [name for name in (target, data.group, *data.extra, *recipe.features.extra) if name in columns]
        used = only_other(columns, named)
        if used is None:
            raise no_input(sample, target)
        notes.append(f"input: {used} (the only {'other ' if named else ''}column)")
    if used == target and recipe.model.undecided:
        raise _same_column(used, columns)
    source.require(*(name for name in (used, target, data.group, *data.extra, *recipe.features.extra) if name))
    return _with(recipe, "data", input=used, target=target, **source.resolved())


def _same_column(name: str, columns: list[str]) -> RecipeError:
    others = [column for column in columns if column != name]
    return RecipeError(
        f"`data.input` and `data.target` name the same column, {name}: there would be nothing to predict.",
        hint=f"another column: {option('--target', others[0])}" if others else None,
    )


def _kinds(recipe: Recipe, sample: DataSample, notes: list[str]) -> Recipe:
    """Which kind of feature reads each column, where the recipe says nothing of it."""
    data, features = recipe.data, recipe.features
    resolved: dict[str, Any] = features.model_dump()
    if features.input == TextRecipe() and (found := _input_kind(recipe, sample)):
        resolved["input"] = {"kind": found[0]}
        notes.append(f"input: {data.input} as {found[0]} ({found[1]}){_otherwise(found[1], 'features.input')}")
    for name in data.extra:
        if name not in features.extra:
            kind, reason = _as_input(kind_of(sample, name)) or ("category", "its cells are names")
            resolved["extra"][name] = {"kind": kind}
            notes.append(f"extra: {name} as {kind} ({reason}){_otherwise(reason, f'features.extra.{name}')}")
    for name, component in features.extra.items():
        if component == TextRecipe() and (found := _as_input(kind_of(sample, name))):
            resolved["extra"][name] = {"kind": found[0]}
    return recipe if resolved == features.model_dump() else _with(recipe, "features", **resolved)


def _otherwise(reason: str, path: str) -> str:
    """Where only most cells are of a kind (`186 of its first 200 …`): how to read the column as text."""
    return f"; as text: --set {path}.unit=words" if " of its first " in reason else ""


def _target_kind(recipe: Recipe, sample: DataSample, notes: list[str]) -> Recipe:
    """How a target that is a sequence is read, where the recipe says nothing of it; the input's kind is known."""
    target, model = recipe.data.target, recipe.model
    if target is None or recipe.features.target != TargetRecipe():
        return recipe
    found: tuple[dict[str, str], str] | None = None
    known = sample.source.kind_of(target)
    if known is not None and feature_named(known).predicted:
        found = {"kind": known}, f"{with_article(sample.format)} file says so"
    table = sample.source.arrangement
    if table is not None and table.labels == target:
        found = (
            {"kind": "series" if table.numeric else "tags"},
            f"a value for each step of a {', '.join(table.session)}",
        )
    if found is None and (model.undecided or model.labels_steps):
        found = stepwise(sample, recipe)
    if found is None and (model.undecided or model.writes == "target") and (why := is_written(sample, target)):
        found = {"kind": "text"}, why
    if found is None and (model.undecided or model.writes == "target") and (frames := frames_of(sample, target)):
        found = {"kind": frames[0]}, f"{frames[1]}: frames to write"
    if found is None and model.usual_target:
        found = {"kind": model.usual_target}, f"what {with_article(noun(model.task))} predicts by default"
    if found is None:
        return recipe
    notes.append(f"target: {target} as {found[0]['kind']} ({found[1]})")
    return _with(recipe, "features", target=found[0])


def _input_kind(recipe: Recipe, sample: DataSample) -> tuple[str, str] | None:
    """The kind of the input and the reason; None for text."""
    data, model = recipe.data, recipe.model
    found = _as_input(kind_of(sample, str(data.input)))
    if found and feature_named(found[0]).letters and data.target is None and (model.undecided or model.rows == "text"):
        return None
    if found is not None and found[0] != "numbers":
        return found
    if data.target is not None and (model.undecided or model.given_value):
        return is_given(sample, str(data.input), str(data.target)) or found
    return found


def _as_input(found: tuple[str, str] | None) -> tuple[str, str] | None:
    """A kind and its reason, for a column that is read: tags are tokens there."""
    return ("tokens", found[1]) if found is not None and found[0] == "tags" else found


def _split_words(recipe: Recipe, sample: DataSample, notes: list[str]) -> Recipe:
    """A text whose target has a value for each word is cut at blanks, as the target was, and not cleaned."""
    target, model = recipe.features.target, recipe.model
    feature = feature_type(target)
    if recipe.features.input != TextRecipe() or feature is None or not (model.undecided or model.labels_steps):
        return recipe
    if not model.aligned or getattr(target, "split", None) == "characters":
        return recipe
    if feature.per_step is False or (model.undecided and not answers_steps(sample, recipe)):
        return recipe
    notes.append(f"input: {recipe.data.input} as tokens (the target has a {feature.answer} for each word)")
    return _with(recipe, "features", input={"kind": "tokens"})


def _category(recipe: Recipe, sample: DataSample, notes: list[str]) -> Recipe:
    """Which category of sequence modelling it is."""
    target = recipe.data.target
    if recipe.model.undecided:
        task, reason = _category_of(recipe, sample)
        recipe = build_recipe({**recipe.model_dump(), "model": for_task(recipe.model, task)})
        notes.append(f"model: {noun(task)} ({reason})")
    if recipe.model.predicts_column == (target is None):
        needs = "needs a target column" if recipe.model.predicts_column else "takes no target column"
        raise RecipeError(f"`model.task: {recipe.model.task}` {needs}. Received: `data.target` = {target!r}.")
    return recipe


def _category_of(recipe: Recipe, sample: DataSample) -> tuple[str, str]:
    """The task that infers itself, and the reason."""
    claims = {one: reason for one in sections() if (reason := one.infers(recipe, sample)) is not None}
    if not claims and recipe.data.target is None:
        others = [name for name in sample.columns() if name != recipe.data.input]
        raise RecipeError(
            f"`{recipe.data.input}` is read as {recipe.features.input.kind}, so there must be a column to predict: "
            "`data.target` is not set.",
            hint=f"name it: {option('--target', others[0])}"
            if others
            else "one row per step: --set model.task=forecasting",
        )
    highest = max((one.precedence for one in claims), default=0)
    best = [one for one in claims if one.precedence == highest]
    if len(best) != 1:
        reasons = "; ".join(f"{one.name}, since {claims[one]}" for one in best) or "no task fits such data"
        raise RecipeError(
            f"the task can't be inferred from the data: {reasons}.",
            hint=f"set it: --set model.task={best[0].name if best else 'classification'}",
        )
    return best[0].name, claims[best[0]]


def _units(recipe: Recipe, sample: DataSample, notes: list[str]) -> Recipe:
    """How text is cut into tokens."""
    features, model = recipe.features, recipe.model
    resolved: dict[str, Any] = {}
    usual = model.usual_unit.replace("by_cells", "characters")
    if isinstance(features.input, TextRecipe):
        unit, reason = features.input.unit or usual, f"the default of {with_article(noun(model.task))}"
        column = str(recipe.data.input)
        by_cells = model.usual_unit == "by_cells" or (model.answers == "row" and is_spelled(sample, column))
        if features.input.unit is None and by_cells:
            unit, reason = unit_of(sample, column)
        if features.input.unit is None:
            notes.append(f"input: {recipe.data.input} as {unit} ({reason})")
        resolved["input"] = resolve_text(features.input, unit).model_dump()
    if isinstance(features.target, TextRecipe):
        unit = features.target.unit or usual
        if features.target.unit is None:
            unit, reason = unit_of(sample, str(recipe.data.target))
            notes.append(f"target: {recipe.data.target} as {unit} ({reason})")
        resolved["target"] = resolve_written(features.target, unit).model_dump()
    if isinstance(features.target, TagsRecipe) and features.target.split is None:
        letters = resolved.get("input", {}).get("unit") == "characters" or feature_named(features.input.kind).letters
        resolved["target"] = {**features.target.model_dump(), "split": "characters" if letters else "blanks"}
    extra = {
        name: (resolve_text(one, one.unit or "words") if isinstance(one, TextRecipe) else one).model_dump()
        for name, one in features.extra.items()
    }
    return _with(recipe, "features", **resolved, extra=extra)


def _check(recipe: Recipe, sample: DataSample) -> None:
    data, model, text = recipe.data, recipe.model, recipe.features.input
    if model.writes == "target":
        check_written(recipe.features.target, "features.target")
    if model.writes == "input":
        check_written(recipe.features.input, "features.input")
    if model.predicts_column and model.answers != "sequence" and data.target == data.input:
        raise _same_column(str(data.input), sample.columns())
    model.check_resolved(recipe)
    _check_target(recipe)
    if isinstance(text, TextRecipe) and sample.format == "text" and text.emoticons == "append":
        raise RecipeError(
            "`features.input.emoticons: append` does not apply to one long text: it has no rows to append to.",
            hint="in place: --set features.input.emoticons=in_place",
        )


def _check_target(recipe: Recipe) -> None:
    """Raise `RecipeError` where one value a row is predicted step by step, or a sequence as one value."""
    model, target = recipe.model, recipe.features.target
    sequence = feature_type(target) is not None
    if not model.predicts_column or sequence == (model.answers != "row"):
        return
    known = [kind for kind, feature in FEATURES.items() if feature.predicted] if not sequence else ["auto", *TARGETS]
    raise RecipeError(
        f"`features.target.kind` must be one of {', '.join(known)} for {with_article(noun(model.task))}. "
        f"Received: {target.kind!r}."
    )
