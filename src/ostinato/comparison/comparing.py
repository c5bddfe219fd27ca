"""Train several models on the same data, with several seeds each, and say which is best at what cost."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ostinato.comparison.child import run_child
from ostinato.comparison.plan import Match, Variant, Vary, plan
from ostinato.errors import MissingLibraryError, RecipeError
from ostinato.recipe import Recipe, Settings, apply_overrides, build_recipe, named_after_data, read_recipe
from ostinato.report.comparison import Contender, Scored, summarise, write_page
from ostinato.storage.files import read_json, write_atomically
from ostinato.storage.log import read_log
from ostinato.training.progress import ConsoleObserver, Observer
from ostinato.training.run_folder import DATA_FILE, LOG_FILE, SUMMARY_FILE
from ostinato.training.train import device_of
from ostinato.wording import A_FILE, command, set_options

RESULT_FILE, PAGE_FILE = "comparison.json", "comparison.html"


@dataclass(frozen=True)
class Comparison:
    """What a comparison found.

    folder: with a run a variant and seed, `comparison.json` and `comparison.html`; results: the content of
    `comparison.json`: `sentence`, and `variants`, best first, each with `mean`, `sd`, costs and `runs`.
    """

    folder: Path
    results: dict[str, Any]


def compare(
    recipe: Recipe | str | Path,
    *,
    cells: Sequence[str] = (),
    vary: Vary | None = None,
    num_seeds: int = 3,
    match: Match = "parameters",
    minutes: float | None = None,
    settings: Settings = (),
    out: str | Path | None = None,
    observer: Observer | None = None,
) -> Comparison:
    """Train each variant with each seed in a process of its own, and compare quality, time, memory and FLOPs.

    Every run is chosen and compared on the validation data by `training.monitor`, cross-fitted (`training.halves`), so
    that the choice of an epoch flatters none; `data.test` is not used. The split of the data is the same for all seeds.
    Simple baselines are left to `ostinato baselines RUN`. An interrupted comparison
    is resumed.

    Args:
        recipe: a recipe, its file, or the name of a ready one.
        cells: names of cells (`rnn` is `elman`); none: the recipe's own.
        vary: recipe keys, each with the values it takes: `{"model.embedding_dim": [8, 16]}`.
        num_seeds: runs of each variant, `training.seed` = 0, 1, …; at least 1, default 3.
        match: `parameters`: hidden sizes that bring each to the first one's number of parameters; `time`: each trains
            for `minutes`; `none`: as they are.
        minutes: of each run, for `time`, of processor time, so that other work on the machine is not counted; on a
            GPU, of time that passes. Default: the recipe's `training.max_minutes`.
        settings: recipe keys to set, as in `ostinato.train`.
        out: the folder; by default `runs/NAME-comparison`.
        observer: receives progress; by default a display on stderr.

    Raises:
        RecipeError: for a recipe or arguments that can't be used.
        DataError: for data that can't be used.
        RunError: if a run fails, or the folder holds another comparison.

    Example:
        >>> found = compare("runs/names/recipe.yaml", cells=["rnn", "gru"], num_seeds=1)
        >>> sorted(variant["name"] for variant in found.results["variants"])
        ['elman', 'gru']
    """
    observer = observer or ConsoleObserver()
    settings = settings if isinstance(settings, Mapping) else list(settings)
    base = _base(recipe, settings, match, minutes)
    if num_seeds < 1:
        raise RecipeError(f"`num_seeds` must be at least 1. Received: {num_seeds}.")
    folder = Path(out) if out is not None else Path("runs") / f"{base.name}-comparison"
    variants = plan(base, cells, vary or {}, match, observer)
    contenders = [_contender(variant, folder, num_seeds, observer) for variant in variants]
    again = _command(recipe, cells, vary or {}, num_seeds, match, minutes, settings)
    results = summarise(base.name, base.training.monitor, match, contenders, _budget(base, match), again)
    write_atomically(folder / RESULT_FILE, json.dumps(results, indent=1, ensure_ascii=False).encode())
    try:
        write_page(folder / PAGE_FILE, results, base)
    except MissingLibraryError as error:
        observer.note(f"no page: {error}")
    return Comparison(folder, results)


def _command(
    recipe: Recipe | str | Path,
    cells: Sequence[str],
    vary: Vary,
    num_seeds: int,
    match: Match,
    minutes: float | None,
    settings: Settings,
) -> str | None:
    """The command that makes the same comparison; None for a recipe that stands in no file."""
    if isinstance(recipe, Recipe):
        return None
    words: list[object] = ["compare", "--recipe", recipe, "--seeds", num_seeds, "--match", match]
    words += ["--cells", ",".join(cells)] if cells else []
    words += ["--minutes", f"{minutes:g}"] if minutes is not None else []
    for key, values in vary.items():
        words += ["--vary", f"{key}=" + ",".join(one if isinstance(one, str) else json.dumps(one) for one in values)]
    if isinstance(settings, Mapping):
        return command(*words, *set_options(settings))
    return command(*words, *(word for one in settings for word in ("--set", one)))


def _base(recipe: Recipe | str | Path, settings: Settings, match: Match, minutes: float | None) -> Recipe:
    """The recipe that all variants share."""
    mapping = recipe.model_dump(mode="json") if isinstance(recipe, Recipe) else read_recipe(recipe)
    mapping = apply_overrides(apply_overrides(mapping, settings), {"training.baselines_seconds": 0})
    base = build_recipe(named_after_data(mapping))
    if base.data.train is None:
        raise RecipeError("`data.train` is not set.", hint=A_FILE)
    if match != "time":
        if minutes is not None:
            raise RecipeError(f"`minutes` only applies with match: time. Received: {minutes:g}, with match: {match}.")
        return base
    budget = minutes if minutes is not None else base.training.max_minutes
    if budget is None or budget <= 0:
        raise RecipeError(f"match: time needs a positive number of minutes. Received: {budget}.", hint="--minutes 5")
    clock = "processor" if device_of(base).type == "cpu" else "wall"
    changes = {"max_minutes": budget, "clock": clock, "epochs": 1_000_000, "patience": None}
    return build_recipe(
        apply_overrides(base.model_dump(mode="json"), {f"training.{key}": value for key, value in changes.items()})
    )


def _budget(recipe: Recipe, match: Match) -> str | None:
    """What each model is given where time is made equal, in words."""
    if match != "time":
        return None
    minutes, of = recipe.training.max_minutes, "processor time" if recipe.training.clock == "processor" else "time"
    return f"{minutes:g} minute{'' if minutes == 1 else 's'} of {of}"


def _contender(variant: Variant, folder: Path, num_seeds: int, observer: Observer) -> Contender:
    scored: list[Scored] = []
    for seed in range(num_seeds):
        place = folder / _file_name(variant.name) / f"seed-{seed}"
        observer.note(f"{variant.name}, seed {seed} ({variant.num_parameters:,} parameters)")
        changed = apply_overrides(variant.recipe.model_dump(mode="json"), {"training.seed": seed})
        cost = run_child(build_recipe(changed), place)
        summary, data = read_json(place / SUMMARY_FILE), read_json(place / DATA_FILE)
        metric = variant.recipe.training.monitor
        if metric not in summary["validation"]:
            raise RecipeError(f"`training.monitor`: the runs have no {metric}.")
        one = Scored(
            seed=seed,
            quality=float(summary.get("crossfitted", summary["validation"]).get(metric, summary["validation"][metric])),
            epochs=float(summary["epochs"]),
            best_epoch=int(summary["best_epoch"]),
            seconds=float(summary["seconds"]),
            cpu_s=cost.cpu_s,
            peak_bytes=cost.peak_bytes,
            steps=round(float(summary["epochs"]) * int(data["train"]["tokens"])),
            curve=[(one["step"], one["loss"]) for one in read_log(place / LOG_FILE)[1]],
            about={key: str(summary[key]) for key in ("machine", "ostinato", "torch") if key in summary},
            metrics={key: value for key, value in summary["validation"].items() if isinstance(value, int | float)},
        )
        observer.note(f"  {metric} {one.quality:.4g} in {one.seconds:,.0f} s")
        scored.append(one)
    shape = variant.recipe.model
    return Contender(
        variant.name, shape.cell, shape.hidden_size, variant.num_parameters, variant.flops_per_step, tuple(scored)
    )


def _file_name(name: str) -> str:
    return "".join(c if c.isalnum() or c in "-_.=" else "_" for c in name)
