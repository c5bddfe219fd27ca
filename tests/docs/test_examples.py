"""Every example in a docstring of the package runs and prints what it says."""

from __future__ import annotations

import doctest
import importlib
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F

import ostinato
from ostinato import nn, types

SOURCE = Path(__file__).parents[2] / "src"


def _with_examples() -> list[str]:
    found = [path for path in sorted(SOURCE.rglob("*.py")) if ">>> " in path.read_text(encoding="utf-8")]
    return [".".join(path.relative_to(SOURCE).with_suffix("").parts).removesuffix(".__init__") for path in found]


@pytest.mark.parametrize("name", _with_examples())
@pytest.mark.usefixtures("world")
def test_examples(name: str) -> None:
    """Run in a folder with small data and the runs of `conftest.RUNS`."""
    torch.manual_seed(0)
    module = importlib.import_module(name)
    known = {"torch": torch, "np": np, "F": F, "ostinato": ostinato, "nn": nn, "Ragged": types.Ragged}
    known = {key: value for key, value in known.items() if not hasattr(module, key)}
    result = doctest.testmod(module, extraglobs=known, optionflags=doctest.ELLIPSIS)
    assert result.attempted > 0
    assert result.failed == 0
