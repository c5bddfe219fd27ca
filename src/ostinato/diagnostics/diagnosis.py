"""What a diagnosis of a model says."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

from ostinato.diagnostics.activations import LayerActivations
from ostinato.diagnostics.facts import Training
from ostinato.diagnostics.gradients import LayerGradients
from ostinato.diagnostics.horizon import Horizon
from ostinato.diagnostics.lyapunov import LayerDynamics
from ostinato.diagnostics.spectra import WeightSpectrum
from ostinato.probes.unused import UnusedContext
from ostinato.storage.files import json_ready

FINE = "fine"
"""The kind of a note on something that needs no change."""


@dataclass(frozen=True)
class Advice:
    """One thing to change, or with kind `fine` one that needs no change.

    Args:
        kind: what it is about, one word for one diagnosis: `vanishing`, `exploding`, `forget_gates_shut`,
            `forget_bias`, `saturated`, `drift`, `window_too_short`, `window_too_long`, `lookback_too_short`,
            `clipping`, `truncation`, `dead_units`, `cheaper_recurrence`, `one_direction`, `fine`.
        says: a sentence or two for a person.
        evidence: the numbers that led to it.
        change: options of `ostinato train` to try; None where there is nothing to change.
    """

    kind: str
    says: str
    evidence: tuple[str, ...]
    change: str | None = None


@dataclass(frozen=True)
class Drift:
    """What changes when the model reads on beyond the length that training saw.

    Args:
        trained_steps: that length.
        loss_change: mean loss after the whole rows minus that after `trained_steps`, paired.
        loss_change_error: its standard error.
        growth: root mean square of the state at the end over that at `trained_steps`, the largest of all layers.
    """

    trained_steps: int
    loss_change: float
    loss_change_error: float
    growth: float


@dataclass(frozen=True)
class Diagnosis:
    """How far back a model remembers, why, and what to change.

    Args:
        num_rows: rows that gradients, gates and states were measured on.
        num_steps: of the longest.
        per_step: whether the model has a loss at each step.
        reads_every_step: whether the head reads every step (pooling), and not each row's last ones only.
        gradients: gradient by lag, of each layer and direction.
        dynamics: Lyapunov exponents, likewise; empty where a state is not finite.
        spectra: of the recurrent weights.
        activations: gates, units and states.
        horizon: loss by context: what comes before, or, around each step, on either side.
        drift: beyond the trained length; None where that is not known, or no row is longer.
        unused: dependence that the model leaves unused, by lag; None where that is not known.
        training: how it was trained; None outside a run.
        advice: what to change.
        notes: what is fine.
        name: of the recurrence, where the model has several: `encoder`, `decoder`.
        horizon_ahead: loss by the context that comes after the answered step; None where there is none.
        around: whether context is what each step sees on either side.
        remarks: what does not apply to this model, and why.
        parts: of the model's further recurrences.
    """

    num_rows: int
    num_steps: int
    per_step: bool
    reads_every_step: bool
    gradients: list[LayerGradients]
    dynamics: list[LayerDynamics]
    spectra: list[WeightSpectrum]
    activations: list[LayerActivations]
    horizon: Horizon
    drift: Drift | None = None
    unused: UnusedContext | None = None
    training: Training | None = None
    advice: tuple[Advice, ...] = ()
    notes: tuple[Advice, ...] = ()
    name: str = ""
    horizon_ahead: Horizon | None = None
    around: bool = False
    remarks: tuple[str, ...] = ()
    parts: tuple[Diagnosis, ...] = ()

    @property
    def gradient_horizon(self) -> int:
        """Steps within which 99 % of the gradient of the recurrent weights lies, in the layer where it is furthest."""
        return max(each.horizon_steps for each in self.gradients)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; what is not finite is None."""
        own = {**json_ready(asdict(replace(self, parts=()))), "gradient_horizon": self.gradient_horizon}
        return {**own, "parts": [part.to_dict() for part in self.parts]}
