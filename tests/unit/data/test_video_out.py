"""Pictures written as video, read back by the project's own reader; what can't be written is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ostinato.arrays import Array
from ostinato.data.features.video import VideoFeature, read_clip
from ostinato.errors import DataError, RunError, ShapeError
from ostinato.media.video_out import enlarged, write_video
from ostinato.recipe.kinds import VideoRecipe

av = pytest.importorskip("av")
pytest.importorskip("PIL")


def _frames(count: int, channels: int, height: int, width: int) -> Array:
    return np.random.default_rng(0).integers(0, 256, (count, channels, height, width)).astype(np.uint8)


def _smooth(channels: int, height: int, width: int) -> Array:
    """(9, C, H, W): slopes of light that turn."""
    t, c, y, x = np.meshgrid(*(np.arange(n) for n in (9, channels, height, width)), indexing="ij")
    return (127.5 + 120 * np.sin(0.6 * t + 2.1 * c + 3.0 * y / height - 2.0 * x / width)).astype(np.uint8)


def _read(path: Path, like: Array) -> Array:
    colour = "grey" if like.shape[1] == 1 else "rgb"
    return read_clip(VideoRecipe.model_validate({"size": like.shape[2:], "colour": colour}), str(path))


@pytest.mark.parametrize("suffix", [".mp4", ".avi", ".gif", ".GIF"])
@pytest.mark.parametrize(("height", "width"), [(8, 8), (16, 24), (15, 17), (130, 132), (5, 1)])
def test_grey_pictures_come_back(tmp_path: Path, suffix: str, height: int, width: int) -> None:
    frames = _frames(7, 1, height, width)
    path = tmp_path / f"a{suffix}"
    write_video(path, frames, 10)
    found = _read(path, frames)
    assert found.shape == frames.shape
    assert np.abs(found.astype(int) - frames).mean() < 2.5


@pytest.mark.parametrize("suffix", [".mp4", ".avi", ".gif"])
@pytest.mark.parametrize(("height", "width"), [(8, 8), (64, 48), (240, 320)])
def test_colours_come_back(tmp_path: Path, suffix: str, height: int, width: int) -> None:
    frames = _smooth(3, height, width)
    write_video(tmp_path / f"a{suffix}", frames, 10)
    found = _read(tmp_path / f"a{suffix}", frames)
    assert found.shape == frames.shape
    assert np.abs(found.astype(int) - frames).mean() < 4
    assert np.abs(found.astype(float).mean(axis=(2, 3)) - frames.mean(axis=(2, 3))).max() < 3  # no colour for another


@pytest.mark.parametrize(("suffix", "rate"), [(".mp4", 12.5), (".avi", 29.97), (".gif", 12.5), (".mp4", 0.1)])
def test_frames_are_shown_at_their_time(tmp_path: Path, suffix: str, rate: float) -> None:
    path = tmp_path / f"a{suffix}"
    write_video(path, _frames(9, 1, 8, 8), rate)
    with av.open(str(path)) as container:
        times = [float(frame.time) for frame in container.decode(video=0)]
    np.testing.assert_allclose(np.diff(times).sum(), 8 / rate, rtol=0.02)


@pytest.mark.parametrize(
    ("size", "large"),
    [
        ((8, 8), (128, 128)),
        ((16, 9), (128, 72)),
        ((28, 28), (168, 168)),
        ((128, 130), (128, 130)),
        ((131, 140), (262, 280)),
    ],
)
def test_small_and_odd_pictures_are_made_larger(size: tuple[int, int], large: tuple[int, int]) -> None:
    frames = _frames(2, 3, *size)
    found = enlarged(frames)
    assert found.shape == (2, 3, *large)
    factor = large[0] // size[0]
    for row, column in ((0, 0), (factor - 1, factor - 1)):
        np.testing.assert_array_equal(found[:, :, row::factor, column::factor], frames)


def test_what_cannot_be_written_is_refused(tmp_path: Path) -> None:
    frames = _frames(2, 1, 8, 8)
    with pytest.raises(RunError, match=r"must end in \.mp4, \.avi, \.gif. Received: `a\.wmv`"):
        write_video(tmp_path / "a.wmv", frames, 10)
    with pytest.raises(RunError, match="there is no folder"):
        write_video(tmp_path / "nowhere" / "a.mp4", frames, 10)
    for suffix, rate in ((".mp4", 0.0), (".mp4", float("nan")), (".avi", 1e4), (".gif", 60)):
        with pytest.raises(RunError, match=rf"`frames_per_second` of \{suffix} must be 0\.1 to"):
            write_video(tmp_path / f"a{suffix}", frames, rate)
    for bad in (frames[:0], frames[0], frames / 255, _frames(2, 2, 8, 8)):
        with pytest.raises(ShapeError, match=r"frames must be \(L, 1 or 3, H, W\) uint8"):
            write_video(tmp_path / "a.mp4", bad, 10)
    with pytest.raises(RunError, match=r"can't write \.mp4 of 128 × 128000 pixels"):
        write_video(tmp_path / "a.mp4", _frames(1, 1, 1, 1000), 10)
    with pytest.raises(RunError, match=r"a \.gif has at most 65,535 pixels a side. Received: 128 × 128000"):
        write_video(tmp_path / "a.gif", _frames(1, 1, 1, 1000), 10)
    assert not list(tmp_path.iterdir())


def test_numbers_become_pictures() -> None:
    feature = VideoFeature(VideoRecipe(size=(2, 2)))
    pixels = _frames(3, 1, 2, 2)
    np.testing.assert_array_equal(feature.pictures(pixels), pixels)
    np.testing.assert_array_equal(feature.pictures((pixels / 255).astype(np.float32).reshape(3, 4), white=1), pixels)
    assert feature.pictures(np.asarray([[-3.0, 12.4, 12.6, 300.0]])).ravel().tolist() == [0, 12, 13, 255]
    beside = VideoFeature(VideoRecipe(size=(2, 2), colour="rgb", motion="beside"))
    both = _frames(2, 6, 2, 2)
    np.testing.assert_array_equal(beside.pictures(both), both[:, :3])
    with pytest.raises(ShapeError, match=r"must be \(L, 1, 2, 2\), or flat. Received: \(2, 6, 2, 2\)"):
        feature.pictures(both)
    with pytest.raises(DataError, match="NaN among them"):
        feature.pictures(np.full((1, 4), np.nan))
