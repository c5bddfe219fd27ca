"""How well scores rank what is there above what is not: ROC and precision-recall curves and their areas."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from ostinato.arrays import Floats, Mask
from ostinato.metrics.resampling import Drawn, Numbers, Units


@dataclass(frozen=True)
class Ranking:
    """Items by falling score. hits, alarms: (T + 1,), how many positive and how many negative items score at least as
    high as each of T different scores, from zero on; the last ones are all there are, and there are both.

    Source: Davis and Goadrich 2006, "The relationship between precision-recall and ROC curves".
    """

    hits: Numbers
    alarms: Numbers

    @classmethod
    def of(cls, scores: Floats, positive: Mask) -> Ranking | None:
        """Of scores (N,) and which items are positive (N,); None if all are, or none.

        Example:
            >>> found = Ranking.of(np.asarray([0.1, 0.4, 0.35, 0.8]), np.asarray([False, False, True, True]))
            >>> found.auc, round(found.average_precision, 4)
            (0.75, 0.8333)
        """
        if positive.all() or not positive.any():
            return None
        order = np.argsort(-scores, kind="stable")
        ends = np.append(np.flatnonzero(np.diff(scores[order])), len(order) - 1)
        hits = np.cumsum(positive[order])[ends]
        return cls(*(np.concatenate([[0.0], part]) for part in (hits, ends + 1 - hits)))

    @property
    def roc(self) -> tuple[Numbers, Numbers]:
        """(T + 1,) each: false positive rate and true positive rate."""
        return self.alarms / self.alarms[-1], self.hits / self.hits[-1]

    @property
    def precision_recall(self) -> tuple[Numbers, Numbers]:
        """(T,) each: recall and precision."""
        return self.roc[1][1:], self.hits[1:] / (self.hits + self.alarms)[1:]

    @property
    def auc(self) -> float:
        """Area under the ROC curve: the chance that a positive item scores above a negative one, ties shared."""
        along, up = self.roc
        return float((np.diff(along) * (up[1:] + up[:-1])).sum() / 2)

    @property
    def average_precision(self) -> float:
        """Precision at each score, weighted by the recall that it adds."""
        recall, precision = self.precision_recall
        return float((np.diff(recall, prepend=0.0) * precision).sum())


def areas(scores: Floats, positive: Mask, units: Units, most: int) -> tuple[Drawn, Drawn]:
    """`Ranking.auc` and `Ranking.average_precision` of items that are drawn with their units; not a number where all
    that are drawn are positive, or none. Of more than `most` different scores, neighbours count as equal, few where
    scores are high."""

    @cache
    def tables() -> list[Numbers]:
        _, rank = np.unique(-scores, return_inverse=True)
        count = int(rank.max()) + 1
        level = rank if count <= most else (most * np.sqrt(rank / count)).astype(np.int64)
        return [units.counts(level, min(count, most), among) for among in (positive, ~positive)]

    def counted(times: Numbers) -> tuple[Numbers, Numbers]:
        hits, alarms = (np.insert(np.cumsum(times @ table, axis=-1), 0, 0.0, axis=-1) for table in tables())
        return hits, alarms

    def auc(times: Numbers) -> Numbers:
        hits, alarms = counted(times)
        under = np.diff(alarms) * (hits[..., 1:] + hits[..., :-1]) / 2
        return np.asarray(under.sum(-1) / (hits[..., -1] * alarms[..., -1]))

    def average_precision(times: Numbers) -> Numbers:
        hits, alarms = counted(times)
        precision = hits[..., 1:] / np.maximum((hits + alarms)[..., 1:], 1.0)
        total = np.where(alarms[..., -1] > 0, hits[..., -1], np.nan)
        return np.asarray((np.diff(hits) * precision).sum(-1) / total)

    return auc, average_precision
