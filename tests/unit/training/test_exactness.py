"""The same seed gives the same weights, and a run that stopped anywhere goes on to the very same ones."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from ostinato.errors import CheckpointError, RunError
from ostinato.recipe import Recipe, build_recipe
from ostinato.training.loop import Trainer
from ostinato.training.progress import Observer
from ostinato.training.train import resume_run, train_recipe


def _classifier(polarity: Path, **training: Any) -> Recipe:
    return build_recipe(
        {
            "data": {"train": str(polarity), "input": "text", "target": "label"},
            "model": {
                "embedding_dim": 8, "hidden_size": 8, "bidirectional": True, "pooling": ["last", "max"], "ngrams": 2,
                "ngram_buckets": 64, "normalize_embeddings": True, "word_dropout": 0.1, "hidden_dropout": 0.2,
                "head_dropout": 0.3,
            },
            "training": {
                "epochs": 3, "schedule": "cosine", "warmup_steps": 5, "adversarial": 1.0, "num_threads": 1, **training,
            },
        }
    )  # fmt: skip


def _language_model(book: Path, **training: Any) -> Recipe:
    return build_recipe(
        {
            "data": {"train": str(book)},
            "model": {
                "embedding_dim": 8,
                "hidden_size": 12,
                "num_layers": 2,
                "hidden_dropout": 0.1,
                "tie_embeddings": True,
            },
            "training": {"epochs": 3, "bptt": 50, "batch_size": 32, "num_threads": 1, **training},
        }
    )


def _bytes(run: Path) -> tuple[bytes, list[dict[str, Any]]]:
    """The weights, and the log without its clocks."""
    lines = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    clocks = ("tokens_per_s", "elapsed_s")
    return (run / "model.safetensors").read_bytes(), [{k: v for k, v in e.items() if k not in clocks} for e in lines]


class _StopAt(Observer):
    """Presses Ctrl-C after some step."""

    def __init__(self, step: int) -> None:
        self.at = step

    def step(self, event: dict[str, Any], progress: float) -> None:
        if event["step"] == self.at:
            os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.parametrize("kind", ["classifier", "language_model"])
def test_same_seed_same_weights_other_seed_others(kind: str, polarity: Path, book: Path, tmp_path: Path) -> None:
    def make(**training: Any) -> Recipe:
        epochs = {"epochs": 1, **training}
        return _classifier(polarity, **epochs) if kind == "classifier" else _language_model(book, **epochs)

    first, second, other = (
        _bytes(train_recipe(make(seed=seed), tmp_path / name, Observer()))
        for name, seed in (("a", 1), ("b", 1), ("c", 2))
    )
    assert first == second
    assert first[0] != other[0]


@pytest.mark.parametrize(("kind", "stops"), [("classifier", [4, 19, 40]), ("language_model", [2, 17, 33, 50])])
def test_interrupted_and_resumed_is_bit_for_bit_the_same(
    kind: str, stops: list[int], polarity: Path, book: Path, tmp_path: Path
) -> None:
    recipe = _classifier(polarity) if kind == "classifier" else _language_model(book)
    whole = _bytes(train_recipe(recipe, tmp_path / "whole", Observer()))
    folder = tmp_path / "pieces"
    with pytest.raises(KeyboardInterrupt):
        train_recipe(recipe, folder, _StopAt(stops[0]))
    for stop in stops[1:]:
        with pytest.raises(KeyboardInterrupt):
            resume_run(folder, None, _StopAt(stop))
    resume_run(folder, None, Observer())
    assert _bytes(folder) == whole


def test_a_window_as_long_as_the_text_trains_alike_with_recomputation(book: Path, tmp_path: Path) -> None:
    def losses(name: str, recompute: bool) -> list[float]:
        recipe = _language_model(book, epochs=2, bptt=1_000_000, batch_size=4)
        network = recipe.model.model_copy(update={"recompute": recompute, "hidden_dropout": 0.0})
        _, events = _bytes(train_recipe(recipe.model_copy(update={"model": network}), tmp_path / name, Observer()))
        return [event["loss"] for event in events if event["kind"] == "step"]

    plain = losses("plain", False)
    assert len(plain) == 2
    assert losses("recomputed", True) == pytest.approx(plain, rel=1e-5)


def test_a_crash_between_checkpoints_goes_back_to_the_last_one(
    polarity: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Steps, weights and log lines that came after the checkpoint are made again, not kept twice."""
    recipe = _classifier(polarity)
    whole = _bytes(train_recipe(recipe, tmp_path / "whole", Observer()))

    class Crash(Observer):
        def step(self, event: dict[str, Any], progress: float) -> None:
            if event["step"] == 38:
                raise MemoryError

    monkeypatch.setattr(Trainer, "_validate", _validate_and_checkpoint(Trainer._validate))
    with pytest.raises(MemoryError):
        train_recipe(recipe, tmp_path / "crashed", Crash())
    resume_run(tmp_path / "crashed", None, Observer())
    assert _bytes(tmp_path / "crashed") == whole


