"""A diagnosis of any model: complete, JSON-ready, repeatable, and without a trace on the model."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch

from ostinato import nn
from ostinato.diagnostics import Subject, diagnose
from ostinato.diagnostics.facts import clipping_facts
from ostinato.errors import DataError
from ostinato.types import Ragged


def _subject(stack: nn.RecurrentStack, lengths: tuple[int, ...] = (20, 5, 12)) -> Subject:
    random = torch.Generator().manual_seed(0)
    rows = Ragged.from_padded(torch.randn(len(lengths), max(lengths), stack.input_size, generator=random), lengths)
    return Subject((stack,), rows, lambda output: output.select_last().square().sum(1), per_step=False)


@pytest.mark.parametrize("make", [nn.RNN, nn.LSTM, nn.GRU])
def test_any_fresh_model_and_every_part_of_it(make: type[nn.RecurrentStack]) -> None:
    torch.manual_seed(0)
    found = diagnose(_subject(make(3, 6, num_layers=2, bidirectional=True)))
    layers = ["layer 1", "layer 1 reverse", "layer 2", "layer 2 reverse"]
    for parts in (found.gradients, found.dynamics, found.activations):
        assert [part.layer for part in parts] == layers
    assert {part.layer for part in found.spectra} == set(layers)
    saved = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert saved["num_rows"] == 3
    assert saved["num_steps"] == 20
    assert saved["training"] is None
    assert saved["gradient_horizon"] == max(part.horizon_steps for part in found.gradients)
    assert len(saved["activations"][0]["gates"]) == len(found.activations[0].gates)


def test_nothing_of_the_model_changes() -> None:
    torch.manual_seed(0)
    stack = nn.LSTM(3, 6, num_layers=2, dropout=0.5).train()
    before = {name: weight.clone() for name, weight in stack.state_dict().items()}
    random = torch.get_rng_state()
    first = diagnose(_subject(stack))
    assert torch.equal(torch.get_rng_state(), random)
    assert stack.training
    assert all(weight.grad is None and weight.requires_grad for weight in stack.parameters())
    assert all(torch.equal(weight, before[name]) for name, weight in stack.state_dict().items())
    assert diagnose(_subject(stack)).to_dict() == first.to_dict()
    assert diagnose(_subject(stack.eval())).to_dict() == first.to_dict()  # dropout was off


def test_whether_the_head_reads_every_step() -> None:
    torch.manual_seed(0)
    subject = _subject(nn.GRU(3, 4, bidirectional=True))
    assert not diagnose(subject).reads_every_step

    def mean(output: Ragged) -> torch.Tensor:
        return torch.stack([row.mean() for row in output.split_rows()])

    assert diagnose(replace(subject, loss=mean)).reads_every_step

    def ends(output: Ragged) -> torch.Tensor:
        return (output.select_first() + output.select_last()).sum(1)

    assert not diagnose(replace(subject, loss=ends)).reads_every_step


def test_rows_without_a_step_are_refused() -> None:
    with pytest.raises(DataError, match="must have a row with at least one step"):
        diagnose(_subject(nn.GRU(3, 4), (0, 0)))


def test_rows_of_one_step_are_no_reason_to_fail() -> None:
    torch.manual_seed(0)
    assert diagnose(_subject(nn.GRU(3, 4), (1, 1))).horizon.steps is None


def test_clipping_out_of_a_log() -> None:
    steps = [{"step": n + 1, "clipped": n < 30, "gradient_norm": float(n)} for n in range(100)]
    found = clipping_facts("norm", 1.0, steps)
    assert found is not None
    assert (found.share, found.late_share, found.num_steps) == (0.3, 0.0, 100)
    assert found.typical_norm == 74.5
    assert len(found.at) == len(found.share_by_step) == 60
    assert found.share_by_step[0] == 1.0
    assert clipping_facts("norm", 1.0, []) is None
