"""Pairs of texts with no options: `ostinato train FILE` beside the answer of the most similar source.

    python benchmarks/auto_pairs.py DATA [SET ...] [--inside] [--set KEY=VALUE ...] [--report FILE.md]

DATA is a folder with the sets by name (`multi30k/train.en.gz`, `cmudict_g2p/train.txt`); four more are made here, 3,000
rows each: strings and their reversals, dates in two directions, numbers in words. Each is written as a CSV that a user
might have, trained by the bare command in a process of its own, and scored on the test part by `ostinato evaluate`.
`--inside` holds a part of the training part out in its place: how what a plan chooses should be chosen.

The baseline answers with what the nearest training source has, by TF-IDF (of words and pairs; of single words up to
three letters).
"""

from __future__ import annotations

import datetime
import gzip
import random
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import bare
from sacrebleu.metrics.bleu import BLEU
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.neighbors import NearestNeighbors

from ostinato.metrics.edit_distance import edit_distance

Rows = list[tuple[str, str]]
"""Sources and targets."""
_MADE, _INSIDE = 3_000, 1_000
_FORMS = ("%-d %B %Y", "%b %-d, %Y", "%A, %d %B %Y", "%d/%m/%Y", "%-d.%-m.%y")
_ONES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
_ONES += tuple(f"{one}teen" for one in ("thir", "four", "fif", "six", "seven", "eigh", "nine"))
_TENS = ["_", "_", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]


@dataclass(frozen=True)
class Found:
    """Of a set: rows; BLEU, exact answers and token errors of ours and of the baseline; processor seconds of ours."""

    name: str
    rows: int
    ours: tuple[float, float, float]
    baseline: tuple[float, float, float]
    seconds: float


# ---- the sets -------------------------------------------------------------------------------------------------------
def _captions(folder: Path, language: str) -> tuple[Rows, Rows]:
    def read(part: str) -> Rows:
        files = (folder / "multi30k" / f"{part}.{side}.gz" for side in ("en", language))
        texts = [gzip.decompress(file.read_bytes()).decode("utf-8").rstrip("\n").split("\n") for file in files]
        return list(zip(*texts, strict=True))

    return read("train"), read("test_2016_flickr")


def _spelling(folder: Path) -> tuple[Rows, Rows]:
    """Words and phones; a word may have several."""

    def read(part: str) -> Rows:
        lines = (folder / "cmudict_g2p" / f"{part}.txt").read_text("latin-1").splitlines()
        return [(word, phones) for word, phones in (line.split("  ", 1) for line in lines)]

    return read("train"), read("test-a")


