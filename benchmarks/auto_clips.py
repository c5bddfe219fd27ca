"""Sounds, clips and series of several channels with no options: `ostinato train FILE` beside logistic regression.

    python benchmarks/auto_clips.py DATA [SET ...] [--folds K] [--set KEY=VALUE ...] [--report FILE.md]

DATA is a folder with the sets by name (`fsdd/recordings.tar.xz`, `surv_fight_video/…npz`, `uea_aeon/…ts.xz`). Each is
written as a table of files, or of lists of numbers, and a class, as a user might have it, and trained and scored as
`auto.py` does. The test part is the set's own; of the fights, a fifth of the scenes. The baseline is logistic
regression on mean and deviation over time: of log-mel energies, of how much each of 32 × 32 pixels changed, of the
channels.
"""

from __future__ import annotations

import csv
import json
import lzma
import random
import tarfile
import tempfile
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import auto
import bare
import numpy as np
from numpy.typing import NDArray
from simple import Rows
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from ostinato.data.catalog.convert import fight_clips
from ostinato.data.features.audio import represent
from ostinato.data.features.video import read_clip
from ostinato.media.sound_in import sound_decoder
from ostinato.recipe.kinds import AudioRecipe, VideoRecipe

Frames = Callable[[str], NDArray[np.float32]]
"""(L, D) of a cell."""


def _digits(folder: Path, place: Path) -> auto.Data:
    with tarfile.open(folder / "fsdd" / "recordings.tar.xz") as archive:
        archive.extractall(place, filter="data")
    files = sorted((place / "recordings").glob("*.wav"))
    rows = [(str(file), file.stem.split("_")[0], int(file.stem.split("_")[2]) < 5) for file in files]
    return _split(rows, _heard)


def _fights(folder: Path, place: Path) -> auto.Data:
    fight_clips(folder / "surv_fight_video" / "frames_20x64x64_gray.npz", place)
    with (place / "clips.csv").open(encoding="utf-8") as file:
        clips = list(csv.DictReader(file))
    scenes = sorted({clip["scene"] for clip in clips})
    random.Random(0).shuffle(scenes)
    held = set(scenes[: len(scenes) // 5])
    return _split([(str(place / clip["path"]), clip["label"], clip["scene"] in held) for clip in clips], _seen)


def _vowels(folder: Path, place: Path) -> auto.Data:
    rows = []
    for part in ("TRAIN", "TEST"):
        with lzma.open(folder / "uea_aeon" / f"JapaneseVowels_{part}.ts.xz", "rt") as file:
            text = file.read().split("@data\n")[1]
        for line in text.splitlines():
            *channels, label = line.split(":")
            values = np.asarray([[float(value) for value in channel.split(",")] for channel in channels])
            rows.append((json.dumps(values.T.tolist()), label, part == "TEST"))
    return _split(rows, lambda cell: np.asarray(json.loads(cell), dtype=np.float32))


def _split(rows: list[tuple[str, str, bool]], frames: Frames) -> auto.Data:
    train, test = ([(cell, label) for cell, label, last in rows if last is wanted] for wanted in (False, True))
    return auto.Data(train, test, {"mean and deviation": partial(_means, frames)})


def _heard(cell: str) -> NDArray[np.float32]:
    recipe = AudioRecipe(sample_rate=8000)
    return represent(recipe, sound_decoder()(cell)[0].mean(axis=1))


def _seen(cell: str) -> NDArray[np.float32]:
    clip = read_clip(VideoRecipe(size=(32, 32), motion="only"), cell)
    return clip.reshape(len(clip), -1).astype(np.float32)


def _means(frames: Frames, train: Rows, test: Rows) -> float:
    def read(rows: Rows) -> NDArray[np.float32]:
        each = [frames(cell) for cell, _ in rows]
        return np.stack([np.concatenate([one.mean(axis=0), one.std(axis=0)]) for one in each])

    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=2000))
    model.fit(read(train), [label for _, label in train])
    return float(model.score(read(test), [label for _, label in test]))


SETS: Mapping[str, Callable[[Path, Path], auto.Data]] = {"digits": _digits, "fights": _fights, "vowels": _vowels}


def main() -> None:
    parser = bare.parser(__doc__)
    parser.add_argument("--folds", type=int, default=0, help="of the training part, in place of the test part")
    parser.set_defaults(rows=None, aeon=None)
    given = parser.parse_args()
    found: list[auto.Found] = []
    for name, read in SETS.items():
        if not given.sets or name in given.sets:
            with tempfile.TemporaryDirectory() as place:
                found.append(auto.score(name, read(given.data, Path(place)), given))
            print(list(auto.lines(found))[-2], flush=True)
    bare.finish("\n".join(auto.lines(found)), given.report)


if __name__ == "__main__":
    main()
