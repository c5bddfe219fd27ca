"""The report's plots of frames of notes."""

from __future__ import annotations

import numpy as np
from markupsafe import Markup
from matplotlib.collections import PatchCollection
from matplotlib.patches import Rectangle
from matplotlib.ticker import FuncFormatter, MaxNLocator, MultipleLocator

from ostinato.arrays import Floats, Mask
from ostinato.data.features.notes import note_name
from ostinato.report.svg import BLUE, GREEN, MUTED, ORANGE, drawing


def roll(truth: Mask, predicted: Mask, lowest: int) -> Markup:
    """A piano roll: notes that came and were expected, that came unexpected, that were expected and didn't come.

    Args:
        truth: (L, C).
        predicted: (L, C).
        lowest: MIDI pitch of the first column.
    """
    with drawing("roll", "Piano roll of one piece, predicted and true notes") as plot:
        axes = plot.axes
        axes.figure.set_size_inches(9.0, 3.4)  # type: ignore[union-attr]
        used = np.flatnonzero((truth | predicted).any(axis=0))
        low, high = (int(used[0]), int(used[-1])) if len(used) else (0, truth.shape[1] - 1)
        for mask, colour, label, height in (
            (truth & predicted, GREEN, "came as expected", 0.8),
            (truth & ~predicted, BLUE, "came unexpected", 0.8),
            (predicted & ~truth, ORANGE, "expected, did not come", 0.3),
        ):
            boxes = [
                Rectangle((step, pitch + lowest - height / 2), length, height) for step, pitch, length in _runs(mask)
            ]
            axes.add_collection(PatchCollection(boxes, facecolor=colour, edgecolor="none"))
            axes.plot([], [], color=colour, linewidth=5 if height > 0.5 else 2, label=label)
        axes.set_xlim(0, len(truth))
        axes.set_ylim(low + lowest - 1, high + lowest + 1)
        axes.yaxis.set_major_locator(MultipleLocator(12))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: note_name(round(value)) if value >= 0 else ""))
        axes.set_xlabel("frame")
        axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3)
    return plot.svg


def surprise(nll: Floats) -> Markup:
    """Nats of each frame of a piece."""
    with drawing("surprise", "Nats of surprise at each frame of the piece") as plot:
        plot.axes.figure.set_size_inches(9.0, 1.7)  # type: ignore[union-attr]
        plot.axes.step(np.arange(len(nll) + 1), np.append(nll, nll[-1:]), where="post", color=BLUE)
        plot.axes.set_xlim(0, len(nll))
        plot.axes.set_ylim(bottom=0)
        plot.axes.set_xlabel("frame")
        plot.axes.set_ylabel("nats")
    return plot.svg


def by_pitch(sounds: Floats, said: Floats, both: Floats, lowest: int) -> Markup:
    """How often each pitch sounds, and how often it was expected then."""
    with drawing("pitches", "How often each pitch sounds, and how often it was expected") as plot:
        axes = plot.axes
        axes.figure.set_size_inches(9.0, 2.4)  # type: ignore[union-attr]
        used = np.flatnonzero(sounds + said)
        pitches = used + lowest
        axes.bar(pitches, sounds[used], color=MUTED, alpha=0.45, label="sounds")
        axes.bar(pitches, both[used], color=GREEN, width=0.5, label="and was expected")
        axes.step(pitches, said[used], where="mid", color=ORANGE, linewidth=1, label="was expected")
        axes.xaxis.set_major_locator(MultipleLocator(12))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: note_name(round(value)) if value >= 0 else ""))
        axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))
        axes.set_ylabel("frames")
        axes.legend()
    return plot.svg


def _runs(mask: Mask) -> list[tuple[int, int, int]]:
    """(first step, column, steps) of every stretch of ones."""
    edges = np.diff(np.pad(mask.astype(np.int8), ((1, 1), (0, 0))), axis=0).T  # (C, L + 1)
    columns, starts = np.nonzero(edges == 1)
    _, ends = np.nonzero(edges == -1)
    return list(zip(starts.tolist(), columns.tolist(), (ends - starts).tolist(), strict=True))
