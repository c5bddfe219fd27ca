"""Many-to-one: a sequence to a class, to any number of labels, or to a number."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, cast

from ostinato.recipe import TargetRecipe
from ostinato.tasks.classification.recipe import ClassificationRecipe
from ostinato.tasks.spec import Section, TaskSpec

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    import torch
    from torch import Tensor, nn

    from ostinato.arrays import Array
    from ostinato.baselines.base import Baseline, BaselineComparison
    from ostinato.data.batching import Batch
    from ostinato.data.dataset import Examples, Features, Prepared
    from ostinato.data.inference.sample import DataSample
    from ostinato.metrics.classification import Metrics
    from ostinato.metrics.prediction import Prediction
    from ostinato.probes.cases import Case
    from ostinato.probes.part import Part
    from ostinato.probes.sample import Sample
    from ostinato.recipe import Recipe
    from ostinato.tasks.classification.ensemble import Ensemble
    from ostinato.tasks.classification.model import Classifier
    from ostinato.tasks.findings import Finding, Trained
    from ostinato.tasks.plan import Plan, Shape
    from ostinato.tasks.probing import Reading
    from ostinato.tasks.streaming import StreamingModel
    from ostinato.tasks.training import TrainingTask

_FIGURES = {"class": ("accuracy", "f1"), "labels": ("accuracy", "f1"), "number": ("mae", "rmse", "r2")}
"""By the kind of the target."""


class Classification(TaskSpec["Classifier"]):
    """Many-to-one: one value a row."""

    name, noun = "classification", "classifier"
    recipe = ClassificationRecipe
    apart: ClassVar[Mapping[str, Any]] = {"ngrams": 0, "random_kernels": 0}
    trial: ClassVar[Mapping[str, Any]] = {**apart, "members": 1}

    def infers(self, recipe: Recipe, sample: DataSample) -> str | None:
        """One value a row is predicted."""
        target = recipe.data.target
        plain = target is not None and isinstance(recipe.features.target, TargetRecipe)
        return f"there is a target column, {target}" if plain else None

    def plan(self, shape: Shape, recipe: Recipe) -> Plan:
        """By what a step is, and how many rows there are."""
        from ostinato.tasks.classification.plan import plan

        return plan(shape, recipe)

    def build(self, recipe: Recipe, features: Features) -> nn.Module:
        """A classifier, or several that answer as one."""
        from ostinato.tasks.classification.build import build_classifier

        return build_classifier(ClassificationRecipe.of(recipe), features)

    def training(self, model: Classifier, prepared: Prepared, device: torch.device) -> TrainingTask:
        """Whole rows, or windows of them; several networks are trained separately."""
        from ostinato.tasks.classification.training import training_of

        return training_of(self, model, prepared, device)

    def solve(self, model: Classifier, prepared: Prepared, device: torch.device) -> bool:
        """The linear score."""
        from ostinato.tasks.classification.training import solve

        return solve(model, prepared, device)

    def evaluate(
        self, model: Classifier, examples: Examples, features: Features, recipe: Recipe, device: torch.device
    ) -> Metrics:
        """Loss, and the metrics of the target's kind."""
        from ostinato.tasks.classification.evaluation import evaluate

        return evaluate(model, examples, device)

    def decide(self, model: Classifier, prepared: Prepared, device: torch.device) -> Section | None:
        """Temperature and threshold of a model of classes."""
        from ostinato.tasks.classification.evaluation import decide

        return decide(model, prepared.validation, ClassificationRecipe.of(prepared.recipe), device)

    def decide_as(self, model: Classifier, **decisions: Any) -> None:
        """Of classes; a threshold of two; the share of a linear score."""
        from dataclasses import replace

        from ostinato.errors import RecipeError
        from ostinato.heads.classes import Deciding, TwoClasses

        if not isinstance(model.head, Deciding):
            super().decide_as(model)
            return
        if decisions.get("threshold") is not None and not isinstance(model.head, TwoClasses):
            raise RecipeError(f"`threshold` only applies with two classes. Received: {decisions['threshold']:g}.")
        if "members" in decisions:
            cast("Ensemble", model).num_answering = decisions.pop("members")
        if "linear_share" in decisions:
            model.linear_share = decisions.pop("linear_share")
        model.head.decisions = replace(model.head.decisions, **decisions)

    def findings(self, trained: Trained) -> Iterator[Finding]:
        """Of any run, and how much of an answer is a linear score's."""
        from ostinato.tasks.classification.findings import blended

        yield from super().findings(trained)
        yield from blended(trained)

    def figures(self, recipe: Recipe, validation: Examples | None = None) -> tuple[str, ...]:
        """By the kind of the target."""
        return _FIGURES[recipe.features.target.kind]

    def loss_unit(self, recipe: Recipe) -> tuple[float, str]:
        """Nats; of numbers their squared error."""
        return 1.0, "standardised squared error" if recipe.features.target.kind == "number" else "nats"

    def vectors(self, model: Classifier, examples: Examples, device: torch.device) -> Array:
        """What pooling made of each row."""
        from ostinato.tasks.classification.evaluation import vectors_of

        return vectors_of(model, examples, device)

    def predict(
        self, model: Classifier, examples: Examples, features: Features, device: torch.device
    ) -> list[Prediction]:
        """A class, labels or a number for each row."""
        from ostinato.tasks.classification.evaluation import predict

        return predict(model, examples, features, device)

    def report(
        self, model: Classifier, prepared: Prepared, device: torch.device, known: Metrics | None = None
    ) -> Section:
        """Metrics, confusions, calibration, examples."""
        from ostinato.tasks.classification.report import classifier_results

        found = classifier_results(model, prepared, device)
        return {**found, "template": "classifier.html.jinja"}

    def parts(self, model: Classifier, recipe: Recipe, features: Features) -> list[tuple[str, str, str]]:
        """Pooling, parallel paths and covariates, and the head."""
        own = ClassificationRecipe.of(recipe)
        rows = [("pooling over time", " + ".join(own.pooling), "pooling")]
        if own.convolution.channels:
            sizes = zip(own.convolution.channels, own.convolution.kernels, strict=True)
            about = ", ".join(f"{channels:,} × {kernel} steps" for channels, kernel in sizes)
            rows.append(("parallel convolutions", about, "convolution"))
        if own.ngrams:
            spelled = f", of up to {own.ngram_letters} letters of a word" * (own.ngram_letters > 0)
            rows.append(("n-grams", f"of up to {own.ngrams} tokens{spelled}, logistic regression", "ngrams"))
        if own.random_kernels:
            rows.append(("random convolutions", f"{own.random_kernels:,} shares of time, ridge regression", "kernels"))
        if features.extra:
            rows.append(("covariates", ", ".join(features.extra), "covariates"))
        if own.head_size:
            rows.append(("hidden layer", f"{own.head_size:,} units, ReLU", "hidden"))
        return [*rows, ("output", f"{features.row_target.num_outputs:,}", "output")]

    def comparison(self, recipe: Recipe) -> type[BaselineComparison]:
        """Accuracy, or error of numbers."""
        from ostinato.tasks.classification.baselines import ClassificationComparison

        return ClassificationComparison

    def baselines(self, recipe: Recipe) -> list[type[Baseline]]:
        """Frequencies, linear models, neighbours."""
        from ostinato.tasks.classification import baselines, baselines_linear, baselines_nearest

        return [
            baselines.MostFrequent,
            baselines_linear.SummaryLinear,
            baselines_nearest.NearestNeighbour,
            baselines_linear.NbSvm,
            baselines_linear.TfidfLogistic,
            baselines_nearest.NearestWarped,
        ]

    # ---- diagnosis --------------------------------------------------------------------------------------------------
    def probes(self, reading: Reading, num_steps: int | None = None) -> list[Part]:
        """The recurrent layers; of several networks those of the first."""
        from ostinato.tasks.classification.diagnosis import parts

        return parts(reading)

    def answers(self, model: Classifier, batch: Batch, features: Features, recipe: Recipe) -> Tensor:
        """One a row."""
        return model.head.nll(model(batch.inputs, batch.extra), batch.row_targets)

    def read(self, model: Classifier, batch: Batch, features: Features, recipe: Recipe) -> None:
        """As `answers`."""
        self.answers(model, batch, features, recipe)

    def case(self, model: Classifier) -> type[Case] | None:
        """Of a single network."""
        from ostinato.tasks.classification.diagnosis import ClassifierCase
        from ostinato.tasks.classification.model import Classifier

        return ClassifierCase if isinstance(model, Classifier) else None

    def sample(
        self, model: Classifier, examples: Examples, features: Features, num_rows: int, random: np.random.Generator
    ) -> Sample | None:
        """Of a single network that reads one column of ids or numbers."""
        from ostinato.tasks.classification.diagnosis import sample

        return sample(model, examples, features, num_rows, random)

    # ---- streaming --------------------------------------------------------------------------------------------------
    def streaming(self, model: Classifier, features: Features, recipe: Recipe) -> StreamingModel:
        """The running answer; of several networks their mean."""
        from ostinato.tasks.classification.ensemble import Ensemble
        from ostinato.tasks.classification.streaming import ClassifierStreaming, EnsembleStreaming

        if isinstance(model, Ensemble):
            return EnsembleStreaming(model, features, recipe)
        return ClassifierStreaming(model, features, recipe)


SPEC = Classification()
