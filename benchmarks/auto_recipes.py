"""The committed recipes trained again, and what no options make of the same rows in the recipe's own time.

    python benchmarks/auto_recipes.py [RECIPE ...] [--folds 5] [--set KEY=VALUE ...] [--out FOLDER] [--report FILE.md]

For each recipe: it is trained as it stands, but for its baselines; then a recipe that says of the model its task
alone, and of features what the figure depends on (how targets are read, of which kind inputs are), with as many minutes
of processor time as the first took. Both are scored on the recipe's validation rows, never on a test part; where a
classifier has fewer than 100, both are cross-validated. With `--out`, what has been measured is kept, and not measured
again.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import bare
import yaml

RECIPES = Path(__file__).parents[1] / "recipes"
_FEW = 100
"""Validation rows below which folds are asked."""
_FIGURES = ("nats_per_frame", "bits_per_character", "nats_per_token", "mse", "accuracy")
"""The first that both have, where a recipe does not monitor another."""
_MORE_IS_BETTER = ("accuracy", "token_accuracy", "f1", "bleu", "exact")
_KEPT = ("kind", "frames_per_beat", "ignore", "split", "encoding")
"""Of an input: what it is, not how it is best read."""


@dataclass(frozen=True)
class Found:
    """Of a recipe: the figure of both, and the processor seconds each took."""

    name: str
    figure: str
    rows: str
    recipe: float
    plan: float
    recipe_seconds: float
    plan_seconds: float

    @property
    def gain(self) -> float:
        """Of the plan over the recipe: points where a figure is a share, else its own units; more is better."""
        more = self.plan - self.recipe
        return (100 * more if self.figure in _MORE_IS_BETTER else -more) if self.figure != "bleu" else more


# ---- what is trained ------------------------------------------------------------------------------------------------
def without_options(recipe: Mapping[str, Any]) -> dict[str, Any]:
    """A recipe that leaves the model, the training and the reading of its inputs open."""
    features = recipe.get("features", {})
    target, extra = features.get("target"), features.get("extra", {})
    series = recipe["model"]["task"] in ("language_model", "next_step")
    read = features.get("input", {})
    inputs = read if series else {key: read[key] for key in _KEPT if key in read}
    found = {
        "input": inputs,
        "target": target,
        "extra": {name: {key: one[key] for key in _KEPT if key in one} for name, one in extra.items()},
    }
    return {
        "name": f"{recipe['name']}-planned",
        "data": recipe["data"],
        "features": {key: value for key, value in found.items() if value},
        "model": {"task": recipe["model"]["task"], **_question(recipe["model"])},
    }


def _question(model: Mapping[str, Any]) -> dict[str, Any]:
    """What a model is asked, where its figure depends on it: how far a forecast goes, what a note is given."""
    notes = {key: value for key, value in model.get("notes", {}).items() if key == "output"}
    asked = {key: model[key] for key in ("horizon",) if key in model}
    return {**asked, **({"notes": notes} if notes else {})}


def _score(recipe: Path | str, folds: int, settings: Sequence[str], out: Path) -> tuple[dict[str, Any], str, float]:
    """Its figures, of how many rows, and processor seconds; of folds where there are any."""
    before = bare.seconds()
    if folds:
        given = ["crossvalidate", recipe, "--folds", folds, *bare.options(settings), "--out", out]
        told = bare.ostinato(*given)
        figures = {name: one["mean"] for name, one in told["metrics"].items()}
        rows = f"{sum(one['num_examples'] for one in told['folds']):,} in {len(told['folds'])} folds"
    else:
        told = bare.ostinato("train", "--recipe", recipe, *bare.options(settings), "--out", out)
        figures = told["validation"]
        rows = f"{figures['num_examples']:,}"
    return figures, rows, bare.seconds() - before


def measure(name: str, folds: int, settings: Sequence[str], folder: Path) -> Found:
    """One recipe."""
    recipe = yaml.safe_load((RECIPES / f"{name}.yaml").read_text(encoding="utf-8"))
    ours = folder / "plan.yaml"
    ours.write_text(yaml.safe_dump(without_options(recipe), sort_keys=False), encoding="utf-8")
    always = ["training.num_threads=1", *settings]
    timed = ["training.clock=processor"] if "max_minutes" in recipe["training"] else []
    alone = ["training.baselines_seconds=0"]
    figures, rows, used = _score(name, 0, [*always, *timed, *alone], folder / "recipe")
    few = folds if figures["num_examples"] < _FEW and recipe["model"]["task"] == "classification" else 0
    if few:
        figures, rows, used = _score(name, few, [*always, *timed, *alone], folder / "recipe-folds")
    minutes = used / 60 / max(few, 1)
    given = [*always, *alone, "training.clock=processor", f"training.max_minutes={minutes:.3f}"]
    planned, _, took = _score(ours, few, given, folder / "plan")
    asked = recipe["training"].get("monitor", "loss")
    figure = next(one for one in (asked, *_FIGURES) if one != "loss" and one in figures and one in planned)
    each = max(few, 1)
    return Found(name, figure, rows, figures[figure], planned[figure], used / each, took / each)


# ---- what is shown --------------------------------------------------------------------------------------------------
def report(found: Sequence[Found]) -> str:
    """A table."""
    heads = ["recipe", "figure", "validation rows", "recipe", "no options", "gain", "CPU seconds"]
    return "\n".join(bare.table(heads, map(_row, found)))


def _row(one: Found) -> list[str]:
    share = one.figure in _MORE_IS_BETTER and one.figure != "bleu"
    figures = [f"{100 * each:.1f}" if share else f"{each:.4g}" for each in (one.recipe, one.plan)]
    gain = f"{one.gain:+.1f}" if share else f"{one.gain:+.3g}"
    return [one.name, one.figure, one.rows, *figures, gain, f"{one.recipe_seconds:.0f}, {one.plan_seconds:.0f}"]


def _measured(names: Sequence[str], given: argparse.Namespace) -> Iterator[Found]:
    for name in names:
        kept = given.out / f"{'-'.join([name, *given.settings])}.json" if given.out else None
        if kept is not None and kept.exists():
            yield Found(**json.loads(kept.read_text(encoding="utf-8")))
            continue
        with tempfile.TemporaryDirectory() as folder:
            found = measure(name, given.folds, given.settings, Path(folder))
        if kept is not None:
            kept.parent.mkdir(parents=True, exist_ok=True)
            kept.write_text(json.dumps(asdict(found)), encoding="utf-8")
        print(_row(found), flush=True)
        yield found


def main() -> None:
    """Measure, and print a table."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("recipes", nargs="*", help="by default all")
    options.add_argument("--folds", type=int, default=5)
    options.add_argument("--set", action="append", default=[], dest="settings", metavar="KEY=VALUE")
    options.add_argument("--out", type=Path)
    options.add_argument("--report", type=Path)
    given = options.parse_args()
    names = given.recipes or sorted(path.stem for path in RECIPES.glob("*.yaml"))
    bare.finish(report(list(_measured(names, given))), given.report)


if __name__ == "__main__":
    main()