def _validate_and_checkpoint(validate: Any) -> Any:
    def both(self: Trainer) -> bool:
        self.checkpoint()
        scored: bool = validate(self)
        return scored

    return both


def test_a_failed_checkpoint_stops_with_the_reason(
    polarity: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("ostinato.training.checkpoint._write", refuse)
    with pytest.raises(CheckpointError, match="the disk is full"):
        train_recipe(_classifier(polarity, epochs=1), tmp_path / "run", Observer())


def test_resume_refuses_another_recipe_or_other_data(polarity: Path, tmp_path: Path) -> None:
    data = tmp_path / "data.csv"
    data.write_bytes(polarity.read_bytes())
    recipe = _classifier(data)
    with pytest.raises(KeyboardInterrupt):
        train_recipe(recipe, tmp_path / "run", _StopAt(3))
    from ostinato.training.run_folder import read_recipe_of

    saved = read_recipe_of(tmp_path / "run")
    wider = saved.model_copy(update={"model": saved.model.model_copy(update={"hidden_size": 9})})
    with pytest.raises(RunError, match=r"another recipe: model\.hidden_size was 8, is 9"):
        resume_run(tmp_path / "run", wider, Observer())
    data.write_text(data.read_text() + "one more sentence,positive\n")
    with pytest.raises(RunError, match="has changed since training began"):
        resume_run(tmp_path / "run", None, Observer())


def test_an_ended_run_says_so_and_can_be_trained_longer(polarity: Path, tmp_path: Path) -> None:
    folder = train_recipe(_classifier(polarity, epochs=1, schedule="constant"), tmp_path / "run", Observer())
    with pytest.raises(RunError, match=r"has ended: training\.epochs = 1 reached"):
        resume_run(folder, None, Observer())
    from ostinato.training.run_folder import read_recipe_of

    saved = read_recipe_of(folder)
    longer = saved.model_copy(update={"training": saved.training.model_copy(update={"epochs": 2})})
    resume_run(folder, longer, Observer())
    assert json.loads((folder / "summary.json").read_text())["epochs"] == 2
    assert read_recipe_of(folder).training.epochs == 2


def test_a_loss_that_is_not_finite_stops_with_step_and_hint(polarity: Path, tmp_path: Path) -> None:
    recipe = _classifier(polarity, learning_rate=1e30, clip="none", schedule="constant", warmup_steps=0)
    with pytest.raises(RunError, match="training has diverged") as caught:
        train_recipe(recipe, tmp_path / "run", Observer())
    assert "slower: --set training.learning_rate=1e+29" in str(caught.value)


def test_patience_ends_training(polarity: Path, tmp_path: Path) -> None:
    recipe = _classifier(polarity, epochs=50, patience=1, learning_rate=0.05, schedule="constant")
    folder = train_recipe(recipe, tmp_path / "run", Observer())
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["ended"] == "no better loss for training.patience = 1 epochs"
    assert summary["epochs"] == summary["best_epoch"] + 1 < 50
