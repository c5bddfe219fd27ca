"""`ostinato train FILE` of a text, with no options, beside counting and compressors; figures in bits a character.

    python benchmarks/auto_texts.py DATA [TEXT ...] [--set KEY=VALUE ...] [--report FILE.md]

DATA is a folder with the texts by name (`tiny_shakespeare/input.txt`, …). Of each the first million characters are
taken; the last tenth of them is never seen. Counting is the run's own Kneser-Ney baseline, fitted to what the network
was trained on, and in brackets to all the rest, the part that validates the network among it.
xz and bzip2 are those of Python's library at their best: what the last tenth adds to the size of the rest, and in
brackets the whole text.
"""

from __future__ import annotations

import bz2
import lzma
import math
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import bare

import ostinato
from ostinato.data.dataset import Examples
from ostinato.tasks.language_model.baselines import KneserNey
from ostinato.tasks.prepare import prepare

_MOST = 1_000_000


@dataclass(frozen=True)
class Found:
    """Of a text, bits a character: ours, counting's, and of each compressor the last tenth and the whole."""

    name: str
    characters: int
    ours: float
    counting: tuple[float, float]
    xz: tuple[float, float]
    bzip2: tuple[float, float]
    seconds: float


def _ptb(folder: Path) -> str:
    with lzma.open(folder / "ptb_char" / "ptb.char.train.txt.xz", "rt", encoding="utf-8") as file:
        return "\n".join(line.replace(" ", "").replace("_", " ").strip() for line in file)


TEXTS: dict[str, Callable[[Path], str]] = {
    "shakespeare": lambda folder: (folder / "tiny_shakespeare" / "input.txt").read_text("utf-8"),
    "verne": lambda folder: (folder / "verne_mysterious_island" / "1268-0.txt").read_text("utf-8-sig"),
    "ptb": _ptb,
}


def score(name: str, text: str, settings: list[str]) -> Found:
    """Train as a user would, and score on the last tenth."""
    cut = len(text) * 9 // 10
    with tempfile.TemporaryDirectory() as place:
        run, train, test = Path(place) / "run", Path(place) / "train.txt", Path(place) / "test.txt"
        train.write_text(text[:cut], encoding="utf-8")
        test.write_text(text[cut:], encoding="utf-8")
        before = bare.seconds()
        bare.ostinato("train", train, "--out", run, *bare.options(settings))
        used = bare.seconds() - before
        ours = float(bare.ostinato("evaluate", run, test)["nats_per_token"]) / math.log(2)
        counting = _counting(run, train, test)
    whole = [text.encode(), text[:cut].encode()]
    xz, bzip2 = (
        ((sizes[0] - sizes[1]) * 8 / (len(text) - cut), sizes[0] * 8 / len(text))
        for sizes in ([len(pack(part)) for part in whole] for pack in (_xz, bz2.compress))
    )
    return Found(name, len(text), ours, counting, xz, bzip2, used)


def _xz(content: bytes) -> bytes:
    return lzma.compress(content, preset=9 | lzma.PRESET_EXTREME)


def _counting(run: Path, train: Path, test: Path) -> tuple[float, float]:
    opened = ostinato.load(run)
    rest, unseen = (opened.spec.load(str(path), opened.features, opened.recipe) for path in (train, test))

    def cost(seen: Examples) -> float:
        counted = KneserNey()
        counted.fit(seen, opened.features)
        return float(counted.answer(unseen).mean()) / math.log(2)

    return cost(prepare(opened.recipe).train), cost(rest)


def lines(found: list[Found]) -> Iterator[str]:
    """The table."""
    heads = ("text", "characters", "ours", "counting", "xz -9e", "bzip2 -9", "CPU seconds")
    rows = [
        (
            one.name,
            f"{one.characters:,}",
            f"{one.ours:.3f}",
            *(f"{first:.3f} ({second:.3f})" for first, second in (one.counting, one.xz, one.bzip2)),
            f"{one.seconds:.0f}",
        )
        for one in found
    ]
    yield from bare.table(heads, rows)


def main() -> None:
    given = bare.parser(__doc__).parse_args()
    found: list[Found] = []
    for name, read in TEXTS.items():
        if not given.sets or name in given.sets:
            found.append(score(name, read(given.data)[:_MOST], given.settings))
            print(list(lines(found))[-1], flush=True)
    bare.finish("\n".join(lines(found)), given.report)


if __name__ == "__main__":
    main()
