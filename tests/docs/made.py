"""Small made-up files under the names that the guides use, with the mistakes that they show."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

READS = """>a kind=exon
ACGTACGTACGTACGTACGTACGT
>b kind=intron
ACG?ACGTACGTACGTACGTACGT
>c kind=exon
>d kind=intron
ACGTACGTACGTACGTACGTACGA
"""
WALKS = """walk,label
"[[0.1, 1], [0.2, 2], [0.3, 3]]",up
"[[0.1, 1], [null, 2], [0.3, 3]]",down
"[0.1, 0.2, 0.3]",up
"[[0.1, Infinity], [0.2, 2], [0.3, 3]]",down
"""
SENTENCE = """1	the	the	DET	DT	_	2	det	_	_
2	film	film	NOUN	NN	_	3	nsubj	_	_
3	ends	end	VERB	VBZ	_	0	root	_	_

"""


def write_files(folder: Path) -> None:
    """All of them."""
    draw = np.random.default_rng(0)
    (folder / "reads.fa").write_text(READS)
    (folder / "walks.csv").write_text(WALKS)
    (folder / "clips").mkdir()
    (folder / "clips" / "b.mp4").write_bytes(b"no film at all")
    (folder / "clips.csv").write_text("path,label\nclips/a.mp4,fight\nclips/b.mp4,calm\n")
    for name, times in (("en_ewt-ud-train.conllu", 30), ("en_ewt-ud-dev.conllu", 6)):
        (folder / name).write_text(SENTENCE * times)
    names = (folder / "names.csv").read_text().splitlines()[1:]
    swapped = "".join(",".join(reversed(line.split(","))) + "\n" for line in names)
    (folder / "people.csv").write_text("country,name\n" + swapped)
    (folder / "passengers.csv").write_text(_passengers())
    (folder / "genes.csv").write_text("dna,protein\n" + "".join(_gene(draw) for _ in range(40)))
    (folder / "tunes.jsonl").write_text("".join(json.dumps(_tune(draw, number)) + "\n" for number in range(40)))
    curves = [{"kind": "ab"[k % 2], "curve": draw.normal(size=8).round(3).tolist()} for k in range(40)]
    (folder / "curves.jsonl").write_text("".join(json.dumps(curve) + "\n" for curve in curves))
    _midi(folder / "my-midi-files", draw)


def _passengers() -> str:
    """Months as Box and Jenkins's series has them: the two that the guide shows, then made up."""
    months = [f"{1949 + month // 12}-{month % 12 + 1:02d}" for month in range(144)]
    rising = [112, 118] + [round(130 * 1.01**month * (1 + 0.2 * np.sin(month * np.pi / 6))) for month in range(2, 144)]
    return "Date,Passengers\n" + "".join(f"{when},{number}\n" for when, number in zip(months, rising, strict=True))


def _gene(draw: np.random.Generator) -> str:
    codons = draw.choice(["ATG", "AAA", "GTG", "CAC"], int(draw.integers(8, 17)))
    letters = dict(zip(["ATG", "AAA", "GTG", "CAC"], "MKVH", strict=True))
    return "".join(codons) + "," + "".join(letters[codon] for codon in codons) + "\n"


def _tune(draw: np.random.Generator, number: int) -> dict[str, Any]:
    return {"tune": [[60, 64, 67][: int(k)] for k in draw.integers(1, 4, 12)], "mode": ("major", "minor")[number % 2]}


def _midi(folder: Path, draw: np.random.Generator) -> None:
    from ostinato.media.midi import write_midi

    folder.mkdir()
    for number in range(8):
        write_midi(_tune(draw, number)["tune"], folder / f"{number}.mid", frames_per_beat=4)
