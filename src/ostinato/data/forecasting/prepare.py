"""Time series for a forecaster: from files to scaled windows, in training and ever after."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import numpy as np

from ostinato.arrays import Array
from ostinato.data.dataset import Features, Prepared
from ostinato.data.forecasting.clean import fill_missing, make_regular
from ostinato.data.forecasting.columns import resolve_columns, what_is_forecast
from ostinato.data.forecasting.feature import ForecastFeature, scale_of
from ostinato.data.forecasting.read import read_table
from ostinato.data.forecasting.table import RawSeries, RawTable
from ostinato.data.forecasting.windows import Windows, borders, cut_windows, first_origin, least_context
from ostinato.data.inference.applicability import refuse_inapplicable
from ostinato.data.inference.sample import DataSample
from ostinato.data.io.spool import spooled
from ostinato.data.readers.open import Say, open_stored
from ostinato.data.readers.registry import READERS
from ostinato.data.rejects import BadRows, counted
from ostinato.data.sequences import Sequences
from ostinato.data.times.forms import form_of
from ostinato.data.times.step import Frequency
from ostinato.errors import DataError, RecipeError, RunError
from ostinato.recipe import FeaturesRecipe, Recipe, apply_overrides, build_recipe
from ostinato.recipe.auto import for_task
from ostinato.recipe.forecast import ForecastRecipe, TimeSeriesRecipe
from ostinato.wording import setting

_HORIZONS, _SEASONS = 9, 6
"""How many of them a series holds at least, where a recipe leaves its horizon open."""


def prepare_series(recipe: Recipe, sample: DataSample, say: Say = lambda _: None) -> Prepared:
    """Read, split in time, scale by the training part, and cut windows.

    Args:
        recipe: of a forecaster; may leave columns open.
        sample: of its training data.
        say: called with each note a user should see.

    Raises:
        RecipeError: for a recipe that contradicts itself or the data.
        DataError: for data that can't be used.
    """
    notes: list[str] = []
    source, bad_rows = sample.source, sample.source.bad_rows
    is_open = recipe.training.is_open and "horizon" not in recipe.model.model_fields_set
    recipe = resolve_series(recipe, sample, notes)
    sample.close()
    forecast = ForecastRecipe.of(recipe)
    table = _clean(read_table(source, forecast), forecast)
    if forecast.time is not None:
        recipe = build_recipe(
            {**recipe.model_dump(), "data": {**recipe.data.model_dump(), "time_format": table.form.format}}
        )
        forecast = ForecastRecipe.of(recipe)
    if is_open:
        recipe = _with_horizon(recipe, table)
        forecast = ForecastRecipe.of(recipe)
    notes += source.notes + table.notes
    share = recipe.data.validation if isinstance(recipe.data.validation, float) else 0.0
    ends = [_borders(one, forecast, share, recipe) for one in table.series]
    kept = [number for number, one in enumerate(table.series) if _is_long(one, ends[number], table, forecast, bad_rows)]
    bad_rows.check()
    if not kept:
        raise DataError(f"`{source.name}` holds no series long enough.")
    table.series = [table.series[number] for number in kept]
    ends = [ends[number] for number in kept]
    feature = ForecastFeature.fit(forecast, table, [each[0] for each in ends])
    notes += _said(table, ends, feature)
    notes += [f"set aside in rejected.jsonl: {bad_rows.how_many}"] if bad_rows.rows else []
    for note in notes:
        say(note)
    train = part_windows(feature, table, [(0, each[0]) for each in ends], 1)
    if isinstance(recipe.data.validation, str):
        validation = load_windows(recipe.data.validation, feature, recipe, say)
    else:
        validation = part_windows(feature, table, [(each[0], each[1]) for each in ends], forecast.stride)
    return Prepared(recipe, Features(feature), train, validation, notes, bad_rows, 0)


def _with_horizon(recipe: Recipe, table: RawTable) -> Recipe:
    """A horizon that short series allow: a ninth of the shortest; a season, where six of them are there."""
    shortest, forecast = min(map(len, table.series)), ForecastRecipe.of(recipe)
    horizon = shortest // _HORIZONS
    season = max(forecast.seasonality, default=table.frequency.season if table.frequency else 1)
    horizon = season if horizon < season <= shortest // _SEASONS else horizon
    if horizon >= forecast.horizon:
        return recipe
    return build_recipe(apply_overrides(recipe.model_dump(), {"model.horizon": max(horizon, 1)}))


def as_forecaster(recipe: Recipe, sample: DataSample, task: str, say: Say = lambda _: None) -> Recipe:
    """The recipe as one of a forecaster, where it leaves the category open and its data is a table of numbers in time.

    Other recipes come back as they are; `columns.what_is_forecast` says what such a table is.
    """
    data = recipe.data
    plain = recipe.features == FeaturesRecipe() and not (data.extra or data.session or data.fold)
    if not recipe.model.undecided or not plain or not READERS[sample.format].tabular:
        return recipe
    found = what_is_forecast(sample, data.input, data.target)
    if found is None:
        return recipe
    reason, channels = found
    say(f"model: forecaster ({reason})")
    say("not a time series? --input COLUMN --target COLUMN reads its rows one by one")
    mapping = recipe.said
    mapping["data"] |= {"input": None, "target": None}
    mapping["model"] = for_task(recipe.model, task)
    if data.input or data.target:
        mapping["data"]["channels"] = channels
    return build_recipe(mapping)


def held_back_windows(feature: ForecastFeature, recipe: Recipe, say: Say = lambda _: None) -> Windows:
    """The windows of the third part of the training file, as `split` cuts it. Raises `RunError` if there is none."""
    forecast = ForecastRecipe.of(recipe)
    if not isinstance(forecast.split, tuple) or len(forecast.split) < 3:
        raise RunError(
            "no data to evaluate on: the recipe names no test data, and `data.split` has no third part.",
            hint="name a file to evaluate on",
        )
    table = read_again(str(recipe.data.train), feature, recipe, say)
    ends = [borders(len(one), forecast, 0.0) for one in table.series]
    return part_windows(feature, table, [(each[1], each[2]) for each in ends], forecast.stride)


def load_windows(reference: str, feature: ForecastFeature, recipe: Recipe, say: Say = lambda _: None) -> Windows:
    """The windows of another file, scaled as the run's training data was.

    Where the recipe says that `data.test` continues the training data, its series are joined to those of their name,
    and only what is in the file is forecast; MASE then divides by the error on all of the training file.

    Raises:
        DataError: for a file that can't be used, or a series of it that is shorter than the horizon.
    """
    forecast = ForecastRecipe.of(recipe)
    table = read_again(reference, feature, recipe, say)
    if forecast.test_continues and reference == recipe.data.test:
        before = read_again(str(recipe.data.train), feature, recipe, lambda _: None)
        joined = part_windows(feature, *_joined(before, table), forecast.stride)
        scales = {one.name: scale_of(one, feature.seasons[0])[2] for one in before.series}
        naive = np.stack([scales[name] for name in joined.facts.names])
        return replace(joined, facts=replace(joined.facts, naive=naive))
    for one in table.series:
        needed = least_context(forecast) + forecast.horizon
        if len(one) < needed:
            raise too_short(one, table, forecast, len(one), needed)
    return part_windows(feature, table, [(0, len(one)) for one in table.series], forecast.stride)


@contextmanager
def as_trained() -> Iterator[None]:
    """What is wrong with data read for a trained run can't be met by keys of its recipe, which stay as they are."""
    try:
        yield
    except DataError as error:
        if error.hint is None or not any(key in error.hint for key in ("--set", "`data.")):
            raise
        raise DataError(error.message, hint="fix the file: a run reads data as in training") from error


