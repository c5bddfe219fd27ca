"""Ostinato: recurrent models of sequential data, from raw files to a trained, evaluated and explained model.

>>> import ostinato
>>> run = ostinato.train("reviews.csv", input="text", target="label", settings={"training.epochs": 4})
>>> label = run.predict(["great film :)"])[0].label

Names are imported on first use, so that `import ostinato` and `ostinato --help` do not load torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from ostinato import nn
    from ostinato.api import resume, train
    from ostinato.metrics.prediction import Prediction
    from ostinato.recipe import Recipe
    from ostinato.run import Run, load
    from ostinato.serving.async_client import AsyncClient
    from ostinato.serving.client import Client
    from ostinato.types import Ragged

_HOMES = {
    "AsyncClient": "ostinato.serving.async_client",
    "Client": "ostinato.serving.client",
    "Prediction": "ostinato.metrics.prediction",
    "Ragged": "ostinato.types",
    "Recipe": "ostinato.recipe",
    "Run": "ostinato.run",
    "load": "ostinato.run",
    "resume": "ostinato.api",
    "train": "ostinato.api",
}

__all__ = ["AsyncClient", "Client", "Prediction", "Ragged", "Recipe", "Run", "load", "nn", "resume", "train"]


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    if name == "nn":
        return importlib.import_module("ostinato.nn")
    raise AttributeError(f"module 'ostinato' has no attribute {name!r}")
