"""Evaluating, predicting and reporting of models that write frames: numbers, notes or pictures, one after the other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol, cast

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import nn

from ostinato.arrays import Floats
from ostinato.data.batching import Batch, BucketedBatches
from ostinato.data.dataset import Examples, Features
from ostinato.data.features import Feature
from ostinato.data.sequences import Sequences
from ostinato.heads.base import OutputHead
from ostinato.layers.frames import Frames
from ostinato.layers.writer import SequenceWriter
from ostinato.metrics.classification import Metrics, token_sums
from ostinato.metrics.prediction import Prediction
from ostinato.metrics.resampling import SUMS, Units
from ostinato.nn.modes import evaluating
from ostinato.tasks.frames.sampling import decoded, write_frames
from ostinato.tasks.given import has_one_answer, refuse_unknown
from ostinato.tasks.transcripts import begin
from ostinato.types import Ragged

_ROWS = 32


class FrameModel(Protocol):
    """A model of frames, with teacher forcing. Those that run free, too, are `SequenceWriter`s."""

    @property
    def frames(self) -> Frames:
        """What a frame is."""

    @property
    def head(self) -> OutputHead:
        """Their distribution."""

    def forced(self, batch: Batch) -> tuple[Ragged, Ragged, Ragged]:
        """-ln p of each frame, and of the end; what was expected in its place; and the frames: (sum T, …) each."""


@dataclass(frozen=True)
class ForcedRow:
    """What a model says of one row with teacher forcing. nll: (T,) or, with that of the end, (T + 1,): -ln p of each;
    expected: (T, C), in the place of each frame, given those before it; truth: (T, C)."""

    nll: NDArray[np.float64]
    expected: Floats
    truth: Floats


def evaluate(model: nn.Module, examples: Examples, features: Features, device: torch.device) -> Metrics:
    """Figures with teacher forcing and, where there is one reference for what is given, of free running.

    `loss`, `nats_per_frame`: -ln p of all frames and ends, over the number of frames, in the scale that numbers were
    normalised to. With teacher forcing, of what was expected of each frame: `mse`, `mae`, `r2` of numbers in that
    scale, `accuracy`, `f1`, `exact` of notes. Free running, from the condition only: `free_mse` and so on, over the
    steps that written and true sequences share, and `length_error`, the mean difference of their lengths in frames.
    """
    found = monitor(model, examples, features, device)
    if not isinstance(model, SequenceWriter) or not (features.input.ragged or has_one_answer(examples)):
        return found
    return {**found, **free_running(model, examples, device)}


def monitor(model: nn.Module, examples: Examples, features: Features, device: torch.device) -> Metrics:
    """As `evaluate`, with teacher forcing only."""
    one = cast("FrameModel", model)
    return forced_metrics([row for _, row in teacher_forced(one, examples, device)], one.head)


def forced_metrics(rows: list[ForcedRow], head: OutputHead) -> Metrics:
    """The figures of rows with teacher forcing."""
    nats = nats_metrics([float(row.nll.sum()) for row in rows], [len(row.truth) for row in rows])
    figures = _compared([row.expected for row in rows], [row.truth for row in rows], head)
    return {**nats, **figures, SUMS: nats[SUMS].beside(figures[SUMS]), "num_examples": len(rows)}


def nats_metrics(nll: ArrayLike, lengths: ArrayLike) -> Metrics:
    """`loss` and `nats_per_frame` of each row's -ln p and its frames, (N,)."""
    totals, counts = np.asarray(nll, dtype=np.float64), np.asarray(lengths, dtype=np.int64)
    mean = float(totals.sum()) / max(int(counts.sum()), 1)
    sums = token_sums(totals, counts, Units.rows(len(totals)), "loss")
    return {"loss": mean, "nats_per_frame": mean, "num_frames": int(counts.sum()), SUMS: sums}


