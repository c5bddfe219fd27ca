"""Evaluating, predicting and reporting of models that write frames: numbers, notes or pictures, one after the other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from ostinato.data.batching import Batch, BucketedBatches
from ostinato.data.dataset import Examples, Features, Prepared
from ostinato.data.features import Feature
from ostinato.data.sequences import Sequences
from ostinato.layers.frame_decoder import FrameDecoder, Frames
from ostinato.metrics.classification import Metrics
from ostinato.metrics.steps import note_metrics, number_metrics
from ostinato.tasks.conditional.evaluation import has_one_answer
from ostinato.tasks.conditional.model import Conditional
from ostinato.tasks.conditional.sampling import refuse_unknown
from ostinato.tasks.frames.sampling import begin, decoded, write_frames
from ostinato.tasks.next_step.model import NextStep
from ostinato.tasks.prediction import Prediction
from ostinato.tasks.seq2seq.model import Seq2Seq
from ostinato.types import Ragged

Model: TypeAlias = "Conditional | Seq2Seq | NextStep"
Floats = NDArray[np.floating[Any]]
_ROWS = 32


@dataclass(frozen=True)
class ForcedRow:
    """What a model says of one row, told its true frames. nats: (T,) or, with that of the end, (T + 1,): -ln p of each;
    expected: (T, C), in the place of each frame, given those before it; truth: (T, C)."""

    nll: NDArray[np.float64]
    expected: Floats
    truth: Floats


def evaluate(model: nn.Module, examples: Examples, features: Features, device: torch.device) -> Metrics:
    """Figures told the true frames, and, where there is one right sequence for what is given, of sequences written
    alone.

    `loss`, `nats_per_frame`: -ln p of all frames and ends, over the number of frames, in the scale that numbers were
    normalised to. Told the frames before it, of what was expected of each frame: `mse`, `mae`, `r2` of numbers in that
    scale, `accuracy`, `f1`, `exact` of notes. Free-running, from what is given alone: `free_mse` and so on, over the
    steps that both what is written and what is right have, and `length_error`, the mean difference of their lengths in
    frames.
    """
    one = cast("Model", model)
    found = monitor(model, examples, features, device)
    if isinstance(one, NextStep) or not _has_answer(one, examples):
        return found
    return {**found, **free_running(one, examples, device)}


def monitor(model: nn.Module, examples: Examples, features: Features, device: torch.device) -> Metrics:
    """As `evaluate`, told the true frames only."""
    one = cast("Model", model)
    return forced_metrics([row for _, row in told(one, examples, device)], frames_of(one))


def forced_metrics(rows: list[ForcedRow], frames: Frames) -> Metrics:
    """The figures of rows that were told their true frames."""
    count = sum(len(row.truth) for row in rows)
    mean = sum(float(row.nll.sum()) for row in rows) / max(count, 1)
    figures = _compared([row.expected for row in rows], [row.truth for row in rows], frames)
    return {"loss": mean, "nats_per_frame": mean, **figures, "num_frames": count, "num_examples": len(rows)}


def free_running(model: Conditional | Seq2Seq, examples: Examples, device: torch.device) -> Metrics:
    """The figures of what is most expected from what is given alone."""
    frames = frames_of(model)
    written = [_numbers(one, frames) for one in write(model, examples, device)]
    truths = list(_truths(model, examples))
    pairs = [(a[: len(b)], b[: len(a)]) for a, b in zip(written, truths, strict=True)]
    figures = _compared([a for a, _ in pairs], [b for _, b in pairs], frames)
    gaps = [abs(len(a) - len(b)) for a, b in zip(written, truths, strict=True)]
    return {**{f"free_{name}": value for name, value in figures.items()}, "length_error": float(np.mean(gaps))}


def predict(model: nn.Module, examples: Examples, features: Features, device: torch.device) -> list[Prediction]:
    """`values` of each row: the most expected sequence for what is given; of a next-step model what it expected in the
    place of each frame, and nats a frame (`details`).

    Raises:
        RunError: for a row with a name that training never showed.
    """
    one = cast("Model", model)
    if isinstance(one, NextStep):
        found: dict[int, Prediction] = {}
        for row, said in told(one, examples, device):
            values = tuple(decoded(features.input, one.frames.stored(torch.from_numpy(said.expected))))
            found[row] = Prediction(values=values, details={"nats_per_frame": float(said.nll.mean())})
        return [found[row] for row in range(len(examples))]
    refuse_unknown(examples, features)
    target = cast("Feature", features.target)
    return [Prediction(values=tuple(decoded(target, frames))) for frames in write(one, examples, device)]


def frames_of(model: Model) -> Frames:
    """What a frame is."""
    return model.frames if isinstance(model, NextStep) else cast("FrameDecoder", model.decoder).frames


def frames_column(prepared: Prepared, examples: Examples) -> tuple[Feature, Sequences]:
    """The column whose frames are written, and its rows: the target, or of a next-step model the input."""
    if prepared.recipe.model.writes == "input":
        return prepared.features.input, examples.sequences
    return cast("Feature", prepared.features.target), cast("Sequences", examples.targets)


def told(model: Model, examples: Examples, device: torch.device) -> Iterator[tuple[int, ForcedRow]]:
    """Each row's number and what the model says of it."""
    was_training = model.training
    model.eval()
    for batch in BucketedBatches(examples, _ROWS).epoch(0):
        with torch.inference_mode():
            nll, expected, truth = _read(model, batch.to(device))
            parts = [one.with_values(one.values.double().cpu()).split_rows() for one in (nll, expected, truth)]
        for row, of_nll, of_expected, of_truth in zip(batch.rows.tolist(), *parts, strict=True):
            right = of_truth.numpy()
            yield row, ForcedRow(of_nll.numpy(), of_expected.numpy()[: len(right)], right)
    model.train(was_training)


