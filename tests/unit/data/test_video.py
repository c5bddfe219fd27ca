"""Clips as sequences of pictures, from files and folders; what can't be read is named."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from ostinato.arrays import Array
from ostinato.data.features import load_feature
from ostinato.data.features.video import VideoFeature, read_clip
from ostinato.errors import DataError, RecipeError
from ostinato.recipe import build_recipe
from ostinato.recipe.kinds import VideoRecipe
from ostinato.tasks.prepare import prepare

av = pytest.importorskip("av")


def _write(path: Path, frames: Array, rate: int = 10) -> Path:
    """(L, H, W) grey levels, without loss."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=Fraction(rate))
        stream.height, stream.width, stream.pix_fmt = frames.shape[1], frames.shape[2], "gray"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="gray")))
        container.mux(stream.encode(None))
    return path


def _frames(count: int = 10, seed: int = 0) -> Array:
    return np.random.default_rng(seed).integers(0, 256, (count, 16, 24)).astype(np.uint8)


def _clip(path: Path, **options: object) -> Array:
    return read_clip(VideoRecipe.model_validate({"size": [16, 24], **options}), str(path))


def test_all_frames_as_they_are(tmp_path: Path) -> None:
    frames = _frames()
    np.testing.assert_array_equal(_clip(_write(tmp_path / "a.avi", frames))[:, 0], frames)


def test_frames_are_taken_evenly_or_by_time(tmp_path: Path) -> None:
    frames = _frames(21)
    path = _write(tmp_path / "a.avi", frames)
    np.testing.assert_array_equal(_clip(path, num_frames=5)[:, 0], frames[[0, 5, 10, 15, 20]])
    np.testing.assert_array_equal(_clip(path, fps=5)[:, 0], frames[::2])
    assert len(_clip(path, num_frames=100)) == 21
    assert len(_clip(path, fps=1000)) == 21


def test_size_colour_and_motion(tmp_path: Path) -> None:
    frames = np.zeros((3, 16, 24), dtype=np.uint8)
    frames[1:, :8] = 40
    frames[2, 8:] = 200
    path = _write(tmp_path / "a.avi", frames)
    assert _clip(path, size=[4, 6], colour="rgb").shape == (3, 3, 4, 6)
    beside = _clip(path, motion="beside")
    np.testing.assert_array_equal(beside[:, 0], frames)
    only = _clip(path, motion="only")
    np.testing.assert_array_equal(only, beside[1:, 1:])
    assert (only[0, 0, :8] == 101).all()  # 16 √40
    assert (only[1, 0, 8:] == 226).all()
    assert not beside[0, 1].any()


def test_a_folder_of_frames(tmp_path: Path) -> None:
    frames, pillow = _frames(12), pytest.importorskip("PIL.Image")
    for number, frame in enumerate(frames):
        pillow.fromarray(frame).save(tmp_path / f"frame{number}.png")  # frame10 follows frame9
    np.testing.assert_array_equal(_clip(tmp_path)[:, 0], frames)
    np.testing.assert_array_equal(_clip(tmp_path, num_frames=2)[:, 0], frames[[0, 11]])
    with pytest.raises(DataError, match="`fps` does not apply to a folder of frames"):
        _clip(tmp_path, fps=2)


def test_rows_that_cannot_be_read(tmp_path: Path) -> None:
    good = _write(tmp_path / "good.avi", _frames(2))
    (tmp_path / "broken.mp4").write_bytes(b"no video at all" * 100)
    (tmp_path / "cut.avi").write_bytes(good.read_bytes()[:40])
    (tmp_path / "empty").mkdir()
    with av.open(str(tmp_path / "sound.mkv"), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), dtype=np.int16), format="s16", layout="mono")
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    names = ["good.avi", "broken.mp4", "cut.avi", "empty", "sound.mkv", "nowhere.mp4"]
    draft = VideoFeature.read(VideoRecipe(), pl.Series([str(tmp_path / name) for name in names]))
    assert draft.lengths.tolist() == [2, 0, 0, 0, 0, 0]
    assert draft.problems[1].startswith("not a readable video: ")
    assert draft.problems[2].startswith("not a readable video: ")
    assert draft.problems[3] == "holds no frame"
    assert draft.problems[4] == "holds no video"
    assert draft.problems[5] == f"no such file: `{tmp_path / 'nowhere.mp4'}`"


def test_motion_of_one_frame(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="has one frame only"):
        _clip(_write(tmp_path / "a.avi", _frames(1)), motion="only")


def test_a_table_of_paths_names_the_row_of_a_missing_file(tmp_path: Path) -> None:
    for number in range(4):
        _write(tmp_path / f"{number}.avi", _frames(3, number))
    rows = [f"{number}.avi,{'ab'[number % 2]}" for number in range(4)]
    table = tmp_path / "clips.csv"
    recipe = build_recipe(
        {
            "data": {"train": str(table), "target": "label", "input": "path", "validation": 0.5},
            "training": {"epochs": 1},
        }
    )
    table.write_text("\n".join(["path,label", *rows, "5.avi,a"]) + "\n")
    with pytest.raises(DataError, match=r"clips\.csv:6: no such file: `5\.avi`"):
        prepare(recipe)
    table.write_text("\n".join(["path,label", *rows]) + "\n")
    prepared = prepare(recipe)
    assert prepared.recipe.features.input == VideoRecipe()
    assert prepared.features.input.value_shape == (1, 64, 64)


def test_saved_with_the_run() -> None:
    feature = VideoFeature(VideoRecipe(size=(8, 8), motion="beside"))
    again = load_feature(feature.to_dict())
    assert isinstance(again, VideoFeature)
    assert again.recipe == feature.recipe
    assert again.value_shape == (2, 8, 8)


def test_two_ways_to_choose_frames_are_refused() -> None:
    with pytest.raises(RecipeError, match="both say which frames are taken"):
        build_recipe({"features": {"input": {"kind": "video", "fps": 2, "num_frames": 3}}})


@pytest.mark.parametrize("codec", ["libx264", "mpeg4"])
def test_colours_of_neighbours_are_not_mixed(tmp_path: Path, codec: str) -> None:
    """Columns of pure red and blue, 8 pixels wide, squeezed to one pixel each."""
    frame = np.zeros((64, 64, 3), dtype=np.uint8)
    columns = np.arange(64) // 8 % 2
    frame[:, columns == 0, 0] = frame[:, columns == 1, 2] = 200
    with av.open(str(tmp_path / "a.mp4"), "w") as container:
        stream = container.add_stream(codec, rate=10)
        stream.height, stream.width, stream.pix_fmt = 64, 64, "yuv420p"
        container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode(None))
    found = _clip(tmp_path / "a.mp4", size=[8, 8], colour="rgb")[0]
    assert (found[0, :, ::2] > 150).all()
    assert (found[0, :, 1::2] < 50).all()
    assert (found[2, :, 1::2] > 150).all()
