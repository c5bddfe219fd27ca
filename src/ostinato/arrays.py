"""The array types that data travels in."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Ids: TypeAlias = NDArray[np.int32]
"""Tokens as integers."""

Offsets: TypeAlias = NDArray[np.int64]
"""Places, lengths, counts, line numbers."""

Codepoints: TypeAlias = NDArray[np.uint32]
"""Unicode code points."""

Mask: TypeAlias = NDArray[np.bool_]
"""Which rows."""

Floats: TypeAlias = NDArray[np.floating[Any]]
"""Real numbers of any precision."""

Integers: TypeAlias = NDArray[np.integer[Any]]
"""Whole numbers of any width."""

Array: TypeAlias = NDArray[Any]
"""Anything else."""
