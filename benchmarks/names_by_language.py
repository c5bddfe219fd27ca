"""Names written for a language, judged by a classifier of languages that was trained apart from their writer.

    python benchmarks/names_by_language.py runs/names-generate runs/names-classify [--num 100] [--report FILE.md]

For each language so many names are drawn, one draw after the other (none is left out, whatever it looks like), and
scored by how many of them the classifier takes for that language. Beside it stands what it says of the real names that
were held out from it: the ceiling. A further figure leaves out the names that stand in the writer's data, of any
language: those it may have learnt by heart.

The classifier learnt that half of all names are Russian, and calls a rare language only where it is sure. So there is
a second judge: the same one, told that every language is as likely (its probabilities over the languages' share of its
training data).

Averages: by the languages' share of the data (as if names were asked for as often as they occur), and with every
language alike.
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
from ostinato.data.sequences import Sequences
from ostinato.metrics.prediction import Prediction
from ostinato.run import Run
from ostinato.tasks.prepare import prepare


@dataclass(frozen=True)
class Judged:
    """Of one language: its rows in the data; names drawn, different ones, those that no data hold; and the shares of
    names taken for the language, by the classifier as it is and by the one without preferences: of all that were drawn,
    of the new ones, of the real names held out from the classifier."""

    language: str
    rows: int
    drawn: int
    different: int
    new: int
    right: tuple[float, float]
    right_new: tuple[float, float]
    right_real: tuple[float, float]


def judge(writer: Run, classifier: Run, num: int, temperature: float, seed: int) -> list[Judged]:
    languages = cast("CategoryFeature", writer.features.input).names
    known, rows = _data(writer, languages)
    priors, held_out = _of_classifier(classifier)
    found: list[Judged] = []
    for number, language in enumerate(languages):
        names = writer.generate(condition=language, num=num, temperature=temperature, seed=seed + number)
        said = _taken_for(classifier.predict([name or "-" for name in names]), language, priors)
        new = np.asarray([name not in known for name in names])
        real = _taken_for([said for truth, said in held_out if truth == language], language, priors)
        found.append(
            Judged(
                language, rows[language], num, len(set(names)), int(new.sum()), *map(_shares, (said, said[new], real))
            )
        )
    return found


def _taken_for(predictions: list[Prediction], language: str, priors: dict[str, float]) -> np.ndarray:
    """(names, 2): whether each judge takes a name for the language."""
    found = np.zeros((len(predictions), 2))
    for row, one in enumerate(predictions):
        by_name = dict(one.probabilities or {})
        alike = max(by_name, key=lambda name: by_name[name] / priors[name])
        found[row] = (one.label == language, alike == language)
    return found


def _shares(said: np.ndarray) -> tuple[float, float]:
    return (float(said[:, 0].mean()), float(said[:, 1].mean())) if len(said) else (float("nan"), float("nan"))


def _of_classifier(classifier: Run) -> tuple[dict[str, float], list[tuple[str, Prediction]]]:
    """Each language's share of its training rows, and what it says of the rows held out, beside their language."""
    prepared = prepare(classifier.recipe)
    classes = classifier.features.row_target.classes
    train, validation = cast("Examples", prepared.train), cast("Examples", prepared.validation)
    counts = np.bincount(np.asarray(train.targets, dtype=np.int64), minlength=len(classes))
    said = classifier.spec.predict(classifier.model, validation, classifier.features, classifier.device)
    truths = [classes[int(number)] for number in np.asarray(validation.targets)]
    return dict(zip(classes, (counts / counts.sum()).tolist(), strict=True)), list(zip(truths, said, strict=True))


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
        "| language | names in the data | new, of those drawn | taken for it | without preferences | new ones alone "
        "| real names held out | without preferences |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for one in found:
        figures = (*one.right, one.right_new[0], *one.right_real)
        cells = " | ".join(f"{figure:.0%}" for figure in figures)
        lines.append(f"| {one.language} | {one.rows:,} | {one.new} of {one.drawn} | {cells} |")
    shares = np.asarray([one.rows for one in found], dtype=np.float64)
    drawn, new = sum(one.drawn for one in found), sum(one.new for one in found)
    for name, weights in (("by names in the data", shares), ("every language alike", np.ones(len(found)))):
        columns = [
            [one.right[0] for one in found],
            [one.right[1] for one in found],
            [one.right_new[0] for one in found],
        ]
        columns += [[one.right_real[0] for one in found], [one.right_real[1] for one in found]]
        cells = " | ".join(f"**{_mean(column, weights):.1%}**" for column in columns)
        lines.append(f"| **{name}** | {int(shares.sum()):,} | {new:,} of {drawn:,} | {cells} |")
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
