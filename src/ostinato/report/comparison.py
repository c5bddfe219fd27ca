"""The results of a comparison: quality with its spread over seeds, cost, and which differences are significant."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ostinato.metrics.names import METRIC_NAMES
from ostinato.recipe import LOWER_IS_BETTER, Recipe
from ostinato.storage.files import write_atomically

_LEVEL = 0.05
_TOO_SMALL = 1.1
"""By what p of the studentized range is multiplied: with few seeds it is too small."""


@dataclass(frozen=True)
class Scored:
    """One run. quality: the metric that is compared; steps: of all sequences that training read; curve: (step,
    validation loss) at each validation; about: machine and versions."""

    seed: int
    quality: float
    epochs: float
    best_epoch: int
    seconds: float
    cpu_s: float
    peak_bytes: int
    steps: int
    metrics: dict[str, Any]
    curve: list[tuple[int, float]] = field(default_factory=list)
    about: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Contender:
    """A variant and its runs, one a seed."""

    name: str
    cell: str
    hidden_size: int
    num_parameters: int
    flops_per_step: int
    runs: tuple[Scored, ...]

    @property
    def mean(self) -> float:
        """Of the quality over seeds."""
        return sum(run.quality for run in self.runs) / len(self.runs)

    @property
    def sd(self) -> float | None:
        """Standard deviation over seeds (n - 1); None of a single one."""
        if len(self.runs) < 2:
            return None
        return math.sqrt(sum((run.quality - self.mean) ** 2 for run in self.runs) / (len(self.runs) - 1))


def summarise(
    name: str,
    metric: str,
    match: str,
    contenders: Sequence[Contender],
    budget: str | None = None,
    command: str | None = None,
) -> dict[str, Any]:
    """All results for a page or a program, best first.

    Args:
        name: of the recipe.
        metric: which validation figure is compared.
        match: what was made equal: parameters, time or none.
        contenders: at least two.
        budget: what each was given where time was made equal, in words.
        command: what makes the same comparison; none: there is no such.
    """
    sign = 1.0 if metric in LOWER_IS_BETTER else -1.0
    ranked = sorted(contenders, key=lambda each: sign * each.mean)
    return {
        "name": name,
        "metric": metric,
        "lower_is_better": metric in LOWER_IS_BETTER,
        "match": match,
        "budget": budget,
        "command": command,
        "seeds": [run.seed for run in ranked[0].runs],
        "sentence": sentence(metric, match, ranked, budget),
        "machines": sorted(
            {" · ".join(f"{k} {v}" for k, v in run.about.items()) for one in ranked for run in one.runs}
        ),
        "variants": [_row(each, ranked[0], p) for each, p in zip(ranked, [None, *behind(ranked)], strict=True)],
    }


def _row(contender: Contender, best: Contender, p: float | None) -> dict[str, Any]:
    runs = contender.runs
    count = len(runs)
    return {
        "name": contender.name,
        "cell": contender.cell,
        "hidden_size": contender.hidden_size,
        "num_parameters": contender.num_parameters,
        "mean": contender.mean,
        "sd": contender.sd,
        "behind": abs(contender.mean - best.mean),
        "p": p,
        "clear": None if p is None else p < _LEVEL,
        "epochs": sum(run.epochs for run in runs) / count,
        "cpu_s": sum(run.cpu_s for run in runs) / count,
        "seconds": sum(run.seconds for run in runs) / count,
        "peak_bytes": max(run.peak_bytes for run in runs),
        "flops_per_step": contender.flops_per_step,
        "training_flops": 3 * contender.flops_per_step * sum(run.steps for run in runs) // count,
        "runs": [run.__dict__ for run in runs],
    }


def behind(ranked: Sequence[Contender]) -> list[float | None]:
    """For each model but the best, how likely so large a difference between any two of so many equal models is by
    chance. None of one seed.

    p is the larger one of two: by the studentized range with unequal variances (Games and Howell, Journal of
    Educational Statistics 1, 1976), which allows for all pairs and so for the best being what came out best, but is too
    small by a tenth with five seeds; and of Welch's t-test times the number of others (Bonferroni), which is needed
    with three. Of 3 to 11 equal models one is said to be behind in 4 to 5 of 100 comparisons
    (`benchmarks/verdicts.py`).

    Args:
        ranked: the best first.
    """
    return [_by_chance(ranked[0], each, len(ranked)) for each in ranked[1:]]


def _by_chance(one: Contender, other: Contender, num_models: int) -> float | None:
    from scipy.stats import studentized_range, t

    if one.sd is None or other.sd is None:
        return None
    first, second = one.sd**2 / len(one.runs), other.sd**2 / len(other.runs)
    if first + second == 0:
        return 0.0 if one.mean != other.mean else 1.0
    freedom = (first + second) ** 2 / (first**2 / (len(one.runs) - 1) + second**2 / (len(other.runs) - 1))  # Welch's
    reach = abs(one.mean - other.mean) / math.sqrt(first + second)
    alone = 2 * float(t.sf(reach, freedom))
    among_all = float(studentized_range.sf(math.sqrt(2) * reach, num_models, freedom))
    return min(1.0, max(_TOO_SMALL * among_all, (num_models - 1) * alone))


def sentence(metric: str, match: str, ranked: Sequence[Contender], budget: str | None = None) -> str:
    """The conclusion in one sentence, as careful as the spread over seeds demands."""
    best = ranked[0]
    at = {"parameters": "At equal numbers of parameters", "time": f"In {budget} each", "none": "As they are"}[match]
    chances = list(zip(ranked[1:], behind(ranked), strict=True))
    alike = [each for each, p in chances if p is not None and p >= _LEVEL]
    worse = [each for each, p in chances if p is not None and p < _LEVEL]
    said = f"{at}, {best.name} has the best {metric.replace('_', ' ')} ({_figure(best)})"
    if best.sd is None:
        others = ", ".join(f"{each.name} {_figure(each)}" for each in ranked[1:])
        return f"{said}, then {others}: one seed each, so the spread is unknown."
    if alike:
        said += f"; {_listed(alike)} {'lies' if len(alike) == 1 else 'lie'} within the spread of the seeds"
    if worse:
        said += f"; {_listed(worse)} {'is' if len(worse) == 1 else 'are'} clearly behind"
    cheapest = min(ranked, key=lambda each: sum(run.cpu_s for run in each.runs))
    if cheapest is not best and match != "time":
        share = sum(run.cpu_s for run in cheapest.runs) / max(sum(run.cpu_s for run in best.runs), 1e-9)
        said += f"; {cheapest.name} takes {share:.0%} of its processor time"
    return said + "."


def _figure(contender: Contender) -> str:
    spread = "" if contender.sd is None else f" ± {contender.sd:.2g}"
    return f"{contender.mean:.4g}{spread}"


def _listed(contenders: Sequence[Contender]) -> str:
    return ", ".join(f"{each.name} ({_figure(each)})" for each in contenders)


def _metrics(variants: list[dict[str, Any]]) -> dict[str, Any]:
    """The task's figures: their names, and of each variant (mean, standard deviation) over its seeds."""
    first = variants[0]["runs"][0]["metrics"]
    keys = [
        k for k in first if not k.startswith("num_") and all(k in run["metrics"] for v in variants for run in v["runs"])
    ]
    values = [[[run["metrics"][key] for run in row["runs"]] for key in keys] for row in variants]
    rows = [[(float(np.mean(of)), float(np.std(of, ddof=1)) if len(of) > 1 else None) for of in row] for row in values]
    return {"names": [METRIC_NAMES.get(key, key.replace("_", " ")) for key in keys], "rows": rows}


def write_page(path: Path, results: dict[str, Any], recipe: Recipe) -> None:
    """The results as one page that needs no network. Raises `MissingLibraryError` without jinja2 and matplotlib."""
    from ostinato.report.page import page_environment, paths_of, without_folders
    from ostinato.report.plots_comparison import curves, quality

    environment = page_environment()
    rows = [(row["name"], [run["quality"] for run in row["runs"]]) for row in results["variants"]]
    plot = quality(rows, results["metric"].replace("_", " "))
    lines = [(row["name"], [run["curve"] for run in row["runs"]]) for row in results["variants"]]
    page = environment.get_template("comparison.html.jinja").render(
        **results, plot=plot, curves=curves(lines), metrics=_metrics(results["variants"])
    )
    write_atomically(path, without_folders(page, [path.parent, *paths_of(recipe)]).encode())
