"""Many-to-many, synchronised with itself: each frame from those before it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ostinato.tasks.frames.spec import FrameWriting
from ostinato.tasks.next_step.recipe import NextStepRecipe
from ostinato.tasks.spec import Section

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
    from ostinato.tasks.generation import GenerateOptions, Generation, OpenRun
    from ostinato.tasks.next_step.model import NextStep
    from ostinato.tasks.plan import Plan, Shape
    from ostinato.tasks.probing import Reading
    from ostinato.tasks.signature import Signature
    from ostinato.tasks.streaming import StreamingModel
    from ostinato.tasks.training import TrainingTask


class NextStepPrediction(FrameWriting["NextStep"]):
    """The next frame of music, series, sound or video."""

    name, noun, needs_targets = "next_step", "next step model", False
    recipe, steps_before = NextStepRecipe, 1

    def infers(self, recipe: Recipe, sample: DataSample) -> str | None:
        """Frames, and nothing else to predict."""
        from ostinato.data.features import feature_type

        feature = feature_type(recipe.features.input)
        return "there is no target column" if recipe.data.target is None and feature and feature.frames_hold else None

    def writes_frames(self, features: Features) -> bool:
        """All frames but notes, which have figures of their own."""
        return features.input.kind != "notes"

    def plan(self, shape: Shape, recipe: Recipe) -> Plan:
        """By what frames hold."""
        from ostinato.tasks.next_step.plan import plan

        return plan(shape, recipe)

    def build(self, recipe: Recipe, features: Features) -> nn.Module:
        """A model of the next frame."""
        from ostinato.tasks.next_step.model import build_next_step

        return build_next_step(NextStepRecipe.of(recipe), features)

    def training(self, model: NextStep, prepared: Prepared, device: torch.device) -> TrainingTask:
        """Whole rows, or windows of them."""
        from ostinato.tasks.next_step.training import training_of

        return training_of(self, model, prepared, device)

    def evaluate(
        self, model: NextStep, examples: Examples, features: Features, recipe: Recipe, device: torch.device
    ) -> Metrics:
        """Nats a frame, accuracy of notes."""
        if self.writes_frames(features):
            return super().evaluate(model, examples, features, recipe, device)
        from ostinato.tasks.next_step.evaluation import evaluate

        return evaluate(model, examples, features, device)

    def monitor(
        self, model: NextStep, examples: Examples, features: Features, recipe: Recipe, device: torch.device
    ) -> Metrics:
        """With teacher forcing."""
        if self.writes_frames(features):
            return super().monitor(model, examples, features, recipe, device)
        return self.evaluate(model, examples, features, recipe, device)

    def figures(self, recipe: Recipe, validation: Examples | None = None) -> tuple[str, ...]:
        """Errors of numbers, accuracy of notes."""
        return ("accuracy",) if self.frames_of(recipe) == "notes" else super().figures(recipe)

    def predict(
        self, model: NextStep, examples: Examples, features: Features, device: torch.device
    ) -> list[Prediction]:
        """What was expected of each frame."""
        if self.writes_frames(features):
            return super().predict(model, examples, features, device)
        from ostinato.tasks.next_step.evaluation import predict

        return predict(model, examples, features, device)

    def report(
        self, model: NextStep, prepared: Prepared, device: torch.device, known: Metrics | None = None
    ) -> Section:
        """Figures, and a piece with what was expected of it."""
        if self.writes_frames(prepared.features):
            return super().report(model, prepared, device, known)
        from ostinato.tasks.next_step.report import frames_results

        return {**frames_results(model, prepared, device), "template": "frames.html.jinja"}

    def generate(self, run: OpenRun, options: GenerateOptions) -> Generation:
        """Frames after a prompt, for what is given where further columns are read."""
        from ostinato.tasks.generation import USUAL_LENGTH, Generation
        from ostinato.tasks.next_step.sampling import next_frames

        covariates = run.features.extra
        options.refuse("model of frames", "top_k", "top_p", "precision", "num", *(() if covariates else ("condition",)))
        found = options.cells(tuple(covariates), run.folder) if covariates else None
        given = found if isinstance(found, dict) or found is None else {next(iter(covariates)): found}
        values = next_frames(
            run.model,
            run.features.input,
            given=given or {},
            covariates=covariates,
            prompt=options.prompt,
            num_frames=USUAL_LENGTH if options.max_new_tokens is None else options.max_new_tokens,
            temperature=options.temperature,
            seed=options.seed,
        )
        return Generation(frames=[values], feature=run.features.input, given=given)

    def comparison(self, recipe: Recipe) -> type[BaselineComparison] | None:
        """Nats a frame."""
        if recipe.features.input.kind != "notes":
            return super().comparison(recipe)
        from ostinato.tasks.next_step.baselines import FramesComparison

        return FramesComparison

    def baselines(self, recipe: Recipe) -> list[type[Baseline]]:
        """Frequencies of notes, the frame before, a regression."""
        if recipe.features.input.kind != "notes":
            return super().baselines(recipe)
        from ostinato.tasks.next_step.baselines import FrameBefore, FrameRegression, NoteFrequencies

        return [NoteFrequencies, FrameBefore, FrameRegression]

    # ---- diagnosis --------------------------------------------------------------------------------------------------
    def probes(self, reading: Reading, num_steps: int | None = None) -> list[Part]:
        """The encoder, on single frames."""
        from ostinato.tasks.next_step.diagnosis import parts

        return parts(reading)

    def answers(self, model: NextStep, batch: Batch, features: Features, recipe: Recipe) -> Tensor:
        """One a frame."""
        from ostinato.tasks.next_step.diagnosis import answers

        return answers(model, batch)

    def answers_each_step(self, model: NextStep) -> bool:
        """A frame is the answer to those before it."""
        return True

    # ---- streaming --------------------------------------------------------------------------------------------------
    def streaming(self, model: NextStep, features: Features, recipe: Recipe) -> StreamingModel:
        """Frame by frame."""
        from ostinato.tasks.next_step.streaming import NextStepStreaming

        return NextStepStreaming(model, features, recipe)

    # ---- signature --------------------------------------------------------------------------------------------------
    def signature(self, model: NextStep, features: Features, recipe: Recipe) -> Signature:
        """At each step what its frame is predicted from: hidden states, and of numbers the previous frame."""
        from ostinato.tasks.signature import encoder_signature

        return encoder_signature(model, features, recipe, "hidden")


SPEC = NextStepPrediction()
