"""The model, its training, and the benchmark, on the command line too."""

from __future__ import annotations

import json
import math
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from ostinato.cli import main
from ostinato.errors import RecipeError
from ostinato.longrange import Curriculum, ModelSettings, Training, evaluate, find, fit, make_model
from ostinato.longrange.benchmark import Trial, cells_of, run_benchmark
from ostinato.longrange.fitting import Outcome
from ostinato.longrange.presets import PRESETS

QUICK = Training(max_steps=3, max_minutes=1.0, evaluate_every=2, num_evaluated=20, batch_size=4)


@pytest.mark.parametrize("name", ["adding", "copy", "recall", "s3"])
@pytest.mark.parametrize("cell", ["lstm", "gru", "elman"])
def test_an_answer_does_not_change_with_its_neighbours(name: str, cell: str) -> None:
    task = find(name)
    model = make_model(task, ModelSettings(cell, hidden_size=5, num_layers=2), seed=0).double()
    batch = task.batch(12, 3, 0, shortest=4)
    inputs = batch.inputs if task.tokens else batch.inputs.with_values(batch.inputs.values.double())
    answers = model(inputs)
    rows = inputs.with_values(answers).split_rows() if task.per_step else answers.unsqueeze(1)
    for row, expected in zip(inputs.split_rows(), rows, strict=True):
        alone = type(inputs).from_rows(row, [0], [len(row)])
        torch.testing.assert_close(model(alone), expected)


@pytest.mark.parametrize("name", ["adding", "copy", "parity"])
def test_the_subject_s_losses_are_the_model_s(name: str) -> None:
    task = find(name)
    model = make_model(task, ModelSettings(hidden_size=5), seed=0)
    batch = task.batch(12, 3, 0, shortest=4)
    found = model.subject(batch)
    assert found.per_step == task.per_step
    answers, targets = model(batch.inputs).detach(), batch.targets
    if task.per_step:
        answers, targets = (batch.inputs.with_values(part).select_last() for part in (answers, targets))
    expected = [float(task.loss(answers[row : row + 1], targets[row : row + 1])) for row in range(3)]
    torch.testing.assert_close(found.row_losses(), torch.tensor(expected))
    assert found.last(4).row_losses().shape == (3,)


def test_a_model_is_a_function_of_its_seed() -> None:
    task, settings = find("adding"), ModelSettings("gru", hidden_size=4, recurrent_init="orthogonal", chrono=50)
    before = torch.random.get_rng_state()
    first, again, other = (make_model(task, settings, seed).state_dict() for seed in (1, 1, 2))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert all(map(torch.equal, first.values(), again.values()))
    assert not torch.equal(first["head.weight"], other["head.weight"])


def test_parity_is_learnt_on_short_rows_and_holds_on_long_ones() -> None:
    preset = PRESETS["parity-400"]
    model = make_model(find("parity"), preset.model, seed=0)
    training = replace(preset.training, num_evaluated=200, confirmations=2)
    outcome = fit(model, 10, training, test_length=60)
    assert outcome.solved
    assert outcome.metric == evaluate(model, 60, 200, "test")
    assert outcome.steps < 2000


def test_training_is_exact_and_stops_at_its_steps() -> None:
    runs = []
    for _ in range(2):
        model = make_model(find("adding"), ModelSettings("gru", hidden_size=4), seed=5)
        outcome = fit(model, 10, QUICK, seed=5)
        runs.append((model.state_dict(), outcome))
    (first, outcome), (second, _) = runs
    assert all(map(torch.equal, first.values(), second.values()))
    assert outcome.steps == 3
    assert not outcome.solved
    assert outcome.validation != outcome.metric  # other data
    assert outcome.cpu_s > 0


def test_a_curriculum_grows_to_the_length_and_no_further() -> None:
    said: list[str] = []
    model = make_model(find("adding"), ModelSettings("gru", hidden_size=4), seed=0)
    outcome = fit(model, 50, replace(QUICK, max_steps=6, curriculum=Curriculum(10, 1e9)), say=said.append)
    assert [line for line in said if "length" in line] == [
        "step 1: length 20",
        "step 2: length 40",
        "step 3: length 50",
    ]
    assert outcome.length == 50


def test_a_loss_that_is_no_number_ends_training_with_the_weights_as_they_were() -> None:
    model = make_model(find("adding"), ModelSettings("elman_relu", hidden_size=4), seed=0)
    with torch.no_grad():
        model.layers.weight_hh_l0.fill_(1e30)
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    outcome = fit(model, 50, QUICK)
    assert outcome.diverged
    assert not outcome.solved
    assert math.isnan(outcome.metric)
    assert all(torch.equal(weight, before[name]) for name, weight in model.state_dict().items())


