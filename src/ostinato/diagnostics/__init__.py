"""What a model can remember, why, and what to do about it: on real data, without changing the model."""

from ostinato.diagnostics.equivalence import verify, verify_stack
from ostinato.diagnostics.equivalence_certificate import Certificate, Comparison
from ostinato.diagnostics.gradients import LayerGradients, gradient_by_lag
from ostinato.diagnostics.lyapunov import LayerDynamics, lyapunov_exponents
from ostinato.diagnostics.spectra import JacobianSpectrum, WeightSpectrum, jacobian_spectrum, weight_spectra
from ostinato.diagnostics.subject import Subject, classifier_subject, language_model_subject

__all__ = [
    "Certificate",
    "Comparison",
    "JacobianSpectrum",
    "LayerDynamics",
    "LayerGradients",
    "Subject",
    "WeightSpectrum",
    "classifier_subject",
    "gradient_by_lag",
    "jacobian_spectrum",
    "language_model_subject",
    "lyapunov_exponents",
    "verify",
    "verify_stack",
    "weight_spectra",
]
