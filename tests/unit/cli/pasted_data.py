"""Small data, most of it with something wrong, for the hints that are pasted."""

from __future__ import annotations

import datetime as dt
import json
import shutil
import zipfile
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import polars as pl

WORDS = ["a fine film", "a bad film", "what a bore", "warm and lovely"]


def text_file(name: str, *lines: str) -> None:
    Path(name).write_text("\n".join(lines) + "\n", encoding="utf-8")


def _series(name: str, stamps: list[str], header: str = "date,y", extra: str = "") -> None:
    text_file(name, header, *(f"{stamp}{extra},{(7 * i) % 12 + i / 100}" for i, stamp in enumerate(stamps)))


def _days(count: int) -> list[str]:
    return [str(dt.date(2021, 1, 1) + dt.timedelta(days)) for days in range(count)]


def _hours(count: int) -> list[str]:
    return [f"2021-01-{1 + i // 24:02} {i % 24:02}:00" for i in range(count)]


def make_tables() -> None:
    rows = [(WORDS[i % 4], ("pos", "neg")[i % 4 in (1, 2)]) for i in range(40)]
    text_file("t.csv", "text,label", *(",".join(row) for row in rows))
    text_file("gone.csv", "text,label", *(",".join(row) for row in rows[:12]), ",pos", *(",".join(row) for row in rows))
    text_file("long.csv", "text,label", *(",".join(row) for row in rows), f"{'film ' * 250_000},pos")
    text_file(
        "mixed.csv", "text,label", *(f"{text},{i % 3 if i % 5 else 'none at all'}" for i, (text, _) in enumerate(rows))
    )
    text_file("nan.csv", "text,label", *(f"{text},{'inf' if i == 7 else i / 3}" for i, (text, _) in enumerate(rows)))
    text_file("many.csv", "text,label", *(f"{WORDS[i % 4]},answer {i} of its own" for i in range(120)))
    text_file(
        "nans.csv", "text,label", *(f"{text},{'NaN' if i % 9 == 4 else i % 2}" for i, (text, _) in enumerate(rows))
    )
    text_file("notes.json", json.dumps([{"text": text, "label": label} for text, label in rows]))
    text_file("my table.csv", "text,label", *(",".join(row) for row in rows))
    text_file("few.csv", "text,label", *(f"{text},{i + 0.5}" for i, (text, _) in enumerate(rows[:4])))
    text_file("each.csv", "text,label", *(f"{text} {i},class {i}" for i, (text, _) in enumerate(rows)))
    text_file("rare.csv", "text,label", *(f"{text},c{i // 2}" for i, (text, _) in enumerate(rows)))
    text_file("groups.csv", "text,label,who", *(f"{text},{label},a" for text, label in rows))
    text_file("semicolons.csv", "text;label", *(";".join(row) for row in rows))
    text_file("session.csv", "who,y,kind", *(f"{i // 5},{i * 7 % 11},{i // 5 % 2}" for i in range(60)))
    Path("cyrillic.csv").write_bytes(
        b"text,label\n" + "".join(f"хороший фильм о любви и войне,{i % 2}\n" for i in range(40)).encode("cp1251")
    )
    Path("wide.csv").write_bytes(("text,label\n" + "".join(f"{a},{b}\n" for a, b in rows)).encode("utf-16-le"))
    text_file("lists.jsonl", *(json.dumps({"x": WORDS[i % 4].split(), "y": i % 2}) for i in range(40)))
    text_file("vectors.jsonl", *(json.dumps({"x": [1.5, i, 2.0], "y": [0.5] * (2 + i % 3)}) for i in range(40)))
    text_file("numbers.jsonl", *(json.dumps({"x": [0.5, i, 1.5], "y": i % 2}) for i in range(40)))
    text_file(
        "tagged.jsonl",
        *(
            json.dumps({"words": WORDS[i % 4].split(), "tags": ["D", "N", "A", "V"][: len(WORDS[i % 4].split())]})
            for i in range(40)
        ),
    )
    text_file("pairs.csv", "source,target", *(f"{WORDS[i % 4]},{WORDS[(i + 1) % 4]}" for i in range(40)))
    text_file(
        "big.csv", "text,label", *(f"{' '.join(f'w{i}x{j}' for j in range(120))},{'ab'[i % 2]}" for i in range(40))
    )
    text_file("book.txt", *(f"{text} of {i}." for i, (text, _) in enumerate(rows * 5)))
    text_file("five.txt", "abcd")
    text_file("notes.xyz", "just a few words")
    text_file("binary.txt", "a\x01\x02\x03\x04\x05\x06\x07" * 20)
    text_file("classes.csv", "class,y", *(f"{'ab'[i % 2]},{i % 4}" for i in range(40)))


