"""Sequences of frames as text and as files: what each kind may be saved as, and what is told of others."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ostinato.cli.frames import prompt_of, save
from ostinato.data.features.notes import NotesFeature
from ostinato.data.features.series import SeriesFeature
from ostinato.errors import RunError
from ostinato.media.midi import read_midi
from ostinato.recipe.kinds import NotesRecipe, SeriesRecipe

MUSIC = NotesFeature(NotesRecipe(lowest=60, highest=63, frames_per_beat=4))
TUNE = np.asarray([[1, 0, 0, 0], [1, 0, 1, 0], [0, 0, 0, 1]], dtype=np.uint8)


def _series(channels: int) -> SeriesFeature:
    """Numbers that are stored as (x - 10) / 2."""
    return SeriesFeature(SeriesRecipe(), np.full(channels, 10.0), np.full(channels, 2.0))


def _stored(channels: int, steps: int) -> np.ndarray[Any, Any]:
    return np.arange(steps * channels, dtype=np.float32).reshape(steps, channels)


@pytest.mark.parametrize(("channels", "header"), [(1, "value"), (2, "value_1,value_2")])
def test_numbers_are_saved_on_their_own_scale(tmp_path: Path, channels: int, header: str) -> None:
    feature, values = _series(channels), _stored(channels, 3)
    wanted = (10 + 2 * values).tolist()
    save(feature, values, tmp_path / "x.csv")
    lines = (tmp_path / "x.csv").read_text().splitlines()
    assert lines[0] == header
    assert [[float(cell) for cell in line.split(",")] for line in lines[1:]] == wanted
    save(feature, values, tmp_path / "x.JSON")
    assert np.reshape(json.loads((tmp_path / "x.JSON").read_text()), (3, channels)).tolist() == wanted


@pytest.mark.parametrize("name", ["tune.mid", "tune.MIDI", "tune.json"])
def test_music_is_saved_as_pitches(tmp_path: Path, name: str) -> None:
    save(MUSIC, TUNE, tmp_path / name)
    path = tmp_path / name
    found = json.loads(path.read_text()) if path.suffix == ".json" else read_midi(path, 4)
    assert [sorted(frame) for frame in found][:3] == [[60], [60, 62], [63]]


@pytest.mark.parametrize(
    ("feature", "values", "name", "message"),
    [
        (_series(1), _stored(1, 2), "x.wav", r"numbers are written to \.csv or \.json\. Received: x\.wav"),
        (_series(1), _stored(1, 2), "x", r"numbers are written to \.csv or \.json\. Received: x\."),
        (MUSIC, TUNE, "tune.csv", r"music is written to \.mid, \.midi or \.json\. Received: tune\.csv"),
        (MUSIC, TUNE, "no/tune.mid", r"there is no folder `.*no` to write `tune\.mid` into"),
    ],
)
def test_a_file_that_can_not_hold_them_is_refused(
    tmp_path: Path, feature: Any, values: Any, name: str, message: str
) -> None:
    with pytest.raises(RunError, match=message):
        save(feature, values, tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_a_line_of_bars_a_channel() -> None:
    assert _series(1).in_words(_stored(1, 8)) == "8 steps\n▁▂▃▄▅▆▇█  10 to 24"
    flat = _series(1).in_words(np.zeros((3, 1), dtype=np.float32))
    assert flat == "3 steps\n▁▁▁  10 to 10"
    long = _series(1).in_words(_stored(1, 1000)).splitlines()
    assert len(long[1].split("  ")[0]) == 64
    many = _series(6).in_words(_stored(6, 4)).splitlines()
    assert (len(many), many[-1]) == (6, "… and 2 further channels")


def test_music_is_shown_as_a_roll() -> None:
    assert MUSIC.in_words(TUNE).splitlines()[0].endswith("│··█")
    assert MUSIC.in_words(np.zeros((2, 4), dtype=np.uint8)) == "(silence)"


def test_a_prompt_is_a_path_or_a_list() -> None:
    assert prompt_of("some/file.wav") == "some/file.wav"
    assert prompt_of(" [[60, 64], []]") == [[60, 64], []]
    with pytest.raises(RunError, match=r"the prompt is not a JSON list of frames: '\[1, '") as caught:
        prompt_of("[1, ")
    assert "[0.1, 0.2] for numbers" in str(caught.value.hint)
