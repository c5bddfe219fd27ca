"""Small whole files of every format that is read, made up here or fixtures of runs."""

from __future__ import annotations

import bz2
import functools
import gzip
import io
import json
import lzma
import struct
import tarfile
import zipfile
from pathlib import Path

import h5py
import mido
import numpy as np
import polars as pl

FIXTURES = Path(__file__).parents[1] / "fixtures" / "old_runs" / "data"
REVIEWS = b'text,label\n"good, really",pos\nbad,neg\n' + b"".join(
    b"word %d,%s\n" % (n, (b"pos", b"neg")[n % 2]) for n in range(30)
)
DATES = b"date,value\n" + b"".join(b"2021-01-%02d,%d.5\n" % (n, n) for n in range(1, 31))
TS = b"@problemName Toy\n@univariate true\n@classLabel true a b\n@data\n1.0,2.0,3.0:a\n3.0,2.0,1.0:b\n"
CONLLU = b"# text = a b\n1\ta\ta\tNOUN\t_\t_\t0\troot\t_\t_\n2\tb\tb\tVERB\t_\t_\t1\tobj\t_\t_\n\n" * 4
FASTQ = b"@r1\nACGTACGT\n+\nIIIIIIII\n@r2\nTTTTACGT\n+\nIIIIIIII\n"
ARFF = b"@relation r\n@attribute x numeric\n@attribute 'a b' {u,v}\n@data\n1,u\n?,v\n{0 2, 1 v}\n"
TSF = b"@attribute series_name string\n@attribute start date\n@frequency daily\n@data\nT1:2020-02-28 00-00-00:1,?,3\n"
GERMAN = b"sep=;\nDatum;Wert\n" + b"".join(b"%02d.01.2021 00:00;1.2%02d,5\n" % (n, n) for n in range(1, 31))
UCR = b"1\t0.1\t0.2\t0.3\n2\t0.4\t0.5\t0.6\n" * 4


@functools.cache
def samples() -> tuple[tuple[str, bytes], ...]:
    """Names and bytes."""
    found = {path.name: path.read_bytes() for path in sorted(FIXTURES.glob("*.*")) if path.stat().st_size < 100_000}
    found |= {
        "reviews.csv": REVIEWS,
        "reviews.csv.gz": gzip.compress(REVIEWS),
        "reviews.csv.bz2": bz2.compress(REVIEWS),
        "reviews.csv.xz": lzma.compress(REVIEWS),
        "reviews.zip": _zip({"reviews.csv": REVIEWS}),
        "reviews.tar": _tar({"reviews.csv": REVIEWS}),
        "dates.csv": DATES,
        "dates.tsv": DATES.replace(b",", b"\t"),
        "rows.jsonl": b"".join(
            json.dumps({"text": f"row {n}", "label": n % 2, "x": [n, 2.5]}).encode() + b"\n" for n in range(9)
        ),
        "rows.parquet": _parquet(),
        "toy.ts": TS,
        "words.conllu": CONLLU,
        "reads.fastq": FASTQ,
        "Toy_TRAIN.tsv": UCR,
        "train-images-idx3-ubyte": struct.pack(">4B3I", 0, 0, 8, 3, 4, 3, 2) + bytes(range(24)),
        "gait.arff": ARFF,
        "sales.tsf": TSF,
        "german.csv": GERMAN,
        "rows.json": b'[{"text": "a", "label": 1}, {"text": "b", "label": 0}]',
        "rows.xlsx": _xlsx(),
        "panel.h5": _hdf5(),
        "sessions.zip": _zip({f"s/{kind}/{n}.csv": b"t,x\n0,1\n1,2\n" for kind in ("a", "b") for n in (1, 2)}),
        "song.mid": _midi(),
        "rolls.npz": _npz(),
    }
    return tuple(sorted(found.items()))


def _zip(members: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, raw in members.items():
            archive.writestr(name, raw)
    return out.getvalue()


def _tar(members: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, raw in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(raw)
            archive.addfile(info, io.BytesIO(raw))
    return out.getvalue()


def _parquet() -> bytes:
    out = io.BytesIO()
    pl.DataFrame({"text": ["a b", "c"], "label": ["x", "y"], "n": [1, 2]}).write_parquet(out)
    return out.getvalue()


def _midi() -> bytes:
    song = mido.MidiFile()
    track = mido.MidiTrack()
    for note in (60, 64, 67):
        track.append(mido.Message("note_on", note=note, velocity=64, time=0))
        track.append(mido.Message("note_off", note=note, velocity=64, time=240))
    song.tracks.append(track)
    out = io.BytesIO()
    song.save(file=out)
    return out.getvalue()


def _xlsx() -> bytes:
    out = io.BytesIO()
    pl.DataFrame({"text": ["a b", "c"], "n": [1, 2]}).write_excel(out)
    return out.getvalue()


def _hdf5() -> bytes:
    out = io.BytesIO()
    with h5py.File(out, "w") as file:
        file["X"], file["y"] = np.zeros((4, 5, 3)), np.arange(4)
    return out.getvalue()


def _npz() -> bytes:
    out = io.BytesIO()
    np.savez(out, train=np.zeros((2, 5, 88), np.uint8))
    return out.getvalue()
