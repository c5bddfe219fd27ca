"""Convolutions over time: against torch row by row, whatever is beside a row, and what evaluation remembers."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from ostinato.errors import ShapeError
from ostinato.nn import BatchNorm, Convolutions
from ostinato.types import Ragged

DOUBLE = torch.float64


def _rows(lengths: list[int], features: int = 2) -> Ragged:
    torch.manual_seed(0)
    values = torch.randn(sum(lengths), features, dtype=DOUBLE)
    starts = [sum(lengths[:row]) for row in range(len(lengths))]
    return Ragged.from_rows(values, starts, lengths)


@pytest.mark.parametrize("lengths", [[3, 0, 7, 1, 7], [4, 4], [0, 0], [1]])
def test_every_row_is_convolved_as_if_alone(lengths: list[int]) -> None:
    rows = _rows(lengths)
    layer = Convolutions(2, (3, 4), (5, 3)).to(DOUBLE).eval()
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.uniform_(0.1, 1.0)
        found = layer(rows)
    first, second = (convolution.weight for convolution in layer.convolutions)
    for row, made in zip(rows.split_rows(), found.split_rows(), strict=True):
        if not len(row):
            assert made.shape == (0, 4)
            continue
        wanted = row.T.unsqueeze(0)
        for weight, norm in ((first, layer.norms[0]), (second, layer.norms[1])):
            wanted = F.conv1d(wanted, weight, padding="same")
            own = (norm.mean, norm.variance, norm.weight, norm.bias)
            wanted = torch.relu(F.batch_norm(wanted, *own, training=False))
        torch.testing.assert_close(made, wanted[0].T)


def test_the_order_of_packing_does_not_matter() -> None:
    rows = _rows([3, 6, 6, 2])
    turned = torch.tensor([2, 1, 3, 0])  # rows of equal length the other way round
    values = rows.split_rows()
    packed = nn.utils.rnn.pack_sequence([values[int(row)] for row in turned], enforce_sorted=False)
    layer = Convolutions(2, (3,), (3,)).to(DOUBLE).eval()
    found = layer(Ragged.from_packed(packed)).split_rows()
    for row, made in zip(turned.tolist(), found, strict=True):
        torch.testing.assert_close(made, layer(rows).split_rows()[row])


def test_batch_norm_is_that_of_torch_over_real_steps() -> None:
    torch.manual_seed(0)
    ours, theirs = BatchNorm(3).to(DOUBLE), nn.BatchNorm1d(3).to(DOUBLE)
    for _ in range(4):
        values = 2 * torch.randn(11, 3, dtype=DOUBLE) + 1
        torch.testing.assert_close(ours(values), theirs(values))
    torch.testing.assert_close(ours.mean.data, theirs.running_mean)
    torch.testing.assert_close(ours.variance.data, theirs.running_var)
    values = torch.randn(1, 3, dtype=DOUBLE)
    torch.testing.assert_close(ours.eval()(values), theirs.eval()(values))
    torch.testing.assert_close(ours.train()(values), theirs(values))  # a step alone has no variance


def test_padding_has_no_part_in_means_and_no_gradient_goes_astray() -> None:
    rows = _rows([5, 2, 0, 3])
    layer = Convolutions(2, (3, 2), (3, 3)).to(DOUBLE)

    def run(values: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = layer(rows.with_values(values)).values
        return found

    torch.testing.assert_close(layer.norms[0](rows.values.new_ones(9, 3)), layer.norms[0].bias.expand(9, 3))
    assert torch.autograd.gradcheck(run, rows.values.clone().requires_grad_(), nondet_tol=0.0)
    normed: list[torch.Tensor] = []
    layer.norms[1].register_forward_hook(lambda *given: normed.append(given[2]))
    run(rows.values)
    torch.testing.assert_close(normed[0].mean(0), torch.zeros(2, dtype=DOUBLE))


def test_what_evaluation_remembers_is_saved_and_not_trained() -> None:
    layer = Convolutions(2, (3,), (3,))
    names = {name for name, parameter in layer.named_parameters() if not parameter.requires_grad}
    assert names == {"norms.0.mean", "norms.0.variance"} <= set(layer.state_dict())


@pytest.mark.parametrize(("channels", "kernels"), [((), ()), ((3,), (3, 3)), ((3,), (4,)), ((3,), (-1,))])
def test_what_makes_no_sense_is_refused(channels: tuple[int, ...], kernels: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError, match=r"one odd number of steps for each of `channels`. Received: \["):
        Convolutions(2, channels, kernels)
