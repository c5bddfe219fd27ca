"""Sound in a page: players that need no network, and music made of notes."""

from __future__ import annotations

import base64
import io
import wave

import numpy as np
from markupsafe import Markup

from ostinato.arrays import Array, Floats, Mask

RATE = 8000
"""Samples a second of what a page plays: enough to recognise a voice or a tune, and small."""
_PARTIALS = (1.0, 0.4, 0.2, 0.1)
"""Loudness of a note's fundamental and of the partials above it."""
_DECAY_S, _ATTACK_S, _RELEASE_S = 0.6, 0.005, 0.03
TEMPO = 96.0
"""Beats a minute, as `media.midi.write_midi` writes them."""


def player(samples: Array, label: str) -> Markup:
    """An `<audio>` element that plays samples (n,) at `RATE`, full scale at 1; louder ones are turned down.

    Example:
        >>> player(np.zeros(8), "silence")[:40]
        Markup('<audio controls preload="metadata" aria-')
    """
    levels = np.asarray(samples, dtype=np.float64) / max(1.0, float(np.abs(samples).max(initial=0.0)))
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(np.round(levels * 32767).astype("<i2").tobytes())
    address = "data:audio/wav;base64," + base64.b64encode(buffer.getvalue()).decode()
    return Markup('<audio controls preload="metadata" aria-label="{}" src="{}"></audio>').format(label, address)


def synthesised(roll: Mask, lowest: int, frames_per_beat: int) -> Floats:
    """Notes as sound: decaying partials, a pitch in successive frames one held note.

    Args:
        roll: (L, C), which notes sound in each frame.
        lowest: MIDI pitch of the first column.
        frames_per_beat: frames a quarter note has.

    Returns:
        (n,) samples at `RATE`, the loudest at 0.8.
    """
    frame = RATE * 60.0 / TEMPO / frames_per_beat
    sound = np.zeros(round(len(roll) * frame))
    for first, column, length in held_notes(roll):
        start, end = round(first * frame), min(round((first + length) * frame), len(sound))
        t = np.arange(end - start) / RATE
        pitch = 440.0 * 2.0 ** ((column + lowest - 69) / 12)
        tone = sum(
            loudness * np.sin(2 * np.pi * pitch * number * t)
            for number, loudness in enumerate(_PARTIALS, start=1)
            if pitch * number < RATE / 2
        )
        ends = np.minimum(1.0, np.minimum(t / _ATTACK_S, t[::-1] / _RELEASE_S))
        sound[start:end] += tone * np.exp(-t / _DECAY_S) * ends
    return np.asarray(0.8 * sound / max(float(np.abs(sound).max(initial=0.0)), 1e-9))


def held_notes(roll: Mask) -> list[tuple[int, int, int]]:
    """(first step, column, steps) of every stretch of ones."""
    edges = np.diff(np.pad(roll.astype(np.int8), ((1, 1), (0, 0))), axis=0).T  # (C, L + 1)
    columns, starts = np.nonzero(edges == 1)
    _, ends = np.nonzero(edges == -1)
    return list(zip(starts.tolist(), columns.tolist(), (ends - starts).tolist(), strict=True))
