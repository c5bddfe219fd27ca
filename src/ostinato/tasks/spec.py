"""`TaskSpec`: the one object that describes a task."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Generic

from typing_extensions import TypeVar

from ostinato.errors import RunError
from ostinato.wording import command, with_article

if TYPE_CHECKING:
    import numpy as np
    import torch
    from torch import Tensor, nn

    from ostinato.arrays import Array, Offsets
    from ostinato.baselines.base import Baseline, BaselineComparison
    from ostinato.data.batching import Batch
    from ostinato.data.dataset import Examples, Features, Prepared
    from ostinato.data.inference.sample import DataSample
    from ostinato.metrics.classification import Metrics
    from ostinato.metrics.prediction import Prediction
    from ostinato.probes.cases import Case
    from ostinato.probes.part import Part
    from ostinato.probes.sample import Sample
    from ostinato.recipe import ModelRecipe, Recipe
    from ostinato.tasks.adaptation import Adaptation
    from ostinato.tasks.findings import Finding, Trained
    from ostinato.tasks.generation import GenerateOptions, Generation, OpenRun
    from ostinato.tasks.plan import Plan, Shape
    from ostinato.tasks.probing import Reading
    from ostinato.tasks.signature import Signature
    from ostinato.tasks.streaming import StreamingModel
    from ostinato.tasks.training import TrainingTask

ModelT = TypeVar("ModelT", bound="nn.Module", default=Any)
"""The class of a task's models."""
Say = Callable[[str], None]
Section = dict[str, Any]


def _silent(_: str) -> None:
    """Ignore messages."""


