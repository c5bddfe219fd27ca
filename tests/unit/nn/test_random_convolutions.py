"""Shares of steps at which random convolutions exceed their bounds, against loops from the definition."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
import torch
from torch import Tensor

import ostinato.nn.random_convolutions as module
from ostinato.nn.random_convolutions import NUM_KERNELS, RandomConvolutions
from ostinato.types import Ragged

LENGTHS = [40, 0, 7, 33, 1]


def _rows(channels: int, lengths: list[int] = LENGTHS) -> Ragged:
    torch.manual_seed(0)
    return Ragged.from_padded(torch.randn(len(lengths), max(lengths), channels), lengths)


def _by_definition(layer: RandomConvolutions, row: Tensor, moved: float) -> np.ndarray:
    """(84, num_bounds) of one row (L, C), with all bounds moved by a margin."""
    x = row.double().numpy()
    dilations = layer.dilations.tolist()
    found = np.zeros((NUM_KERNELS, layer.num_bounds))
    for kernel, high in enumerate(combinations(range(9), 3)):
        for j, dilation in enumerate(dilations):
            reads = layer.channels[sorted(set(dilations)).index(dilation), kernel].numpy().astype(bool)
            level = x[:, reads].sum(axis=1)
            sums = [
                sum(
                    (2 if i in high else -1) * level[t + (i - 4) * dilation]
                    for i in range(9)
                    if 0 <= t + (i - 4) * dilation < len(x)
                )
                for t in range(len(x))
            ]
            margin = 4 * dilation if kernel % 2 and len(x) > 8 * dilation else 0
            inside = sums[margin : len(x) - margin]
            found[kernel, j] = (
                np.mean([value > layer.bounds[kernel, j].item() + moved for value in inside]) if inside else 0
            )
    return found


@pytest.mark.parametrize("native", [True, False])
@pytest.mark.parametrize("channels", [1, 3])
def test_features_are_those_of_the_definition(channels: int, native: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if native and module.core is None:
        pytest.skip("needs the native core")
    rows = _rows(channels)
    layer = RandomConvolutions(channels, 5 * NUM_KERNELS)
    layer.fit(rows)
    if not native:
        monkeypatch.setattr(module, "core", None)
    found = layer(rows).reshape(len(LENGTHS), NUM_KERNELS, -1).numpy()
    for own, row in zip(found, rows.split_rows(), strict=True):  # a sum may lie right on a bound: rounding decides
        fewest, most = (_by_definition(layer, row, margin) for margin in (1e-5, -1e-5))
        assert ((own >= fewest - 1e-6) & (own <= most + 1e-6)).all()
        assert len(row) < 9 or (fewest == most).mean() > 0.9
    assert layer(rows)[1].count_nonzero() == 0  # an empty row


def test_dilations_reach_over_the_longest_row_and_half_of_the_features_are_balanced() -> None:
    rows = _rows(1, [200] * 8)
    layer = RandomConvolutions(1, 20 * NUM_KERNELS)
    layer.fit(rows)
    dilations = layer.dilations.tolist()
    assert dilations == sorted(dilations)
    assert len(dilations) == layer.num_bounds == 20
    assert 20 <= max(dilations) <= 24  # 8 steps of it just fit
    assert layer(rows).mean().item() == pytest.approx(0.5, abs=0.05)


def test_a_level_added_to_a_row_changes_only_kernels_that_read_beyond_its_ends() -> None:
    rows = _rows(1, [120] * 3)
    layer = RandomConvolutions(1, 4 * NUM_KERNELS)
    layer.fit(rows)
    before, after = (layer(one).reshape(3, NUM_KERNELS, -1) for one in (rows, rows.with_values(rows.values + 5.0)))
    assert (before[:, 1::2] - after[:, 1::2]).abs().max() < 0.02  # but for rounding
    assert (before[:, ::2] - after[:, ::2]).abs().max() > 0.02


def test_the_same_draws_every_time_and_all_of_them_saved() -> None:
    rows = _rows(2)
    one, two = RandomConvolutions(2, 168), RandomConvolutions(2, 168)
    assert one(rows).count_nonzero() == 0  # nothing is drawn yet
    one.fit(rows)
    two.fit(rows)
    assert torch.equal(one(rows), two(rows))
    assert {"dilations", "channels", "bounds"} == set(dict(one.named_parameters()))
    assert not any(parameter.requires_grad for parameter in one.parameters())
