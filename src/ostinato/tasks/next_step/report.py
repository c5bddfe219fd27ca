"""The report's results of a model that predicts frames of notes: figures, a piano roll, surprising frames."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import torch
from markupsafe import Markup
from numpy.typing import NDArray

from ostinato.data.dataset import Examples, Prepared
from ostinato.data.features.notes import NotesFeature, note_name
from ostinato.data.sequences import Sequences
from ostinato.metrics.resampling import with_intervals
from ostinato.report.data import Section
from ostinato.report.exhibits import audible_frames, heard
from ostinato.report.page import limits
from ostinato.tasks.frames.baselines import bernoulli
from ostinato.tasks.next_step.baselines import frames_before
from ostinato.tasks.next_step.evaluation import ScoredRow, frame_metrics, score
from ostinato.tasks.next_step.model import NextStep
from ostinato.tasks.next_step.sampling import next_frames

Floats = NDArray[np.float64]
_SHOWN_FRAMES = 96
_MOST_SURPRISING = 12
_CONTEXT = 3


def frames_results(model: NextStep, prepared: Prepared, device: torch.device) -> Section:
    """Figures on the validation data next to two simple guesses, a typical piece as a roll, and surprising frames."""
    from ostinato.tasks.next_step import plots as plots_frames

    train, examples = prepared.train.sequences, prepared.validation
    feature = cast("NotesFeature", prepared.features.input)
    scored = dict(score(model, examples, device))
    rolls = {row: examples.sequences.row(row) for row in scored}
    shares, holds = _guess_shares(train, examples.sequences), _guess_holds(train, examples.sequences)
    ours = with_intervals(frame_metrics((rolls[row], one.nll, one.predicted) for row, one in scored.items()))
    means = {row: float(one.nll.mean()) for row, one in scored.items() if len(one.nll)}
    typical = sorted(means, key=lambda row: means[row])[len(means) // 2]
    roll, said = rolls[typical][:_SHOWN_FRAMES] != 0, scored[typical].predicted[:_SHOWN_FRAMES] != 0
    example = {
        "location": examples.location(typical),
        "nll": means[typical],
        "frames": len(roll),
        "roll": plots_frames.roll(roll, said, feature.recipe.lowest),
        "heard": heard(feature, rolls[typical], "the piece"),
        "composed": _composed(model, prepared, typical),
        "surprise": plots_frames.surprise(scored[typical].nll[:_SHOWN_FRAMES]),
    }
    given = "".join(f" and `{name}`" for name in prepared.features.extra)
    spread = limits(ours, "nats_per_frame"), limits(ours, "accuracy", "percent")
    return {
        "metrics": {"num_examples": len(examples), **ours},
        "table": [
            _line("nats a frame", "−ln p of the frame that came, lower is better", "loss", ours, shares, holds),
            _line("frame accuracy", "TP / (TP + FP + FN) of the notes", "accuracy", ours, shares, holds),
        ],
        "example": example,
        "surprises": _surprises(examples, scored, feature),
        "by_pitch": plots_frames.by_pitch(*_by_pitch(rolls, scored), feature.recipe.lowest),
        "parts": model.parts,
        "sentence": f"Predicts each frame of `{prepared.recipe.data.input}` from those before it{given}.",
        "tiles": [
            ("nats a frame", f"{ours['loss']:.3f}", f"{holds['loss']:.2f} by holding the last frame", spread[0]),
            (
                "frame accuracy",
                f"{100 * ours['accuracy']:.1f} %",
                f"{100 * holds['accuracy']:.1f} % by holding it",
                spread[1],
            ),
        ],
    }


def _composed(model: NextStep, prepared: Prepared, like: int) -> Markup | None:
    """A piece that the model wrote, for what a row was given; None where that has a value for every frame."""
    features, examples = prepared.features, prepared.validation
    feature = cast("NotesFeature", features.input)
    if any(one.ragged for one in features.extra.values()):
        return None
    given = {name: one.decode(examples.extra[name].row(like)) for name, one in features.extra.items()}
    count = audible_frames(feature)
    return heard(
        feature,
        next_frames(model, feature, given=given, covariates=features.extra, num_frames=count),
        "a piece that was written",
    )


def _line(name: str, meaning: str, key: str, *columns: Section) -> Section:
    return {"name": name, "meaning": meaning, "values": [column[key] for column in columns], "percent": key != "loss"}


def _guess_shares(train: Sequences, validation: Sequences) -> Section:
    """Each note independently sounds as often as in the training frames."""
    shares = (train.values.sum(axis=0, dtype=np.float64) + 1) / (len(train.values) + 2)
    truth = validation.values != 0
    nll = bernoulli(truth, shares)
    return frame_metrics([(truth, nll, np.broadcast_to(shares > 0.5, truth.shape))])


def _guess_holds(train: Sequences, validation: Sequences) -> Section:
    """Each note independently continues, or begins, as often as in training; the expected frame is the last one."""
    held, begun = (np.zeros(train.values.shape[1]) for _ in range(2))
    sounding = held.copy()
    before, now = frames_before(train), train.values != 0
    sounding += before.sum(axis=0)
    held += (before & now).sum(axis=0)
    begun += (~before & now).sum(axis=0)
    after_note, after_silence = (held + 1) / (sounding + 2), (begun + 1) / (len(now) - sounding + 2)
    before, now = frames_before(validation), validation.values != 0
    shares = np.where(before, after_note, after_silence)
    nll = bernoulli(now, shares)
    return frame_metrics([(now, nll, before)])


def _by_pitch(rolls: dict[int, Any], scored: dict[int, ScoredRow]) -> tuple[Floats, Floats, Floats]:
    """For each pitch how often it sounds, how often it was expected, and how often both."""
    truth = np.concatenate([rolls[row] != 0 for row in rolls])
    said = np.concatenate([scored[row].predicted != 0 for row in rolls])
    counts = [part.sum(axis=0, dtype=np.float64) for part in (truth, said, truth & said)]
    return counts[0], counts[1], counts[2]


def _surprises(examples: Examples, scored: dict[int, ScoredRow], feature: NotesFeature) -> list[Section]:
    """The most surprising frame of each of the pieces that have the most surprising ones."""
    worst = {row: int(one.nll.argmax()) for row, one in scored.items() if len(one.nll)}
    chosen = sorted(worst, key=lambda row: -float(scored[row].nll[worst[row]]))[:_MOST_SURPRISING]
    found = []
    for row in chosen:
        at, roll = worst[row], examples.sequences.row(row)
        found.append(
            {
                "location": examples.location(row),
                "frame": at + 1,
                "nll": float(scored[row].nll[at]),
                "before": [_chord(one) for one in feature.decode(roll[max(at - _CONTEXT, 0) : at])],
                "true": _chord(feature.decode(roll[at])[0]),
                "predicted": _chord(feature.decode(scored[row].predicted[at])[0]),
            }
        )
    return found


def _chord(pitches: list[int]) -> str:
    return " ".join(note_name(pitch) for pitch in pitches) or "silence"
