"""`ostinato train FILE` with no options, on many sets, beside simple baselines.

    python benchmarks/auto.py DATA [SET ...] [--folds K] [--rows N] [--set KEY=VALUE ...]
        [--aeon PYTHON] [--report FILE.md]

DATA is a folder with the sets by name (`ucr/Coffee_TRAIN.tsv.xz`, …). Each set is written as a file that a user might
have, trained by the bare command in a process of its own, and scored on the test part (sets without one: on every
tenth row). With `--folds K` the training part alone is used, cross-validated: how what a plan chooses should be chosen.
`--set` tries another choice. SET may be a group: `series`, `text`, `letters`, `tags`.

Beside it, in %: the nearest neighbour of series (Euclidean); TF-IDF with logistic regression, and NB-SVM, of text; the
most frequent tag of each token; a logistic regression of windows of residues. With `--aeon`, an interpreter that has
aeon, MiniRocket with its ridge classifier is run beside it on series.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import lzma
import tempfile
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import bare
import numpy as np
import simple
from simple import Rows

Method = Callable[[Rows, Rows], float]
"""The accuracy of a simple method on rows, having seen others."""
_TEXT: Mapping[str, Method] = {"TF-IDF": simple.tfidf, "NB-SVM": simple.nbsvm}
_LETTERS: Mapping[str, Method] = {"TF-IDF": simple.tfidf_of_letters}
_TAGS: Mapping[str, Method] = {"most frequent tag": simple.usual_tag}
_REVIEWS, _PROTEINS, _SENTENCES, _QUESTIONS = 2000, 400, 1500, 5000
_ASKED = 9
"""Words of a question."""
_KINDS = {"NN": "thing", "NNS": "things", "NNP": "name", "NNPS": "name", "PRP": "pronoun", "CD": "number"}


@dataclass(frozen=True)
class Data:
    """Training and test rows, and the simple methods."""

    train: Rows
    test: Rows
    baselines: Mapping[str, Method] = field(repr=False)


@dataclass(frozen=True)
class Found:
    """Of a set, shares of 0..1: ours, the most frequent answer's, the simple methods'; processor seconds of ours."""

    name: str
    rows: int
    ours: float
    majority: float
    baselines: Mapping[str, float]
    seconds: float

    @property
    def used(self) -> str:
        """Processor seconds."""
        return f"{self.seconds:.0f}"

    @property
    def gain(self) -> float:
        """Over the best of the simple methods."""
        return self.ours - max(value for value in (self.majority, *self.baselines.values()) if not np.isnan(value))

    @property
    def others(self) -> str:
        """The simple methods' figures."""
        return ", ".join(f"{key} {_percent(value)}" for key, value in self.baselines.items())


# ---- the sets -------------------------------------------------------------------------------------------------------
def _ucr(folder: Path, name: str) -> Data:
    parts = (_series(folder / "ucr" / f"{name}_{part}.tsv.xz") for part in ("TRAIN", "TEST"))
    return Data(*parts, {"1-NN": simple.nearest})


def _series(path: Path) -> Rows:
    with lzma.open(path, "rt") as file:
        rows = [line.rstrip("\n").split("\t") for line in file]
    return [("[" + ", ".join(values) + "]", label) for label, *values in rows]


def _polarity(folder: Path) -> Data:
    with zipfile.ZipFile(folder / "text_small" / "sentence_polarity.zip") as archive:
        texts = {
            sign: archive.read(f"sentence_polarity/rt-polarity.{sign}").decode("latin-1") for sign in ("pos", "neg")
        }
    return _tenth([(line.strip(), sign) for sign, text in texts.items() for line in text.splitlines()], _TEXT)


def _reviews(folder: Path) -> Data:
    parts = []
    for part in ("train", "test-a"):
        with lzma.open(folder / "imdb" / f"{part}.jsonl.xz", "rt", encoding="utf-8") as file:
            rows = [(row["text"], str(row["label"])) for row in map(json.loads, file)]
        parts.append(_drawn(rows, _REVIEWS))
    return Data(parts[0], parts[1], _TEXT)


