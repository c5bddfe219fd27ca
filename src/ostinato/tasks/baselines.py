"""Which categories have baselines, and which."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, cast

from ostinato.errors import RunError
from ostinato.recipe import Recipe
from ostinato.tasks.registry import writes_frames

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch
    from torch import nn

    from ostinato.baselines import Baselines
    from ostinato.baselines.base import Baseline, BaselineComparison
    from ostinato.data.dataset import Prepared

FRAMES = "frames"
"""Models that write frames, whatever their kind (`categories.writes_frames`)."""

COMPARISONS: dict[str, str] = {
    "classifier": "ostinato.tasks.classification.baselines:ClassificationComparison",
    "conditional": "ostinato.tasks.conditional.baselines:GivenComparison",
    "forecaster": "ostinato.tasks.forecasting.baselines:ForecastComparison",
    "language_model": "ostinato.tasks.language_model.baselines:TextComparison",
    "next_step": "ostinato.tasks.next_step.baselines:FramesComparison",
    "seq2seq": "ostinato.tasks.seq2seq.baselines:PairsComparison",
    "tagger": "ostinato.tasks.tagging.baselines:TaggingComparison",
    FRAMES: "ostinato.tasks.frames.baselines:WrittenComparison",
}
"""By `model.kind`, or `FRAMES`: what is compared, and by which figure."""

BASELINES: dict[str, list[str]] = {
    "classifier": [
        "ostinato.tasks.classification.baselines:MostFrequent",
        "ostinato.tasks.classification.baselines_linear:SummaryLinear",
        "ostinato.tasks.classification.baselines_nearest:NearestNeighbour",
        "ostinato.tasks.classification.baselines_linear:NbSvm",
        "ostinato.tasks.classification.baselines_linear:TfidfLogistic",
        "ostinato.tasks.classification.baselines_nearest:NearestWarped",
    ],
    "conditional": [
        "ostinato.tasks.conditional.baselines:TokenFrequencies",
        "ostinato.tasks.conditional.baselines:NgramsOfAll",
        "ostinato.tasks.conditional.baselines:NgramsOfEach",
        "ostinato.tasks.conditional.baselines_whole:WholeSequences",
    ],
    "forecaster": [
        "ostinato.tasks.forecasting.baselines:MeanOfWindow",
        "ostinato.tasks.forecasting.baselines:LastValue",
        "ostinato.tasks.forecasting.baselines:SeasonalNaive",
        "ostinato.tasks.forecasting.baselines_fitted:LinearMap",
        "ostinato.tasks.forecasting.baselines_fitted:HoltWinters",
    ],
    "language_model": [
        "ostinato.tasks.language_model.baselines:Frequencies",
        "ostinato.tasks.language_model.baselines:KneserNey",
    ],
    "next_step": [
        "ostinato.tasks.next_step.baselines:NoteFrequencies",
        "ostinato.tasks.next_step.baselines:FrameBefore",
        "ostinato.tasks.next_step.baselines:FrameRegression",
    ],
    "seq2seq": [
        "ostinato.tasks.seq2seq.baselines:MostFrequentAnswer",
        "ostinato.tasks.seq2seq.baselines:Copy",
        "ostinato.tasks.seq2seq.baselines:TokenByToken",
    ],
    "tagger": [
        "ostinato.tasks.tagging.baselines:MostFrequentTag",
        "ostinato.tasks.tagging.baselines:MostFrequentLabels",
        "ostinato.tasks.tagging.baselines:TagOfWord",
        "ostinato.tasks.tagging.baselines:WindowLogistic",
        "ostinato.tasks.tagging.baselines_numeric:MeanOfSteps",
        "ostinato.tasks.tagging.baselines_numeric:WindowRidge",
    ],
    FRAMES: [
        "ostinato.tasks.frames.baseline_models:AnyFrame",
        "ostinato.tasks.frames.baseline_models:EachFromBefore",
        "ostinato.tasks.frames.baseline_models:StepOfEach",
        "ostinato.tasks.frames.baseline_models:Autoregression",
    ],
}
"""As `COMPARISONS`: the simple methods, the cheapest first."""


def has_baselines(recipe: Recipe) -> bool:
    """Whether the category of a settled recipe has baselines."""
    return _category(recipe) in COMPARISONS


def comparison_of(recipe: Recipe) -> type[BaselineComparison]:
    """What the category of a settled recipe is compared on. Raises `RunError` for one without baselines."""
    if not has_baselines(recipe):
        raise RunError(f"there are no baselines yet for a {recipe.model.kind.replace('_', ' ')}.")
    return cast("type[BaselineComparison]", _load(COMPARISONS[_category(recipe)]))


def baselines_of(prepared: Prepared) -> list[type[Baseline]]:
    """The baselines that can read a run's data, in their order."""
    found = [cast("type[Baseline]", _load(reference)) for reference in BASELINES.get(_category(prepared.recipe), [])]
    return [baseline for baseline in found if baseline.applies(prepared)]


def compare_with_baselines(
    model: nn.Module,
    prepared: Prepared,
    device: torch.device,
    summary: dict[str, Any],
    budget_s: float,
    say: Callable[[str], None],
) -> Baselines:
    """Train the baselines of a run's category on its training data, and score all on its validation data; see
    `baselines.measure`.

    Args:
        model: the run's.
        prepared: its data.
        device: where the model is.
        summary: of its training: seconds and steps.
        budget_s: seconds for all baselines together, >= 0.
        say: is told what happens.

    Raises:
        RunError: for a category without baselines.
    """
    from ostinato.baselines.measure import measure

    return measure(
        comparison_of(prepared.recipe)(model, prepared, device), baselines_of(prepared), summary, budget_s, say
    )


def _category(recipe: Recipe) -> str:
    return FRAMES if writes_frames(recipe) else recipe.model.kind


def _load(reference: str) -> object:
    module, _, name = reference.partition(":")
    return getattr(import_module(module), name)
