"""Rows to see and to hear: players, strips of frames; text as people write it; pages that name no folder."""

from __future__ import annotations

import base64
import io
import re
import wave
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from markupsafe import Markup

from ostinato.data.dataset import Examples
from ostinato.data.features.audio import AudioFeature
from ostinato.data.features.base import Feature
from ostinato.data.features.notes import NotesFeature
from ostinato.data.features.video import VideoFeature
from ostinato.data.io.blocks import Block
from ostinato.data.places import Places
from ostinato.data.sequences import Sequences
from ostinato.media.audio_out import write_sound
from ostinato.recipe.kinds import AudioRecipe, NotesRecipe, VideoRecipe
from ostinato.report.data import detokenised
from ostinato.report.exhibits import exhibit, heard
from ostinato.report.page import without_folders
from ostinato.report.sound import RATE, player, synthesised


def _samples(page: Markup | None) -> np.ndarray:
    """What a player plays."""
    found = re.search(r'^<audio [^>]*src="data:audio/wav;base64,([^"]*)"></audio>$', str(page))
    assert found is not None
    with wave.open(io.BytesIO(base64.b64decode(found[1]))) as file:
        assert (file.getnchannels(), file.getframerate()) == (1, RATE)
        return np.frombuffer(file.readframes(file.getnframes()), dtype="<i2") / 32767


def _row(feature: Feature, cell: str, file: str = "rows.csv") -> Examples:
    cells, places = pl.Series([cell]), Places()
    places.add(Block(pl.DataFrame({"x": cells}), (file,), np.asarray([2])), cells)
    return Examples(feature.encode(cells), None, places, np.zeros(1, dtype=np.int64))


def test_a_player_holds_the_sound_turned_down_where_it_is_too_loud() -> None:
    sound = np.sin(np.arange(800) / 5)
    np.testing.assert_allclose(_samples(player(sound, "a")), sound, atol=1e-4)
    np.testing.assert_allclose(_samples(player(3 * sound, "a")), sound / np.abs(sound).max(), atol=1e-3)
    assert len(_samples(player(np.zeros(0), "nothing"))) == 0
    assert 'aria-label="a &#34;b&#34;"' in player(sound, 'a "b"')


def test_notes_sound_at_their_pitch_as_long_as_they_are_held() -> None:
    roll = np.zeros((16, 88), dtype=np.bool_)
    roll[:8, 69 - 21] = True  # A4, 440 Hz, for two beats of four frames
    sound = synthesised(roll, 21, 4)
    assert len(sound) == round(16 / 4 * 60 / 96 * RATE)
    first, last = np.split(sound, 2)
    assert np.fft.rfft(first).__abs__().argmax() * RATE / len(first) == pytest.approx(440, abs=2)
    assert np.abs(first).max() == pytest.approx(0.8)
    assert not last.any()
    feature = NotesFeature(NotesRecipe())
    played = _samples(heard(feature, np.ones((5000, 88), dtype=np.uint8), "a"))
    assert len(played) == 10 * RATE, "a long piece is played for ten seconds"


def test_a_sound_can_be_heard_from_its_file(tmp_path: Path) -> None:
    pytest.importorskip("soundfile")
    write_sound(tmp_path / "a.wav", np.sin(np.arange(48_000) * 2 * np.pi * 300 / 16_000), 16_000)
    recipe = AudioRecipe(sample_rate=16_000)
    feature = AudioFeature(recipe, np.zeros(40), np.ones(40))
    examples = _row(feature, str(tmp_path / "a.wav"))
    played = _samples(exhibit(feature, examples, 0))
    assert len(played) == 2 * RATE, "two seconds of three"
    assert np.abs(np.fft.rfft(played)).argmax() / 2 == pytest.approx(300, abs=1)
    assert heard(feature, np.full((5, 40), 1e3), "wild") is None, "frames beyond all energies have no sound"
    assert heard(AudioFeature(AudioRecipe(normalize="row"), np.zeros(40), np.ones(40)), np.zeros((5, 40)), "a") is None
    beside = Examples(examples.sequences, None, _row(NotesFeature(NotesRecipe()), "[[60]]").places, examples.rows)
    assert exhibit(feature, beside, 0) is None, "a file that is gone has no player"


def test_a_clip_is_a_strip_of_frames() -> None:
    feature = VideoFeature(VideoRecipe(size=(4, 4)))
    frames = np.zeros((20, 1, 4, 4), dtype=np.uint8)
    row = Examples(Sequences.from_lengths(frames, np.asarray([20])), None, Places(), np.zeros(1, dtype=np.int64))
    assert re.match(r'<img src="data:image/png;base64,[^"]+" alt="8 of 20 frames"', str(exhibit(feature, row, 0)))


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ("hello , world .", "hello, world."),
        ("he said ( twice ) : no !", "he said (twice): no!"),
        ("it 's what I don 't do , we 'll see", "it's what I don't do, we'll see"),
        ('a " big " man', 'a "big" man'),
        ("it costs $ 5 and 3 % more", "it costs $5 and 3% more"),
        ("", ""),
        ("no signs here", "no signs here"),
    ],
)
def test_words_stand_as_people_write_them(words: str, text: str) -> None:
    assert detokenised(words) == text


def test_a_page_names_files_from_the_folder_of_the_data_on() -> None:
    page = "<code>/home/me/my &amp; data/x.csv:3</code> /home/me/runs/a 'sub/home/me/runs/b' /home/you/x"
    found = without_folders(page, [Path("/home/me/my & data/x.csv"), Path("/home/me/runs/a"), Path("/x.csv")])
    assert found == "<code>x.csv:3</code> a 'sub/home/me/runs/b' /home/you/x"
