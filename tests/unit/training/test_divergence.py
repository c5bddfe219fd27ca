"""A loss that is not a number: what is said, and going back to the last checkpoint."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.unit.training.test_exactness import _StopAt

from ostinato.errors import RunError
from ostinato.recipe import Recipe, build_recipe
from ostinato.tasks.classification.training import ClassifierTraining
from ostinato.training.checkpoint import read_checkpoint
from ostinato.training.progress import Observer
from ostinato.training.train import resume_run, train_recipe


def _recipe(data: Path, **training: Any) -> Recipe:
    text = data.suffix == ".txt"
    return build_recipe(
        {
            "data": {"train": str(data), **({} if text else {"input": "text", "target": "label"})},
            "model": {"embedding_dim": 4, "hidden_size": 5},
            "training": {"epochs": 2, "checkpoint_steps": 5, "num_threads": 1, **training},
        }
    )


def _events(folder: Path, kind: str) -> list[dict[str, Any]]:
    events = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    return [event for event in events if event["kind"] == kind]


class _Poison:
    """Makes weights infinite (or `value`) before some steps (counted over all attempts) of whatever task runs."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *calls: int, value: float = torch.inf) -> None:
        self.calls = 0
        backward = ClassifierTraining.backward

        def poisoned(task: ClassifierTraining, batch: object) -> tuple[float, int]:
            self.calls += 1
            if self.calls in calls:
                with torch.no_grad():
                    task.model.output.weight.fill_(value)
            return backward(task, batch)

        monkeypatch.setattr(ClassifierTraining, "backward", poisoned)


def test_it_stops_naming_step_rows_and_parameter_and_keeps_the_last_good_checkpoint(
    polarity: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _Poison(monkeypatch, 13)
    with pytest.raises(RunError) as caught:
        train_recipe(_recipe(polarity), tmp_path / "run", Observer())
    text = str(caught.value)
    assert "at step 13 (epoch 1): training has diverged, on rows " in text
    assert "polarity.csv:" in text
    assert " and 27 more" in text
    assert "the first parameter that is not finite is `output.weight`" in text
    assert "training.on_divergence=rollback" in text
    found = read_checkpoint(tmp_path / "run")
    assert found.state["position"]["step"] == 10
    assert all(torch.isfinite(tensor).all() for name, tensor in found.tensors.items() if name.startswith("model."))


def test_a_text_names_the_place(book: Path, tmp_path: Path) -> None:
    recipe = _recipe(book, learning_rate=1e38, clip="none", bptt=20)
    with pytest.raises(
        RunError, match=r"on tokens [\d,]+ to [\d,]+ of the training text \('.*' …\) and 31 more streams"
    ):
        train_recipe(recipe, tmp_path / "run", Observer())


def test_weights_that_are_not_finite_are_never_saved(
    polarity: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = torch.optim.Adam.step
    count = [0]

    def poisoned(self: torch.optim.Adam, *arguments: Any) -> Any:
        count[0] += 1
        found = step(self, *arguments)
        if count[0] == 10:  # after this step a checkpoint is due
            with torch.no_grad():
                self.param_groups[0]["params"][0].fill_(torch.nan)
        return found

    monkeypatch.setattr(torch.optim.Adam, "step", poisoned)
    with pytest.raises(RunError, match="at step 11"):
        train_recipe(_recipe(polarity), tmp_path / "run", Observer())
    assert read_checkpoint(tmp_path / "run").state["position"]["step"] == 5


def test_rollback_goes_back_lowers_the_rate_and_says_so(
    polarity: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _Poison(monkeypatch, 13, 30)
    folder = train_recipe(_recipe(polarity, on_divergence="rollback"), tmp_path / "run", Observer())
    notes = [event["note"] for event in _events(folder, "note")]
    assert len(notes) == 2
    assert notes[0].startswith("rolled back from step 12 to 10, learning rate multiplied by 0.5: the loss is ")
    assert "learning rate multiplied by 0.25" in notes[1]
    steps = _events(folder, "step")
    assert [event["step"] for event in steps] == list(range(1, len(steps) + 1))  # no gap, no repeat
    rates = [event["learning_rate"] for event in steps]
    assert rates[9] == pytest.approx(1e-3)
    assert rates[10] == pytest.approx(5e-4)
    assert rates[-1] == pytest.approx(2.5e-4)
    assert json.loads((folder / "summary.json").read_text())["num_rollbacks"] == 2


def test_a_run_that_went_back_and_was_then_stopped_resumes_exactly(
    polarity: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = _recipe(polarity, on_divergence="rollback")
    _Poison(monkeypatch, 13)
    whole = train_recipe(recipe, tmp_path / "whole", Observer())
    monkeypatch.undo()
    _Poison(monkeypatch, 13)
    with pytest.raises(KeyboardInterrupt):
        train_recipe(recipe, tmp_path / "pieces", _StopAt(17))
    monkeypatch.undo()
    resume_run(tmp_path / "pieces", None, Observer())
    assert (tmp_path / "pieces" / "model.safetensors").read_bytes() == (whole / "model.safetensors").read_bytes()


def test_it_gives_up_in_the_end(polarity: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _Poison(monkeypatch, *range(8, 100))
    with pytest.raises(RunError, match="after 5 rollbacks still: the loss is"):
        train_recipe(_recipe(polarity, on_divergence="rollback"), tmp_path / "run", Observer())


def test_a_validation_that_is_not_finite_is_a_divergence_too(
    polarity: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    evaluate = ClassifierTraining.evaluate
    monkeypatch.setattr(ClassifierTraining, "evaluate", lambda task: {**evaluate(task), "loss": float("nan")})
    with pytest.raises(RunError, match=r"the validation loss is nan at step .*, on all of the validation data"):
        train_recipe(_recipe(polarity), tmp_path / "run", Observer())
    assert not (tmp_path / "run" / "model.safetensors").exists()


def test_a_gradient_whose_norm_overflows_names_the_largest(
    polarity: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _Poison(monkeypatch, 3, value=1e30)
    recipe = _recipe(polarity, clip="none")
    with pytest.raises(RunError, match=r"norm inf at step .*; the largest gradient is that of `[\w.]+`, [\d.]+e\+\d\d"):
        train_recipe(recipe, tmp_path / "run", Observer())
