"""The report's results of a model that writes frames: figures, and written sequences next to true ones."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any, cast

import numpy as np
import torch
from markupsafe import Markup
from numpy.typing import NDArray
from torch import nn

from ostinato.arrays import Floats
from ostinato.data.batching import BucketedBatches
from ostinato.data.dataset import Examples, Prepared
from ostinato.data.features import Feature
from ostinato.data.features.video import VideoFeature
from ostinato.layers.writer import SequenceWriter
from ostinato.metrics.names import METRIC_NAMES
from ostinato.metrics.resampling import with_intervals
from ostinato.nn.modes import evaluating
from ostinato.report.data import Section
from ostinato.report.exhibits import heard
from ostinato.report.page import limits
from ostinato.tasks.frames import plots as plots_written
from ostinato.tasks.frames.evaluation import (
    ForcedRow,
    FrameModel,
    evaluate,
    forced_metrics,
    frames_column,
    teacher_forced,
    write,
)
from ostinato.tasks.frames.sampling import as_values, write_frames
from ostinato.tasks.given import rows_by_given, with_others_given
from ostinato.tasks.transcripts import begin

_PANELS = 6
_DRAWN = 3
_MEANINGS = {
    "nats_per_frame": "−ln p of the true frame (and of the end), lower is better",
    "mse": "squared error, in the scale the numbers were normalised to",
    "mae": "absolute error in that scale",
    "r2": "share of variance explained",
    "accuracy": "TP / (TP + FP + FN) of the notes",
    "f1": "of the notes",
    "exact": "frames with every note right",
}


def written_results(model: FrameModel, prepared: Prepared, device: torch.device) -> Section:
    """Figures with teacher forcing, and of free running where one answer is right; sequences drawn, or written, beside
    true ones."""
    examples = prepared.validation
    metrics = with_intervals(evaluate(cast("nn.Module", model), examples, prepared.features, device))
    feature, _ = frames_column(prepared.features, examples)
    first = "mse" if "mse" in metrics else "accuracy"
    found: Section = {
        "template": "written.html.jinja",
        "metrics": metrics,
        "table": [
            {"name": METRIC_NAMES[key], "meaning": about, "forced": metrics[key], "free": metrics.get(f"free_{key}")}
            for key, about in _MEANINGS.items()
            if key in metrics
        ],
        "shuffled": _shuffled(model, examples, device),
        "given": _given_names(prepared),
        "noun": feature.step_noun,
        "sentence": _sentence(prepared),
        "parts": getattr(model, "parts", {}),
        "tiles": [
            (
                "nats a frame",
                f"{metrics['nats_per_frame']:.3f}",
                "with teacher forcing",
                limits(metrics, "nats_per_frame"),
            ),
            (
                METRIC_NAMES[first],
                f"{metrics[first]:.3f}",
                "of what is expected next, with teacher forcing",
                limits(metrics, first),
            ),
        ],
        "has_answer": "length_error" in metrics,
        "lengths": None,
        "surprises": [],
    }
    if not isinstance(model, SequenceWriter):
        rows = dict(teacher_forced(model, examples, device))
        return {**found, "panels": _expected(rows, examples, model, feature)}
    if "length_error" in metrics:
        return {**found, "panels": _answers(model, examples, feature, device)}
    return {**found, **_drawn(model, prepared, examples, feature, device)}


def _sentence(prepared: Prepared) -> str:
    recipe = prepared.recipe
    if prepared.features.target is None:
        further = "".join(f" and `{name}`" for name in prepared.features.extra)
        return f"Predicts each frame of `{recipe.data.input}` from those before it{further}."
    how = "after reading" if prepared.features.input.ragged else "for a given"
    return f"Writes `{recipe.data.target}`, frame by frame, {how} `{_given_names(prepared)}`."


def _given_names(prepared: Prepared) -> str:
    return ", ".join((str(prepared.recipe.data.input), *prepared.features.extra))


def _shuffled(model: FrameModel, examples: Examples, device: torch.device) -> float | None:
    """Nats a frame where every row is given what another row was given; none where nothing is given."""
    swapped = with_others_given(examples)
    if not isinstance(model, SequenceWriter):
        if not examples.extra:
            return None
        pairs = zip(swapped.extra.values(), examples.extra.values(), strict=True)
        if not all(np.array_equal(one.lengths, other.lengths) for one, other in pairs):
            return None
        swapped = replace(examples, extra=swapped.extra)
    rows = [row for _, row in teacher_forced(model, swapped, device)]
    return float(forced_metrics(rows, model.head)["nats_per_frame"])


def _expected(rows: dict[int, ForcedRow], examples: Examples, model: FrameModel, feature: Feature) -> list[Section]:
    """Rows of a next-step model: what was expected in the place of each frame; evenly spaced by surprise."""
    order = sorted((row for row in rows if len(rows[row].nll)), key=lambda row: float(rows[row].nll.mean()))
    picked = [order[i] for i in np.unique(np.linspace(0, len(order) - 1, min(_PANELS, len(order))).astype(int))]
    return [
        {
            "title": examples.location(row).rsplit("/", 1)[-1],
            "note": f"{rows[row].nll.mean():.3f} nats a frame",
            "plot": _plot(f"expected-{row}", [rows[row].truth], [rows[row].expected], model, feature, "expected"),
        }
        for row in picked
    ]


def _answers(model: SequenceWriter, examples: Examples, feature: Feature, device: torch.device) -> list[Section]:
    """Rows with one reference: it, and what is written in its place; evenly spaced by how far they are apart."""
    frames = model.frames
    targets = examples.target_sequences
    right = [_numbers(targets.row(row), model) for row in range(len(examples))]
    said = [frames.floats(one.cpu(), torch.float32).numpy() for one in write(model, examples, device)]
    gaps = [_gap(a, b) for a, b in zip(said, right, strict=True)]
    order = np.argsort(gaps, kind="stable")
    picked = order[np.unique(np.linspace(0, len(order) - 1, min(_PANELS, len(order))).astype(int))]
    return [
        {
            "title": examples.preview(int(row)) or examples.location(int(row)).rsplit("/", 1)[-1],
            "note": f"mean squared error {gaps[row]:.3f}; {len(said[row])} frames for {len(right[row])}",
            "plot": _plot(f"written-{row}", [right[row]], [said[row]], model, feature),
        }
        for row in picked.tolist()
    ]


def _drawn(
    model: SequenceWriter, prepared: Prepared, examples: Examples, feature: Feature, device: torch.device
) -> Section:
    """For each of the most frequent values given: sequences drawn, next to held-out ones; and their lengths."""
    train = prepared.train
    rows_of = rows_by_given(examples)
    trained = Counter(train.given(row) for row in range(len(train)))
    targets, panels = examples.target_sequences, []
    lengths: list[int] = []
    for number, condition in enumerate(sorted(rows_of, key=lambda one: -trained[one])[:_PANELS]):
        rows = rows_of[condition]
        said = _draws(model, examples, rows[0], device, number)
        lengths += [len(one) for one in said]
        panels.append(
            {
                "title": _cells(examples, rows[0], prepared),
                "note": f"· {trained[condition]:,} training rows",
                "plot": _plot(
                    f"drawn-{number}",
                    [_numbers(targets.row(row), model) for row in rows[:_DRAWN]],
                    said,
                    model,
                    feature,
                ),
            }
        )
    return {"panels": panels, "lengths": {"right": float(targets.lengths.mean()), "drawn": float(np.mean(lengths))}}


def _draws(model: SequenceWriter, examples: Examples, row: int, device: torch.device, seed: int) -> list[Floats]:
    """Sequences drawn for what a row is given."""
    decoder = model.frame_decoder
    with evaluating(model), torch.inference_mode():
        batch = BucketedBatches(examples, 1).batch(np.asarray([row] * _DRAWN)).to(device)
        generator = torch.Generator().manual_seed(seed)
        found = write_frames(decoder, begin(model, batch), max_frames=model.options.longest, generator=generator)
    return [decoder.frames.floats(one.cpu(), torch.float32).numpy() for one in found]


def _cells(examples: Examples, row: int, prepared: Prepared) -> str:
    """What a row was given, in words."""
    further = [str(feature.decode(examples.extra[name].row(row))) for name, feature in prepared.features.extra.items()]
    return ", ".join([examples.preview(row), *further])


def _numbers(values: NDArray[Any], model: FrameModel) -> Floats:
    return model.frames.floats(torch.from_numpy(np.ascontiguousarray(values)), torch.float32).numpy()


def _gap(said: Floats, right: Floats) -> float:
    count = min(len(said), len(right))
    return float(((said[:count] - right[:count]) ** 2).mean())


def _plot(
    name: str, right: list[Floats], said: list[Floats], model: FrameModel, feature: Feature, second: str = "written"
) -> Markup:
    """Few channels as lines, many as shades, pictures as strips; what sounds, with players."""
    frames = model.frames
    rows = [as_values(feature, frames.stored(torch.from_numpy(one))) for one in (right[0], said[0])]
    if isinstance(feature, VideoFeature):
        return plots_written.strips(feature.pictures(rows[0]), feature.pictures(rows[1]), second)
    noun, few = feature.timed_noun, frames.holds == "numbers" and right[0].shape[1] <= plots_written.MOST_LINES
    if few:
        drawn = plots_written.lines(name, right, said, noun, second)
    else:
        drawn = plots_written.shades(name, right[0], said[0], noun, second)
    sounds = [(label, heard(feature, row, label)) for label, row in zip(("true", second), rows, strict=True)]
    return drawn + plots_written.named(sounds)
