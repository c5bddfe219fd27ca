"""What tasks that write sequences share where those are frames: numbers, notes, sound, pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from ostinato.tasks.spec import ModelT, Section, TaskSpec

if TYPE_CHECKING:
    import torch

    from ostinato.baselines.base import Baseline, BaselineComparison
    from ostinato.data.batching import Batch
    from ostinato.data.dataset import Examples, Features, Prepared
    from ostinato.metrics.classification import Metrics
    from ostinato.metrics.prediction import Prediction
    from ostinato.recipe import Recipe
    from ostinato.tasks.frames.evaluation import FrameModel
    from ostinato.tasks.generation import GenerateOptions, Generation, OpenRun

_FIGURES = {"notes": ("accuracy", "f1", "exact"), "numbers": ("mse", "mae", "r2")}
"""By what frames are."""


class FrameWriting(TaskSpec[ModelT]):
    """Figures, predictions, report and baselines of models that write frames. A task that may write something else,
    too, asks `writes_frames` and falls back to its own."""

    def writes_frames(self, features: Features) -> bool:
        """Whether what is written are frames."""
        return bool(getattr(features.target, "frames_hold", ""))

    def frames_of(self, recipe: Recipe) -> str:
        """What the frames are that are written, as `Feature.frames_hold`; none: tokens are."""
        from ostinato.data.features import feature_type

        feature = feature_type(recipe.features.input if self.recipe.writes == "input" else recipe.features.target)
        return feature.frames_hold if feature else ""

    def evaluate(
        self, model: ModelT, examples: Examples, features: Features, recipe: Recipe, device: torch.device
    ) -> Metrics:
        """With teacher forcing, and free running where one row has one answer."""
        from ostinato.tasks.frames.evaluation import evaluate

        return evaluate(model, examples, features, device)

    def monitor(
        self, model: ModelT, examples: Examples, features: Features, recipe: Recipe, device: torch.device
    ) -> Metrics:
        """With teacher forcing only."""
        from ostinato.tasks.frames.evaluation import monitor

        return monitor(model, examples, features, device)

    def figures(self, recipe: Recipe, validation: Examples | None = None) -> tuple[str, ...]:
        """By what frames are."""
        return _FIGURES[self.frames_of(recipe)]

    def predict(self, model: ModelT, examples: Examples, features: Features, device: torch.device) -> list[Prediction]:
        """The likeliest frames for each row."""
        from ostinato.tasks.frames.evaluation import predict

        return predict(model, examples, features, device)

    def report(self, model: ModelT, prepared: Prepared, device: torch.device, known: Metrics | None = None) -> Section:
        """Figures, and written sequences next to the truth."""
        from ostinato.tasks.frames.report import written_results

        return written_results(cast("FrameModel", model), prepared, device)

    def generate(self, run: OpenRun, options: GenerateOptions) -> Generation:
        """Sequences of frames drawn for what is given."""
        from ostinato.tasks.frames.sampling import draw_frames

        return draw_frames(run, options)

    def comparison(self, recipe: Recipe) -> type[BaselineComparison] | None:
        """Nats a frame."""
        from ostinato.tasks.frames.baselines import WrittenComparison

        return WrittenComparison

    def baselines(self, recipe: Recipe) -> list[type[Baseline]]:
        """Distributions of frames, from linear ones up."""
        from ostinato.tasks.frames import baseline_models as methods

        return [methods.AnyFrame, methods.EachFromBefore, methods.StepOfEach, methods.Autoregression]

    # ---- diagnosis --------------------------------------------------------------------------------------------------
    def read(self, model: ModelT, batch: Batch, features: Features, recipe: Recipe) -> None:
        """As `answers`: training may read some of the model's own frames."""
        self.answers(model, batch, features, recipe)
