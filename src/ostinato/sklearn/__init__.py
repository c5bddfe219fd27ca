"""Estimators of scikit-learn that train recurrent networks on texts, ragged arrays, panels and tables.

>>> from ostinato.sklearn import SequenceClassifier
>>> model = SequenceClassifier(hidden_size=8, epochs=1).fit(["a good film", "a bad film"] * 20, ["pos", "neg"] * 20)
>>> model.predict_proba(["good"]).shape
(1, 2)
"""

from ostinato.media.extras import library

library("sklearn", "ostinato.sklearn", "sklearn")

from ostinato.sklearn.forecaster import SequenceForecaster  # noqa: E402
from ostinato.sklearn.rows_to_one import SequenceClassifier, SequenceRegressor  # noqa: E402
from ostinato.sklearn.tagger import SequenceTagger  # noqa: E402

__all__ = ["SequenceClassifier", "SequenceForecaster", "SequenceRegressor", "SequenceTagger"]
