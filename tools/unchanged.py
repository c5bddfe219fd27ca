"""Two checkouts side by side: do they learn the same, and as fast?

    OSTINATO_DATA=... python tools/unchanged.py OLD NEW --runs FOLDER [--pairs 5] [--threads 2] [RECIPE ...]

Each checkout has its `.venv`. Without `--pairs`, each recipe is trained by both, on one thread and for as many epochs
as it says or as `BRIEF` does, and the figures of its `summary.json` are compared; a run that FOLDER holds already is
not trained again. With `--pairs`, epochs are timed instead: old, new, new, old, …, so that neither always has the
warmer machine.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

BRIEF: Mapping[str, Mapping[str, Any]] = {
    "japanese-vowels": {},
    "control-generate": {},
    "names-classify": {"epochs": 1},
    "forecast-etth1": {"epochs": 1},
    "tag-ewt": {"epochs": 1},
    "music-jsb": {"epochs": 3},
    "imdb-textbook": {"epochs": 1},
    "island": {"epochs": 1, "max_minutes": "null"},
}
"""Recipes, and what keeps them short."""
_ROUNDING = 1e-9
_TIMES = ("second", "time", "rss", "memory")


def train(checkout: Path, recipe: str, out: Path, settings: Mapping[str, Any]) -> Path:
    """A run directory, made unless it is there."""
    if (out / "summary.json").exists():
        return out
    shutil.rmtree(out, ignore_errors=True)
    out.parent.mkdir(parents=True, exist_ok=True)
    options = [word for key, value in settings.items() for word in ("--set", f"training.{key}={value}")]
    command = [checkout / ".venv/bin/ostinato", "train", "--recipe", recipe, "--out", out, *options]
    place = {"OSTINATO_CACHE": str(out.parent / "cache")}
    done = subprocess.run([*map(str, command)], env={**os.environ, **place}, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, command))}\n{done.stderr[-2000:]}")
    return out


def figures(values: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, float]]:
    """Every number that is no time or memory, by its path."""
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from figures(value, f"{above}{key}.")
        elif isinstance(value, float) and not any(word in key for word in _TIMES):
            yield above + key, value


def compare(old: Path, new: Path, runs: Path, recipe: str) -> str:
    """A row: whether the weights are the same bytes, how many figures both have, and which differ."""
    settings = {**BRIEF.get(recipe, {}), "num_threads": 1, "baselines_seconds": 0}
    outs = [train(checkout, recipe, runs / side / recipe, settings) for checkout, side in ((old, "old"), (new, "new"))]
    before, after = (dict(figures(json.loads((out / "summary.json").read_text()))) for out in outs)
    both = sorted(before.keys() & after.keys())
    moved = [key for key in both if abs(before[key] - after[key]) > _ROUNDING * max(abs(before[key]), 1e-12)]
    equal = (outs[0] / "model.safetensors").read_bytes() == (outs[1] / "model.safetensors").read_bytes()
    return f"| {recipe} | {'equal' if equal else 'differ'} | {len(both)} | {', '.join(moved) or 'none'} |"


def time_pairs(old: Path, new: Path, runs: Path, recipe: str, pairs: int, threads: int) -> Iterator[str]:
    """A row a pair, then the medians."""
    settings = {**BRIEF.get(recipe, {}), "num_threads": threads, "baselines_seconds": 0}
    taken: dict[str, list[float]] = {"old": [], "new": []}
    for pair in range(pairs):
        sides = [("old", old), ("new", new)]
        for side, checkout in sides if pair % 2 == 0 else sides[::-1]:
            out = runs / f"timed-{side}" / recipe
            shutil.rmtree(out, ignore_errors=True)
            train(checkout, recipe, out, settings)
            taken[side].append(json.loads((out / "log.jsonl").read_text().splitlines()[-1])["elapsed_s"])
        yield f"| {pair + 1} | {taken['old'][-1]:.2f} | {taken['new'][-1]:.2f} | {_ratio(taken, pair):.3f} |"
    ratios = [_ratio(taken, pair) for pair in range(pairs)]
    medians = [statistics.median(taken[side]) for side in ("old", "new")]
    yield f"| medians | {medians[0]:.2f} | {medians[1]:.2f} | {statistics.median(ratios):.3f} |"


def _ratio(taken: Mapping[str, list[float]], pair: int) -> float:
    return taken["new"][pair] / taken["old"][pair]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("old", type=Path)
    parser.add_argument("new", type=Path)
    parser.add_argument("recipes", nargs="*", help="by default all that are brief")
    parser.add_argument("--runs", type=Path, required=True)
    parser.add_argument("--pairs", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    given = parser.parse_args()
    old, new, runs = (path.resolve() for path in (given.old, given.new, given.runs))
    for recipe in given.recipes or BRIEF:
        if given.pairs:
            for row in time_pairs(old, new, runs, recipe, given.pairs, given.threads):
                print(row, flush=True)
        else:
            print(compare(old, new, runs, recipe), flush=True)


if __name__ == "__main__":
    main()
