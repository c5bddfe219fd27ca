"""Recurrences: one file each, with its equations, its step and its source.

``get("lstm")`` gives a cell by name, ``names()`` lists them. Importing a cell's file here is what makes it known.
"""

from ostinato.cells.cell import LAYER_NORM_EPS, Cell, NativeKernel, Weights
from ostinato.cells.elman import Elman
from ostinato.cells.gru import Gru
from ostinato.cells.jordan import Jordan
from ostinato.cells.lstm import Lstm
from ostinato.cells.registry import get, lightest, names, normalised, register

__all__ = [
    "LAYER_NORM_EPS",
    "Cell",
    "Elman",
    "Gru",
    "Jordan",
    "Lstm",
    "NativeKernel",
    "Weights",
    "get",
    "lightest",
    "names",
    "normalised",
    "register",
]
