"""Every example in a docstring of the package runs and prints what it says."""

from __future__ import annotations

import doctest
import importlib
from pathlib import Path

import numpy as np
import pytest
import torch
from _pytest.mark import ParameterSet
from torch.nn import functional as F

import ostinato
from ostinato import nn, types

SOURCE = Path(__file__).parents[2] / "src"
TO_MEND = (
    "ostinato.comparison.comparing",
    "ostinato.crossvalidation",
    "ostinato.tasks.frames.sampling",
    "ostinato.tasks.next_step.sampling",
    "ostinato.tasks.written",
)
"""Modules whose examples do not run yet. One that runs is to be taken out. To be emptied."""


def _with_examples() -> list[ParameterSet]:
    found = [path for path in sorted(SOURCE.rglob("*.py")) if ">>> " in path.read_text(encoding="utf-8")]
    names = [".".join(path.relative_to(SOURCE).with_suffix("").parts).removesuffix(".__init__") for path in found]
    return [pytest.param(name, marks=pytest.mark.xfail(strict=True) if name in TO_MEND else ()) for name in names]


@pytest.mark.parametrize("name", _with_examples())
@pytest.mark.usefixtures("world")
def test_examples(name: str) -> None:
    """Run in a folder with names.csv, reviews.csv, sensors.csv, island.txt, and runs/ of each (`conftest.RUNS`)."""
    torch.manual_seed(0)
    module = importlib.import_module(name)
    known = {"torch": torch, "np": np, "F": F, "ostinato": ostinato, "nn": nn, "Ragged": types.Ragged}
    known = {key: value for key, value in known.items() if not hasattr(module, key)}
    result = doctest.testmod(module, extraglobs=known, optionflags=doctest.ELLIPSIS)
    assert result.attempted > 0
    assert result.failed == 0
