"""Data sets whose files no reader knows, written out once in a form that one does."""

from __future__ import annotations

import csv
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from ostinato.arrays import Array, Offsets
from ostinato.errors import DataError
from ostinato.media.extras import library

_SAME_SCENE = 0.95
_SECONDS = 2


def fight_clips(source: Path, folder: Path) -> None:
    """The array of clips (`X` (N, L, H, W) uint8, `y`, `names`) as H.264 files, and `clips.csv`: path, label, scene.

    Clips of one camera must not be split: those whose mean frames correlate above 0.95 are one scene, and so are those
    joined by a third.

    Raises:
        DataError: if the file holds something else.
        MissingLibraryError: without av.
    """
    av = library("av", "writing video", "video")
    with np.load(source, allow_pickle=False) as arrays:
        missing = [name for name in ("X", "y", "names") if name not in arrays]
        if missing:
            raise DataError(f"`{source}` has no array {', '.join(missing)}.")
        clips, labels, names = arrays["X"], arrays["y"], arrays["names"]
    scenes = scenes_of(clips)
    (folder / "clips").mkdir()
    with (folder / "clips.csv").open("w", newline="", encoding="utf-8") as out:
        rows = csv.writer(out, lineterminator="\n")
        rows.writerow(["path", "label", "scene"])
        for clip, label, name, scene in zip(clips, labels.tolist(), names.tolist(), scenes.tolist(), strict=True):
            path = Path("clips") / Path(name).with_suffix(".mp4").name
            _write_clip(av, folder / path, clip)
            rows.writerow([path.as_posix(), "fight" if label else "no fight", f"scene{scene:03}"])


def scenes_of(clips: Array) -> Offsets:
    """(N,) the number of each clip's scene, from (N, L, H, W)."""
    means = clips.mean(axis=1).reshape(len(clips), -1)
    same = np.corrcoef(means) > _SAME_SCENE
    scene = np.arange(len(clips))
    while True:
        smallest = np.where(same, scene, len(clips)).min(axis=1)
        if np.array_equal(smallest, scene):
            return np.unique(scene, return_inverse=True)[1]
        scene = smallest


def _write_clip(av: Any, path: Path, clip: Array) -> None:
    """(L, H, W) grey levels as H.264, nearly without loss; H and W must be even."""
    length, height, width = clip.shape
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=Fraction(length, _SECONDS), options={"crf": "8"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for picture in clip:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="gray")))
        container.mux(stream.encode(None))
