"""`ostinato train FILE` with no options, on many sets, beside simple baselines.

    python benchmarks/auto.py DATA [SET ...] [--folds K] [--set KEY=VALUE ...] [--aeon PYTHON] [--report FILE.md]

DATA is a folder with the sets by name (`ucr/Coffee_TRAIN.tsv.xz`, …). Each set is written as a file that a user might
have, trained by the bare command in a process of its own, and scored on the test part (sets without one: on every
tenth row). With `--folds K` the training part alone is used, cross-validated: how what a plan chooses should be chosen.
`--set` tries another choice. SET may be a group: `series`, `text`, `letters`, `tags`.

The baseline is the nearest neighbour of series (Euclidean), TF-IDF with logistic regression of text, the most frequent
tag of each token. With `--aeon`, an interpreter that has aeon, MiniRocket with its ridge classifier is run beside it on
series.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import lzma
import os
import resource
import subprocess
import sys
import tempfile
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

Rows = list[tuple[str, str]]
"""Cells of the input and the target."""
_REVIEWS, _PROTEINS, _SENTENCES = 2000, 400, 1500


@dataclass(frozen=True)
class Data:
    """Training and test rows; baseline: the accuracy of a simple method on rows, having seen others."""

    train: Rows
    test: Rows
    baseline: Callable[[Rows, Rows], float] = field(repr=False)


@dataclass(frozen=True)
class Found:
    """Of a set, shares of 0..1: ours, the most frequent answer's, the baseline's, MiniRocket's; and processor
    seconds of ours."""

    name: str
    rows: int
    ours: float
    majority: float
    baseline: float
    rocket: float
    seconds: float


# ---- the sets -------------------------------------------------------------------------------------------------------
def _ucr(folder: Path, name: str) -> Data:
    return Data(*(_series(folder / "ucr" / f"{name}_{part}.tsv.xz") for part in ("TRAIN", "TEST")), _nearest)


def _series(path: Path) -> Rows:
    with lzma.open(path, "rt") as file:
        rows = [line.rstrip("\n").split("\t") for line in file]
    return [("[" + ", ".join(values) + "]", label) for label, *values in rows]


def _polarity(folder: Path) -> Data:
    with zipfile.ZipFile(folder / "text_small" / "sentence_polarity.zip") as archive:
        texts = {
            sign: archive.read(f"sentence_polarity/rt-polarity.{sign}").decode("latin-1") for sign in ("pos", "neg")
        }
    return _tenth([(line.strip(), sign) for sign, text in texts.items() for line in text.splitlines()], _tfidf)


def _reviews(folder: Path) -> Data:
    parts = []
    for part in ("train", "test-a"):
        with lzma.open(folder / "imdb" / f"{part}.jsonl.xz", "rt", encoding="utf-8") as file:
            rows = [(row["text"], str(row["label"])) for row in map(json.loads, file)]
        parts.append(_drawn(rows, _REVIEWS))
    return Data(parts[0], parts[1], _tfidf)


def _names(folder: Path) -> Data:
    files = sorted((folder / "names_18_languages" / "names").glob("*.txt"))
    rows = {(name, path.stem) for path in files for name in path.read_text("utf-8").split("\n") if name.strip()}
    return _tenth(sorted(rows), _letters)


def _promoters(folder: Path) -> Data:
    rows: Rows = []
    for part in ("prom", "non_prom"):
        with lzma.open(folder / "dna_promoters" / "umarov_solovyev" / f"Ecoli_{part}.fa.xz", "rt") as file:
            rows += [("".join(one.split("\n")[1:]), part) for one in file.read().split(">") if one.strip()]
    return _tenth(rows, _letters)


def _splice(folder: Path) -> Data:
    with (folder / "dna_splice" / "splice.csv").open() as file:
        rows = {(row[2].strip(), row[0].strip()) for row in list(csv.reader(file))[1:]}
    return _tenth(sorted(rows), _letters)


def _protein(folder: Path) -> Data:
    with zipfile.ZipFile(folder / "protein_ss" / "flip_secondary_structure_splits.zip") as archive:
        fasta = [archive.read(f"splits/{name}.fasta").decode().split(">")[1:] for name in ("sequences", "sampled")]
    cells = [{one.split("\n")[0].split()[0]: "".join(one.split("\n")[1:]) for one in part} for part in fasta]
    sets = {one.split("\n")[0].split()[0]: one.split("\n")[0] for one in fasta[1]}
    parts = ([name for name, head in sets.items() if f"SET={part}" in head] for part in ("train", "test"))
    train, test = ([(cells[0][name], cells[1][name]) for name in names] for names in parts)
    return Data(_drawn(train, _PROTEINS), test, _tags)


def _ewt(folder: Path) -> Data:
    parts = []
    for part in ("train", "dev"):
        with lzma.open(folder / "ud_english_ewt" / f"en_ewt-ud-{part}.conllu.xz", "rt", encoding="utf-8") as file:
            sentences = [_sentence(one) for one in file.read().strip().split("\n\n")]
        parts.append([one for one in sentences if " " in one[1] and not one[0].startswith("[")])  # no JSON lists
    return Data(_drawn(parts[0], _SENTENCES), parts[1], _tags)


def _sentence(block: str) -> tuple[str, str]:
    words = [line.split("\t") for line in block.split("\n") if line.split("\t")[0].isdigit()]
    return " ".join(word[1].replace(" ", "_") for word in words), " ".join(word[3] for word in words)


def _tenth(rows: Rows, baseline: Callable[[Rows, Rows], float]) -> Data:
    """Every tenth row, by a checksum of its input, is the test part."""
    last = [hashlib.md5(cell.encode()).digest()[0] % 10 == 0 for cell, _ in rows]
    train, test = ([row for row, one in zip(rows, last, strict=True) if one is wanted] for wanted in (False, True))
    return Data(train, test, baseline)


def _drawn(rows: Rows, count: int) -> Rows:
    chosen = np.random.default_rng(0).permutation(len(rows))[:count]
    return [rows[row] for row in chosen]


def sets(folder: Path) -> dict[str, tuple[str, Callable[[], Data]]]:
    """Every set, by name, with its group."""
    names = sorted(path.name.removesuffix("_TRAIN.tsv.xz") for path in (folder / "ucr").glob("*_TRAIN.tsv.xz"))
    found: dict[str, tuple[str, Callable[[], Data]]] = {
        name: ("series", lambda name=name: _ucr(folder, name))  # type: ignore[misc]
        for name in names
    }
    return found | {
        "polarity": ("text", lambda: _polarity(folder)),
        "reviews": ("text", lambda: _reviews(folder)),
        "names": ("letters", lambda: _names(folder)),
        "promoters": ("letters", lambda: _promoters(folder)),
        "splice": ("letters", lambda: _splice(folder)),
        "protein": ("tags", lambda: _protein(folder)),
        "ewt": ("tags", lambda: _ewt(folder)),
    }


# ---- baselines ------------------------------------------------------------------------------------------------------
def _majority(train: Rows, test: Rows, tagged: bool) -> float:
    answers = [[tag for _, tag in _pairs(rows)] if tagged else [label for _, label in rows] for rows in (train, test)]
    most = Counter(answers[0]).most_common(1)[0][0]
    return float(np.mean([label == most for label in answers[1]]))


def _nearest(train: Rows, test: Rows) -> float:
    """Of the nearest training row by Euclidean distance; not a number unless rows are equally long series."""
    known, asked = ([json.loads(cell) for cell, _ in part] for part in (train, test))
    if len({len(row) for row in (*known, *asked)}) != 1:
        return float("nan")
    labels = np.asarray([label for _, label in train])
    near = [((np.asarray(known) - np.asarray(row)) ** 2).sum(axis=1).argmin() for row in asked]
    return float((labels[near] == np.asarray([label for _, label in test])).mean())


_ROCKET = """
import json, sys
import numpy as np
from aeon.classification.convolution_based import MiniRocketClassifier
train, test = json.load(sys.stdin)
arrays = [[np.asarray(json.loads(cell), dtype=np.float32)[None] for cell, _ in rows] for rows in (train, test)]
if len({row.shape for rows in arrays for row in rows}) == 1:
    arrays = [np.stack(rows) for rows in arrays]
