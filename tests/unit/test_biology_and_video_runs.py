"""Nucleotides, amino acids and clips from files to a trained run and back: train, evaluate, predict."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ostinato.errors import RunError
from ostinato.recipe import apply_overrides, build_recipe
from ostinato.run import Run, load
from ostinato.training.progress import Observer
from ostinato.training.train import train_recipe


def _train(data: object, out: Path, **settings: Any) -> Run:
    """Without a report, which takes longer than the rest."""
    pairs = {"data.train": str(data), **settings}
    recipe = build_recipe(apply_overrides({}, [f"{key}={json.dumps(value)}" for key, value in pairs.items()]))
    return load(train_recipe(recipe, out, Observer()))


def _letters(random: np.random.Generator, alphabet: str, count: int) -> str:
    return "".join(random.choice(list(alphabet), count))


def test_a_folder_of_fasta_files_is_classified(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    folder = tmp_path / "promoters"
    folder.mkdir()
    for name, site in (("with", "TATAAT"), ("without", "")):
        records = []
        for number in range(40):
            row = _letters(random, "ACG", 20)
            records.append(f">{name}{number}\n{row[:8] + site + row[8 + len(site) :]}\n")
        (folder / f"{name}.fa").write_text("".join(records))
    settings: dict[str, Any] = {
        "model.hidden_size": 8,
        "model.pooling": ["max"],
        "training.epochs": 8,
        "training.batch_size": 8,
        "training.learning_rate": 0.03,
    }
    run = _train(folder, tmp_path / "run", **settings)
    assert (run.recipe.data.target, run.recipe.features.input.kind) == ("label", "dna")
    assert run.evaluate(folder)["accuracy"] > 0.95
    found = load(tmp_path / "run").predict(["gcgcgcgctataatgcgcgc", "gcgcgcgcgcgcgcgcgcgc"])
    assert [one.label for one in found] == ["with", "without"]
    with pytest.raises(RunError, match="'!' at position 3 is no nucleotide"):
        run.predict(["AC!T"])


def test_residues_are_tagged_but_for_masked_ones(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    files = {"seq": "", "labels": "", "mask": ""}
    for number in range(40):
        row = _letters(random, "AVGP", int(random.integers(5, 15)))
        files["seq"] += f">r{number}\n{row}\n"
        files["labels"] += f">r{number} SET={'test' if number < 5 else 'train'}\n"
        files["labels"] += "".join("H" if letter in "AV" else "C" for letter in row) + "\n"
        files["mask"] += f">r{number}\n{'0' + '1' * (len(row) - 1)}\n"
    for name, text in files.items():
        (tmp_path / f"{name}.fasta").write_text(text)
    three = f"{tmp_path}#seq.fasta+labels.fasta+mask.fasta"
    settings: dict[str, Any] = {
        "data.where": "\"SET\" = 'train'",
        "data.test": three,
        "data.test_where": "\"SET\" = 'test'",
        "features.input.kind": "protein",
        "features.target.kind": "tags",
        "features.target.split": "characters",
        "features.target.ignore": ["-"],
        "model.hidden_size": 8,
        "training.epochs": 6,
        "training.batch_size": 4,
        "training.learning_rate": 0.03,
    }
    settings |= {"data.input": "sequence", "data.target": "labels"}
    run = _train(three, tmp_path / "run", **settings)
    found = run.evaluate()
    assert found["accuracy"] > 0.95
    scored = sum(len(line) - 1 for line in files["seq"].splitlines()[1:10:2])
    assert found["num_tokens"] == scored
    assert run.predict(["PAVG"])[0].tags == ("C", "H", "H", "C")


def test_clips_that_move_are_told_from_those_that_stand_still(tmp_path: Path) -> None:
    av = pytest.importorskip("av")
    random = np.random.default_rng(0)
    rows = ["path,label,scene"]
    for number in range(24):
        moves = bool(number % 2)
        with av.open(str(tmp_path / f"{number}.avi"), "w") as container:
            stream = container.add_stream("ffv1", rate=Fraction(5))
            stream.width = stream.height = 16
            stream.pix_fmt = "gray"
            picture = random.integers(0, 256, (16, 16)).astype(np.uint8)
            for _ in range(int(random.integers(3, 6))):
                picture = np.roll(picture, 4 * moves, axis=1)
                container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="gray")))
            container.mux(stream.encode(None))
        rows.append(f"{number}.avi,{'moves' if moves else 'stands'},s{number // 2}")
    (tmp_path / "clips.csv").write_text("\n".join(rows) + "\n")
    settings: dict[str, Any] = {
        "data.group": "scene",
        "data.validation": 0.25,
        "features.input.kind": "video",
        "features.input.size": [8, 8],
        "features.input.motion": "beside",
        "model.frames.channels": [4],
        "model.frames.output_size": 8,
        "model.hidden_size": 8,
        "training.epochs": 8,
        "training.batch_size": 4,
        "training.learning_rate": 0.02,
    }
    table = tmp_path / "clips.csv"
    settings |= {"data.input": "path", "data.target": "label"}
    run = _train(table, tmp_path / "run", **settings)
    assert run.evaluate(table)["accuracy"] > 0.95
    assert run.predict([str(tmp_path / "1.avi")])[0].label == "moves"
    with pytest.raises(RunError, match="no such file"):
        run.predict([str(tmp_path / "none.avi")])
