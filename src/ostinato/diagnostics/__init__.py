"""What a model can remember, why, and what to do about it: on real data, without changing the model."""

from ostinato.diagnostics.subject import Subject, classifier_subject, language_model_subject

__all__ = ["Subject", "classifier_subject", "language_model_subject"]
