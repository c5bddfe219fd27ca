"""How often verdicts are wrong, simulated: what `compare` and `ostinato baselines` say of models whose truth is known.

    python benchmarks/verdicts.py [--comparisons 2000] [--samples 1000] [--report FILE.md]

- `compare`: so many equal models, 3 or 5 seeds each, their figures drawn from one normal distribution. A false alarm is
  a comparison that calls at least one of them clearly behind. Aim: at most 5 %.
- Intervals of one figure (`metrics.resampling.interval`): how often they hold the figure of all such data. Aim: 95 %.
- Intervals of the difference between a model and a baseline (`baselines.paired_gap`), on the same rows: how often they
  hold the true difference, and how often one of two equally good models is called better. Aim: 95 and 5 %.
- The choice of an epoch, of twenty that all guess: by how much the best one is flattered on the rows that chose it, and
  by how much where each half is scored by what the other one chose (`training.halves`). Aim: 0.
- Three validation rows against five folds (`baselines.paired.unpaired_gap`).

Nothing is trained; the same seed gives the same table.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from scipy.stats import ttest_ind

from ostinato.baselines.paired import paired_gap, unpaired_gap
from ostinato.metrics import classification as metrics
from ostinato.metrics.resampling import SUMS, halves
from ostinato.report.comparison import Contender, Scored, behind

_LEVEL = 0.05
_MANY = 200_000
"""Rows that a true figure is computed of."""

Row = tuple[str, str, str]
Draw = Callable[[np.random.Generator, int], metrics.Metrics]


def false_alarms(num_models: int, num_seeds: int, count: int) -> Row:
    """Of equal models: in how many comparisons at least one is called clearly behind."""
    draw, alarms = np.random.default_rng(num_models), 0
    for _ in range(count):
        figures = draw.normal(0.8, 0.01, (num_models, num_seeds))
        best = figures[figures.mean(axis=1).argmax()]
        if ttest_ind(best, figures, axis=1, equal_var=False).pvalue.min() >= _LEVEL:
            continue  # what a pair alone does not show, many models don't
        models = [Contender("", "", 0, 0, 0, tuple(map(_scored, own))) for own in figures.tolist()]
        ranked = sorted(models, key=lambda one: -one.mean)
        alarms += any(p is not None and p < _LEVEL for p in behind(ranked))
    return f"compare, {num_models} equal models, {num_seeds} seeds", f"{100 * alarms / count:.1f} %", "≤ 5 %"


def _scored(quality: float) -> Scored:
    return Scored(0, quality, 1.0, 1, 0.0, 0.0, 0, 0, {})


def held(name: str, figure: str, size: int, draw: Draw, count: int) -> Row:
    """How often the interval of a figure holds the truth."""
    truth = float(draw(np.random.default_rng(99), _MANY)[figure])
    random, inside = np.random.default_rng(1), 0
    for _ in range(count):
        sums = draw(random, size)[SUMS]
        low, high = sums.intervals().get(figure, (np.inf, np.inf))
        inside += low <= truth <= high
    return f"interval of {name}, {size} rows", f"{100 * inside / count:.1f} %", "95 %"


def held_difference(name: str, figure: str, size: int, draws: tuple[Draw, Draw], count: int) -> Row:
    """How often the interval of a difference holds the true one."""
    lower = figure in ("rmse", "log_loss")
    sign = -1.0 if lower else 1.0
    truths = [float(draw(np.random.default_rng(99), _MANY)[figure]) for draw in draws]
    truth, inside = sign * (truths[0] - truths[1]), 0
    for seed in range(count):
        own, other = (draw(np.random.default_rng([seed, 2]), size)[SUMS] for draw in draws)
        gap = paired_gap(own, other, figure, lower_is_better=lower)
        inside += gap.low is not None and gap.high is not None and gap.low <= truth <= gap.high
    return f"difference of {name}, {size} rows", f"{100 * inside / count:.1f} %", "95 %"


def _classes(num_classes: int, skill: float, seed: int = 0) -> Draw:
    """Answers that know the truth so well; those of another `seed` err elsewhere, on the same truth."""

    def draw(random: np.random.Generator, size: int) -> metrics.Metrics:
        truth = random.integers(0, num_classes, size)
        own = np.random.default_rng([int(random.integers(2**31)), seed])
        logits = own.normal(size=(size, num_classes))
        logits[np.arange(size), truth] += skill
        odds = np.exp(logits)
        return metrics.classification(
            odds / odds.sum(axis=1, keepdims=True), truth, tuple(map(str, range(num_classes)))
        )

    return draw


def _numbers(spread: float, seed: int = 0) -> Draw:
    """Errors that are normal; of both seeds partly the same."""

    def draw(random: np.random.Generator, size: int) -> metrics.Metrics:
        shared = random.normal(size=size)
        own = np.random.default_rng([int(random.integers(2**31)), seed]).normal(size=size)
        return metrics.regression(spread * (shared + own) / np.sqrt(2), np.zeros(size))

    return draw


def flattered(num_rows: int, num_epochs: int, count: int) -> Iterator[Row]:
    """Guesses at coin flips: accuracy of the best epoch on the rows that chose it, and crossed."""
    draw, naive, fair = np.random.default_rng(3), [], []
    first = halves(num_rows)
    for _ in range(count):
        right = draw.random((num_epochs, num_rows)) < 0.5
        naive.append(right[right.mean(axis=1).argmax()].mean())
        by_first, by_second = (right[right[:, half].mean(axis=1).argmax()] for half in (first, ~first))
        fair.append(np.where(first, by_second, by_first).mean())
    about = f"coin flips, {num_rows} rows, best of {num_epochs} epochs"
    yield f"{about}: on the rows that chose it", f"{100 * np.mean(naive):.1f} %", "50 %"
    yield f"{about}: crossed", f"{100 * np.mean(fair):.1f} %", "50 %"


def apart(num_rows: int, num_others: int, share: float, count: int) -> Row:
    """Equal shares of few rows and of others: how often one is called better."""
    draw = np.random.default_rng(4)
    pairs = draw.binomial([num_rows, num_others], share, (count, 2)) / [num_rows, num_others]
    gaps = [unpaired_gap(own, num_rows, other, num_others) for own, other in pairs.tolist()]
    wrong = np.mean([gap.verdict != "noise" for gap in gaps])
    return f"{num_rows} rows against folds of {num_others}, both {share:.0%}", f"{100 * wrong:.1f} %", "≤ 5 %"


def rows(comparisons: int, samples: int) -> Iterator[Row]:
    """All that is simulated, one after the other."""
    for models in (3, 11):
        for seeds in (3, 5):
            yield false_alarms(models, seeds, comparisons)
    yield held("accuracy (80 %)", "accuracy", 30, _classes(2, 1.2), samples)
    yield held("macro F1, 18 classes", "f1", 200, _classes(18, 2.5), samples)
    yield held("AUC", "auc", 100, _classes(2, 1.2), samples)
    yield held("log loss", "log_loss", 100, _classes(2, 1.2), samples)
    yield held("RMSE", "rmse", 40, _numbers(2.0), samples)
    for size in (30, 300):
        yield held_difference("accuracy", "accuracy", size, (_classes(2, 1.4), _classes(2, 1.0, 1)), samples)
    yield held_difference("accuracy, equal models", "accuracy", 100, (_classes(2, 1.2), _classes(2, 1.2, 1)), samples)
    yield held_difference("macro F1, 18 classes", "f1", 300, (_classes(18, 2.5), _classes(18, 2.2, 1)), samples)
    yield held_difference("RMSE", "rmse", 60, (_numbers(2.0), _numbers(2.4, 1)), samples)
    yield from flattered(60, 20, samples)
    yield from flattered(400, 20, samples)
    yield apart(3, 25, 0.9, samples)
    yield apart(7, 60, 0.7, samples)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--comparisons", type=int, default=2000)
    parser.add_argument("--samples", type=int, default=1000)
    parser.add_argument("--report", type=Path)
    arguments = parser.parse_args()
    lines = ["| simulated | found | aim |", "|---|---|---|"]
    print(*lines, sep="\n")
    for row in rows(arguments.comparisons, arguments.samples):
        lines.append(f"| {' | '.join(row)} |")
        print(lines[-1], flush=True)
    if arguments.report is not None:
        arguments.report.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