class TaskSpec(ABC, Generic[ModelT]):
    """Everything the other packages need to know of a task: one subclass per task, in `tasks/<task>/spec.py`,
    registered once as an entry point of the group `ostinato.tasks`.

    Modules that hold specs import neither torch nor models at the top: a recipe is read, and `--help` printed, without.
    Methods import what they need.
    """

    name: ClassVar[str]
    """As recipes spell it, `model.task: classification`."""
    noun: ClassVar[str]
    """What a model of it is called in a sentence: `classifier`."""
    recipe: ClassVar[type[ModelRecipe]]
    """The section `model` of its recipes."""
    row_noun: ClassVar[str] = "rows"
    """What its examples are, in the plural."""
    needs_targets: ClassVar[bool] = True
    """Whether rows without a target have no loss."""
    apart: ClassVar[Mapping[str, Any]] = {}
    """Fields of `model` in a model without what is solved for apart from the network, which learns nothing of it."""
    forecasts: ClassVar[bool] = False
    """Whether it forecasts windows of series, which can be drawn."""
    trial: ClassVar[Mapping[str, Any]] = {}
    """Fields of `model` in a model that is tried: without what is the same for all, or takes long."""
    steps_before: ClassVar[int] = 0
    """Steps that the layers read before a row's first."""
    precedence: ClassVar[int] = 0
    """Of several tasks that data are for (`infers`), the one with the highest is taken; ours have 0."""

    # ---- recipe -----------------------------------------------------------------------------------------------------
    def takes_over(self, recipe: Recipe, sample: DataSample, say: Say = _silent) -> Recipe:
        """The recipe as one of this task, where it leaves its task open and the data as a whole, before any column is
        chosen, are of a sort that only this task reads; by default as it is."""
        return recipe

    def infers(self, recipe: Recipe, sample: DataSample) -> str | None:
        """Why a recipe that leaves its task open is of this one; None: it is not, or must say so.

        Args:
            recipe: its columns and how each is read are resolved.
            sample: the head of the data.
        """
        return None

    def resolve(self, recipe: Recipe, sample: DataSample, say: Say = _silent) -> Recipe:
        """The recipe with all that the head of the data says; the source's columns are arranged."""
        from ostinato.data.inference.resolve import infer_recipe

        found, notes = infer_recipe(recipe, sample)
        for note in notes:
            say(note)
        return found

    def check(self, recipe: Recipe) -> None:
        """Raise `RecipeError` for a model that can't be made, whatever the data: before they are read.

        Args:
            recipe: with its task known; columns may be open.
        """
        from ostinato.tasks.sketch import check_layers

        check_layers(recipe.model)

    def shape(self, prepared: Prepared) -> Shape:
        """What is planned from: of rows that are read."""
        from ostinato.tasks.plan import Shape

        return Shape.of(prepared)

    def plan(self, shape: Shape, recipe: Recipe) -> Plan:
        """What a recipe without epochs trains with, where it leaves it open: by default a budget alone.

        Args:
            shape: of the training part.
            recipe: resolved but for this.
        """
        from ostinato.tasks.plan import Plan

        return Plan(self.name.replace("_", " "), {})

    # ---- model and training -----------------------------------------------------------------------------------------
    def portfolio(self, recipe: Recipe) -> Mapping[str, Mapping[str, Any]]:
        """Alternatives to what a plan chose, by name: the options in which they differ. By default another cell, twice
        the units, and a third of the learning rate."""
        from ostinato.tasks.plan import alternatives

        return alternatives(recipe)

    def folds(self, prepared: Prepared) -> Iterator[tuple[Examples, Examples]]:
        """Training rows to learn from, each time with others by which configurations are compared. Raises `DataError`
        for too few."""
        from ostinato.tasks.folds import folds_of_rows

        return folds_of_rows(prepared)

    @abstractmethod
    def build(self, recipe: Recipe, features: Features) -> nn.Module:
        """The model of a resolved recipe, with fresh weights from torch's random generator."""

    def training(self, model: ModelT, prepared: Prepared, device: torch.device) -> TrainingTask:
        """Batches, gradients, monitoring and carried state of a run: by default independent rows whose loss the model
        knows."""
        from ostinato.tasks.training import RowsTraining

        return RowsTraining(self, model, prepared, device)

    # ---- data -------------------------------------------------------------------------------------------------------
    def prepare(self, recipe: Recipe, sample: DataSample, say: Say = _silent) -> Prepared:
        """Read, split and encode the data of a recipe whose task is known."""
        from ostinato.data.prepare import prepare_rows

        return prepare_rows(recipe, sample, say)

    def load(self, reference: str, features: Features, recipe: Recipe, say: Say = _silent) -> Examples:
        """Rows of another file with their targets, encoded as training data was."""
        from ostinato.data.loading import load_examples

        return load_examples(reference, features, recipe, say)

    def load_inputs(self, reference: str, features: Features, recipe: Recipe, say: Say = _silent) -> Examples:
        """Rows of another file to predict: a target column is not needed."""
        from ostinato.data.dataset import Features as Fitted
        from ostinato.data.loading import load_examples

        return load_examples(reference, Fitted(features.input, extra=features.extra), recipe, say, whole=True)

    def encode(self, rows: list[Any], features: Features, recipe: Recipe) -> Examples:
        """Rows given by hand to predict: cells, or mappings from column to cell."""
        from ostinato.data.loading import examples_of

        return examples_of(rows, features, recipe)

    def held_back(self, features: Features, recipe: Recipe, say: Say = _silent) -> Examples | None:
        """What of the training file was held back for a test; None where nothing was."""
        return None

    def adapting(self, model: ModelT, how: Adaptation) -> ModelT:
        """A copy of a model that goes on learning from what it reads. Raises `RecipeError` for a task without."""
        raise how.inapplicable(self.noun)

    # ---- metrics ----------------------------------------------------------------------------------------------------
    @abstractmethod
    def evaluate(
        self, model: ModelT, examples: Examples, features: Features, recipe: Recipe, device: torch.device
    ) -> Metrics:
        """Metrics on examples with targets, `loss` among them."""

    def monitor(
        self, model: ModelT, examples: Examples, features: Features, recipe: Recipe, device: torch.device
    ) -> Metrics:
        """As `evaluate`, quickly: what is measured after each epoch."""
        return self.evaluate(model, examples, features, recipe, device)

    def final_metrics(
        self, model: ModelT, examples: Examples, features: Features, recipe: Recipe, device: torch.device
    ) -> Metrics:
        """The validation figures of the summary: those of `monitor`."""
        return self.monitor(model, examples, features, recipe, device)

    def decide(self, model: ModelT, prepared: Prepared, device: torch.device) -> Section | None:
        """What is decided on the validation data once training has ended, for `decisions.json`; the model decides so
        from now on. None: nothing is."""
        return None

    def solve(self, model: ModelT, prepared: Prepared, device: torch.device) -> bool:
        """Find all of a model that is solved for rather than learnt from the training rows; whether there is any."""
        return False

    def decide_as(self, model: ModelT, **decisions: Any) -> None:
        """Have a model decide so: the fields of `metrics.decisions.Decisions`. Raises `RunError` where it decides
        between no classes."""
        raise RunError(f"{with_article(self.noun)} gives no probabilities of classes: nothing to decide by.")

    def findings(self, trained: Trained) -> Iterator[Finding]:
        """What a user should know of a run before its figures, the most serious first."""
        from ostinato.tasks.findings import findings_of

        return findings_of(trained)

    def figures(self, recipe: Recipe, validation: Examples | None = None) -> tuple[str, ...]:
        """The figures that `monitor` gives in addition to `loss`, of those that `training.monitor` may name.

        Args:
            recipe: with its task and all kinds resolved.
            validation: without it, all that such a recipe may have.
        """
        return ()

    def loss_unit(self, recipe: Recipe) -> tuple[float, str]:
        """What a loss of the log is multiplied by to be shown, and the unit it then has."""
        return 1.0, "nats"

    # ---- answers ----------------------------------------------------------------------------------------------------
    def predict(self, model: ModelT, examples: Examples, features: Features, device: torch.device) -> list[Prediction]:
        """A prediction for each row, in their order. Raises `RunError` for a task without rows to predict."""
        raise RunError(f"{with_article(self.noun)} has no target to predict.")

    def vectors(self, model: ModelT, examples: Examples, device: torch.device) -> Array:
        """(N, F): what each row is to the model before its output. Raises `RunError` where a row has no one vector."""
        raise RunError(f"{with_article(self.noun)} makes no one vector of a row: only a classifier does.")

    def csv_lines(self, predictions: Sequence[Prediction]) -> Iterator[str] | None:
        """Predictions of a file as lines of CSV, a header first; None: each is printed on a line of its own."""
        return None

    def reads_json(self, features: Features) -> bool:
        """Whether a row on the command line is JSON: an object by column."""
        return bool(features.extra)

    # ---- report -----------------------------------------------------------------------------------------------------
    def report(self, model: ModelT, prepared: Prepared, device: torch.device, known: Metrics | None = None) -> Section:
        """The facts of the report's section, `template` among them: by default a table of the metrics.

        Args:
            known: the final metrics of these very weights, where they were computed before.
        """
        from ostinato.tasks.figures_section import figures_section

        features, recipe = prepared.features, prepared.recipe
        metrics = known or self.evaluate(model, prepared.validation, features, recipe, device)
        return figures_section(metrics, recipe, self.noun)

    def parts(self, model: ModelT, recipe: Recipe, features: Features) -> list[tuple[str, str, str]]:
        """The network's parts after the recurrent layers, for the report's table: what each is called, what it is, and
        its module's name. By default what the model says of itself."""
        return [(name, about, name) for name, about in getattr(model, "parts", {}).items()]

    def draw_forecast(
        self, model: ModelT, prepared: Prepared, device: torch.device, window: int, channel: int
    ) -> object:
        """Draw a window of the validation data with its forecast (`report.svg.drawing`), where the task `forecasts`."""
        raise RunError(f"{with_article(self.noun)} forecasts nothing.")

    # ---- generation -------------------------------------------------------------------------------------------------
    def generate(self, run: OpenRun, options: GenerateOptions) -> Generation:
        """Generate. Raises `RunError` for a task that writes nothing."""
        raise RunError(
            f"`{run.folder}` is {with_article(self.noun)}; it writes nothing.",
            hint=f"it predicts rows: {command('predict', run.folder, '--help')}",
        )

    # ---- baselines --------------------------------------------------------------------------------------------------
    def comparison(self, recipe: Recipe) -> type[BaselineComparison] | None:
        """How the model and its baselines are compared; None: there are none."""
        return None

    def baselines(self, recipe: Recipe) -> list[type[Baseline]]:
        """The simple methods, the cheapest first."""
        return []

    # ---- diagnosis --------------------------------------------------------------------------------------------------
    def probes(self, reading: Reading, num_steps: int | None = None) -> list[Part]:
        """The recurrences that are diagnosed: by default the model's `encoder`, on whole rows and their losses.

        Args:
            reading: a model in evaluation mode, and examples with their targets.
            num_steps: steps of a row that a user asked for; longer ones are cut by whoever asks.
        """
        from ostinato.tasks.probing import encoder_part

        return [encoder_part(reading)]

    def batch(self, examples: Examples, rows: Offsets) -> Batch:
        """Some examples as one batch. Raises `DataError` for none."""
        from ostinato.probes.batches import batch_of

        return batch_of(examples, rows)

    def answers(self, model: ModelT, batch: Batch, features: Features, recipe: Recipe) -> Tensor:
        """The loss of each answer, row after row, given the true answers before it; by default one a row: the model's
        `row_losses(batch)`, or its `loss(batch, training)` on each row."""
        from ostinato.tasks.probing import row_losses

        return row_losses(model, batch, recipe)

    def read(self, model: ModelT, batch: Batch, features: Features, recipe: Recipe) -> None:
        """Run the model once over all rows of a batch, for what reaches its recurrences: by default its `loss`."""
        from ostinato.tasks.probing import read_whole

        read_whole(model, batch, recipe)

    def case(self, model: ModelT) -> type[Case] | None:
        """How this task's models are run from the vectors that reach their layers to their outputs; None: this is no
        model of the task, or it is verified on batches alone (with its recurrences in every form)."""
        return None

    def sample(
        self, model: ModelT, examples: Examples, features: Features, num_rows: int, random: np.random.Generator
    ) -> Sample | None:
        """Rows of unequal length that `case` is verified on, and their loss; None: the model is run on batches."""
        return None

    def answers_each_step(self, model: ModelT) -> bool:
        """Whether a row has one target for each input step, so that both may be cut to any length."""
        return False

    # ---- streaming --------------------------------------------------------------------------------------------------
    def streaming(self, model: ModelT, features: Features, recipe: Recipe) -> StreamingModel:
        """The model read forward in time, for sessions.

        Raises:
            RunError: if it can't be, with the reason.
        """
        from ostinato.tasks.streaming import no_stream

        raise no_stream(f"{with_article(self.noun)} answers whole rows")

    # ---- signature --------------------------------------------------------------------------------------------------
    def signature(self, model: ModelT, features: Features, recipe: Recipe) -> Signature:
        """Inputs, outputs and recurrent states of the model, by name, dtype and shape: by default those of a model that
        is called on its columns and has its recurrent layers in `encoder`."""
        from ostinato.tasks.signature import encoder_signature

        return encoder_signature(model, features, recipe, "outputs")