def _made(pair: Callable[[random.Random], tuple[str, str]]) -> tuple[Rows, Rows]:
    draw = random.Random(1)
    rows = list(dict.fromkeys(pair(draw) for _ in range(_MADE)))
    return rows[len(rows) // 10 :], rows[: len(rows) // 10]


def _reversed(draw: random.Random) -> tuple[str, str]:
    text = "".join(draw.choice("abcdefghijklmnopqrstuvwxyz") for _ in range(draw.randint(3, 10)))
    return text, text[::-1]


def _day(draw: random.Random) -> datetime.date:
    return datetime.date(1950, 1, 1) + datetime.timedelta(draw.randrange(36_000))


def _written_date(draw: random.Random) -> tuple[str, str]:
    day = _day(draw)
    return day.isoformat(), day.strftime("%-d %B %Y")


def _read_date(draw: random.Random) -> tuple[str, str]:
    day = _day(draw)
    return day.strftime(draw.choice(_FORMS)), day.isoformat()


def _number(draw: random.Random) -> tuple[str, str]:
    number = draw.randrange(100_000)
    return str(number), _words(number)


def _words(number: int) -> str:
    for size, name in ((1000, "thousand"), (100, "hundred")):
        if number >= size:
            rest = f" {_words(number % size)}" if number % size else ""
            return f"{_words(number // size)} {name}{rest}"
    if number < 20:
        return _ONES[number]
    return _TENS[number // 10] + (f" {_ONES[number % 10]}" if number % 10 else "")


def sets(folder: Path) -> dict[str, Callable[[], tuple[Rows, Rows]]]:
    """Training and test part of every set, by name."""
    return {
        "en-fr": lambda: _captions(folder, "fr"),
        "en-de": lambda: _captions(folder, "de"),
        "spelling": lambda: _spelling(folder),
        "reversed": lambda: _made(_reversed),
        "written dates": lambda: _made(_written_date),
        "read dates": lambda: _made(_read_date),
        "numbers": lambda: _made(_number),
    }


def _inside(train: Rows) -> tuple[Rows, Rows]:
    """Some sources of the training part, with all of their targets, in place of the test part."""
    sources = sorted({source for source, _ in train})
    held = set(random.Random(0).sample(sources, min(_INSIDE, len(sources) // 10)))
    return [row for row in train if row[0] not in held], [row for row in train if row[0] in held]


# ---- measuring ------------------------------------------------------------------------------------------------------
def _nearest(train: Rows, test: Rows) -> tuple[float, float, float]:
    """Of the answer of the most similar source; a source's targets are all right."""
    wanted: dict[str, list[str]] = {}
    for source, target in test:
        wanted.setdefault(source, []).append(target)
    several = any(" " in source for source, _ in train[:100])
    how = {"ngram_range": (1, 2)} if several else {"analyzer": "char", "ngram_range": (1, 3)}
    counts = TfidfVectorizer(sublinear_tf=True, **how)
    known = counts.fit_transform([source for source, _ in train])
    near = NearestNeighbors(n_neighbors=1, metric="cosine").fit(known).kneighbors(counts.transform(list(wanted)))[1]
    said = [train[row][1] for row in near[:, 0]]
    return _scored(said, list(wanted.values()))


def _scored(said: Sequence[str], right: Sequence[Sequence[str]]) -> tuple[float, float, float]:
    """BLEU, exact answers, and edits to the nearest target over its tokens, as `ostinato evaluate` counts."""
    most = max(len(one) for one in right)
    columns = [[one[i] if i < len(one) else None for one in right] for i in range(most)]
    bleu = BLEU(force=True).corpus_score(list(said), columns).score
    words = any(" " in one for one in said)
    edits = tokens = 0
    for text, targets in zip(said, right, strict=True):
        cut = [target.split() if words else list(target) for target in targets]
        distances = [edit_distance(one, text.split() if words else list(text)) for one in cut]
        best = min(range(len(cut)), key=distances.__getitem__)
        edits, tokens = edits + distances[best], tokens + len(cut[best])
    exact = sum(text in targets for text, targets in zip(said, right, strict=True)) / len(said)
    return bleu, exact, edits / tokens


def score(name: str, train: Rows, test: Rows, settings: Sequence[str]) -> Found:
    """Train as a user would, and score."""
    before = bare.seconds()
    with tempfile.TemporaryDirectory() as place:
        run, paths = Path(place) / "run", [Path(place) / f"{part}.csv" for part in ("train", "test")]
        for path, rows in zip(paths, (train, test), strict=True):
            bare.write(path, [("x", "y"), *rows])
        bare.ostinato("train", paths[0], "--input", "x", "--target", "y", "--out", run, *bare.options(settings))
        found = bare.ostinato("evaluate", run, paths[1])
    ours = (found.get("bleu", float("nan")), found["exact"], found["token_error_rate"])
    return Found(name, len(train), ours, _nearest(train, test), bare.seconds() - before)


def lines(found: Sequence[Found]) -> Iterator[str]:
    """The table."""
    heads = ("set", "rows", "BLEU", "exact", "token errors", "nearest: BLEU", "exact", "token errors", "CPU seconds")

    def cells(figures: tuple[float, float, float]) -> list[str]:
        bleu, exact, errors = figures
        return ["–" if bleu != bleu else f"{bleu:.1f}", f"{100 * exact:.1f}", f"{100 * errors:.1f}"]

    rows = ((one.name, f"{one.rows:,}", *cells(one.ours), *cells(one.baseline), f"{one.seconds:.0f}") for one in found)
    return bare.table(heads, rows)


def main() -> None:
    parser = bare.parser(__doc__)
    parser.add_argument("--inside", action="store_true", help="hold out a part of the training part for the test part")
    given = parser.parse_args()
    found: list[Found] = []
    for name, read in sets(given.data).items():
        if not given.sets or name in given.sets:
            train, test = read()
            found.append(score(name, *(_inside(train) if given.inside else (train, test)), given.settings))
            print(list(lines(found))[-1], flush=True)
    bare.finish("\n".join(lines(found)), given.report)


if __name__ == "__main__":
    main()