def make_series() -> None:
    _series("days.csv", _days(60))
    _series("gaps.csv", [*_days(20), *_days(60)[23:]])
    _series("wide_gap.csv", [*_hours(10), "2021-03-01 00:00", *[f"2021-03-01 {i:02}:00" for i in range(1, 10)]])
    _series("odd.csv", [*_days(30), "2021-03-01 06:07"])
    _series("late.csv", [*_days(20)[:10], *_days(20)[11:12], *_days(20)[10:11], *_days(40)[12:]])
    _series("twice.csv", [*_days(20), _days(20)[-1], *_days(40)[20:]])
    _series("open.csv", [f"{month:02}/01/2021" for month in range(1, 13)] * 1)
    _series("strange.csv", [f"day {i} of all" for i in range(40)])
    _series("short.csv", _days(6))
    text_file(
        "stores.csv",
        "date,store,item,y",
        *(f"{d},{s},{i},{n % 7}" for s in (1, 2) for i in (1, 2) for n, d in enumerate(_days(40))),
    )
    text_file("hole.csv", "date,y", *(f"{day},{'' if i == 9 else i % 5}" for i, day in enumerate(_days(40))))
    text_file("blank.csv", "date,y,z", *(f"{day},{i % 5}," for i, day in enumerate(_days(40))))
    text_file("rubbish.csv", "date,y", *(f"{day},{'broken' if i == 9 else i % 5}" for i, day in enumerate(_days(40))))
    text_file("footer.csv", "date,y", *(f"{day},{i % 5}" for i, day in enumerate(_days(40))), "Source: made up")
    text_file("words.csv", "date,y", *(f"{day},{'ab'[i % 2]}" for i, day in enumerate(_days(40))))


def make_folders() -> None:
    for part in ("train", "test"):
        for label in ("pos", "neg"):
            Path(f"tree/{part}/{label}").mkdir(parents=True)
            for i in range(12):
                text_file(f"tree/{part}/{label}/{i}.txt", WORDS[i % 4])
    for part in ("train", "test"):
        Path("parts").mkdir(exist_ok=True)
        shutil.copy("t.csv", f"parts/{part}.csv")
    with zipfile.ZipFile("a.zip", "w") as archive:
        for name in ("one.csv", "two.csv"):
            archive.write("t.csv", name)
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(20, 6)), np.arange(20) % 2
    np.savez("arrays.npz", X_train=x, y_train=y, X_test=x, y_test=y)
    text_file("empty.yaml", "training: {epochs: 1}")
    text_file(
        "r.yaml", "data: {train: t.csv, input: text, target: label}", "training: {epochs: 1}", "model: {hidden_size: 4}"
    )
    shutil.make_archive("b", "zip", "parts")
    if find_spec("xlsxwriter"):
        pl.read_csv("t.csv").write_excel("a.xlsx", worksheet="Sheet1")
    rolls = {part: (rng.random((12, 5, 88)) < 0.05).reshape(-1, 88) for part in ("train", "valid")}
    np.savez("music.npz", **rolls, **{f"{part}_lengths": np.full(12, 5) for part in rolls})
    shutil.copy("t.csv", ".csv")
    Path("runs").mkdir()
    Path("full").mkdir()
    text_file("full/x.txt", "mine")
