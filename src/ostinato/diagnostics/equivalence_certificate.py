"""The certificate: a table of comparisons, and what follows from it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ostinato.storage.files import json_ready


@dataclass(frozen=True)
class Comparison:
    """One row of the certificate.

    Args:
        form: how the model was run.
        backend: on which backend; `all` for a form that is not defined for the model.
        dtype: `float32`, `float64`, or `bf16`: float32 with products in bfloat16. `all` as above.
        outputs: largest difference of the outputs, relative to their largest magnitude; None: not there.
        final_state: the same of the final states.
        gradients: the same of the gradients by parameters and embedded inputs, the worst of them.
        tolerance: what is allowed; 0: bit for bit.
        passed: whether all are within it; None where there was nothing to compare.
        note: why there was nothing, or where the difference is.
    """

    form: str
    backend: str
    dtype: str
    outputs: float | None = None
    final_state: float | None = None
    gradients: float | None = None
    tolerance: float | None = None
    passed: bool | None = None
    note: str = ""

    def to_dict(self) -> dict[str, Any]:
        """By name; a difference that is no number as `null`, with `passed` false."""
        return json_ready(self.__dict__)


@dataclass(frozen=True)
class Certificate:
    """All comparisons of a model.

    Args:
        rows: the table.
        model: what was verified.
        lengths: steps of the rows it was verified on.
        tolerances: by dtype.
        parts: the certificate of each recurrence in the model; `rows` are those of the whole.
    """

    rows: tuple[Comparison, ...]
    model: str
    lengths: tuple[int, ...]
    tolerances: dict[str, float] = field(default_factory=dict)
    parts: tuple[Certificate, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether no comparison failed."""
        return not self.failures

    @property
    def every_row(self) -> tuple[Comparison, ...]:
        """The rows, and those of all parts."""
        return self.rows + tuple(row for part in self.parts for row in part.every_row)

    @property
    def failures(self) -> tuple[Comparison, ...]:
        """The rows that failed, those of the parts among them."""
        return tuple(row for row in self.every_row if row.passed is False)

    def to_dict(self) -> dict[str, Any]:
        """What `certificate.json` holds."""
        return {
            "passed": self.passed,
            "model": self.model,
            "lengths": list(self.lengths),
            "tolerances": self.tolerances,
            "rows": [row.to_dict() for row in self.rows],
            "parts": [part.to_dict() for part in self.parts],
        }

    def summary(self) -> str:
        """One line."""
        compared = sum(row.passed is not None for row in self.every_row)
        if self.passed:
            return f"equivalent: {compared} comparisons, none beyond its tolerance"
        return f"NOT equivalent: {len(self.failures)} of {compared} comparisons are beyond their tolerance"