def free_running(model: SequenceWriter, examples: Examples, device: torch.device) -> Metrics:
    """Metrics of free running: the most expected sequence for each condition."""
    frames = model.frames
    written = [frames.floats(one.cpu(), torch.float64).numpy() for one in write(model, examples, device)]
    truths = list(_truths(model, examples))
    pairs = [(a[: len(b)], b[: len(a)]) for a, b in zip(written, truths, strict=True)]
    figures = _compared([a for a, _ in pairs], [b for _, b in pairs], model.head)
    gaps = [abs(len(a) - len(b)) for a, b in zip(written, truths, strict=True)]
    found = {f"free_{name}": value for name, value in figures.items() if name != SUMS}
    return {**found, "length_error": float(np.mean(gaps))}


def predict(model: nn.Module, examples: Examples, features: Features, device: torch.device) -> list[Prediction]:
    """`values` of each row: the most expected sequence for what is given; of a next-step model what it expected in the
    place of each frame, and nats a frame (`details`).

    Raises:
        RunError: for a row with a name that training never showed.
    """
    if not isinstance(model, SequenceWriter):
        one, found = cast("FrameModel", model), dict[int, Prediction]()
        for row, said in teacher_forced(one, examples, device):
            values = tuple(decoded(features.input, one.frames.stored(torch.from_numpy(said.expected))))
            found[row] = Prediction(values=values, details={"nats_per_frame": float(said.nll.mean())})
        return [found[row] for row in range(len(examples))]
    refuse_unknown(examples, features)
    target = features.sequence_target
    return [Prediction(values=tuple(decoded(target, frames))) for frames in write(model, examples, device)]


def frames_column(features: Features, examples: Examples) -> tuple[Feature, Sequences]:
    """The column whose frames are written, and its rows: the target, or without one the input."""
    if isinstance(features.target, Feature):
        return features.target, examples.target_sequences
    return features.input, examples.sequences


def teacher_forced(model: FrameModel, examples: Examples, device: torch.device) -> Iterator[tuple[int, ForcedRow]]:
    """Each row's number and what the model says of it."""
    with evaluating(cast("nn.Module", model)):
        for batch in BucketedBatches(examples, _ROWS).epoch(0):
            with torch.inference_mode():
                nll, expected, truth = model.forced(batch.to(device))
                parts = [one.with_values(one.values.double().cpu()).split_rows() for one in (nll, expected, truth)]
            for row, of_nll, of_expected, of_truth in zip(batch.rows.tolist(), *parts, strict=True):
                right = of_truth.numpy()
                yield row, ForcedRow(of_nll.numpy(), of_expected.numpy()[: len(right)], right)


def write(model: SequenceWriter, examples: Examples, device: torch.device) -> list[torch.Tensor]:
    """The most expected sequence for each row, (T, C), as `Frames.stored` gives it."""
    found: dict[int, torch.Tensor] = {}
    with evaluating(model):
        decoder = model.frame_decoder
        for batch in BucketedBatches(examples, _ROWS).epoch(0):
            with torch.inference_mode():
                start = begin(model, batch.to(device))
                written = write_frames(decoder, start, max_frames=model.options.longest, temperature=0.0)
            found.update(zip(batch.rows.tolist(), written, strict=True))
    return [found[row] for row in range(len(examples))]


def _truths(model: SequenceWriter, examples: Examples) -> Iterator[Floats]:
    frames, targets = model.frames, examples.target_sequences
    for row in range(len(targets)):
        yield frames.floats(torch.from_numpy(np.ascontiguousarray(targets.row(row))), torch.float64).numpy()


def _compared(said: list[Floats], truth: list[Floats], head: OutputHead) -> Metrics:
    units = Units.rows(len(truth)).steps(np.asarray([len(row) for row in truth]))
    found = head.metrics(np.concatenate(said), np.concatenate(truth), units)
    return {name: value for name, value in found.items() if name != "num_tokens"}
