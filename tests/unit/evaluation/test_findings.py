"""What a user is told before the figures: each finding, and a command that mends it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from ostinato.data.dataset import Examples, Prepared
from ostinato.data.places import Places
from ostinato.data.rejects import BadRows
from ostinato.data.sequences import Sequences
from ostinato.data.targets import ClassTarget
from ostinato.errors import RecipeError
from ostinato.metrics.classification import classification
from ostinato.recipe import Recipe, build_recipe
from ostinato.run import load
from ostinato.tasks.classification.training import ClassifierTraining, class_weights
from ostinato.tasks.findings import Finding, Trained, findings_of
from ostinato.tasks.prepare import prepare
from ostinato.tasks.registry import task_of
from ostinato.training.progress import Observer
from ostinato.training.train import train_recipe

NAMES = ("neg", "odd", "pos")


def _recipe(**settings: Any) -> Recipe:
    task = {"task": "classification"}
    return build_recipe(
        {"data": {"train": "a.csv", **settings.pop("data", {})}, "model": task, "training": settings}
        | {"features": {"target": {"kind": "class"}}}
    )


def _trained(
    said: list[int], truth: list[int], losses: list[float], recipe: Recipe, train: tuple[int, ...] = (0, 1, 2)
) -> list[Finding]:
    features = SimpleNamespace(target=ClassTarget("y", classes=NAMES))
    rows = np.arange(len(truth) + 1)
    validation = Examples(Sequences(rows, rows), np.asarray(truth), Places(), rows[1:])
    training = SimpleNamespace(targets=np.asarray(train))
    prepared = Prepared(recipe, cast("Any", features), cast("Any", training), validation, [], BadRows(), 0)
    metrics = classification(np.eye(3)[said], np.asarray(truth), NAMES)
    curve = [{"loss": loss} for loss in losses]
    return list(findings_of(Trained("runs/x", prepared, metrics, curve, 10)))


FLAT = [1.0, 0.5, 0.4, 0.5]


def test_one_answer_to_everything() -> None:
    uneven = (0, 0, 0, 1, 2)
    found = _trained([0] * 40, [0] * 30 + [1] * 5 + [2] * 5, FLAT, _recipe(), uneven)
    assert [one.kind for one in found] == ["one_answer"]
    assert found[0].says == "it gives the same answer for every row: `neg`"
    assert found[0].hint == "ostinato train --recipe runs/x/recipe.yaml --set training.class_weight=balanced"
    again = _trained([0] * 40, [0] * 30 + [1] * 5 + [2] * 5, FLAT, _recipe(class_weight="balanced", epochs=7), uneven)
    assert again[0].hint.endswith("--set training.epochs=14")
    even = _trained([0] * 40, [0] * 30 + [1] * 5 + [2] * 5, FLAT, _recipe(epochs=7))
    assert even[0].hint.endswith("--set training.epochs=14")


def test_classes_that_are_never_predicted() -> None:
    found = _trained([0] * 35 + [1] * 5, [0] * 30 + [1] * 7 + [2] * 3, FLAT, _recipe())
    assert [(one.kind, one.says) for one in found] == [("never_predicted", "it never predicts `pos` (3 of 40)")]


def test_classes_that_were_never_tested() -> None:
    found = _trained([0, 1] * 20, [0, 1] * 20, FLAT, _recipe(data={"stratify": False}))
    assert found[0].kind == "untested_class"
    assert found[0].says == "no validation row is `pos` (1 row in training): its figures mean nothing"
    assert found[0].hint == "ostinato train --recipe runs/x/recipe.yaml --set data.stratify=each"
    assert _trained([0, 1] * 20, [0, 1] * 20, FLAT, _recipe(data={"validation": "v.csv"}))[0].hint == (
        "rows of `pos` in v.csv"
    )


def test_few_rows() -> None:
    found = _trained([0, 1, 2], [0, 1, 2], FLAT, _recipe())
    assert found[0].says.startswith("the figures are of 3 validation rows only")
    assert found[0].hint == "ostinato crossvalidate runs/x/recipe.yaml --folds 5"


@pytest.mark.parametrize(
    ("losses", "settings", "change"),
    [
        ([1.0, 0.8, 0.6, 0.4], {"epochs": 4}, "training.epochs=120"),
        ([1.0, 0.8, 0.6, 0.4], {"epochs": 400}, "training.epochs=12000"),
        ([1.0, 0.8, 0.6, 0.4], {"max_minutes": 2}, "training.max_minutes=4"),
        ([1.0, 0.5, 0.5, 0.499], {}, None),
        ([1.0, 0.5, 0.4, 0.45], {}, None),
        ([1.0, 0.2], {}, None),
    ],
    ids=["few steps", "epochs", "minutes", "annealed", "over its best", "too few epochs"],
)
def test_a_loss_that_still_falls(losses: list[float], settings: dict[str, Any], change: str | None) -> None:
    found = _trained([0, 1, 2] * 12, [0, 1, 2] * 12, losses, _recipe(**settings))
    assert [one.kind for one in found] == (["not_done"] if change else [])
    if change:
        assert found[0].hint == f"ostinato train --resume runs/x --set {change}"


def _rows(folder: Path) -> Path:
    path = folder / "rows.csv"
    lines = [f"word{i % 9},neg" for i in range(30)] + [f"other{i % 3},pos" for i in range(6)]
    path.write_text("\n".join(["text,label", *lines]) + "\n")
    return path


def _small(folder: Path, **training: Any) -> Recipe:
    return build_recipe(
        {
            "data": {"train": str(_rows(folder)), "input": "text", "target": "label"},
            "model": {"hidden_size": 4, "embedding_dim": 4},
            "training": {"epochs": 1, "num_threads": 1, "baselines_seconds": 0, **training},
        }
    )


@pytest.mark.parametrize("num_classes", [2, 3])
def test_balanced_weights_are_those_of_torchs_cross_entropy(tmp_path: Path, num_classes: int) -> None:
    recipe = _small(tmp_path, class_weight="balanced")
    if num_classes == 3:
        path = tmp_path / "rows.csv"
        path.write_text(path.read_text() + "another,odd\n" * 3)
    prepared = prepare(recipe)
    weights = cast("torch.Tensor", class_weights(prepared, torch.device("cpu")))
    targets = torch.tensor(np.asarray(prepared.train.targets))
    counts = torch.bincount(targets)
    torch.testing.assert_close(weights, len(targets) / (num_classes * counts))
    spec = task_of(prepared.recipe)
    model = cast("Any", spec.build(prepared.recipe, prepared.features))
    training = ClassifierTraining(spec, model, prepared, torch.device("cpu"))
    batch = next(iter(training.batches(0, 0)))
    loss, _ = training.backward(batch)
    outputs = model(batch.inputs, batch.extra).detach()
    logits = outputs if num_classes == 3 else torch.cat([torch.zeros_like(outputs), outputs], dim=1)
    assert loss == pytest.approx(float(F.cross_entropy(logits, batch.row_targets.long(), weight=weights)), rel=1e-5)


def test_weights_of_windows_have_a_mean_of_one(tmp_path: Path) -> None:
    prepared = prepare(_small(tmp_path, class_weight="balanced", bptt=2))
    weights = cast("torch.Tensor", class_weights(prepared, torch.device("cpu")))
    assert float(weights[torch.tensor(np.asarray(prepared.train.targets))].mean()) == pytest.approx(1)
    assert train_recipe(prepared.recipe, tmp_path / "run", Observer()).is_dir()


def test_class_weights_need_classes(tmp_path: Path) -> None:
    recipe = _small(tmp_path, class_weight="balanced").model_dump()
    recipe["features"]["target"] = {"kind": "labels"}
    with pytest.raises(RecipeError, match=r"`training\.class_weight` only applies with a target of classes"):
        prepare(build_recipe(recipe))


def test_they_are_in_the_summary_and_the_terminal(tmp_path: Path, cli: Callable[..., Any]) -> None:
    small = ["model.hidden_size=4", "training.epochs=1", "training.baselines_seconds=0", "training.num_threads=1"]
    options = [part for one in small for part in ("--set", one)]
    said = cli("train", _rows(tmp_path), "--input", "text", "--target", "label", "--out", tmp_path / "run", *options)
    found = load(tmp_path / "run").summary["findings"]
    assert "few_rows" in [one["kind"] for one in found]
    assert json.loads((tmp_path / "run" / "summary.json").read_text())["findings"] == found
    page = (tmp_path / "run" / "report.html").read_text()
    for one in found:
        assert f"hint: {one['hint']}" in said.err.replace("\n", " ") or f"hint: {one['hint']}" in said.err
        assert one["hint"].replace(f"{tmp_path}/", "") in page  # a page names no folder above the run
