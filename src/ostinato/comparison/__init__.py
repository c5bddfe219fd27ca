"""Which of several models does best on the same data, at what cost: `compare`."""

from ostinato.comparison.comparing import Comparison, compare

__all__ = ["Comparison", "compare"]
