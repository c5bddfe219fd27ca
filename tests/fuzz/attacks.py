"""What is attacked: recipes, data files, run directories. Each attack ends well, or in an `OstinatoError`."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

import ostinato
from ostinato.data.describe import describe
from ostinato.recipe import build_recipe
from ostinato.recipe.load import apply_overrides, ready_recipes
from ostinato.recipe.migrate import migrated
from tests.fuzz.files import samples
from tests.fuzz.mutation import mutated

OLD_RUNS = Path(__file__).parents[1] / "fixtures" / "old_runs"
VALUES = (
    "null", "true", "[]", "{}", "[1,2]", "{a: 1}", "-1", "0", "1e400", ".nan", ".inf", "2020-01-01", "''", "[[]]",
    "2020-01-01T00:00:00Z", "{a: {b: {c: null}}}", "{1: 2}", "{2020-01-01: 3}", "{null: 1}", "{true: 1}", "{[1]: 2}",
    "? [a]\n: b", "!!binary aGk=", "!!set {a, b}", "!!omap [a: 1]", "!!python/object:os.system x", "&a [*a]",
    "&a {b: *a}", "9" * 5000, "9" * 30, "1_000", "1:30", "~", "x" * 10_000, '"\\u0000"', '"\\ud800"', "[null]",
    "{kind: null}", "{kind: [1]}", "{kind: {}}", "{kind: text, unit: {}}", "{task: null}", "{task: 5}", "{task: []}",
    "{kind: series, bogus: 1}", "{task: tagging, cell: 5}", "classification", "auto",
    "[" * 3000, "{a: " * 99 + "}" * 99,
)  # fmt: skip
KEYS = (
    "model", "model.task", "model.kind", "model.cell", "model.forecast.time", "model.decoder", "model.notes",
    "model.numbers", "features", "features.input", "features.target.kind", "features.extra", "features.extra.a",
    "features.extra.a.kind", "data", "data.columns", "data.header", "data.series", "training", "training.bptt", "name",
)  # fmt: skip

Attack = tuple[str, Callable[[], object]]
"""What it is, to be said where it went wrong, and the attack."""


def _keys(mapping: Mapping[str, Any], before: str = "") -> Iterator[str]:
    for key, value in mapping.items():
        yield f"{before}{key}"
        if isinstance(value, Mapping):
            yield from _keys(value, f"{before}{key}.")


def recipes(rng: random.Random, folder: Path) -> Attack:
    """A ready recipe with some `--set`."""
    base = yaml.safe_load(rng.choice(list(ready_recipes().values())).read_text(encoding="utf-8"))
    keys = [*_keys(base), *KEYS]
    settings = [f"{rng.choice(keys)}={rng.choice(VALUES)}" for _ in range(rng.randint(1, 3))]

    def attack() -> object:
        mapping = apply_overrides(base, settings)
        return build_recipe(migrated(mapping) if rng.random() < 0.3 else mapping)

    return "; ".join(one[:80] for one in settings), attack


def data_files(rng: random.Random, folder: Path) -> Attack:
    """A damaged file of some format, described as `ostinato data describe` does."""
    name, raw = rng.choice(samples())
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(mutated(raw, rng))
    return name, lambda: describe(str(path))


def runs(rng: random.Random, folder: Path) -> Attack:
    """A run directory with one damaged file, opened."""
    run = rng.choice(sorted(path for path in OLD_RUNS.iterdir() if (path / "recipe.yaml").is_file()))
    copy = shutil.copytree(run, folder / "run")
    path = rng.choice(sorted(copy.glob("*.*")))
    path.write_bytes(mutated(path.read_bytes(), rng))
    return f"{run.name}/{path.name}", lambda: ostinato.load(copy).summary


ATTACKS = {"recipes": recipes, "data files": data_files, "runs": runs}
