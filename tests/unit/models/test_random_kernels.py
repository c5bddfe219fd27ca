"""Ridge regression in closed form, and the score of random convolutions made with it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

import ostinato
from ostinato.tasks.classification.kernels import KernelScore, ridge_regression
from ostinato.training.progress import Observer
from ostinato.types import Ragged


def _solved(features: np.ndarray, targets: np.ndarray, penalty: float) -> tuple[np.ndarray, np.ndarray]:
    mean, level = features.mean(axis=0), targets.mean(axis=0)
    centred = features - mean
    weight = np.linalg.solve(centred.T @ centred + penalty * np.eye(features.shape[1]), centred.T @ (targets - level))
    return weight, level - mean @ weight


@pytest.mark.parametrize("shape", [(12, 30), (40, 6)])
def test_ridge_is_the_solution_and_left_out_rows_are_predicted_by_all_others(shape: tuple[int, int]) -> None:
    random = np.random.default_rng(0)
    features = random.normal(size=shape) + 2.0
    targets = features[:, :2] @ random.normal(size=(2, 3)) + random.normal(size=(shape[0], 3))
    found = ridge_regression(features, targets)
    weight, bias = _solved(features, targets, found.penalty)
    np.testing.assert_allclose(found.weight, weight, atol=1e-6)
    np.testing.assert_allclose(found.bias, bias, atol=1e-6)

    def left_out(penalty: float) -> np.ndarray:
        rows = []
        for row in range(shape[0]):
            others = np.arange(shape[0]) != row
            # the mean of all rows is taken away once, as the closed form has it; the bias is that of the others
            mean = features.mean(axis=0)
            design = np.hstack([features - mean, np.ones((shape[0], 1))])
            shrunk = np.diag([penalty] * shape[1] + [0.0])
            solution = np.linalg.solve(design[others].T @ design[others] + shrunk, design[others].T @ targets[others])
            rows.append(design[row] @ solution)
        return np.asarray(rows)

    np.testing.assert_allclose(found.left_out, left_out(found.penalty), atol=1e-6)
    errors = {penalty: ((left_out(penalty) - targets) ** 2).mean() for penalty in (0.001, found.penalty, 10_000.0)}
    assert min(errors, key=errors.__getitem__) == found.penalty


def test_a_constant_feature_and_two_equal_rows_are_no_trouble() -> None:
    found = ridge_regression(np.zeros((2, 3)), np.asarray([[1.0], [-1.0]]))
    assert np.isfinite(found.left_out).all()
    assert found.weight.tolist() == [[0.0]] * 3


def _waves(count: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    random = np.random.default_rng(seed)
    kinds = np.arange(count) % 2
    steps = np.arange(60)
    waves = np.sin(steps / (2.0 + 2.0 * kinds[:, None]) + random.uniform(0, 6, (count, 1)))
    return torch.tensor(waves + 0.3 * random.normal(size=waves.shape), dtype=torch.float32), torch.tensor(kinds)


def test_it_tells_waves_apart_that_it_has_not_seen_and_is_not_too_sure() -> None:
    x, kinds = _waves(20, 0)
    score = KernelScore(1, 840, 1)
    score.fit([(Ragged.from_padded(x.unsqueeze(2)), kinds.unsqueeze(1), kinds)])
    unseen, truth = _waves(40, 1)
    logits = score(Ragged.from_padded(unseen.unsqueeze(2))).squeeze(1)
    assert ((logits > 0).long() == truth).all()
    assert 1.0 < logits.abs().median() < 30.0


def test_a_planned_run_of_series_has_it_and_answers_the_same_once_loaded(tmp_path: Path) -> None:
    x, kinds = _waves(30, 2)
    lines = [f'"{row.tolist()}",{"ab"[kind]}\n' for row, kind in zip(x, kinds.tolist(), strict=True)]
    (tmp_path / "waves.csv").write_text("x,y\n" + "".join(lines))
    settings = {"training.steps": 5, "training.baselines_seconds": 0, "training.num_threads": 1}
    run = ostinato.train(
        tmp_path / "waves.csv", input="x", target="y", settings=settings, out=tmp_path / "run", observer=Observer()
    )
    assert run.recipe.model.random_kernels > 5_000
    decided = json.loads((tmp_path / "run" / "decisions.json").read_text())
    assert 0.5 < decided["linear_share"] <= 1.0  # five steps are few
    (said,) = [one for one in run.summary["findings"] if one["kind"] == "blend"]
    assert said["says"].endswith(f"a linear score of random convolutions {decided['linear_share']:.0%}")
    assert not said["serious"]
    again, unseen = ostinato.load(tmp_path / "run"), [row.tolist() for row in _waves(6, 3)[0]]
    assert again.predict(unseen) == run.predict(unseen)
    assert [one.label for one in again.predict(unseen)] == ["a", "b"] * 3