def resolve_series(recipe: Recipe, sample: DataSample, notes: list[str]) -> Recipe:
    """A forecaster's recipe with nothing left open; `notes` gets what was found."""
    forecast, data = ForecastRecipe.of(recipe), recipe.data
    if data.target is not None:
        raise RecipeError(
            f"`data.target` does not apply to a forecaster: it predicts its own channels. Received: {data.target}.",
            hint=f"forecast it: {setting('data.channels', [data.target])} --set data.target=null --set data.input=null",
        )
    if data.input is not None and forecast.channels not in ((), (data.input,)):
        raise RecipeError(
            f"`data.input` and `data.channels` both say what is forecast: give one. "
            f"Received: {data.input} and {', '.join(forecast.channels)}."
        )
    if data.input is not None:
        forecast = forecast.model_copy(update={"channels": (data.input,)})
    mapping = recipe.model_dump()
    if forecast.time_format is not None:
        form_of(forecast.time_format)
    columns = resolve_columns(forecast, sample, notes)
    found = {key: getattr(columns, key) for key in TimeSeriesRecipe.model_fields}
    mapping["data"] |= {**found, **sample.source.resolved()}
    mapping["features"]["input"] = {"kind": "series"}
    if recipe.training.bptt is None:
        mapping["training"]["bptt"] = "full"
    whole = build_recipe(mapping)
    refuse_inapplicable(whole.model_copy(update={"features": recipe.features}))
    return whole


def _clean(table: RawTable, forecast: ForecastRecipe, known: Frequency | None = None) -> RawTable:
    make_regular(table, forecast, known)
    fill_missing(table, forecast)
    return table


def read_again(
    reference: str, feature: ForecastFeature, recipe: Recipe, say: Say, *, to_forecast: bool = False
) -> RawTable:
    """Another file, read as the training file was.

    `to_forecast`: rows at the end that hold no channel are set aside, as what is known of the future.
    """
    bad_rows = BadRows(recipe.data.on_bad_row)
    source = open_stored(reference, recipe, bad_rows, say)
    forecast, own = feature.recipe, feature.recipe.time_format
    if recipe.data.time_format != own:
        forecast, own = forecast.model_copy(update={"time_format": recipe.data.time_format}), None
    table = read_table(source, forecast, own)
    if to_forecast:
        table.set_future_aside()
    _clean(table, forecast, feature.frequency)
    bad_rows.check()
    for note in source.notes + table.notes:
        say(note)
    return table


