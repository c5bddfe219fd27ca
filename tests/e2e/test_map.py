"""What goes through what (docs/guides/map.md): every category with every kind of sequence, from files to answers."""

from __future__ import annotations

import json
import wave
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ostinato.recipe import apply_overrides, build_recipe
from ostinato.run import load
from ostinato.training.progress import Observer
from ostinato.training.train import train_recipe

ROWS, FILES = 24, 6
SMALL = {
    "model.hidden_size": 3,
    "training.epochs": 1,
    "training.batch_size": 12,
    "training.num_threads": 1,
    "training.baselines_seconds": 0,
}
NAMES = ("up", "down", "flat")


@dataclass(frozen=True)
class Cell:
    """A cell of the map: columns of a table, what else is said, and what is made of it: model, input, target."""

    table: str
    columns: tuple[str, str | None]
    made: tuple[str, str, str]
    settings: tuple[str, ...] = ()
    extra: tuple[str, ...] = ()


_TASKS = {"classifier": "classification", "seq2seq": "seq2seq"}


def _each(category: str, target: str, made: str, *settings: str) -> dict[str, Cell]:
    """The same of all kinds."""
    return {
        f"{category} {kind}": Cell(
            kind, ("x", target), (_TASKS[category.split(",")[0]], read, made), (*said, *settings)
        )
        for kind, (read, said) in KINDS.items()
    }


def _read(kind: str) -> tuple[str, ...]:
    return (f"features.input.kind={kind}",)


