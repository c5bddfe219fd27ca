"""Names written for a language, judged by a classifier of languages that was trained apart from their writer.

    python benchmarks/names_by_language.py runs/names-generate runs/names-classify [--num 100] [--report FILE.md]

For each language so many names are drawn, one draw after the other (none is left out, whatever it looks like), and
scored by how many of them the classifier takes for that language. A second figure leaves out the names that stand in
the writer's data, of any language: those it may have learnt by heart. Two averages: every language alike (the one to
look at: a rare language counts as much as a frequent one), and by the languages' share of the data. Beside them stands
what the classifier says of the real names it never saw in training, averaged the same way: the ceiling.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np

import ostinato
from ostinato.data.dataset import Examples
from ostinato.data.features.category import CategoryFeature
from ostinato.data.prepare import prepare
from ostinato.data.sequences import Sequences
from ostinato.generation.conditional import draw
from ostinato.models import Conditional
from ostinato.run import Run


@dataclass(frozen=True)
class Judged:
    """Of one language: its rows in the data; names drawn, different ones, and those that no data hold; the share of
    all and of these that the classifier takes for the language; the same of real names held out from it."""

    language: str
    rows: int
    drawn: int
    different: int
    new: int
    right: float
    right_new: float
    right_real: float


def judge(writer: Run, classifier: Run, num: int, temperature: float, seed: int) -> list[Judged]:
    languages = cast("CategoryFeature", writer.features.input).names
    known, rows = _data(writer, languages)
    recall = {row["name"]: float(row["recall"]) for row in classifier.summary["validation"]["per_class"]}
    found: list[Judged] = []
    for number, language in enumerate(languages):
        names = draw(
            cast("Conditional", writer.model),
            writer.features,
            writer.recipe,
            language,
            num=num,
            temperature=temperature,
            seed=seed + number,
        )
        said = np.asarray([one.label == language for one in classifier.predict([name or "-" for name in names])])
        new = np.asarray([name not in known for name in names])
        found.append(
            Judged(
                language,
                rows[language],
                num,
                len(set(names)),
                int(new.sum()),
                float(said.mean()),
                float(said[new].mean()) if new.any() else float("nan"),
                recall.get(language, float("nan")),
            )
        )
    return found


def _data(writer: Run, languages: tuple[str, ...]) -> tuple[set[str], dict[str, int]]:
    """Every name of the writer's data, training and validation, and the rows of each language."""
    prepared = prepare(writer.recipe)
    parts = [cast("Examples", prepared.train), cast("Examples", prepared.validation)]
    decode = writer.features.target.decode
    targets = [cast("Sequences", part.targets) for part in parts]
    known = {str(decode(part.row(row))) for part in targets for row in range(len(part))}
    given = np.concatenate([part.sequences.values for part in parts])
    names = [str(writer.features.input.decode(np.asarray([one]))) for one in given]
    return known, {language: names.count(language) for language in languages}


def table(found: list[Judged]) -> list[str]:
    lines = [
        "| language | names in the data | different of those drawn | taken for it | new names | of them taken for it "
        "| real names held out |",
        "|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {one.language} | {one.rows:,} | {one.different} of {one.drawn} | {one.right:.0%} | {one.new} "
        f"| {one.right_new:.0%} | {one.right_real:.0%} |"
        for one in found
    ]
    shares = np.asarray([one.rows for one in found], dtype=np.float64)
    for name, weights in (("every language alike", np.ones(len(found))), ("by names in the data", shares)):
        figures = [_mean([getattr(one, key) for one in found], weights) for key in ("right", "right_new", "right_real")]
        drawn, new = (sum(getattr(one, key) for one in found) for key in ("drawn", "new"))
        lines.append(
            f"| **{name}** | {int(shares.sum()):,} | {drawn:,} drawn | **{figures[0]:.1%}** | {new:,} "
            f"| **{figures[1]:.1%}** | {figures[2]:.1%} |"
        )
    return lines


def _mean(figures: list[float], weights: np.ndarray) -> float:
    there = ~np.isnan(figures)
    return float(np.average(np.asarray(figures)[there], weights=weights[there]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("writer", type=Path)
    parser.add_argument("classifier", type=Path)
    parser.add_argument("--num", type=int, default=100, help="names drawn for each language")
    parser.add_argument("--temperature", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--report", type=Path)
    given = parser.parse_args()
    found = judge(
        ostinato.load(given.writer), ostinato.load(given.classifier), given.num, given.temperature, given.seed
    )
    lines = [f"{given.num} names for each language, temperature {given.temperature:g}, seed {given.seed}", ""]
    lines += table(found)
    print("\n".join(lines))
    if given.report:
        given.report.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
