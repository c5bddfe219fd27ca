"""Numbers too small to matter, which slow a processor down."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def flushed_denormals() -> Iterator[None]:
    """Results below 1e-38 are zero: gradients of a model that fits a few rows fall there, and a processor takes a
    hundred times as long for each. Threads that are started within take it over."""
    before = bool(torch.tensor(1e-39) * 0.5 == 0)
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(before)
