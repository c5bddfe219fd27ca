"""A run a fold: each row held out once, scores put together, an interruption gone on with."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from ostinato.crossvalidation import crossvalidate
from ostinato.errors import DataError, RecipeError, RunError
from ostinato.training.progress import Observer

_SPEAKERS = ("ann", "bob", "cem")


def _data(path: Path, count: int = 48) -> Path:
    draw = random.Random(0)
    rows = ["text,speaker,label"]
    for number in range(count):
        word = draw.choice(["good", "bad"])
        rows.append(f"a {word} film,{_SPEAKERS[number % 3]},{'yes' if word == 'good' else 'no'}")
    path.write_text("\n".join(rows) + "\n")
    return path


def _recipe(path: Path, **training: Any) -> dict[str, Any]:
    return {
        "name": "films",
        "data": {"train": str(path), "input": "text", "target": "label"},
        "model": {"embedding_dim": 4, "hidden_size": 4},
        "training": {"epochs": 4, "learning_rate": 0.05, "num_threads": 1, "batch_size": 8, **training},
    }


def _write(tmp_path: Path, **training: Any) -> Path:
    recipe = tmp_path / "films.yaml"
    recipe.write_text(json.dumps(_recipe(_data(tmp_path / "films.csv"), **training)))
    return recipe


def test_each_row_is_held_out_once_and_scores_are_put_together(tmp_path: Path) -> None:
    recipe = _write(tmp_path, keep="last")
    found = crossvalidate(recipe, num_folds=4, out=tmp_path / "cv", observer=Observer())
    rows = [json.loads(line) for line in (tmp_path / "cv" / "predictions.jsonl").read_text().splitlines()]
    assert sorted(row["place"] for row in rows) == sorted(f"{tmp_path / 'films.csv'}:{line}" for line in range(2, 50))
    results = found.results
    scores = [fold["metrics"]["accuracy"] for fold in results["folds"]]
    mean = sum(scores) / 4
    assert results["metrics"]["accuracy"]["mean"] == pytest.approx(mean)
    spread = (sum((score - mean) ** 2 for score in scores) / 3) ** 0.5
    assert results["metrics"]["accuracy"]["sd"] == pytest.approx(spread)
    right = sum(row["true"] == row["label"] for row in rows) / 48
    assert results["pooled"]["accuracy"] == pytest.approx(right)
    assert [fold["epoch"] for fold in results["folds"]] == [4, 4, 4, 4]
    assert json.loads((tmp_path / "cv" / "crossvalidation.json").read_text()) == results
    page = (tmp_path / "cv" / "crossvalidation.html").read_text()
    assert "films: cross-validation" in page
    assert (
        "Each run kept the weights of its last epoch. What is chosen on a fold’s rows (temperature, threshold)" in page
    )
    assert results["crossfitted"]


def test_pooled_answers_are_those_of_the_folds_own_thresholds(tmp_path: Path) -> None:
    recipe = _write(tmp_path, epochs=1, keep="last")
    everything = ["model.threshold=0.0001", "model.calibration=none"]
    found = crossvalidate(recipe, num_folds=2, settings=everything, out=tmp_path / "all", observer=Observer())
    rows = [json.loads(line) for line in (tmp_path / "all" / "predictions.jsonl").read_text().splitlines()]
    assert {row["label"] for row in rows} == {"yes"}
    share = sum(row["true"] == "yes" for row in rows) / len(rows)
    assert found.results["pooled"]["accuracy"] == pytest.approx(share)
    assert [row["predicted"] for row in found.results["pooled"]["per_class"]] == [0, 48]
    assert found.results["fitted"] == []
    found = crossvalidate(
        recipe, num_folds=2, settings=["model.threshold=f1"], out=tmp_path / "f1", observer=Observer()
    )
    rows = [json.loads(line) for line in (tmp_path / "f1" / "predictions.jsonl").read_text().splitlines()]
    right = sum(row["true"] == row["label"] for row in rows) / len(rows)
    assert found.results["pooled"]["accuracy"] == pytest.approx(right)
    assert found.results["crossfitted"]
    assert found.results["fitted"] == []


def test_what_halves_did_not_choose_is_said_to_flatter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ostinato.run.Run.halves", lambda run: [])
    settings = ["model.threshold=f1"]
    found = crossvalidate(_write(tmp_path), num_folds=2, settings=settings, out=tmp_path / "cv", observer=Observer())
    assert not found.results["crossfitted"]
    assert found.results["fitted"] == ["temperature", "threshold"]
    page = (tmp_path / "cv" / "crossvalidation.html").read_text()
    assert "Each fold's epoch was chosen on the rows that score it, which is slightly optimistic" in page
    assert "was fitted to the rows that score it (temperature and threshold)" in page
    assert "nothing was chosen" not in page


def test_a_choice_does_not_flatter_what_chance_decides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    draw = random.Random(3)
    words = ["".join(draw.choices("abcdefgh", k=4)) for _ in range(120)]
    rows = [f"{word},{draw.choice(['yes', 'no'])}" for word in words]
    (tmp_path / "coins.csv").write_text("\n".join(["text,label", *rows]) + "\n")
    recipe = _recipe(tmp_path / "coins.csv", epochs=8, monitor="accuracy")
    recipe["features"] = {"input": {"unit": "characters"}}
    (tmp_path / "coins.yaml").write_text(json.dumps(recipe))
    fair = crossvalidate(tmp_path / "coins.yaml", num_folds=2, out=tmp_path / "fair", observer=Observer()).results
    monkeypatch.setattr("ostinato.run.Run.halves", lambda run: [])
    other = crossvalidate(tmp_path / "coins.yaml", num_folds=2, out=tmp_path / "flattered", observer=Observer()).results
    assert fair["metrics"]["accuracy"]["mean"] < other["metrics"]["accuracy"]["mean"] - 0.02
    assert fair["metrics"]["accuracy"]["mean"] < 0.55 < other["metrics"]["accuracy"]["mean"]
    right = sum(
        row["true"] == row["label"]
        for row in map(json.loads, (tmp_path / "fair" / "predictions.jsonl").read_text().splitlines())
    )
    assert fair["pooled"]["accuracy"] == pytest.approx(right / 120)


def test_one_value_is_left_out_at_a_time(tmp_path: Path) -> None:
    recipe = _write(tmp_path)
    found = crossvalidate(
        recipe, leave_one_out="speaker", settings=["training.epochs=1"], out=tmp_path / "cv", observer=Observer()
    )
    assert sorted(fold["name"] for fold in found.results["folds"]) == list(_SPEAKERS)
    assert [fold["num_examples"] for fold in found.results["folds"]] == [16, 16, 16]
    assert "rows of one <code>speaker</code>" in (tmp_path / "cv" / "crossvalidation.html").read_text()


def test_an_interrupted_cross_validation_goes_on(tmp_path: Path) -> None:
    recipe = _write(tmp_path)

    class Stopping(Observer):
        def note(self, text: str) -> None:
            if text == "fold 2 of 3":
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        crossvalidate(recipe, num_folds=3, out=tmp_path / "cv", observer=Stopping())
    log = tmp_path / "cv" / "fold-01" / "log.jsonl"
    before = log.stat().st_mtime_ns
    found = crossvalidate(recipe, num_folds=3, out=tmp_path / "cv", observer=Observer())
    assert log.stat().st_mtime_ns == before
    assert found.results["num_folds"] == 3
    with pytest.raises(RunError, match="already exists"):
        crossvalidate(recipe, num_folds=4, out=tmp_path / "cv", observer=Observer())


def test_what_can_not_be_held_out_is_refused(tmp_path: Path) -> None:
    recipe = _write(tmp_path)
    with pytest.raises(RecipeError, match=r"`num_folds` must be at least 2. Received: 1\."):
        crossvalidate(recipe, num_folds=1, out=tmp_path / "cv", observer=Observer())
    with pytest.raises(RecipeError, match="both say which rows belong together"):
        crossvalidate(recipe, group="label", leave_one_out="label", out=tmp_path / "cv", observer=Observer())
    with pytest.raises(DataError, match="has no column `singer`"):
        crossvalidate(recipe, leave_one_out="singer", out=tmp_path / "cv", observer=Observer())
    settings = ["data.target=null", "model.task=language_model", "data.group=null"]
    with pytest.raises(RecipeError, match=r"`data\.fold` does not apply to a language model"):
        crossvalidate(recipe, settings=settings, out=tmp_path / "cv", observer=Observer())
    assert not (tmp_path / "cv").exists()
