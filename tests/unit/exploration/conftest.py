"""A language model some of whose units are set by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import ostinato
from ostinato.recipe import build_recipe
from ostinato.training.progress import Observer
from ostinato.training.train import train_recipe


def planted_text(seed: int, size: int) -> str:
    draw, parts, depth, inside = np.random.default_rng(seed), list[str](), 0, False
    while len(parts) < size:
        kind = draw.random()
        if kind < 0.08 and depth < 4:
            parts, depth = [*parts, "("], depth + 1
        elif kind < 0.16 and depth:
            parts, depth = [*parts, ")"], depth - 1
        elif kind < 0.22:
            parts, inside = [*parts, "”" if inside else "“"], not inside
        elif kind < 0.26:
            parts.append("\n")
        else:
            parts.append(str(draw.choice(list("abcde "))))
    return "".join(parts)


@pytest.fixture(scope="package")
def planted(tmp_path_factory: pytest.TempPathFactory) -> ostinato.Run:
    """A language model of 16 units, three of which are set by hand: 3 counts brackets, 7 holds quotes, 11 counts the
    steps of a line."""
    folder = tmp_path_factory.mktemp("planted")
    (folder / "text.txt").write_text(planted_text(0, 6000))
    recipe = build_recipe(
        {
            "data": {"train": str(folder / "text.txt")},
            "model": {"embedding": "one_hot", "hidden_size": 16, "ngrams": 0},
            "training": {"epochs": 1, "num_threads": 1, "baselines_seconds": 0},
        }
    )
    run = ostinato.load(train_recipe(recipe, folder / "run", Observer()))
    ids, layer = run.features.text.vocabulary.ids, run.model.encoder.layers[0]
    with torch.no_grad():
        names = dict(layer.named_parameters())
        size = 16
        for unit in (3, 7, 11):
            for gate in range(4):
                row = gate * size + unit
                for name in ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"):
                    names[name][row] = 0.0
                names["bias_ih_l0"][row] = 0.0 if gate == 2 else 20.0
        for unit, opening, closing in ((3, "(", ")"), (7, "“", "”")):
            names["weight_ih_l0"][2 * size + unit, ids[opening]] = 0.3
            names["weight_ih_l0"][2 * size + unit, ids[closing]] = -0.3
        names["weight_ih_l0"][size + 11, ids["\n"]] = -40.0
        names["bias_ih_l0"][2 * size + 11] = 0.01
    return run
