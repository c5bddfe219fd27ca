"""Tiny trained runs, one of each category that answers with more than one value a row."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from tests.tagged import tagged_by_the_word_before

from ostinato.recipe import build_recipe
from ostinato.training.progress import Observer
from ostinato.training.train import train_recipe

SMALL: dict[str, Any] = {"embedding_dim": 6, "hidden_size": 6}


def train_all(folder: Path) -> dict[str, Path]:
    """A run of each of `CATEGORIES` below `folder`, by name."""
    return {name: _train(folder / name, make(folder / name)) for name, make in CATEGORIES.items()}


def train_one(folder: Path, name: str, **model: Any) -> Path:
    """One of `CATEGORIES`, with other settings of the model."""
    mapping = CATEGORIES[name](folder / name)
    return _train(folder / name, {**mapping, "model": {**mapping["model"], **model}})


def _train(folder: Path, mapping: dict[str, Any]) -> Path:
    training = {"epochs": 2, "batch_size": 16, "num_threads": 1, "baselines_seconds": 0, "learning_rate": 0.02}
    mapping["training"] = {**training, **mapping.get("training", {})}
    return train_recipe(build_recipe(mapping), folder / "run", Observer())


def _random(folder: Path) -> np.random.Generator:
    folder.mkdir(parents=True)
    return np.random.default_rng(0)


def _tagger(folder: Path) -> dict[str, Any]:
    """A word is tagged by the word before it."""
    path = tagged_by_the_word_before(folder / "words.conll", 120, ["a", "bb", "abc"], _random(folder))
    return {
        "data": {"train": str(path), "validation": 0.3},
        "features": {"input": {"kind": "tokens", "characters": True}},
        "model": {"task": "tagging", "bidirectional": True, **SMALL},
        "training": {"epochs": 10},
    }


def _music(folder: Path) -> dict[str, Any]:
    draw = _random(folder)
    parts: dict[str, Any] = {}
    for name, count in (("train", 12), ("valid", 6)):
        lengths = draw.integers(3, 30, count)
        parts[name] = (draw.random((int(lengths.sum()), 88)) < 0.05).astype(np.uint8)
        parts[f"{name}_lengths"] = lengths
    np.savez(folder / "rolls.npz", **parts)
    return {
        "data": {"train": f"{folder}/rolls.npz#train", "validation": f"{folder}/rolls.npz#valid"},
        "features": {"input": {"kind": "notes"}},
        "model": {"task": "next_step", "notes": {"output": "autoregressive", "output_size": 5}, "hidden_size": 6},
        "training": {"batch_size": 3, "bptt": 5},
    }


def _forecaster(folder: Path) -> dict[str, Any]:
    draw = _random(folder)
    steps = np.arange(160)
    values = np.sin(steps / 4)[:, None] * [1.0, 2.0] + 0.1 * draw.standard_normal((160, 2))
    lines = [f"2024-01-{1 + n // 24:02d} {n % 24:02d}:00,{a:.3f},{b:.3f}" for n, (a, b) in enumerate(values.tolist())]
    (folder / "series.csv").write_text("\n".join(["date,a,b", *lines]) + "\n")
    return {
        "data": {"train": str(folder / "series.csv"), "time": "date", "split": [100, 40, 20]},
        "model": {
            "task": "forecasting",
            "cell": "gru",
            "lookback": 24,
            "horizon": 4,
            "strategy": "direct",
            "channel_independent": True,
            "hidden_size": 6,
        },
    }


def _seq2seq(folder: Path) -> dict[str, Any]:
    """Each letter as a sound."""
    draw = _random(folder)
    words = ["".join(draw.choice(list("abcd"), size=int(draw.integers(2, 7)))) for _ in range(150)]
    (folder / "words.txt").write_text("".join(f"{word}  {' '.join(word.upper())}\n" for word in words))
    return {
        "data": {"train": str(folder / "words.txt"), "format": "pairs", "validation": 0.3},
        "model": {"task": "seq2seq", "bidirectional": True, "decoder": {"max_new_tokens": 8}, **SMALL},
        "training": {"epochs": 4},
    }


def _conditional(folder: Path) -> dict[str, Any]:
    """Names of one language end in -ski, of the other in -ez."""
    draw = _random(folder / "names").choice(list("abcd"), size=(2, 60, 3))
    for language, end, names in (("Polish", "ski", draw[0]), ("Spanish", "ez", draw[1])):
        (folder / f"names/{language}.txt").write_text("".join(f"{''.join(name)}{end}\n" for name in names))
    return {
        "data": {"train": str(folder / "names"), "format": "lines", "input": "label", "target": "text"},
        "features": {"input": {"kind": "category"}, "target": {"kind": "text", "unit": "characters"}},
        "model": {"task": "conditional", "decoder": {"condition": "both", "max_new_tokens": 8}, **SMALL},
        "training": {"epochs": 4},
    }


CATEGORIES = {
    "tagger": _tagger,
    "next_step": _music,
    "forecaster": _forecaster,
    "seq2seq": _seq2seq,
    "conditional": _conditional,
}
"""By the model's kind: what makes the data of a run and its recipe."""