KINDS = {
    "words": ("text", ()),
    "characters": ("text", ("features.input.unit=characters",)),
    "series": ("series", ()),
    "audio": ("audio", ("features.input.kind=audio", "features.input.sample_rate=8000", "features.input.num_mels=6")),
    "video": ("video", ("features.input.kind=video", "features.input.size=[6, 6]", "model.frames.channels=[2]")),
    "music": ("notes", ()),
    "dna": ("dna", ()),
    "protein": ("protein", ()),
}
STEPS = {**KINDS, "words": ("tokens", ())}
WRITE = ("features.target.kind=text",)
FED_BACK = ("model.feedback=output",)
CTC = ("model.task=tagging", "model.output=ctc", "features.target.kind=text", "features.target.unit=characters")
WRITTEN = (
    ("series", "series", ()),
    ("music", "notes", ("model.notes.output=nade", "model.notes.output_size=4")),
    (
        "audio",
        "audio",
        ("features.target.kind=audio", "features.target.sample_rate=8000", "features.target.num_mels=6"),
    ),
    ("video", "video", ("features.target.kind=video", "features.target.size=[6, 6]", "model.numbers.components=2")),
)
CELLS = {
    **_each("classifier, one class", "label", "class"),
    **_each("classifier, labels", "labels", "labels", "features.target.kind=labels"),
    **_each("classifier, a number", "score", "number"),
    **_each("seq2seq,", "story", "text", *WRITE),
    **{
        f"tagger, tags {kind}": Cell(kind, ("x", "tags"), ("tagging", read, "tags"), said)
        for kind, (read, said) in STEPS.items()
    },
    **{
        f"tagger, numbers {kind}": Cell(kind, ("x", "levels"), ("tagging", read, "series"), said)
        for kind, (read, said) in STEPS.items()
    },
    **{
        f"conditional, {kind}": Cell("given", (column, "story"), ("conditional", kind, "text"), (*_read(kind), *WRITE))
        for kind, column in (("category", "kind"), ("numbers", "size"), ("image", "pixels"))
    },
    **_each("seq2seq, numbers", "far", "series"),
    **_each("seq2seq, notes", "chords", "notes"),
    **{
        f"{kind} for a name": Cell(
            kind, ("label", "x"), ("conditional", "category", target), (*_read("category"), *said), ("age",)
        )
        for kind, target, said in WRITTEN
    },
    **{
        f"next frame of {kind}": Cell(kind, ("x", None), ("next_step", *KINDS[kind][:1], "auto"), said)
        for kind, said in (
            ("series", ()),
            ("audio", KINDS["audio"][1]),
            ("video", ("features.input.kind=video", "features.input.size=[6, 6]")),
        )
    },
    "curves for numbers": Cell("given", ("size", "curve"), ("conditional", "numbers", "series"), _read("numbers")),
    "curves for a picture": Cell("given", ("pixels", "curve"), ("conditional", "image", "series"), _read("image")),
    "sound from words": Cell("audio", ("story", "x"), ("seq2seq", "text", "audio"), WRITTEN[2][2], ("label",)),
    "several columns": Cell("words", ("x", "label"), ("classification", "text", "class"), (), ("age", "walk")),
    "DNA for a name": Cell("given", ("kind", "dna"), ("conditional", "category", "text"), (*_read("category"), *WRITE)),
    "a curve from its class": Cell("given", ("clock", "curve"), ("tagging", "series", "series"), FED_BACK, ("kind",)),
    "music from its key": Cell("given", ("clock", "tune"), ("tagging", "series", "notes"), FED_BACK, ("kind",)),
    "music for a name": Cell("music", ("x", None), ("next_step", "notes", "auto"), (), ("label",)),
    "next frame": Cell("music", ("x", None), ("next_step", "notes", "auto")),
    "next step": Cell("series", ("walk", "next"), ("tagging", "series", "series")),
    "next letter": Cell("dna", ("x", None), ("language_model", "text", "auto")),
    "notes beside notes": Cell("music", ("x", "bass"), ("tagging", "notes", "notes")),
    "a chain of tags": Cell("words", ("x", "tags"), ("tagging", "tokens", "tags"), ("model.output=crf",)),
    "delayed": Cell("series", ("x", "tags"), ("tagging", "series", "tags"), ("model.delay=2",)),
    "unaligned": Cell("audio", ("x", "label"), ("tagging", "audio", "text"), (*KINDS["audio"][1], *CTC)),
    "translated codons": Cell("dna", ("x", "protein"), ("seq2seq", "dna", "text"), WRITE),
    "output fed back": Cell("dna", ("x", "tags"), ("tagging", "dna", "tags"), FED_BACK),
    "output recurrence": Cell("series", ("x", "label"), ("classification", "series", "class"), ("model.cell=jordan",)),
}  # fmt: skip


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table of each kind, with targets of every category."""
    pytest.importorskip("av")
    pytest.importorskip("soundfile")
    folder = tmp_path_factory.mktemp("map")
    for name in ("words", "characters", "series", "music", "dna", "protein", "given", "audio", "video"):
        draw = np.random.default_rng(0)
        rows = [_row(name, draw, folder, number) for number in range(FILES if name in ("audio", "video") else ROWS)]
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def _row(kind: str, draw: np.random.Generator, folder: Path, number: int) -> dict[str, Any]:
    name, length = NAMES[number % 3], int(draw.integers(4, 9))
    walk = draw.normal(size=length).round(3).tolist()
    labels = ",".join(part for part, there in (("big", number % 2), ("odd", number % 3)) if there)
    row: dict[str, Any] = {"label": name, "labels": labels, "score": walk[0], "age": number, "walk": walk}
    row |= {"story": f"it went {name} {length} times", "next": [*walk[1:], 0.5]}
    row |= {"far": [*walk, 0.25, 0.5, 0.75] * 6, "chords": [[60], [60, 64], []] * (length + 9)}
    if kind == "given":
        pixels = draw.integers(0, 255, (4, 4)).tolist()
        tune = [[60, 64][: int(k)] for k in draw.integers(0, 3, length)]
        return row | {"kind": name, "size": walk[0], "pixels": pixels, "clock": list(range(length)), "curve": walk,
                      "tune": tune, "dna": "ACG"[number % 3] * length}  # fmt: skip
    cell, steps = _cell(kind, draw, folder, number, length)
    tags = draw.choice(["in", "out"], steps).tolist()
    row |= {"x": cell, "tags": tags, "levels": [0.25 * step + 0.1 for step in range(steps)]}
    if kind == "characters":
        row["tags"] = "".join(tag[0] for tag in tags)
    if kind == "dna":
        row["protein"] = "".join("MKV"[ord(letter) % 3] for letter in cell[::3])
    if kind == "music":
        row["bass"] = [frame[:1] for frame in cell]
    return row


def _cell(kind: str, draw: np.random.Generator, folder: Path, number: int, length: int) -> tuple[Any, int]:
    """A cell and its steps."""
    if kind in ("words", "characters"):
        text = " ".join(draw.choice(["a", "film", "which", "one", "sees", "twice"], length))
        return text, length if kind == "words" else len(text)
    if kind == "series":
        return draw.normal(size=(length, 2)).round(3).tolist(), length
    if kind == "music":
        return [[60, 64, 67][: int(k)] for k in draw.integers(0, 4, length)], length
    if kind in ("dna", "protein"):
        return "".join(draw.choice(list("ACGT" if kind == "dna" else "MKVLHEAPWY"), 18 + length)), 18 + length
    return _sound(draw, folder, number, length) if kind == "audio" else _clip(draw, folder, number, length)


def _sound(draw: np.random.Generator, folder: Path, number: int, length: int) -> tuple[str, int]:
    """25 ms and then `length` - 1 times 10 ms."""
    path = folder / f"{number}.wav"
    with wave.open(str(path), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(8000)
        out.writeframes(draw.integers(-9000, 9000, 200 + 80 * (length - 1)).astype("<i2").tobytes())
    return path.name, length


def _clip(draw: np.random.Generator, folder: Path, number: int, length: int) -> tuple[str, int]:
    import av

    path = folder / f"{number}.avi"
    with av.open(str(path), "w") as out:
        stream = out.add_stream("ffv1", rate=Fraction(5))
        stream.width = stream.height = 8
        stream.pix_fmt = "gray"
        for _ in range(length):
            frame = draw.integers(0, 255, (8, 8)).astype(np.uint8)
            out.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="gray")))
        out.mux(stream.encode(None))
    return path.name, length


@pytest.mark.parametrize("name", CELLS)
def test_a_cell_of_the_map(tables: Path, tmp_path: Path, name: str) -> None:
    """Inferred as it should be, trained, saved, loaded, scored, and put to rows of a file."""
    cell = CELLS[name]
    path = tables / f"{cell.table}.jsonl"
    given = {"data.train": str(path), "data.input": cell.columns[0], "data.target": cell.columns[1]}
    given |= {"data.extra": list(cell.extra), **SMALL}
    mapping = apply_overrides({}, [*(f"{key}={json.dumps(value)}" for key, value in given.items()), *cell.settings])
    run = load(train_recipe(build_recipe(mapping), tmp_path / "run", Observer()))
    features = run.recipe.features
    target = features.target.kind if cell.columns[1] else "auto"
    assert (run.recipe.model.task, features.input.kind, target) == cell.made
    assert np.isfinite(run.evaluate(path)["loss"])
    if cell.columns[1]:
        assert len(run.predict_file(path)) == (FILES if cell.table in ("audio", "video") else ROWS)
