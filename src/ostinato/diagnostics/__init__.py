"""Diagnosis: how far back a model remembers, why, and what to change; measured on real data, without changing it."""

from ostinato.diagnostics.activations import GateUse, LayerActivations, layer_activations
from ostinato.diagnostics.advice import advise
from ostinato.diagnostics.diagnosing import diagnose
from ostinato.diagnostics.diagnosis import Advice, Diagnosis
from ostinato.diagnostics.equivalence import verify
from ostinato.diagnostics.equivalence_certificate import Certificate, Comparison
from ostinato.diagnostics.gradients import LayerGradients, gradient_by_lag
from ostinato.diagnostics.horizon import Horizon, memory_horizon
from ostinato.diagnostics.lyapunov import LayerDynamics, lyapunov_exponents
from ostinato.diagnostics.spectra import JacobianSpectrum, WeightSpectrum, jacobian_spectrum, weight_spectra
from ostinato.probes.subject import Subject

__all__ = [
    "Advice",
    "Certificate",
    "Comparison",
    "Diagnosis",
    "GateUse",
    "Horizon",
    "JacobianSpectrum",
    "LayerActivations",
    "LayerDynamics",
    "LayerGradients",
    "Subject",
    "WeightSpectrum",
    "advise",
    "diagnose",
    "gradient_by_lag",
    "jacobian_spectrum",
    "layer_activations",
    "lyapunov_exponents",
    "memory_horizon",
    "verify",
    "weight_spectra",
]
