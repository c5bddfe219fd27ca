"""Evaluation mode while a context lasts, whatever ends it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import nn

from ostinato.nn.modes import evaluating


def _model() -> nn.Module:
    model = nn.Sequential(nn.Dropout(0.5), nn.Sequential(nn.Dropout(0.5), nn.Linear(2, 2)))
    model[1][0].eval()  # type: ignore[index]
    return model


def _modes(model: nn.Module) -> list[bool]:
    return [module.training for module in model.modules()]


def _pieces(model: nn.Module) -> Iterator[int]:
    with evaluating(model):
        yield from range(3)


def test_each_module_gets_its_own_mode_back() -> None:
    model = _model()
    before = _modes(model)
    with evaluating(model):
        assert not any(_modes(model))
        assert torch.equal(model[0](torch.ones(3)), torch.ones(3))  # type: ignore[index]
    assert _modes(model) == before == [True, True, True, False, True]


def test_also_after_an_error() -> None:
    model = _model()
    before = _modes(model)
    with pytest.raises(RuntimeError, match="stop"), evaluating(model):
        raise RuntimeError("stop")
    assert _modes(model) == before


def test_also_where_a_generator_is_abandoned() -> None:
    model = _model()
    before = _modes(model)
    pieces = _pieces(model)
    assert next(pieces) == 0
    assert not any(_modes(model))
    del pieces
    assert _modes(model) == before
