"""Deliberately sick models each get their diagnosis, by name; a healthy one gets none."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

import ostinato
from ostinato import nn
from ostinato.diagnostics import Diagnosis, Subject, advise, diagnose
from ostinato.diagnostics.facts import Clipping, Training
from ostinato.probes.unused import UnusedContext
from ostinato.recipe import apply_overrides, build_recipe
from ostinato.training.progress import Observer
from ostinato.training.train import train_recipe
from ostinato.types import Ragged

WORDS = ("pabcdeq", "rabcdes", "tabcdeu")
"""The last letter is told by the first, six back, with the same five between."""


def _subject(stack: nn.RecurrentStack, num_rows: int = 12, num_steps: int = 40) -> Subject:
    random = torch.Generator().manual_seed(1)
    rows = Ragged.from_padded(torch.randn(num_rows, num_steps, stack.input_size, generator=random))
    head = torch.randn(stack.output_size, generator=random)
    truth = torch.randn(num_rows, generator=random)

    def loss(output: Ragged) -> Tensor:
        return (output.select_last() @ head - truth).square()

    return Subject((stack,), rows, loss, per_step=False)


def _kinds(found: Diagnosis) -> list[str]:
    return [advice.kind for advice in found.advice]


def _with_radius(stack: nn.RecurrentStack, radius: float) -> nn.RecurrentStack:
    weight = dict(stack.named_parameters())["weight_hh_l0"]
    with torch.no_grad():
        weight.mul_(radius / torch.linalg.eigvals(weight).abs().max())
    return stack


def test_tiny_spectral_radius() -> None:
    torch.manual_seed(0)
    found = diagnose(_subject(_with_radius(nn.RNN(4, 24), 0.05)))
    assert _kinds(found) == ["vanishing"]
    (advice,) = found.advice
    assert any("spectral radius of its weights 0.05" in line for line in advice.evidence)
    assert any("largest Lyapunov exponent -" in line for line in advice.evidence)
    assert advice.change == "--set model.cell=lstm --set model.forget_bias=1"


def test_huge_spectral_radius() -> None:
    torch.manual_seed(0)
    stack = _with_radius(nn.RNN(4, 48), 3.0)
    with torch.no_grad():
        dict(stack.named_parameters())["weight_ih_l0"].mul_(0.1)
    found = diagnose(_subject(stack))
    assert _kinds(found) == ["exploding"]
    (advice,) = found.advice
    assert any("largest Lyapunov exponent +" in line for line in advice.evidence)
    assert advice.change is not None
    assert "training.clip=norm" in advice.change


def test_states_that_are_not_finite_explode() -> None:
    torch.manual_seed(0)
    found = diagnose(_subject(_with_radius(nn.RNN(4, 8, nonlinearity="relu"), 40.0), num_steps=200))
    assert "exploding" in _kinds(found)
    assert found.to_dict()["horizon"]["full_loss"] is None


@pytest.mark.parametrize(("make", "block"), [(nn.LSTM, 1), (nn.GRU, 1)])
def test_forget_gates_shut(make: type[nn.RecurrentStack], block: int) -> None:
    torch.manual_seed(0)
    stack = make(4, 16)
    with torch.no_grad():
        dict(stack.named_parameters())["bias_ih_l0"][block * 16 : (block + 1) * 16] = -6.0
    found = diagnose(_subject(stack))
    assert _kinds(found) == ["forget_gates_shut"]
    assert found.advice[0].change == "--set model.forget_bias=1"
    assert "gate" in found.advice[0].evidence[0]


def test_a_fresh_lstm_with_quick_gates_is_told_to_start_them_slower() -> None:
    torch.manual_seed(0)
    found = diagnose(_subject(nn.LSTM(4, 16), num_steps=120))
    assert _kinds(found) == ["forget_bias"]
    assert found.advice[0].change == "--set model.chrono=120"
    slow = nn.LSTM(4, 16)
    with torch.no_grad():
        dict(slow.named_parameters())["bias_ih_l0"][16:32] = 5.0
    assert _kinds(diagnose(_subject(slow, num_steps=120))) == []


def _copying_text(path: Path, lag: int, length: int) -> Path:
    """Letters of which each is, nine times in ten, the one `lag` back."""
    random = np.random.default_rng(0)
    letters = list(random.choice(list("abcdef"), lag))
    for _ in range(length):
        letters.append(letters[-lag] if random.random() < 0.9 else random.choice(list("abcdef")))
    path.write_text("".join(letters), encoding="utf-8")
    return path


def _train(path: Path, out: Path, window: object, epochs: int) -> ostinato.Run:
    settings: dict[str, object] = {
        "data.train": str(path), "data.validation": 0.2, "model.cell": "gru", "model.forget_bias": 1.0,
        "model.embedding_dim": 12, "model.embedding_std": 1.0, "model.hidden_size": 32, "training.bptt": window,
        "training.batch_size": 16, "training.epochs": epochs, "training.num_threads": 1, "training.learning_rate": 0.02,
    }  # fmt: skip
    pairs = [f"{key}={json.dumps(value)}" for key, value in settings.items()]
    return ostinato.load(train_recipe(build_recipe(apply_overrides({}, pairs)), out, Observer()))


@pytest.mark.parametrize("carry_state", [True, False])
def test_window_shorter_than_the_dependency(tmp_path: Path, carry_state: bool) -> None:
    window = {"window": 8, "carry_state": carry_state}
    run = _train(_copying_text(tmp_path / "copies.txt", 20, 24_000), tmp_path / "run", window, epochs=1)
    found = run.diagnose(num_rows=16, num_steps=64)
    assert "window_too_short" in _kinds(found)
    advice = next(advice for advice in found.advice if advice.kind == "window_too_short")
    assert "20 steps back" in advice.says
    assert advice.change == ("--set training.bptt=32" if carry_state else "--set training.bptt.window=32")
    assert not {"cheaper_recurrence", "window_too_long", "dead_units"} & set(_kinds(found))


@pytest.fixture(scope="module")
def healthy(tmp_path_factory: pytest.TempPathFactory) -> Diagnosis:
    """Of a model that has learnt all there is in random words."""
    folder = tmp_path_factory.mktemp("healthy")
    random = np.random.default_rng(0)
    path = folder / "words.txt"
    path.write_text("".join(random.choice(WORDS, 5_000)), encoding="utf-8")
    run = _train(path, folder / "run", 32, epochs=5)
    assert run.summary["validation"]["loss"] < 0.18  # ln 3 for each word's first letter, nothing for the other six
    return run.diagnose(num_rows=32, num_steps=64)


def test_a_healthy_model_gets_no_advice(healthy: Diagnosis) -> None:
    assert healthy.advice == ()
    assert {note.kind for note in healthy.notes} == {"fine"}
    assert healthy.horizon.steps is not None
    assert 5 < healthy.horizon.steps < 12


def _training(healthy: Diagnosis) -> Training:
    assert healthy.training is not None
    return healthy.training


def test_memory_that_ends_where_gradients_do(healthy: Diagnosis) -> None:
    training = replace(_training(healthy), window=3, reach=6)
    (advice,) = (a for a in advise(replace(healthy, training=training, unused=None)) if a.kind != "fine")
    assert advice.kind == "window_too_short"
    assert advice.change == "--set training.bptt.backprop=8"


def test_windows_many_times_longer_than_memory(healthy: Diagnosis) -> None:
    training = replace(_training(healthy), window=500, reach=500)
    (advice,) = (a for a in advise(replace(healthy, training=training)) if a.kind != "fine")
    assert (advice.kind, advice.change) == ("window_too_long", "--set training.bptt=16")


def test_clipping_at_most_steps_or_never(healthy: Diagnosis) -> None:
    always = Clipping("norm", 0.1, 1000, 0.9, 0.8, 0.43, [1], [0.9], [0.43])
    said = advise(replace(healthy, training=replace(_training(healthy), clipping=always)))
    assert said[0].kind == "clipping"
    assert said[0].change == "--set training.max_norm=0.9"
    never = replace(always, share=0.0, late_share=0.0)
    said = advise(replace(healthy, training=replace(_training(healthy), clipping=never)))
    assert "Clipping never acted" in said[0].says
    assert said[0].kind == "fine"


def test_rows_that_are_cut_where_the_model_looks(healthy: Diagnosis) -> None:
    training = replace(_training(healthy), reach=None, window=None, max_length=10, truncate="tail", share_cut=0.3)
    said = advise(replace(healthy, training=training, drift=None))
    assert [a.change for a in said if a.kind == "truncation"] == ["--set features.input.max_length=20"]
    rarely = advise(replace(healthy, training=replace(training, share_cut=0.01), drift=None))
    assert not [a for a in rarely if a.kind == "truncation"]
    far = advise(replace(healthy, training=replace(training, max_length=400), drift=None))
    assert not [a for a in far if a.kind == "truncation"]
    assert any("Rows are cut far beyond" in a.says for a in far)


def test_dead_units_and_short_memory_mean_a_smaller_layer(healthy: Diagnosis) -> None:
    (layer,) = healthy.activations
    dead = replace(layer, dead_units=list(range(10)))
    said = advise(replace(healthy, activations=[dead]))
    assert ("dead_units", "--set model.hidden_size=22") in [(a.kind, a.change) for a in said]
    nothing = replace(healthy.horizon, steps=None, low=None, high=None)
    said = advise(replace(healthy, horizon=nothing))
    assert ("cheaper_recurrence", "--set model.cell=elman") in [(a.kind, a.change) for a in said]


def test_context_after_an_answer_that_brings_nothing(healthy: Diagnosis) -> None:
    nothing = replace(healthy.horizon, steps=None, low=None, high=None)
    said = {a.kind: a.change for a in advise(replace(healthy, horizon_ahead=nothing))}
    assert said["one_direction"] == "--set model.bidirectional=false"
    assert "one_direction" not in [a.kind for a in advise(replace(healthy, horizon_ahead=healthy.horizon))]
    ahead_alone = advise(replace(healthy, horizon=nothing, horizon_ahead=healthy.horizon))
    assert "cheaper_recurrence" not in [a.kind for a in ahead_alone]
    of_several = advise(replace(healthy, horizon=nothing, name="decoder"))
    assert [a.change for a in of_several if a.kind == "cheaper_recurrence"] == [None]


def test_a_forecaster_that_uses_its_window_to_the_end(healthy: Diagnosis) -> None:
    training = replace(_training(healthy), lookback=96, lookback_option="model.lookback")
    filled = replace(healthy.horizon, context=[1, 2], steps=2.0, low=2.0, high=2.0)
    said = {a.kind: a.change for a in advise(replace(healthy, horizon=filled, training=training))}
    assert said["lookback_too_short"] == "--set model.lookback=192"
    assert "cheaper_recurrence" not in said  # two steps are all there is
    assert "lookback_too_short" not in [a.kind for a in advise(replace(healthy, training=training))]


def test_drift_beyond_the_trained_length(healthy: Diagnosis) -> None:
    assert healthy.drift is not None
    worse = replace(healthy.drift, loss_change=0.2, loss_change_error=0.01)
    said = advise(replace(healthy, drift=worse))
    assert said[0].kind == "drift"
    noisy = replace(worse, loss_change_error=0.1)
    assert not [a for a in advise(replace(healthy, drift=noisy)) if a.kind == "drift"]


def test_an_unused_lag_must_stand_out() -> None:
    gain = [0.001] * 40
    gain[30] = 0.02
    found = UnusedContext(gain, usual=0.001, spread=0.001, loss=1.0, num_tokens=1000)
    assert found.stands_out(8, 0.005, 8.0) == 31
    assert found.stands_out(31, 0.005, 8.0) is None
    assert found.stands_out(8, 0.05, 8.0) is None
    assert found.stands_out(8, 0.005, 30.0) is None
    assert found.stands_out(40, 0.005, 8.0) is None


def test_the_echo_of_a_shorter_dependence_is_no_reason_for_longer_windows() -> None:
    gain = [0.001] * 60
    gain[19], gain[39] = 0.05, 0.04
    found = UnusedContext(gain, usual=0.001, spread=0.001, loss=1.0, num_tokens=1000)
    assert found.stands_out(32, 0.005, 8.0) is None
    assert found.stands_out(8, 0.005, 8.0) == 20
    gain[19] = 0.03  # less than what is to be had at 40 itself
    assert found.stands_out(32, 0.005, 8.0) == 40
