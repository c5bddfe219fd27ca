"""Which categories have rivals, and which."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, cast

from ostinato.errors import RunError
from ostinato.evaluation.categories import writes_frames
from ostinato.recipe import Recipe

if TYPE_CHECKING:
    from ostinato.data.dataset import Prepared
    from ostinato.evaluation.baselines.base import Contest, Rival

_HERE = "ostinato.evaluation.baselines"
FRAMES = "frames"
"""Models that write frames, whatever their kind (`categories.writes_frames`)."""

CONTESTS: dict[str, str] = {
    "classifier": f"{_HERE}.classes:ClassifierContest",
    "conditional": f"{_HERE}.given:GivenContest",
    "forecaster": f"{_HERE}.forecasts:ForecastContest",
    "language_model": f"{_HERE}.text:TextContest",
    "next_step": f"{_HERE}.frames:FramesContest",
    "seq2seq": f"{_HERE}.pairs:PairsContest",
    "tagger": f"{_HERE}.tags:TaggerContest",
    FRAMES: f"{_HERE}.frames_written:WrittenContest",
}
"""By `model.kind`, or `FRAMES`: what is compared, and by which figure."""

RIVALS: dict[str, list[str]] = {
    "classifier": [
        f"{_HERE}.classes:MostFrequent",
        f"{_HERE}.linear:SummaryLinear",
        f"{_HERE}.nearest:NearestNeighbour",
        f"{_HERE}.linear:NbSvm",
        f"{_HERE}.linear:TfidfLogistic",
        f"{_HERE}.nearest:NearestWarped",
    ],
    "conditional": [
        f"{_HERE}.given:TokenFrequencies",
        f"{_HERE}.given:NgramsOfAll",
        f"{_HERE}.given:NgramsOfEach",
        f"{_HERE}.given_whole:WholeSequences",
    ],
    "forecaster": [
        f"{_HERE}.forecasts:MeanOfWindow",
        f"{_HERE}.forecasts:LastValue",
        f"{_HERE}.forecasts:SeasonalNaive",
        f"{_HERE}.forecasts_fitted:LinearMap",
        f"{_HERE}.forecasts_fitted:HoltWinters",
    ],
    "language_model": [f"{_HERE}.text:Frequencies", f"{_HERE}.text:KneserNey"],
    "next_step": [f"{_HERE}.frames:NoteFrequencies", f"{_HERE}.frames:FrameBefore", f"{_HERE}.frames:FrameRegression"],
    "seq2seq": [f"{_HERE}.pairs:MostFrequentAnswer", f"{_HERE}.pairs:Copy", f"{_HERE}.pairs:TokenByToken"],
    "tagger": [
        f"{_HERE}.tags:MostFrequentTag",
        f"{_HERE}.tags:MostFrequentLabels",
        f"{_HERE}.tags:TagOfWord",
        f"{_HERE}.tags:WindowLogistic",
        f"{_HERE}.steps:MeanOfSteps",
        f"{_HERE}.steps:WindowRidge",
    ],
    FRAMES: [
        f"{_HERE}.frames_rivals:AnyFrame",
        f"{_HERE}.frames_rivals:EachFromBefore",
        f"{_HERE}.frames_rivals:StepOfEach",
        f"{_HERE}.frames_rivals:Autoregression",
    ],
}
"""As `CONTESTS`: the simple methods, the cheapest first."""


def has_contest(recipe: Recipe) -> bool:
    """Whether the category of a settled recipe has rivals."""
    return _category(recipe) in CONTESTS


def contest_of(recipe: Recipe) -> type[Contest]:
    """What the category of a settled recipe is compared on. Raises `RunError` for one without rivals."""
    if not has_contest(recipe):
        raise RunError(f"there are no baselines yet for a {recipe.model.kind.replace('_', ' ')}.")
    return cast("type[Contest]", _load(CONTESTS[_category(recipe)]))


def rivals_of(prepared: Prepared) -> list[type[Rival]]:
    """The rivals that can read a run's data, in their order."""
    found = [cast("type[Rival]", _load(reference)) for reference in RIVALS.get(_category(prepared.recipe), [])]
    return [rival for rival in found if rival.applies(prepared)]


def _category(recipe: Recipe) -> str:
    return FRAMES if writes_frames(recipe) else recipe.model.kind


def _load(reference: str) -> object:
    module, _, name = reference.partition(":")
    return getattr(import_module(module), name)