def _genres(folder: Path) -> Data:
    """Where a sentence of the English Web Treebank was written: five kinds of place; other documents are the test."""
    parts = []
    for block in _treebank(folder):
        heads = [dict(line[2:].split(" = ", 1) for line in one.split("\n") if " = " in line[:30]) for one in block]
        rows = [(head["text"], head["sent_id"].split("-")[0]) for head in heads]
        parts.append([row for row in rows if "<" not in row[0] and sum(map(str.isalpha, row[0].split())) > 2])
    return Data(_drawn(parts[0], _QUESTIONS), parts[1], _TEXT)


def _subjects(folder: Path) -> Data:
    """Short questions of six classes, made of newspaper sentences (CoNLL 2000): their first noun phrase is taken out,
    and the kind of its last word asked for."""
    parts = []
    with zipfile.ZipFile(folder / "conll2000" / "conll2000.zip") as archive:
        for part in ("train", "test"):
            blocks = archive.read(f"conll2000/{part}.txt").decode().strip().split("\n\n")
            asked = [_question([line.split() for line in block.split("\n")]) for block in blocks]
            parts.append([row for row in asked if row])
    return Data(_drawn(parts[0], _QUESTIONS), parts[1], _TEXT)


def _question(words: list[list[str]]) -> tuple[str, str] | None:
    tags = [word[2] for word in words]
    first = tags.index("B-NP") if "B-NP" in tags else len(tags)
    end = first + 1
    while end < len(tags) and tags[end] == "I-NP":
        end += 1
    rest = [word[0] for word in words[end : end + _ASKED]]
    return (f"What {' '.join(rest)} ?", _KINDS.get(words[end - 1][1], "other")) if len(rest) == _ASKED else None


def _names(folder: Path) -> Data:
    files = sorted((folder / "names_18_languages" / "names").glob("*.txt"))
    rows = {(name, path.stem) for path in files for name in path.read_text("utf-8").split("\n") if name.strip()}
    return _tenth(sorted(rows), _LETTERS)


def _promoters(folder: Path) -> Data:
    rows: Rows = []
    for part in ("prom", "non_prom"):
        with lzma.open(folder / "dna_promoters" / "umarov_solovyev" / f"Ecoli_{part}.fa.xz", "rt") as file:
            rows += [("".join(one.split("\n")[1:]), part) for one in file.read().split(">") if one.strip()]
    return _tenth(rows, _LETTERS)


def _splice(folder: Path) -> Data:
    with (folder / "dna_splice" / "splice.csv").open() as file:
        rows = {(row[2].strip(), row[0].strip()) for row in list(csv.reader(file))[1:]}
    return _tenth(sorted(rows), _LETTERS)


def _protein(folder: Path) -> Data:
    with zipfile.ZipFile(folder / "protein_ss" / "flip_secondary_structure_splits.zip") as archive:
        fasta = [archive.read(f"splits/{name}.fasta").decode().split(">")[1:] for name in ("sequences", "sampled")]
    cells = [{one.split("\n")[0].split()[0]: "".join(one.split("\n")[1:]) for one in part} for part in fasta]
    sets = {one.split("\n")[0].split()[0]: one.split("\n")[0] for one in fasta[1]}
    parts = ([name for name, head in sets.items() if f"SET={part}" in head] for part in ("train", "test"))
    train, test = ([(cells[0][name], cells[1][name]) for name in names] for names in parts)
    return Data(_drawn(train, _PROTEINS), test, {**_TAGS, "window": simple.window})


def _ewt(folder: Path) -> Data:
    parts = []
    for block in _treebank(folder):
        sentences = map(_sentence, block)
        parts.append([one for one in sentences if " " in one[1] and not one[0].startswith("[")])  # no JSON lists
    return Data(_drawn(parts[0], _SENTENCES), parts[1], _TAGS)


def _treebank(folder: Path) -> Iterator[list[str]]:
    """The sentences of both parts, a block of lines each."""
    for part in ("train", "dev"):
        with lzma.open(folder / "ud_english_ewt" / f"en_ewt-ud-{part}.conllu.xz", "rt", encoding="utf-8") as file:
            yield file.read().strip().split("\n\n")


def _sentence(block: str) -> tuple[str, str]:
    words = [line.split("\t") for line in block.split("\n") if line.split("\t")[0].isdigit()]
    return " ".join(word[1].replace(" ", "_") for word in words), " ".join(word[3] for word in words)