model = MiniRocketClassifier(random_state=0).fit(arrays[0], np.asarray([label for _, label in train]))
print(float(np.mean(model.predict(arrays[1]) == np.asarray([label for _, label in test]))))
"""


def _minirocket(python: str, train: Rows, test: Rows) -> float:
    """Of aeon's, by its interpreter; not a number where it can't."""
    done = subprocess.run([python, "-c", _ROCKET], input=json.dumps([train, test]), capture_output=True, text=True)
    return float(done.stdout) if done.returncode == 0 else float("nan")


def _tfidf(train: Rows, test: Rows, analyzer: str = "word", longest: int = 2) -> float:
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    counts = TfidfVectorizer(analyzer=analyzer, ngram_range=(1, longest), sublinear_tf=True)
    model = make_pipeline(counts, LogisticRegression(C=10, max_iter=1000))
    model.fit([cell for cell, _ in train], [label for _, label in train])
    return float(model.score([cell for cell, _ in test], [label for _, label in test]))


def _letters(train: Rows, test: Rows) -> float:
    return _tfidf(train, test, "char", 4)


def _tags(train: Rows, test: Rows) -> float:
    """Of the most frequent tag of each token."""
    counts: dict[str, Counter[str]] = {}
    for token, tag in _pairs(train):
        counts.setdefault(token, Counter())[tag] += 1
    usual = Counter(tag for _, tag in _pairs(train)).most_common(1)[0][0]
    best = {token: found.most_common(1)[0][0] for token, found in counts.items()}
    return float(np.mean([best.get(token, usual) == tag for token, tag in _pairs(test)]))


def _pairs(rows: Rows) -> Iterator[tuple[str, str]]:
    """Each token and its tag: between blanks, or letter by letter."""
    for cell, tags in rows:
        yield from zip(*(one.split() if " " in tags else one for one in (cell, tags)), strict=True)


# ---- measuring ------------------------------------------------------------------------------------------------------
def score(name: str, data: Data, settings: Sequence[str], folds: int, aeon: str | None) -> Found:
    """Train as a user would, and score: on the test part, or on each of so many folds of the training part."""
    runs = range(folds) if folds else [-1]
    ours, majority, baseline, rocket, seconds = [], [], [], [], 0.0
    for fold in runs:
        train, test = data.train, data.test
        if fold >= 0:
            train, test = (_part(data.train, fold, folds, held_out=held_out) for held_out in (False, True))
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        ours.append(_accuracy(train, test, settings))
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds += after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        rocket.append(_minirocket(aeon, train, test) if aeon and data.baseline is _nearest else float("nan"))
        majority.append(_majority(train, test, data.baseline is _tags))
        baseline.append(data.baseline(train, test))
    means = [float(np.mean(one)) for one in (ours, majority, baseline, rocket)]
    return Found(name, len(data.train), *means, seconds / len(runs))


def _part(rows: Rows, fold: int, folds: int, *, held_out: bool) -> Rows:
    """A fold or the rest: the rows of each answer are dealt out in turn."""
    order = np.random.default_rng(0).permutation(len(rows))
    seen: Counter[str] = Counter()
    found: Rows = []
    for row in sorted(order, key=lambda row: rows[row][1] if len(rows[row][1]) < 30 else ""):
        number = sum(seen.values())
        seen[rows[row][1]] += 1
        if (number % folds == fold) is held_out:
            found.append(rows[row])
    return found


def _accuracy(train: Rows, test: Rows, settings: Sequence[str]) -> float:
    options = [part for one in settings for part in ("--set", one)]
    with tempfile.TemporaryDirectory() as place:
        run, paths = Path(place) / "run", [Path(place) / f"{name}.csv" for name in ("train", "test")]
        for path, rows in zip(paths, (train, test), strict=True):
            with path.open("w", newline="", encoding="utf-8") as file:
                csv.writer(file).writerows([("x", "y"), *rows])
        _ostinato("train", paths[0], "--input", "x", "--target", "y", "--out", run, *options)
        return float(_ostinato("evaluate", run, paths[1])["accuracy"])


def _ostinato(*arguments: object) -> dict[str, float]:
    """What a command prints as JSON."""
    command = [sys.executable, "-m", "ostinato", *map(str, arguments), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "NO_COLOR": "1"})
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}\n{done.stderr}")
    found: dict[str, float] = json.loads(done.stdout)
    return found


def lines(found: Sequence[Found]) -> Iterator[str]:
    """The table."""
    yield "| set | rows | ours | majority | baseline | MiniRocket | CPU seconds |"
    yield "|---|---|---|---|---|---|---|"
    for one in found:
        figures = " | ".join(map(_percent, (one.ours, one.majority, one.baseline, one.rocket)))
        yield f"| {one.name} | {one.rows:,} | {figures} | {one.seconds:.0f} |"
    every = ([getattr(one, key) for one in found] for key in ("ours", "majority", "baseline", "rocket"))
    cells = " | ".join(f"**{_percent(np.nanmean(one) if not np.isnan(one).all() else np.nan)}**" for one in every)
    yield f"| **mean of {len(found)}** | | {cells} | {np.mean([one.seconds for one in found]):.0f} |"


def _percent(share: float) -> str:
    return "–" if np.isnan(share) else f"{100 * share:.1f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("sets", nargs="*", help="by default all")
    parser.add_argument("--folds", type=int, default=0, help="of the training part, in place of the test part")
    parser.add_argument("--set", action="append", default=[], dest="settings", metavar="KEY=VALUE")
    parser.add_argument("--aeon", metavar="PYTHON", help="an interpreter that has aeon, for MiniRocket beside ours")
    parser.add_argument("--report", type=Path)
    given = parser.parse_args()
    known = sets(given.data)
    found: list[Found] = []
    for name, (group, read) in known.items():
        if not given.sets or name in given.sets or group in given.sets:
            found.append(score(name, read(), given.settings, given.folds, given.aeon))
            print(list(lines(found))[-2], flush=True)
    text = "\n".join(lines(found))
    print(text)
    if given.report:
        given.report.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
