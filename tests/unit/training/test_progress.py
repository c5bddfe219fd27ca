"""What a user sees while a model trains."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from ostinato import api
from ostinato.recipe import Recipe, build_recipe
from ostinato.training.position import Position
from ostinato.training.progress import ConsoleObserver, Observer

STEP = {"step": 1, "epoch": 2, "loss": 1.3862944, "tokens_per_s": 12_345.0, "elapsed_s": 30.0}
SCORED = {"epoch": 2, "best": True, "loss": 1.25, "bits_per_character": 1.8034, "auc": None, "elapsed_s": 3_725.0}
BOOK = {"model": {"task": "language_model"}, "features": {"input": {"unit": "characters"}}}


def _show(recipe: Recipe, *, terminal: bool, step: int = 0) -> str:
    out = io.StringIO()
    observer = ConsoleObserver(Console(file=out, force_terminal=terminal, width=120, color_system=None))
    observer.start(step, 100, recipe)
    observer.step(STEP, 0.25)
    observer.validation(SCORED)
    observer.stop(Position())
    return out.getvalue()


def test_a_terminal_shows_loss_bits_speed_and_time_left() -> None:
    seen = _show(build_recipe({**BOOK, "training": {"epochs": 7}}), terminal=True)
    for part in ("epoch 2/7", "25%", "loss 1.386", "2.000 bits/character", "12,345 tokens/s", "1:30 left"):
        assert part in seen


def _ended(monitor: str) -> str:
    out = io.StringIO()
    observer = ConsoleObserver(Console(file=out, width=200, color_system=None))
    observer.start(0, 100, build_recipe({"model": {"task": "classification"}, "training": {"monitor": monitor}}))
    for epoch, accuracy in ((1, 0.5), (2, 0.75), (3, 0.7)):
        observer.validation({"epoch": epoch, "best": epoch == 1, "loss": 1.0, "accuracy": accuracy, "elapsed_s": 1.0})
    observer.stop(Position(best_epoch=0))
    return out.getvalue()


def test_a_more_accurate_epoch_that_is_not_kept_is_said() -> None:
    assert "kept: epoch 1, of the lowest loss, accuracy 0.5000; the highest was 0.7500 in epoch 2" in _ended("loss")
    assert "kept" not in _ended("f1")


def test_a_time_budget_shows_no_number_of_epochs() -> None:
    seen = _show(build_recipe({**BOOK, "training": {"epochs": 7, "max_minutes": 2}}), terminal=True)
    assert "epoch 2 " in seen
    assert "epoch 2/7" not in seen


def test_elsewhere_plain_lines_and_no_escape_codes() -> None:
    seen = _show(build_recipe({"model": {"task": "classification"}}), terminal=False, step=12)
    assert seen == (
        "resuming after step 12\nepoch 2: validation loss 1.2500 · bits/character 1.8034 · 1:02:05 ← best\n"
    )


def test_a_run_that_has_ended_leaves_no_empty_bar() -> None:
    out = io.StringIO()
    observer = ConsoleObserver(Console(file=out, force_terminal=True, width=120, color_system=None))
    observer.start(12, 100, build_recipe({"model": {"task": "classification"}}))
    observer.stop(Position())
    assert "starting" not in out.getvalue().rsplit("\r", 1)[-1]


def test_ctrl_c_after_training_says_how_to_go_on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(api, "load", lambda _: None)
    monkeypatch.setattr(api, "_try_baselines", interrupted)
    with pytest.raises(KeyboardInterrupt) as stop:
        api._finish(tmp_path, Observer())
    assert stop.value.args == (str(tmp_path),)