def _tenth(rows: Rows, baselines: Mapping[str, Method]) -> Data:
    """Every tenth row, by a checksum of its input, is the test part."""
    last = [hashlib.md5(cell.encode()).digest()[0] % 10 == 0 for cell, _ in rows]
    train, test = ([row for row, one in zip(rows, last, strict=True) if one is wanted] for wanted in (False, True))
    return Data(train, test, baselines)


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
        "genres": ("text", lambda: _genres(folder)),
        "subjects": ("text", lambda: _subjects(folder)),
        "names": ("letters", lambda: _names(folder)),
        "promoters": ("letters", lambda: _promoters(folder)),
        "splice": ("letters", lambda: _splice(folder)),
        "protein": ("tags", lambda: _protein(folder)),
        "ewt": ("tags", lambda: _ewt(folder)),
    }


# ---- measuring ------------------------------------------------------------------------------------------------------
def score(name: str, data: Data, given: argparse.Namespace) -> Found:
    """Train as a user would, and score: on the test part, or on each of so many folds of the training part."""
    baselines = dict(data.baselines)
    if given.aeon and simple.nearest in baselines.values():
        baselines["MiniRocket"] = lambda train, test: simple.minirocket(given.aeon, train, test)
    tagged = simple.usual_tag in baselines.values()
    found, used, rows = list[dict[str, float]](), 0.0, 0
    for fold in range(given.folds) if given.folds else [-1]:
        train, test = data.train, data.test
        if fold >= 0:
            train, test = (_part(data.train, fold, given.folds, held_out=held_out) for held_out in (False, True))
        train = _drawn(train, given.rows or len(train))
        before = bare.seconds()
        ours = _accuracy(train, test, given.settings)
        used, rows = used + bare.seconds() - before, len(train)
        figures = {"ours": ours, "majority": simple.majority(train, test, tagged=tagged)}
        found.append(figures | {key: method(train, test) for key, method in baselines.items()})
    means = {key: float(np.mean([one[key] for one in found])) for key in found[0]}
    return Found(name, rows, means.pop("ours"), means.pop("majority"), means, used / len(found))


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
    with tempfile.TemporaryDirectory() as place:
        run, paths = Path(place) / "run", [Path(place) / f"{name}.csv" for name in ("train", "test")]
        for path, rows in zip(paths, (train, test), strict=True):
            bare.write(path, [("x", "y"), *rows])
        bare.ostinato("train", paths[0], "--input", "x", "--target", "y", "--out", run, *bare.options(settings))
        return float(bare.ostinato("evaluate", run, paths[1])["accuracy"])


def lines(found: Sequence[Found]) -> Iterator[str]:
    """The table."""
    rows = [
        [one.name, f"{one.rows:,}", *map(_percent, (one.ours, one.majority)), one.others, _percent(one.gain), one.used]
        for one in found
    ]
    every = [_percent(float(np.mean([getattr(one, key) for one in found]))) for key in ("ours", "majority")]
    gain = _percent(float(np.nanmean([one.gain for one in found])))
    last = [f"**mean of {len(found)}**", "", *every, "", gain, f"{np.mean([one.seconds for one in found]):.0f}"]
    heads = ["set", "rows", "ours", "majority", "simple ones", "gain", "CPU seconds"]
    yield from bare.table(heads, [*rows, last])


def _percent(share: float) -> str:
    return "–" if np.isnan(share) else f"{100 * share:.1f}"


def main() -> None:
    parser = bare.parser(__doc__)
    parser.add_argument("--folds", type=int, default=0, help="of the training part, in place of the test part")
    parser.add_argument("--rows", type=int, help="at most so many training rows, drawn at random")
    parser.add_argument("--aeon", metavar="PYTHON", help="an interpreter that has aeon, for MiniRocket beside ours")
    given = parser.parse_args()
    known = sets(given.data)
    found: list[Found] = []
    for name, (group, read) in known.items():
        if not given.sets or name in given.sets or group in given.sets:
            found.append(score(name, read(), given))
            print(list(lines(found))[-2], flush=True)
    bare.finish("\n".join(lines(found)), given.report)


if __name__ == "__main__":
    main()