def _read(model: Model, batch: Batch) -> tuple[Ragged, Ragged, Ragged]:
    """Nats, what was expected, and what is true, of a batch."""
    if isinstance(model, NextStep):
        hidden, truth = model(batch.inputs, batch.extra), model.laid(batch.inputs)
        nll = hidden.with_values(model.output.nll(hidden.values, truth.values))
        return nll, hidden.with_values(model.output.draw(hidden.values, temperature=0.0)), truth
    decoder, writing = cast("FrameDecoder", model.decoder), begin(model, batch)
    targets = batch.sequence_targets
    inputs, wanted = decoder.inputs_and_targets(targets)
    read = decoder.reads(inputs, writing.layers, writing.memory, writing.fed)[0]
    nll = read.with_values(decoder.step_nll(read.values, wanted.values))
    expected = read.with_values(decoder.output.draw(read.values, temperature=0.0))
    return nll, expected, targets.with_values(decoder.frames.numbers(targets.values, read.values.dtype))


def write(model: Conditional | Seq2Seq, examples: Examples, device: torch.device) -> list[torch.Tensor]:
    """The most expected sequence for each row, (T, C), as `Frames.stored` gives it."""
    was_training = model.training
    model.eval()
    found: dict[int, torch.Tensor] = {}
    decoder = cast("FrameDecoder", model.decoder)
    for batch in BucketedBatches(examples, _ROWS).epoch(0):
        with torch.inference_mode():
            start = begin(model, batch.to(device))
            written = write_frames(decoder, start, max_frames=model.options.longest, temperature=0.0)
        found.update(zip(batch.rows.tolist(), written, strict=True))
    model.train(was_training)
    return [found[row] for row in range(len(examples))]


def _truths(model: Conditional | Seq2Seq, examples: Examples) -> Iterator[Floats]:
    frames, targets = frames_of(model), cast("Sequences", examples.targets)
    for row in range(len(targets)):
        yield frames.numbers(torch.from_numpy(np.ascontiguousarray(targets.row(row))), torch.float64).numpy()


def _numbers(stored: torch.Tensor, frames: Frames) -> Floats:
    return frames.numbers(stored.cpu(), torch.float64).numpy()


def _compared(said: list[Floats], truth: list[Floats], frames: Frames) -> Metrics:
    one, other = np.concatenate(said), np.concatenate(truth)
    found = note_metrics(one, other) if frames.kind == "notes" else number_metrics(one, other)
    return {name: value for name, value in found.items() if name != "num_tokens"}


def _has_answer(model: Conditional | Seq2Seq, examples: Examples) -> bool:
    return isinstance(model, Seq2Seq) or has_one_answer(examples)
