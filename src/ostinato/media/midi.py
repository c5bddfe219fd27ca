"""MIDI files as frames of notes on a grid of beats, and frames as a MIDI file (through mido)."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ostinato.errors import DataError
from ostinato.media.extras import library
from ostinato.storage.decompress import open_binary
from ostinato.storage.files import write_atomically

Frames = list[list[int]]
"""The MIDI pitches (middle C = 60) that sound in each frame, rising."""

_DRUMS = 9
_MOST_FRAMES = 1_000_000
_MOST_SOUNDING = 5_000_000
"""Notes of all frames together: notes that are held through a long piece take the memory that they sound in."""
_TICKS_PER_BEAT = 480
_LOUDNESS = 72


def read_midi(path: str | Path, frames_per_beat: int) -> Frames:
    """The notes of a Standard MIDI File on a grid that knows beats, not seconds: changes of tempo change nothing.

    All tracks and channels are put together but the tenth channel (drums). A note's beginning and end are rounded to
    the nearest line of the grid; a note shorter than half a frame still sounds in one.

    Args:
        path: of a .mid or .midi file.
        frames_per_beat: frames a quarter note has, >= 1.

    Returns:
        the pitches (0 to 127) of each frame, rising, up to the end of the last note; [] where there are no notes.

    Raises:
        DataError: for a file that can't be read, counts time in seconds (SMPTE), or is absurdly long.
        MissingLibraryError: without mido.
    """
    mido = library("mido", "reading and writing MIDI", "audio")
    with open_binary(Path(path)) as stream:
        raw = stream.read()
    try:
        file = mido.MidiFile(file=io.BytesIO(raw))
        held = list(_held(file))
    except (OSError, EOFError, ValueError, KeyError, IndexError, TypeError, mido.KeySignatureError) as error:
        said = str(error).strip().rstrip(".") or type(error).__name__
        raise DataError(f"`{path}` is not a readable MIDI file: {said}.") from error
    if not 0 < file.ticks_per_beat < 0x8000:
        raise DataError(f"`{path}` counts time in seconds (SMPTE), not in beats.")
    frames = _frames(held, frames_per_beat / file.ticks_per_beat)
    if frames is None:
        raise DataError(
            f"`{path}` is longer than {_MOST_FRAMES:,} frames of a {frames_per_beat}th of a beat, or "
            f"holds more than {_MOST_SOUNDING:,} notes in them."
        )
    return frames


def write_midi(frames: Sequence[Sequence[int]], path: str | Path, frames_per_beat: int, tempo: float = 96.0) -> None:
    """Write frames as a Standard MIDI File of one piano track; a pitch in successive frames is one held note.

    Args:
        frames: MIDI pitches of each frame.
        path: where to; replaced whole if it is there.
        frames_per_beat: frames a quarter note has, 1 to 480.
        tempo: quarter notes a minute, > 0.

    Raises:
        MissingLibraryError: without mido.
    """
    mido = library("mido", "reading and writing MIDI", "audio")
    file = mido.MidiFile(ticks_per_beat=_TICKS_PER_BEAT)
    track = mido.MidiTrack()
    file.tracks.append(track)
    track.append(mido.MetaMessage("set_tempo", tempo=mido.bpm2tempo(tempo)))
    written, sounding = 0, set[int]()
    for number, frame in enumerate([*frames, []]):
        at = round(number * _TICKS_PER_BEAT / frames_per_beat)
        wanted = set(frame)
        changes = [("note_off", p) for p in sorted(sounding - wanted)] + [
            ("note_on", p) for p in sorted(wanted - sounding)
        ]
        for kind, pitch in changes:
            velocity = _LOUDNESS if kind == "note_on" else 0
            track.append(mido.Message(kind, note=pitch, velocity=velocity, time=at - written))
            written = at
        sounding = wanted
    buffer = io.BytesIO()
    file.save(file=buffer)
    write_atomically(Path(path), buffer.getvalue())


def _held(file: Any) -> Iterator[tuple[int, int, int]]:
    """(first tick, end tick, pitch) of every note but drums; one that never ends lasts to its track's end."""
    for track in file.tracks:
        begun: dict[tuple[int, int], int] = {}
        now = 0
        for message in track:
            now += message.time
            if message.type not in ("note_on", "note_off") or message.channel == _DRUMS:
                continue
            key = (message.channel, message.note)
            if key in begun:
                yield begun.pop(key), now, message.note
            if message.type == "note_on" and message.velocity > 0:
                begun[key] = now
        for (_, pitch), first in begun.items():
            yield first, now, pitch


def _frames(held: Sequence[tuple[int, int, int]], frames_per_tick: float) -> Frames | None:
    """The held notes on the grid; None where there would be too many frames."""
    placed = [(round(first * frames_per_tick), round(end * frames_per_tick), pitch) for first, end, pitch in held]
    count = max((max(end, first + 1) for first, end, _ in placed), default=0)
    sounding_notes = sum(max(end - first, 1) for first, end, _ in placed)
    if count > _MOST_FRAMES or sounding_notes > _MOST_SOUNDING:
        return None
    sounding: list[set[int]] = [set() for _ in range(count)]
    for first, end, pitch in placed:
        for number in range(first, max(end, first + 1)):
            sounding[number].add(pitch)
    return [sorted(frame) for frame in sounding]
