"""Runs with 128 units, trained for a moment on made-up data: a part of `serving.py`."""

from __future__ import annotations

import json
import random
import string
import wave
from pathlib import Path
from typing import Any

import numpy as np
from serving_exactness import Draw, Trained

import ostinato
from ostinato.tasks.sound_streaming import as_it_comes
from ostinato.training.progress import Observer

UNITS, RATE = 128, 16_000
TRAINING = {"training.epochs": 1, "training.num_threads": 1, "training.baselines_seconds": 0, "training.batch_size": 16}
LETTERS = string.ascii_lowercase + " "


def make_runs(folder: Path) -> dict[str, Trained]:
    """A language model, a classifier, a tagger that answers two steps later, a next-step model, and a classifier of
    sound at 16 kHz."""
    _write(folder)
    forward = {"model.bidirectional": False}
    series: Draw = lambda r, n: [[round(r.gauss(0, 1), 2), round(r.gauss(0, 1), 2)] for _ in range(n)]  # noqa: E731
    plans: dict[str, tuple[str, dict[str, Any], Draw]] = {
        "text": ("text.txt", {"model.cell": "lstm"}, lambda r, n: "".join(r.choice(LETTERS) for _ in range(n))),
        "waves": ("waves.jsonl", {"model.task": "classification", "model.cell": "gru", **forward}, series),
        "tags": (
            "tags.jsonl",
            {"model.task": "tagging", "model.delay": 2, **forward},
            lambda r, n: [r.choice("abcdef") for _ in range(n)],
        ),
        "motion": ("motion.jsonl", {"model.task": "next_step"}, series),
        "spoken": ("spoken.jsonl", {"model.cell": "gru", **forward}, _samples),
    }
    columns = {"text": {}, "motion": {"input": "x"}}
    found = {}
    for name, (data, settings, draw) in plans.items():
        out, given = folder / name, columns.get(name, {"input": "x", "target": "y"})
        options = {**TRAINING, "model.hidden_size": UNITS, **settings}
        run = ostinato.train(folder / data, settings=options, out=out, observer=Observer(), **given)
        model = as_it_comes(run.spec.streaming(run.model, run.features, run.recipe), run.features)
        front = run.features.input.front
        delay = int(settings.get("model.delay", 0)) if front is None else front.delay
        found[name] = Trained(out, model, draw, model.given_a_step, delay)
    return found


def _samples(r: random.Random, steps: int) -> list[float]:
    """About so many steps of sound, each of 160 samples."""
    return [r.randint(-99, 99) / 100 for _ in range(r.randint(1, 160 * min(steps, 5)) if steps else 0)]


def _write(folder: Path) -> None:
    rng, draw = random.Random(0), np.random.default_rng(0)
    (folder / "text.txt").write_text("".join(rng.choice(LETTERS) for _ in range(20_000)))
    numbers = draw.normal(size=(400, 20, 2)).round(2)
    _jsonl(folder / "waves.jsonl", [{"x": one.tolist(), "y": "up" if one.mean() > 0 else "down"} for one in numbers])
    _jsonl(folder / "motion.jsonl", [{"x": one.tolist()} for one in numbers])
    words = [[rng.choice("abcdef") for _ in range(12)] for _ in range(300)]
    _jsonl(folder / "tags.jsonl", [{"x": row, "y": [word.upper() for word in row]} for row in words])
    rows = []
    for number in range(60):
        hz = 300 * (1 + number % 3) * draw.uniform(0.95, 1.05)
        sound = 0.3 * np.sin(2 * np.pi * hz * np.arange(RATE // 2) / RATE) + 0.02 * draw.normal(size=RATE // 2)
        with wave.open(str(folder / f"{number}.wav"), "wb") as file:
            file.setparams((1, 2, RATE, len(sound), "NONE", ""))
            file.writeframes((sound * 32767).astype("<i2").tobytes())
        rows.append({"x": f"{number}.wav", "y": "abc"[number % 3]})
    _jsonl(folder / "spoken.jsonl", rows)


def _jsonl(path: Path, rows: list[dict[str, Any]]) -> None:
    path.write_text("\n".join(map(json.dumps, rows)) + "\n")
