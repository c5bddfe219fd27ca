"""Classifiers with convolutions beside their recurrent layers: trained, resumed, loaded, verified, diagnosed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ostinato.api import resume, train
from ostinato.errors import RecipeError
from ostinato.recipe import apply_overrides, build_recipe
from ostinato.report.head import model_table
from ostinato.run import load
from ostinato.tasks.classification.model import Classifier
from ostinato.tasks.classification.recipe import ClassificationRecipe, ConvolutionRecipe
from ostinato.training.progress import Observer
from ostinato.training.train import MODEL_FILE
from ostinato.training.weights import load_tensors
from ostinato.types import Ragged

CONVOLUTION = {"channels": [4, 6], "kernels": [5, 3]}


def _recipe(data: Path, **settings: Any) -> dict[str, Any]:
    mapping = {
        "data": {"train": str(data), "input": "wave", "target": "label", "validation": 0.25},
        "model": {"task": "classification", "cell": "gru", "hidden_size": 4, "convolution": CONVOLUTION},
        "training": {"epochs": 6, "batch_size": 8, "learning_rate": 0.03, "baselines_seconds": 0, "num_threads": 1},
    }
    return apply_overrides(mapping, [f"{key}={json.dumps(value)}" for key, value in settings.items()])


@pytest.fixture
def waves(tmp_path: Path) -> Path:
    """A spike somewhere in the noise, or a dip."""
    random = np.random.default_rng(0)
    lines = []
    for number in range(60):
        row = random.normal(size=int(random.integers(8, 20))) * 0.1
        place = int(random.integers(1, len(row) - 1))
        row[place - 1 : place + 2] += np.asarray([0.5, 1.0, 0.5]) * (1 if number % 2 else -1)
        lines.append(json.dumps({"wave": row.round(3).tolist(), "label": "spike" if number % 2 else "dip"}))
    path = tmp_path / "waves.jsonl"
    path.write_text("\n".join(lines))
    return path


def test_the_head_reads_the_mean_over_each_row_beside_the_pooled_states() -> None:
    torch.manual_seed(0)
    recipe = ClassificationRecipe(
        hidden_size=3, embedding_dim=2, convolution=ConvolutionRecipe(channels=(5,), kernels=(3,))
    )
    model = Classifier(recipe, vocab_size=10, num_outputs=4).eval()
    ids = Ragged.from_rows(torch.tensor([4, 7, 7, 5, 9]), starts=[0, 3, 5], lengths=[3, 2, 0])
    vectors = model.encoder.embedding(ids)
    assert model.convolution is not None
    means = [row.mean(0) if len(row) else row.new_zeros(5) for row in model.convolution(vectors).split_rows()]
    pooled = torch.cat([model.pooling(model.encoder(ids)[0]), torch.stack(means)], dim=1)
    torch.testing.assert_close(model(ids), model.output(pooled))


def test_a_run_is_resumed_exactly_loaded_verified_and_diagnosed(waves: Path, tmp_path: Path) -> None:
    whole = train(recipe=build_recipe(_recipe(waves)), out=tmp_path / "whole", observer=Observer())
    assert whole.summary["validation"]["accuracy"] == 1.0
    half = train(
        recipe=build_recipe(_recipe(waves, **{"training.epochs": 3})), out=tmp_path / "half", observer=Observer()
    )
    resumed = resume(half.folder, settings={"training.epochs": 6}, observer=Observer())
    one, other = (load_tensors(run.folder / MODEL_FILE) for run in (whole, resumed))
    assert not torch.equal(one["convolution.norms.0.mean"], torch.zeros(4))
    assert all(torch.equal(one[name], other[name]) for name in one)
    again = load(whole.folder)
    assert again.predict([[0.0, 0.1, 0.6, 1.0, 0.5, 0.0, 0.1, 0.0]])[0].label == "spike"
    assert again.verify().passed
    assert "parallel convolutions saw all of each row" in again.diagnose().remarks[0]
    table = model_table(
        again.model, again.recipe, again.features, again.spec.parts(again.model, again.recipe, again.features)
    )
    assert table["total"] == again.summary["num_parameters"]
    assert "5 steps, 6 × 3 steps" in again.report().read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"model.convolution.kernels": [3]}, r"must be as many as channels \(2\)\. Received: \[3\]"),
        ({"model.convolution.kernels": [4, 3]}, r"must be odd numbers\. Received: \[4, 3\]"),
        ({"model.convolution": {"kernels": [3]}}, r"kernels` only applies with `channels`"),
    ],
)
def test_sizes_that_make_no_sense_are_refused(waves: Path, settings: dict[str, Any], said: str) -> None:
    with pytest.raises(RecipeError, match=said):
        build_recipe(_recipe(waves, **settings))


def test_windows_can_not_be_convolved(waves: Path, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"`model.convolution.channels` only applies with rows that are read"):
        train(recipe=build_recipe(_recipe(waves, **{"training.bptt": 5})), out=tmp_path / "run", observer=Observer())