def test_solved_means_beyond_the_threshold() -> None:
    adding, parity = find("adding"), find("parity")
    assert adding.solved(0.00099)
    assert not adding.solved(0.001)
    assert not adding.solved(0.00095, margin=0.1)
    assert parity.solved(0.99)
    assert not parity.solved(0.9905, margin=0.1)
    assert not parity.solved(math.nan)
    assert not adding.solved(math.nan)


def test_what_can_t_be_is_refused_before_training() -> None:
    settings = ModelSettings(hidden_size=4)
    for arguments, message in (
        ((["adding"], ["lstmm"], [10]), r"`cells` must be among elman, .* Received: 'lstmm'"),
        ((["adding", "coppy"], ["lstm"], [10]), r"`tasks` must be among .* Received: 'coppy'"),
        ((["adding", "selective-copy"], ["lstm"], [10]), "`length` must be at least 16"),
        ((["adding"], ["lstm"], []), "`lengths` must name at least one"),
    ):
        with pytest.raises(RecipeError, match=message):
            run_benchmark(*arguments, settings, QUICK)
    with pytest.raises(RecipeError, match=r"`bidirectional` must be False for the task parity"):
        make_model(find("parity"), replace(settings, bidirectional=True), 0)
    with pytest.raises(RecipeError, match=r"`chrono` and `forget_bias` set the same biases"):
        ModelSettings(chrono=10, forget_bias=1.0)
    with pytest.raises(RecipeError, match=r"`curriculum.first` must be at most the length, 10. Received: 20"):
        fit(make_model(find("adding"), settings, 0), 10, replace(QUICK, curriculum=Curriculum(20, 1.0)))
    with pytest.raises(RecipeError, match=r"`shortest` and `curriculum` both choose lengths"):
        fit(make_model(find("adding"), settings, 0), 10, replace(QUICK, shortest=5, curriculum=Curriculum(5, 1.0)))
    with pytest.raises(RecipeError, match=r"`shortest` must be at most the length, 10. Received: 20"):
        find("adding").batch(10, 2, 0, shortest=20)
    with pytest.raises(RecipeError, match=r"`minutes` must be a positive number. Received: 0"):
        fit(make_model(find("adding"), settings, 0), 10, replace(QUICK, max_minutes=0))


def test_a_trial_as_a_line() -> None:
    outcome = Outcome(1234, 56.7, 60.2, True, 0.00042, 0.0005, False, 100)
    trial = Trial("adding", "gru", 100, 400, "mse", 1 / 6, outcome, 99, -0.0123, "vanishing")
    line = "adding gru|100 → 400|yes|1,234|57|60|0.00042|0.167 mse|99 steps|-0.0123|vanishing"
    assert cells_of(trial) == line.replace("adding gru", "adding|gru").split("|")
    assert trial.to_dict()["metric"] == 0.00042
    diverged = replace(trial, outcome=Outcome(diverged=True), horizon_steps=None, lyapunov=None, regime=None)
    assert cells_of(diverged)[7:] == ["diverged", "0.167 mse", "–", "–", "–"]
    assert diverged.to_dict()["metric"] is None


def _command(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["ostinato", "benchmark", "memory", *arguments])
    with pytest.raises(SystemExit) as caught:
        main()
    return int(caught.value.code or 0)


def test_the_command_prints_lines_and_writes_a_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "page.md"
    quick = ("--minutes", "0.001", "--hidden-size", "4")
    assert _command(monkeypatch, "--tasks", "adding,s3", "--cells", "gru", *quick, "--json", "--out", str(page)) == 0
    printed = capsys.readouterr()
    lines = [json.loads(line) for line in printed.out.splitlines()]
    assert [line["task"] for line in lines] == ["adding", "s3"]
    assert all(line["regime"] in ("vanishing", "near-critical", "exploding") for line in lines)
    assert all(line["horizon_steps"] > 0 for line in lines)
    assert "1/2: adding, gru, length 100" in printed.err
    written = page.read_text()
    assert "4 units, default recurrent weights" in written
    assert written.count("\n| adding | gru | 100 | no |") == 1


def test_the_command_names_what_it_does_not_know(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for arguments, message in (
        (("--tasks", "ading"), "did you mean adding?"),
        (("--cells", "ltsm"), "did you mean lstm?"),
        (("--lengths", "100,x"), "`lengths` must be positive integers, separated by commas. Received: 'x'."),
        (("--preset", "ading-1000"), "did you mean adding-1000?"),
        (("--preset", "adding-1000", "--cells", "gru"), "`--preset` sets --cells itself."),
        (("--cells", "elman", "--tasks", "adding", "--chrono", "100"), "it has no gate that keeps the state"),
        (("--out", str(tmp_path / "nowhere" / "page.md")), "nowhere"),
    ):
        assert _command(monkeypatch, *arguments) == 1
        assert message in capsys.readouterr().err.replace("\n", "")
