"""What baselines of scikit-learn share."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def ending_early() -> Iterator[None]:
    """A solver that stops at its number of iterations is what a budget wants, and nothing to warn of."""
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        yield