def _borders(one: RawSeries, forecast: ForecastRecipe, share: float, recipe: Recipe) -> list[int]:
    if isinstance(recipe.data.validation, str):
        return [len(one)]
    ends = borders(len(one), forecast, share)
    if ends[-1] > len(one):
        raise DataError(
            f"`data.split` needs {ends[-1]:,} steps; series {one.name!r} has {len(one):,}.",
            hint=f"as shares: {setting('data.split', [0.7, 0.1, 0.2])}",
        )
    return ends


def _is_long(one: RawSeries, ends: list[int], table: RawTable, forecast: ForecastRecipe, bad_rows: BadRows) -> bool:
    """Whether every part holds a window; if not, the series is a bad row."""
    needed = least_context(forecast) + forecast.horizon
    lengths = [max(0, ends[0]), *np.diff(ends).tolist()]
    for number, (name, length) in enumerate(zip(("training", "validation", "test"), lengths, strict=False)):
        least = needed if number == 0 else forecast.horizon
        if length < least:
            problem = too_short(one, table, forecast, len(one), least, f", {length:,} of them for {name}")
            bad_rows.add(table.path, int(one.lines[0]), problem.message.rstrip("."), hint=problem.hint)
            return False
    return True


def too_short(
    one: RawSeries, table: RawTable, forecast: ForecastRecipe, length: int, needed: int, part: str = ""
) -> DataError:
    """What to say of a series that holds no window."""
    return DataError(
        f"series {one.name!r} has {counted(length, 'step')}{part}; a horizon of {forecast.horizon} needs {needed:,}.",
        hint=f"a shorter horizon: --set model.horizon={max(1, length * forecast.horizon // (2 * needed))} (`segment` "
        "and `split` matter as well)",
    )


def _joined(before: RawTable, table: RawTable) -> tuple[RawTable, list[tuple[int, int]]]:
    """Each series of `table` after the one of its name, and which steps of the result are its own."""
    place = {one.name: number for number, one in enumerate(before.series)}
    parts: list[tuple[int, int]] = []

    def after(one: RawSeries) -> RawSeries:
        if one.name not in place:
            raise DataError(f"series {one.name!r} of `{table.path}` is not in `{before.path}`.")
        first = before.series[place[one.name]]
        if first.stamps is not None and one.stamps is not None and one.axis()[0] <= first.axis()[-1]:
            raise DataError(f"series {one.name!r} of `{table.path}` begins before it ends in `{before.path}`.")
        parts.append((len(first), len(first) + len(one)))
        return first.joined(one)

    joined = replace(table)
    joined.change(after)
    return joined, parts


def part_windows(feature: ForecastFeature, table: RawTable, parts: list[tuple[int, int]], stride: int) -> Windows:
    """The windows whose targets lie within `parts` of each series; what comes before is only read."""
    cut = [one.take(slice(0, last)) for one, (_, last) in zip(table.series, parts, strict=True)]
    pairs = zip(cut, table.series, strict=True)
    steps = spooled(steps for some, whole in pairs for steps in feature.encode_series(some, whole))
    encoded = Sequences.from_lengths(steps, np.asarray([len(one) for one in cut]))
    before = [first for first, _ in parts]
    return cut_windows(encoded, before, feature.recipe, feature.layout, feature.facts(cut, table), stride)


def _said(table: RawTable, ends: list[list[int]], feature: ForecastFeature) -> list[str]:
    steps = [sum(one[0] for one in ends), sum(one[-1] for one in ends), sum(len(one) for one in table.series)]
    notes = [f"{len(table.series):,} series, {counted(steps[2], 'step')}, {steps[0]:,} of them for training"]
    if table.frequency is not None:
        notes.append(f"a step is {table.frequency}; the season has {counted(feature.seasons[0], 'step')}")
    if steps[2] > steps[1]:
        notes.append(f"the last {steps[2] - steps[1]:,} steps are not used (`data.split`)")
    one_each = feature.recipe.channels if feature.recipe.layout != "rows" else ()  # rows: columns are steps
    for channel, name in enumerate(one_each):
        if all(_is_still(one.values[: end[0], channel]) for one, end in zip(table.series, ends, strict=True)):
            notes.append(f"{name} does not change in the training part: there is nothing to learn of it")
    lookback = feature.recipe.lookback
    short = sum(first_origin(one[0], 0, feature.recipe) < lookback for one in ends)
    if short:
        notes.append(f"{short:,} series are shorter than lookback + horizon: their windows read what there is")
    return notes


def _is_still(values: Array) -> bool:
    """Whether a channel (L,) has one value."""
    there = values[np.isfinite(values)]
    return len(there) == 0 or bool(there.min() == there.max())
