"""Reading, cleaning, tokenising and encoding IMDb's 25,000 training reviews: Ostinato against the plain-Python loop.

Both read the same files and follow the same rules (the default words recipe). First a gate: the same vocabulary and the
same integers for every review. Then the two take turns, and the medians are compared.

    OSTINATO_DATA=../shared/data python benchmarks/text_pipeline.py [--repeats 5]
"""

from __future__ import annotations

import argparse
import html
import json
import lzma
import platform
import re
import shutil
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl

from ostinato.data.catalog import find
from ostinato.data.features import TextFeatureBuilder, TrainingPart
from ostinato.data.readers.registry import open_source
from ostinato.data.reading import Reading
from ostinato.data.rejects import BadRows
from ostinato.data.text import resolve_text
from ostinato.data.vocabulary import SPECIAL
from ostinato.recipe import Recipe, TextRecipe, build_recipe

Encoded = tuple[list[str], np.ndarray, np.ndarray]
"""Tokens by integer, all integers, the length of each review."""


def recipe_of(path: Path) -> Recipe:
    """The default words recipe of a classifier, resolved."""
    text = resolve_text(TextRecipe(), "words")
    data = {"train": str(path), "input": "text", "target": "label"}
    return build_recipe({"data": data, "features": {"input": text.model_dump()}, "model": {"task": "classification"}})


def ostinato(path: Path) -> Encoded:
    """The library's own way, as `prepare` goes it."""
    recipe = recipe_of(path)
    builder = TextFeatureBuilder(recipe.features.input)
    bad_rows = BadRows()
    reading = Reading(open_source(path, bad_rows), recipe, {"text": builder}, "label")
    for drafts, keep in reading.drafts():
        builder.add(drafts["text"], keep)
    bad_rows.check()
    feature, sequences = builder.finish(TrainingPart())
    return feature.vocabulary.tokens, sequences.values, sequences.lengths


MARKUP = re.compile(r"<!--.*?-->|</?[A-Za-z!?][^<>]*>", re.DOTALL)
ENTITY = re.compile(r"&#?\w+;")
NOSE = re.compile(r"([:;=]['^]?)-([()\[\]|*/\\]|[dDpPoO]\b)")
EMOTICON = r"[:;=]['^]?-?(?:[()\[\]|*]+|[dDpPoO]\b)|\B[:;=]['^]?-?[/\\]|<3|[\u2600-\u27bf\U0001f300-\U0001faff]"
TOKEN = re.compile(rf"{EMOTICON}|[^\W_]+")


def plain_python(path: Path) -> Encoded:
    """What one writes without a library: `json`, `re`, `Counter` and a dictionary."""
    reviews: list[list[str]] = []
    with lzma.open(path, "rt", encoding="utf-8") if path.suffix == ".xz" else path.open(encoding="utf-8") as stream:
        for line in stream:
            text = MARKUP.sub(" ", json.loads(line)["text"])
            if ENTITY.search(text):
                text = html.unescape(text)
            reviews.append(TOKEN.findall(NOSE.sub(r"\1\2", text.lower())))
    counts = Counter(token for review in reviews for token in review)
    tokens = [*SPECIAL, *sorted(counts, key=lambda token: (-counts[token], token))]
    number = {token: i for i, token in enumerate(tokens)}
    values = np.asarray([number[token] for review in reviews for token in review], dtype=np.int32)
    return tokens, values, np.asarray([len(review) for review in reviews])


def gate(path: Path) -> tuple[int, int, int]:
    """Both ways give the same. Returns reviews, tokens, and the size of the vocabulary."""
    ours, theirs = ostinato(path), plain_python(path)
    assert ours[0] == theirs[0], "the vocabularies differ"
    assert np.array_equal(ours[2], theirs[2]), "reviews have other lengths"
    assert np.array_equal(ours[1], theirs[1]), "integers differ"
    return len(ours[2]), len(ours[1]), len(ours[0])


def take_turns(ways: dict[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """The median of `repeats` times of each way, in seconds; the ways alternate."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(repeats):
        for name, way in ways.items():
            start = time.perf_counter()
            way()
            seconds[name].append(time.perf_counter() - start)
    return {name: statistics.median(times) for name, times in seconds.items()}


def main() -> None:
    """Gate, then the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--repeats", type=int, default=5, help="times each way is measured (default 5)")
    repeats = parser.parse_args().repeats
    packed = find("imdb", "train")
    with tempfile.TemporaryDirectory() as folder:
        plain = Path(folder) / "train.jsonl"
        with lzma.open(packed) if packed.suffix == ".xz" else packed.open("rb") as stream, plain.open("wb") as out:
            shutil.copyfileobj(stream, out)
        reviews, tokens, size = gate(plain)
        num_bytes = int(pl.read_ndjson(plain, schema={"text": pl.String})["text"].str.len_bytes().sum())
        print(f"{reviews:,} reviews, {num_bytes / 1e6:.1f} MB of text, {tokens:,} tokens, {size:,} kinds: identical")
        print(f"{platform.machine()}, {pl.thread_pool_size()} threads, polars {pl.__version__}, median of {repeats}")
        print(f"{'file':<16}{'plain Python':>22}{'Ostinato':>22}{'ratio':>8}")
        for path in dict.fromkeys([plain, packed]):
            times = take_turns({"plain": lambda p=path: plain_python(p), "ours": lambda p=path: ostinato(p)}, repeats)
            shown = [f"{s:6.2f} s {num_bytes / 1e6 / s:6.1f} MB/s" for s in times.values()]
            print(f"{path.name:<16}{shown[0]:>22}{shown[1]:>22}{times['plain'] / times['ours']:>7.1f}x")


if __name__ == "__main__":
    main()
