"""Many-to-many, synchronised: an output for each step."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ostinato.tasks.spec import Section, TaskSpec
from ostinato.tasks.tagging.recipe import TaggingRecipe

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from ostinato.baselines.base import Baseline, BaselineComparison
    from ostinato.data.batching import Batch
    from ostinato.data.dataset import Examples, Features, Prepared
    from ostinato.data.inference.sample import DataSample
    from ostinato.metrics.classification import Metrics
    from ostinato.metrics.prediction import Prediction
    from ostinato.probes.part import Part
    from ostinato.recipe import Recipe
    from ostinato.tasks.plan import Plan, Shape
    from ostinato.tasks.probing import Reading
    from ostinato.tasks.streaming import StreamingModel
    from ostinato.tasks.tagging.model import Tagger
    from ostinato.tasks.training import TrainingTask

_TAGS = ("accuracy", "f1", "exact")
_FIGURES = {"notes": ("accuracy", "f1", "exact"), "series": ("mse", "mae", "r2")}
"""By the kind of the target, where it is not tags."""
_LABELS = ("token_error_rate", "sequence_error_rate", "exact")


class Tagging(TaskSpec["Tagger"]):
    """Many-to-many, synchronised: tags, notes or numbers of each step, or labels without alignment."""

    name, noun = "tagging", "tagger"
    recipe = TaggingRecipe

    def infers(self, recipe: Recipe, sample: DataSample) -> str | None:
        """A value for each step of a sequence."""
        from ostinato.data.features import is_fixed
        from ostinato.data.inference.step_targets import answers_steps

        data, features = recipe.data, recipe.features
        if data.target is None or is_fixed(features.input) or not answers_steps(sample, recipe):
            return None
        return f"{data.target} holds {'a label' if features.target.kind == 'tags' else 'a value'} for each step"

    def plan(self, shape: Shape, recipe: Recipe) -> Plan:
        """By what a step is."""
        from ostinato.tasks.tagging.plan import plan

        return plan(shape, recipe)

    def build(self, recipe: Recipe, features: Features) -> nn.Module:
        """A tagger, which may read its answer to the step before."""
        from ostinato.tasks.tagging.feedback import build_any_tagger

        return build_any_tagger(TaggingRecipe.of(recipe), features)

    def training(self, model: Tagger, prepared: Prepared, device: torch.device) -> TrainingTask:
        """Whole rows, or windows of them."""
        from ostinato.tasks.tagging.training import training_of

        return training_of(self, model, prepared, device)

    def evaluate(
        self, model: Tagger, examples: Examples, features: Features, recipe: Recipe, device: torch.device
    ) -> Metrics:
        """Loss and metrics of all steps."""
        from ostinato.tasks.tagging.evaluation import evaluate

        return evaluate(model, examples, features, device)

    def figures(self, recipe: Recipe, validation: Examples | None = None) -> tuple[str, ...]:
        """By the kind of the target."""
        if TaggingRecipe.of(recipe).output == "ctc":
            return _LABELS
        return _FIGURES.get(recipe.features.target.kind, _TAGS)

    def loss_unit(self, recipe: Recipe) -> tuple[float, str]:
        """Nats; of numbers their squared error."""
        return 1.0, "standardised squared error" if recipe.features.target.kind == "series" else "nats"

    def predict(self, model: Tagger, examples: Examples, features: Features, device: torch.device) -> list[Prediction]:
        """Tags, notes or numbers of each step of each row."""
        from ostinato.tasks.tagging.evaluation import predict

        return predict(model, examples, features, device)

    def report(self, model: Tagger, prepared: Prepared, device: torch.device, known: Metrics | None = None) -> Section:
        """Metrics, confusions, tagged examples."""
        from ostinato.tasks.tagging.report import tagger_results

        return {**tagger_results(model, prepared, device), "template": "tagger.html.jinja"}

    def comparison(self, recipe: Recipe) -> type[BaselineComparison]:
        """Accuracy of steps, or error of numbers."""
        from ostinato.tasks.tagging.baselines import TaggingComparison

        return TaggingComparison

    def baselines(self, recipe: Recipe) -> list[type[Baseline]]:
        """Frequencies, tables, windows."""
        from ostinato.tasks.tagging import baselines, baselines_numeric

        return [
            baselines.MostFrequentTag,
            baselines.MostFrequentLabels,
            baselines.TagOfWord,
            baselines.WindowLogistic,
            baselines_numeric.MeanOfSteps,
            baselines_numeric.WindowRidge,
        ]

    # ---- diagnosis --------------------------------------------------------------------------------------------------
    def probes(self, reading: Reading, num_steps: int | None = None) -> list[Part]:
        """The encoder, on single steps, or on whole rows where labels have no alignment."""
        from ostinato.tasks.tagging.diagnosis import parts

        return parts(reading)

    def answers(self, model: Tagger, batch: Batch, features: Features, recipe: Recipe) -> Tensor:
        """One a row: the sum over its steps."""
        from ostinato.tasks.tagging.diagnosis import answers

        return answers(model, batch)

    def answers_each_step(self, model: Tagger) -> bool:
        """All but those without alignment."""

        return model.recipe.output != "ctc"

    # ---- streaming --------------------------------------------------------------------------------------------------
    def streaming(self, model: Tagger, features: Features, recipe: Recipe) -> StreamingModel:
        """Step by step."""
        from ostinato.tasks.tagging.streaming import TaggerStreaming

        return TaggerStreaming(model, features, recipe)


SPEC = Tagging()
