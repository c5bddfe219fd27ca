"""The report's plots of frames of notes."""

from __future__ import annotations

import numpy as np
from markupsafe import Markup
from matplotlib.axis import Axis
from matplotlib.collections import PatchCollection
from matplotlib.patches import Rectangle
from matplotlib.ticker import FuncFormatter, MultipleLocator

from ostinato.arrays import Floats, Mask
from ostinato.data.features.notes import note_name
from ostinato.report.sound import held_notes
from ostinato.report.svg import BLUE, GREEN, MUTED, ORANGE, drawing, whole


def roll(truth: Mask, predicted: Mask, lowest: int) -> Markup:
    """A piano roll: notes that came and were expected, that came unexpected, that were expected and didn't come.

    Args:
        truth: (L, C).
        predicted: (L, C).
        lowest: MIDI pitch of the first column.
    """
    label = "Piano roll of one piece, predicted and true notes"
    with drawing("roll", label, "frame", "pitch", x_ticks=whole, y_ticks=_octaves, size=(9.0, 3.4)) as plot:
        axes = plot.axes
        used = np.flatnonzero((truth | predicted).any(axis=0))
        low, high = (int(used[0]), int(used[-1])) if len(used) else (0, truth.shape[1] - 1)
        for mask, colour, label, height in (
            (truth & predicted, GREEN, "came as expected", 0.8),
            (truth & ~predicted, BLUE, "came unexpected", 0.8),
            (predicted & ~truth, ORANGE, "expected, did not come", 0.3),
        ):
            boxes = [
                Rectangle((step, pitch + lowest - height / 2), length, height)
                for step, pitch, length in held_notes(mask)
            ]
            axes.add_collection(PatchCollection(boxes, facecolor=colour, edgecolor="none"))
            axes.plot([], [], color=colour, linewidth=5 if height > 0.5 else 2, label=label)
        axes.set_xlim(0, len(truth))
        axes.set_ylim(low + lowest - 1, high + lowest + 1)
    return plot.svg


def surprise(nll: Floats) -> Markup:
    """Nats of each frame of a piece."""
    label = "Nats of surprise at each frame of the piece"
    with drawing("surprise", label, "frame", "nats", x_ticks=whole, size=(9.0, 1.7)) as plot:
        plot.axes.step(np.arange(len(nll) + 1), np.append(nll, nll[-1:]), where="post", color=BLUE)
        plot.axes.set_xlim(0, len(nll))
        plot.axes.set_ylim(bottom=0)
    return plot.svg


def by_pitch(sounds: Floats, said: Floats, both: Floats, lowest: int) -> Markup:
    """How often each pitch sounds, and how often it was expected then."""
    label = "How often each pitch sounds, and how often it was expected"
    with drawing("pitches", label, "pitch", "frames", x_ticks=_octaves, y_ticks=whole, size=(9.0, 2.4)) as plot:
        axes = plot.axes
        used = np.flatnonzero(sounds + said)
        pitches = used + lowest
        axes.bar(pitches, sounds[used], color=MUTED, alpha=0.45, label="sounds")
        axes.bar(pitches, both[used], color=GREEN, width=0.5, label="and was expected")
        axes.step(pitches, said[used], where="mid", color=ORANGE, linewidth=1, label="was expected")
    return plot.svg


def _octaves(axis: Axis) -> None:
    """A tick at every C."""
    axis.set_major_locator(MultipleLocator(12))
    axis.set_major_formatter(FuncFormatter(lambda value, _: note_name(round(value)) if value >= 0 else ""))
