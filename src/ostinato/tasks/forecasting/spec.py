"""The future of time series."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from ostinato.tasks.forecasting.recipe import ForecastingRecipe
from ostinato.tasks.spec import Say, Section, TaskSpec

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from ostinato.arrays import Offsets
    from ostinato.baselines.base import Baseline, BaselineComparison
    from ostinato.data.batching import Batch
    from ostinato.data.dataset import Examples, Features, Prepared
    from ostinato.data.inference.sample import DataSample
    from ostinato.metrics.classification import Metrics
    from ostinato.metrics.prediction import Prediction
    from ostinato.probes.part import Part
    from ostinato.recipe import Recipe
    from ostinato.tasks.findings import Finding, Trained
    from ostinato.tasks.forecasting.model import Forecaster
    from ostinato.tasks.plan import Plan, Shape
    from ostinato.tasks.probing import Reading
    from ostinato.tasks.signature import Signature
    from ostinato.tasks.streaming import StreamingModel
    from ostinato.tasks.training import TrainingTask

_LOSSES = {"mse": "squared error", "mae": "absolute error", "huber": "Huber's loss", "quantiles": "pinball loss"}


class Forecasting(TaskSpec["Forecaster"]):
    """Windows of the past to all steps of a horizon."""

    name, noun, row_noun, needs_targets, forecasts = "forecasting", "forecaster", "windows", False, True
    recipe = ForecastingRecipe

    def takes_over(self, recipe: Recipe, sample: DataSample, say: Say = lambda _: None) -> Recipe:
        """A table of numbers beside time stamps."""
        from ostinato.data.forecasting.prepare import as_forecaster

        return as_forecaster(recipe, sample, self.name, say)

    def resolve(self, recipe: Recipe, sample: DataSample, say: Say = lambda _: None) -> Recipe:
        """Columns by what they hold."""
        from ostinato.data.forecasting.prepare import resolve_series

        notes = list[str]()
        found = resolve_series(recipe, sample, notes)
        for note in notes:
            say(note)
        return found

    def shape(self, prepared: Prepared) -> Shape:
        """Of windows, with the season of their series."""
        from ostinato.tasks.forecasting.plan import shape_of

        return shape_of(prepared)

    def plan(self, shape: Shape, recipe: Recipe) -> Plan:
        """By the season."""
        from ostinato.tasks.forecasting.plan import plan

        return plan(shape, recipe)

    def folds(self, prepared: Prepared) -> Iterator[tuple[Examples, Examples]]:
        """The end of each series held out."""
        from ostinato.data.forecasting.windows import as_windows
        from ostinato.tasks.folds import SHARE, too_little

        parts = as_windows(prepared.train).cut(SHARE)
        if not all(map(len, parts)):
            raise too_little("the training part of the series is too short for two")
        yield parts

    def build(self, recipe: Recipe, features: Features) -> nn.Module:
        """A forecaster of the series' channels."""
        from ostinato.tasks.forecasting.model import build_forecaster

        return build_forecaster(ForecastingRecipe.of(recipe), features)

    def solve(self, model: Forecaster, prepared: Prepared, device: torch.device) -> bool:
        """The linear path."""
        from ostinato.data.forecasting.windows import as_windows
        from ostinato.tasks.forecasting.blending import fit_path

        return fit_path(model, as_windows(prepared.train))

    def training(self, model: Forecaster, prepared: Prepared, device: torch.device) -> TrainingTask:
        """Batches of windows, all of them or some redrawn each epoch."""
        from ostinato.data.forecasting.windows import WindowedBatches, as_windows
        from ostinato.tasks.training import RowsTraining

        training, drawn = prepared.recipe.training, ForecastingRecipe.of(prepared.recipe).windows_per_epoch
        windows = as_windows(prepared.train)
        self.solve(model, prepared, device)
        batches = WindowedBatches(windows, training.batch_size, True, training.seed, drawn)
        return RowsTraining(self, model, prepared, device, batches)

    def prepare(self, recipe: Recipe, sample: DataSample, say: Say = lambda _: None) -> Prepared:
        """Series, split in time, scaled and cut into windows."""
        from ostinato.data.forecasting.prepare import prepare_series

        return prepare_series(recipe, sample, say)

    def load(self, reference: str, features: Features, recipe: Recipe, say: Say = lambda _: None) -> Examples:
        """The windows of another file."""
        from ostinato.data.forecasting.prepare import as_trained, load_windows
        from ostinato.data.forecasting.windows import series_feature

        with as_trained():
            return load_windows(reference, series_feature(features), recipe, say)

    def load_inputs(self, reference: str, features: Features, recipe: Recipe, say: Say = lambda _: None) -> Examples:
        """The last window of each series of another file: what comes after it is forecast."""
        from ostinato.data.forecasting.future import future_windows
        from ostinato.data.forecasting.windows import series_feature

        return future_windows(reference, series_feature(features), recipe, say)

    def encode(self, rows: list[Any], features: Features, recipe: Recipe) -> Examples:
        """Windows given by hand."""
        from ostinato.data.forecasting.future import windows_of
        from ostinato.data.forecasting.windows import series_feature

        return windows_of(rows, series_feature(features))

    def held_back(self, features: Features, recipe: Recipe, say: Say = lambda _: None) -> Examples | None:
        """The third part of the training file."""
        from ostinato.data.forecasting.prepare import held_back_windows
        from ostinato.data.forecasting.windows import series_feature

        return held_back_windows(series_feature(features), recipe, say)

    def evaluate(
        self, model: Forecaster, examples: Examples, features: Features, recipe: Recipe, device: torch.device
    ) -> Metrics:
        """Errors of all windows."""
        from ostinato.tasks.forecasting.evaluation import evaluate

        return evaluate(model, examples, features, device)

    def decide(self, model: Forecaster, prepared: Prepared, device: torch.device) -> Section | None:
        """The linear path's share."""
        from ostinato.tasks.forecasting.blending import decide

        return decide(model, prepared, device)

    def decide_as(self, model: Forecaster, **decisions: Any) -> None:
        """The linear path's share."""
        if set(decisions) != {"linear_share"}:
            super().decide_as(model, **decisions)
        model.linear_share = decisions["linear_share"]

    def findings(self, trained: Trained) -> Iterator[Finding]:
        """Of any run, and how much of a forecast is linear."""
        from ostinato.tasks.forecasting.blending import said

        yield from super().findings(trained)
        yield from said(trained)

    def figures(self, recipe: Recipe, validation: Examples | None = None) -> tuple[str, ...]:
        """Errors of the point forecast."""
        return ("mse", "mae", "rmse", "smape", "mase")

    def loss_unit(self, recipe: Recipe) -> tuple[float, str]:
        """As the output says."""
        return 1.0, _LOSSES.get(ForecastingRecipe.of(recipe).output, "nats")

    def predict(
        self, model: Forecaster, examples: Examples, features: Features, device: torch.device
    ) -> list[Prediction]:
        """The steps of each window's horizon, with quantiles where the output has them."""
        from ostinato.tasks.forecasting.evaluation import predict

        return predict(model, examples, features, device)

    def csv_lines(self, predictions: Sequence[Prediction]) -> Iterator[str] | None:
        """A line a step of the future."""
        from ostinato.tasks.forecasting.csv_lines import forecast_lines

        return forecast_lines(predictions)

    def reads_json(self, features: Features) -> bool:
        """A window is a list."""
        return True

    def report(
        self, model: Forecaster, prepared: Prepared, device: torch.device, known: Metrics | None = None
    ) -> Section:
        """Errors by step and series, forecasts."""
        from ostinato.tasks.forecasting.report import forecast_results

        return forecast_results(model, prepared, device)

    def draw_forecast(
        self, model: Forecaster, prepared: Prepared, device: torch.device, window: int, channel: int
    ) -> object:
        """The past, what came, what was forecast."""
        from ostinato.tasks.forecasting.report import window_drawn

        return window_drawn(model, prepared, device, window, channel)

    def comparison(self, recipe: Recipe) -> type[BaselineComparison]:
        """Squared error."""
        from ostinato.tasks.forecasting.baselines import ForecastComparison

        return ForecastComparison

    def baselines(self, recipe: Recipe) -> list[type[Baseline]]:
        """Naive forecasts, a linear map, Holt-Winters."""
        from ostinato.tasks.forecasting import baselines, baselines_fitted

        return [
            baselines.MeanOfWindow,
            baselines.LastValue,
            baselines.SeasonalNaive,
            baselines_fitted.LinearMap,
            baselines_fitted.HoltWinters,
        ]

    # ---- diagnosis --------------------------------------------------------------------------------------------------
    def probes(self, reading: Reading, num_steps: int | None = None) -> list[Part]:
        """The encoder, on whole windows."""
        from ostinato.tasks.forecasting.diagnosis import parts

        return parts(reading)

    def batch(self, examples: Examples, rows: Offsets) -> Batch:
        """Some windows."""
        from ostinato.data.forecasting.windows import as_windows
        from ostinato.probes.batches import check_some

        return as_windows(examples).batch(check_some(rows))

    def answers(self, model: Forecaster, batch: Batch, features: Features, recipe: Recipe) -> Tensor:
        """One a number of the horizon."""
        from ostinato.tasks.forecasting.diagnosis import answers

        return answers(model, batch)

    # ---- streaming --------------------------------------------------------------------------------------------------
    def streaming(self, model: Forecaster, features: Features, recipe: Recipe) -> StreamingModel:
        """Value by value."""
        from ostinato.tasks.forecasting.streaming import ForecasterStreaming

        return ForecasterStreaming(model, features, recipe)

    # ---- signature --------------------------------------------------------------------------------------------------
    def signature(self, model: Forecaster, features: Features, recipe: Recipe) -> Signature:
        """The parameters of each number of the horizon; the state is that after the past."""
        from ostinato.tasks.forecasting.diagnosis import signature

        return signature(model)


SPEC = Forecasting()
