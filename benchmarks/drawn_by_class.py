"""Sequences of frames drawn for a class (curves, sounds), judged by a classifier of classes trained apart from their
writer.

    python benchmarks/drawn_by_class.py runs/control-generate runs/synthetic-control [--num 100] [--report FILE.md]

For each class so many sequences are drawn, one draw after the other (none is left out, whatever it is like), and scored
by how many of them the classifier takes for that class. Sound is written to WAV files (phase by Griffin-Lim) and heard
by the classifier as any recording is. Beside it stands what the classifier says of real test rows: the ceiling. Further
columns that the writer is given (a speaker) go through their values in turn.

Two more figures say whether the draws are only a few sequences again and again: the mean distance of a draw from the
nearest training sequence of its class, over the mean distance of a real test row from it (1: as near as real ones are;
0: copies), and the spread of the draws of a class over that of its real rows. Distance: root mean square over frames,
in the scale numbers were normalised to, both stretched to the same length.
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np

import ostinato
from ostinato.cli.frames import save
from ostinato.data.dataset import Examples
from ostinato.data.features import Feature
from ostinato.data.features.category import CategoryFeature
from ostinato.data.loading import load_examples
from ostinato.data.sequences import Sequences
from ostinato.run import Run
from ostinato.tasks.prepare import prepare

_LENGTH = 40
_MOST_REAL = 400


@dataclass(frozen=True)
class Judged:
    """Of one class: draws; the share of them, and of real test rows, taken for it; how near draws are to training rows
    of the class, and how spread, over what real test rows are."""

    name: str
    drawn: int
    right: float
    right_real: float
    nearness: float
    spread: float


def judge(writer: Run, classifier: Run, num: int, temperature: float, seed: int) -> list[Judged]:
    target = cast("Feature", writer.features.target)
    names = cast("CategoryFeature", writer.features.input).names
    train = cast("Examples", prepare(writer.recipe).train)
    test = load_examples(str(writer.recipe.data.test), writer.features, writer.recipe)
    said_real = _real(classifier)
    found = []
    for number, name in enumerate(names):
        drawn = []
        for one in range(num):
            given, own = _given(writer, name, one), seed + 100_003 * number + one
            drawn += writer.generation(condition=given, temperature=temperature, seed=own).frames or []
        taken = [label == name for label in _labels(classifier, target, drawn)]
        ours, real, known = (_stretched(rows) for rows in (drawn, _of(test, name, writer), _of(train, name, writer)))
        found.append(
            Judged(
                name,
                num,
                float(np.mean(taken)),
                float(np.mean([label == truth for truth, label in said_real if truth == name])),
                float(_nearest(ours, known).mean() / _nearest(real, known).mean()),
                float(ours.std(axis=0).mean() / real.std(axis=0).mean()),
            )
        )
    return found


def _given(writer: Run, name: str, number: int) -> Any:
    """The class, and the values of further columns in turn."""
    if not writer.features.extra:
        return name
    given: dict[str, Any] = {str(writer.recipe.data.input): name}
    for column, feature in writer.features.extra.items():
        values = cast("CategoryFeature", feature).names
        given[column] = values[number % len(values)]
    return given


def _labels(classifier: Run, target: Feature, drawn: list[Any]) -> list[str | None]:
    """What the classifier takes sequences for; sound goes through files."""
    if target.kind != "audio":
        return [one.label for one in classifier.predict([cast("Any", target).decode(values) for values in drawn])]
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / f"{number}.wav" for number in range(len(drawn))]
        for values, path in zip(drawn, paths, strict=True):
            save(target, values, path)
        return [one.label for one in classifier.predict([str(path) for path in paths])]


def _real(classifier: Run) -> list[tuple[str, str | None]]:
    """The classifier's test rows: their class, and what it takes them for."""
    classes = classifier.features.row_target.classes
    examples = load_examples(str(classifier.recipe.data.test), classifier.features, classifier.recipe)
    said = classifier.spec.predict(classifier.model, examples, classifier.features, classifier.device)
    truths = [classes[int(one)] for one in np.asarray(examples.targets)]
    return list(zip(truths, (one.label for one in said), strict=True))


def _of(examples: Examples, name: str, writer: Run) -> list[Any]:
    """The true sequences of a class."""
    targets = cast("Sequences", examples.targets)
    rows = [row for row in range(len(examples)) if writer.features.input.decode(examples.sequences.row(row)) == name]
    return [targets.row(row) for row in rows[:_MOST_REAL]]


def _stretched(rows: list[Any]) -> np.ndarray:
    """(N, 40 C): every row over the same number of steps."""
    found = []
    for row in rows:
        values = np.asarray(row, dtype=np.float64).reshape(len(row), -1)
        at = np.linspace(0, len(values) - 1, _LENGTH)
        columns = [np.interp(at, np.arange(len(values)), column) for column in values.T]
        found.append(np.stack(columns, axis=1).ravel())
    return np.stack(found)


def _nearest(rows: np.ndarray, known: np.ndarray) -> np.ndarray:
    """(N,): root mean square distance to the nearest of the known ones."""
    squared = (rows**2).sum(1)[:, None] - 2 * rows @ known.T + (known**2).sum(1)[None, :]
    return np.asarray(np.sqrt(np.maximum(squared, 0).min(axis=1) / rows.shape[1]))


def table(found: list[Judged]) -> list[str]:
    lines = [
        "| class | taken for it | real test rows | distance from training rows, over real ones' "
        "| spread, over real ones' |",
        "|---|---|---|---|---|",
    ]
    for one in found:
        lines.append(f"| {one.name} | {one.right:.0%} | {one.right_real:.0%} | {one.nearness:.2f} | {one.spread:.2f} |")
    means = [
        float(np.mean([getattr(one, key) for one in found])) for key in ("right", "right_real", "nearness", "spread")
    ]
    return [*lines, f"| **all** | **{means[0]:.1%}** | **{means[1]:.1%}** | {means[2]:.2f} | {means[3]:.2f} |"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("writer", type=Path)
    parser.add_argument("classifier", type=Path)
    parser.add_argument("--num", type=int, default=100, help="sequences drawn for each class")
    parser.add_argument("--temperature", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--report", type=Path)
    given = parser.parse_args()
    found = judge(
        ostinato.load(given.writer), ostinato.load(given.classifier), given.num, given.temperature, given.seed
    )
    lines = [f"{given.num} sequences for each class, temperature {given.temperature:g}, seed {given.seed}", ""]
    lines += table(found)
    print("\n".join(lines))
    if given.report:
        given.report.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
