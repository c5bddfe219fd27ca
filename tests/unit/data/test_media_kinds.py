"""Files of sound and video that FFmpeg reads, whatever their titles say; what is absurd is a bad row."""

from __future__ import annotations

import struct
import wave
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from ostinato.data.features.audio import AudioFeature
from ostinato.data.features.image import ImageFeature
from ostinato.data.features.video import read_clip
from ostinato.data.readers.registry import open_source
from ostinato.data.rejects import BadRows
from ostinato.errors import DataError
from ostinato.media.midi import read_midi
from ostinato.recipe.kinds import AudioRecipe, ImageRecipe, VideoRecipe

av = pytest.importorskip("av")
pytest.importorskip("soundfile")


def _video(path: Path, codec: str, title: str = "") -> Path:
    with av.open(str(path), "w") as container:
        container.metadata["title"] = title
        stream = container.add_stream(codec, rate=25)
        stream.width = stream.height = 32
        stream.pix_fmt = "rgb8" if codec == "gif" else "yuv420p"
        for level in range(0, 250, 50):
            frame = av.VideoFrame.from_ndarray(np.full((32, 32, 3), level, dtype=np.uint8), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def _sound(path: Path, codec: str) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=16000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), dtype=np.float32), format="fltp", layout="mono")
        frame.sample_rate = 16000
        for number in range(8):
            frame.pts = number * 1024
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize(("name", "codec"), [("a.avi", "mpeg4"), ("a.mpg", "mpeg2video"), ("a.gif", "gif")])
def test_video_of_every_kind_is_read(tmp_path: Path, name: str, codec: str) -> None:
    clip = read_clip(VideoRecipe(size=(16, 16)), str(_video(tmp_path / name, codec)))
    assert len(clip) >= 4
    source = open_source(tmp_path, BadRows())
    assert (source.format, source.kind_of("path")) == ("media", "video")


def test_a_title_in_another_encoding_says_nothing_about_frames(tmp_path: Path) -> None:
    path = _video(tmp_path / "a.avi", "mpeg4", title="Caf#")
    path.write_bytes(path.read_bytes().replace(b"Caf#", b"Caf\xe9"))
    assert len(read_clip(VideoRecipe(size=(16, 16)), str(path))) == 5


@pytest.mark.parametrize(("name", "codec"), [("a.m4a", "aac"), ("b.aac", "aac")])
def test_sound_that_libsndfile_does_not_know_is_read(tmp_path: Path, name: str, codec: str) -> None:
    path = _sound(tmp_path / name, codec)
    assert open_source(tmp_path, BadRows()).kind_of("path") == "audio"
    draft = AudioFeature.read(AudioRecipe(sample_rate=16000), pl.Series("path", [str(path)]))
    assert not draft.problems
    assert draft.lengths[0] > 10


def test_damaged_and_absurd_sounds_are_bad_rows(tmp_path: Path) -> None:
    (tmp_path / "a.m4a").write_bytes(b"no sound")
    with wave.open(str(tmp_path / "slow.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(1)
        file.writeframes(bytes(200))
    cells = [str(tmp_path / "a.m4a"), str(tmp_path / "slow.wav")]
    draft = AudioFeature.read(AudioRecipe(), pl.Series("path", cells))
    assert draft.problems[0].startswith("not a readable sound")
    assert draft.problems[1] == "not a readable sound: 1 samples a second"


def test_a_picture_that_claims_too_many_pixels_is_a_bad_row(tmp_path: Path) -> None:
    import zlib

    head = struct.pack(">IIBBBBB", 30_000, 2_500, 8, 0, 0, 0, 0)
    chunk = struct.pack(">I", len(head)) + b"IHDR" + head + struct.pack(">I", zlib.crc32(b"IHDR" + head))
    data = zlib.compress(b"")
    body = struct.pack(">I", len(data)) + b"IDAT" + data + struct.pack(">I", zlib.crc32(b"IDAT" + data))
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + chunk + body)
    draft = ImageFeature.read(ImageRecipe(), pl.Series("path", [str(tmp_path / "a.png")]))
    assert "a picture of more than" in draft.problems[0]


def test_a_midi_file_that_grows_is_refused(tmp_path: Path) -> None:
    mido = pytest.importorskip("mido")
    file = mido.MidiFile(ticks_per_beat=1)
    for channel in range(9):
        track = [mido.Message("note_on", note=note, velocity=9, channel=channel) for note in range(128)]
        end = mido.Message("note_off", note=0, channel=channel, time=100_000)
        file.tracks.append(mido.MidiTrack([*track, end]))
    file.save(tmp_path / "a.mid")
    with pytest.raises(DataError, match="holds more than"):
        read_midi(tmp_path / "a.mid", 4)
