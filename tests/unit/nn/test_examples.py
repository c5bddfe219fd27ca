"""The examples in the docstrings run and print what they say."""

from __future__ import annotations

import doctest
import importlib

import pytest
import torch

from ostinato import nn, types

MODULES = (
    "ostinato.types",
    "ostinato.cells.cell",
    "ostinato.kernels.dispatch",
    "ostinato.nn.dropout",
    "ostinato.nn.embedding",
    "ostinato.nn.initialisation",
    "ostinato.nn.pooling",
    "ostinato.nn.recompute",
    "ostinato.nn.recurrent",
    "ostinato.nn.stack",
)


@pytest.mark.parametrize("name", MODULES)
def test_examples(name):
    module = importlib.import_module(name)
    result = doctest.testmod(module, extraglobs={"torch": torch, "nn": nn, "Ragged": types.Ragged})
    assert result.attempted > 0
    assert result.failed == 0
