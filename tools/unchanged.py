"""Two checkouts side by side: do they learn the same, and as fast?

    OSTINATO_DATA=... python tools/unchanged.py OLD NEW --runs FOLDER [--pairs 5] [--threads 2] [RECIPE ...]

Each checkout has its `.venv`. Without `--pairs`, each recipe is trained by both, on one thread and for as many epochs
as it says or as `BRIEF` does, and the figures of its `summary.json` are compared; a run that FOLDER holds already is
not trained again. With `--pairs`, epochs are timed instead, both in turns of half a second.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import statistics
import subprocess
import time
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
_TURN, _POLL = 0.5, 0.01
_TIMES = ("second", "time", "rss", "memory")


def train(checkout: Path, recipe: str, out: Path, settings: Mapping[str, Any]) -> Path:
    """A run directory, made unless it is there."""
    if (out / "summary.json").exists():
        return out
    shutil.rmtree(out, ignore_errors=True)
    out.parent.mkdir(parents=True, exist_ok=True)
    command = _command(checkout, recipe, out, settings)
    place = {"OSTINATO_CACHE": str(out.parent / "cache")}
    done = subprocess.run(command, env={**os.environ, **place}, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}\n{done.stderr[-2000:]}")
    return out


def _command(checkout: Path, recipe: str, out: Path, settings: Mapping[str, Any]) -> list[str]:
    options = [word for key, value in settings.items() for word in ("--set", f"training.{key}={value}")]
    return [str(checkout / ".venv/bin/ostinato"), "train", "--recipe", recipe, "--out", str(out), *options]


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


def time_slices(old: Path, new: Path, runs: Path, recipe: str, pairs: int, threads: int) -> Iterator[str]:
    """A row a pair, then the medians. Both train at the same time and take turns of half a second, the other one
    stopped meanwhile, so that a machine which is slower for a while is so for both."""
    taken: dict[str, list[float]] = {"old": [], "new": []}
    settings = {**BRIEF.get(recipe, {}), "num_threads": threads, "baselines_seconds": 0}
    for pair in range(pairs):
        turns = [
            _Turns(checkout, recipe, runs / f"timed-{side}", settings)
            for side, checkout in (("old", old), ("new", new))
        ]
        for one in turns:
            one.until_training()
        while not all(one.ended for one in turns):
            for one in turns if pair % 2 == 0 else turns[::-1]:
                one.turn()
        for side, one in zip(taken, turns, strict=True):
            taken[side].append(one.finish())
        yield f"| {pair + 1} | {taken['old'][-1]:.2f} | {taken['new'][-1]:.2f} | {_ratio(taken, pair):.3f} |"
    ratios = [_ratio(taken, pair) for pair in range(pairs)]
    medians = [statistics.median(taken[side]) for side in taken]
    yield f"| medians | {medians[0]:.2f} | {medians[1]:.2f} | {statistics.median(ratios):.3f} |"


class _Turns:
    """A training that runs only in its turns, from its first update to the scores of its last epoch."""

    def __init__(self, checkout: Path, recipe: str, runs: Path, settings: Mapping[str, Any]) -> None:
        self._log, self._seconds = runs / recipe / "log.jsonl", 0.0
        shutil.rmtree(runs / recipe, ignore_errors=True)
        options = {**os.environ, "OSTINATO_CACHE": str(runs / "cache")}
        runs.mkdir(parents=True, exist_ok=True)
        self._process = subprocess.Popen(
            _command(checkout, recipe, runs / recipe, settings), env=options, stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        self._epochs = int(settings["epochs"])

    @property
    def ended(self) -> bool:
        """Whether the last epoch is scored."""
        if self._process.poll() not in (None, 0):
            raise SystemExit(self._process.communicate()[1][-2000:])
        last = self._last()
        return last.get("kind") == "validation" and last["epoch"] >= self._epochs

    def until_training(self) -> None:
        """Let it read its data and stop it at its first update."""
        while not self._last() and not self.ended:
            time.sleep(_POLL)
        self._process.send_signal(signal.SIGSTOP)

    def turn(self) -> None:
        """Half a second of its own, or less where it ends."""
        if self.ended:
            return
        self._process.send_signal(signal.SIGCONT)
        begun = time.perf_counter()
        while time.perf_counter() - begun < _TURN and not self.ended:
            time.sleep(_POLL)
        self._seconds += time.perf_counter() - begun
        self._process.send_signal(signal.SIGSTOP)

    def finish(self) -> float:
        """Let it write what it still has to; returns the seconds of its turns."""
        self._process.send_signal(signal.SIGCONT)
        self._process.communicate()
        return self._seconds

    def _last(self) -> Mapping[str, Any]:
        """The last whole line of the log; empty where there is none."""
        tail = self._log.read_bytes()[-4096:] if self._log.exists() else b""
        whole = tail[: tail.rfind(b"\n")].split(b"\n")[-1] if b"\n" in tail else b""
        found: Mapping[str, Any] = json.loads(whole) if whole else {}
        return found


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
            for row in time_slices(old, new, runs, recipe, given.pairs, given.threads):
                print(row, flush=True)
        else:
            print(compare(old, new, runs, recipe), flush=True)


if __name__ == "__main__":
    main()
