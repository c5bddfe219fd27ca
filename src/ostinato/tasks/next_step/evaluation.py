"""Evaluating, predicting and reporting of models that predict each frame from those before it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ostinato.arrays import Array, Floats
from ostinato.data.batching import BucketedBatches
from ostinato.data.dataset import Examples, Features
from ostinato.metrics.classification import Metrics
from ostinato.metrics.prediction import Prediction
from ostinato.metrics.resampling import SUMS, Sums, Units, ratio
from ostinato.nn.modes import evaluating
from ostinato.tasks.frames.evaluation import nats_metrics
from ostinato.tasks.next_step.model import NextStep

_ROWS = 32
_FRAMES = 8192
"""Rows read, and frames whose distribution is computed, at a time; fewer where each note has a state of its own."""


@dataclass(frozen=True)
class ScoredRow:
    """One row. nats: (L,) -ln p of each frame; predicted: (L, C) zeros and ones, what was expected in its place."""

    nll: NDArray[np.float64]
    predicted: NDArray[np.uint8]


def evaluate(model: NextStep, examples: Examples, features: Features, device: torch.device) -> Metrics:
    """`loss`: nats a frame, over all frames of all rows; `accuracy`: TP / (TP + FP + FN) over all frames (Bay et al.
    2009, "Evaluation of multiple-F0 estimation and tracking systems", ISMIR, eq. 1), a frame of silence that was
    expected counting nothing.
    """
    truth = examples.sequences
    rows = ((truth.row(row), one.nll, one.predicted) for row, one in score(model, examples, device))
    return {**frame_metrics(rows), "num_examples": len(examples)}


def frame_metrics(rows: Iterable[tuple[Array, Floats, Array]]) -> Metrics:
    """Figures of rows: the frames that came, -ln p of each, and what was expected in its place."""
    found = [
        (nll.sum(), len(nll), ((truth != 0) & (said != 0)).sum(), ((truth != 0) | (said != 0)).sum())
        for truth, nll, said in rows
    ]
    nll, lengths, hits, either = np.asarray(found, dtype=np.float64).reshape(-1, 4).T
    nats, notes = nats_metrics(nll, lengths), Sums(Units.rows(len(found)).sums(hits, either), {"accuracy": ratio(0, 1)})
    return {
        **nats,
        "accuracy": float(hits.sum() / either.sum()) if either.any() else 1.0,
        SUMS: nats[SUMS].beside(notes),
    }


def predict(model: NextStep, examples: Examples, features: Features, device: torch.device) -> list[Prediction]:
    """For each row the pitches most expected in each frame (`values`), and nats a frame (`details`)."""
    found: list[Prediction | None] = [None] * len(examples)
    decode = features.input.decode
    for row, scored in score(model, examples, device):
        nll = float(scored.nll.mean()) if len(scored.nll) else 0.0
        found[row] = Prediction(values=tuple(decode(scored.predicted)), details={"nats_per_frame": nll})
    return [cast("Prediction", one) for one in found]


def score(model: NextStep, examples: Examples, device: torch.device) -> Iterator[tuple[int, ScoredRow]]:
    """Each row's number and what the model says of it, rows of similar length one after the other."""
    with evaluating(model):
        for batch in BucketedBatches(examples, max(1, _ROWS // model.states_per_row)).epoch(0):
            with torch.inference_mode():
                here = batch.to(device)
                frames, hidden = here.inputs, model(here.inputs, here.extra)
                nll, predicted = _distributions(model, hidden.values, frames.values)
                by_row = zip(
                    batch.rows.tolist(),
                    frames.with_values(nll).split_rows(),
                    frames.with_values(predicted).split_rows(),
                    strict=True,
                )
            for row, nll_of, predicted_of in by_row:
                yield row, ScoredRow(nll_of.double().cpu().numpy(), predicted_of.cpu().numpy())


def _distributions(model: NextStep, hidden: Tensor, frames: Tensor) -> tuple[Tensor, Tensor]:
    """Nats (M,) and the expected frames (M, C)."""
    nll, predicted = [], []
    size = max(1, _FRAMES // model.states_per_row)
    for some, wanted in zip(torch.split(hidden, size), torch.split(frames, size), strict=True):
        nll.append(model.head.nll(some, wanted))
        predicted.append(model.head.point(some))
    return torch.cat(nll), torch.cat(predicted)
