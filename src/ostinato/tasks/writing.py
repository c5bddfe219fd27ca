"""What is shared by tasks that write sequences of tokens or frames."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from typing_extensions import TypeVar

from ostinato.recipe.model import WriterRecipe
from ostinato.tasks.frames.spec import FrameWriting
from ostinato.tasks.spec import Section

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from ostinato.baselines.base import Baseline, BaselineComparison
    from ostinato.data.batching import Batch
    from ostinato.data.dataset import Examples, Features, Prepared
    from ostinato.layers.writer import SequenceWriter
    from ostinato.metrics.classification import Metrics
    from ostinato.metrics.prediction import Prediction
    from ostinato.probes.part import Part
    from ostinato.recipe import Recipe
    from ostinato.tasks.generation import GenerateOptions, Generation, OpenRun
    from ostinato.tasks.probing import Reading
    from ostinato.tasks.signature import Signature
    from ostinato.tasks.training import TrainingTask

WriterT = TypeVar("WriterT", bound="SequenceWriter", default=Any)
MONITORED = 2_000
"""Rows that are written for after each epoch."""


@dataclass(frozen=True)
class Writer:
    """What a task that writes sequences has of its own.

    Args:
        model: made of a recipe, what reads the input, what is written, counts of tokens, and what reads covariates.
        parts: the recurrences that are diagnosed.
        metrics: of tokens, given a model, examples, features, a device, the beams, and the most rows to write for.
        report: the facts of the section on tokens.
        comparison: of tokens, with baselines.
        baselines: those of tokens.
    """

    model: Callable[..., nn.Module]
    parts: Callable[[Reading], list[Part]]
    metrics: Callable[[Any, Examples, Features, torch.device, int, int | None], Metrics]
    report: Callable[[Any, Prepared, torch.device], Section]
    comparison: type[BaselineComparison]
    baselines: Sequence[type[Baseline]]


class SequenceWriting(FrameWriting[WriterT]):
    """Of tokens what `writer` says; of frames as `FrameWriting`."""

    recipe: ClassVar[type[WriterRecipe]]

    @abstractmethod
    def writer(self) -> Writer:
        """What the task has of its own."""

    def build(self, recipe: Recipe, features: Features) -> nn.Module:
        """A model that writes the target's tokens or frames."""
        from ostinato.layers.covariates import RowCovariates
        from ostinato.layers.inputs import input_layer
        from ostinato.tasks.written import written

        own = self.recipe.of(recipe)
        covariates = RowCovariates(own, features.extra) if features.extra else None
        what, counts = written(features, self.noun)
        return self.writer().model(own, input_layer(features.input, own), what, counts, covariates=covariates)

    def solve(self, model: WriterT, prepared: Prepared, device: torch.device) -> bool:
        """Count the n-grams of the targets, and translations."""
        if self.writes_frames(prepared.features):
            return False
        train, source, tokens = prepared.train, prepared.features.input, model.tokens
        tokens.count_ngrams(train.target_sequences)
        tokens.count_translations(train.sequences, train.target_sequences, getattr(source, "vocab_size", 0))
        return tokens.ngrams is not None or tokens.lexicon is not None

    def training(self, model: WriterT, prepared: Prepared, device: torch.device) -> TrainingTask:
        """Of independent rows; what is counted is counted first."""
        self.solve(model, prepared, device)
        return super().training(model, prepared, device)

    def predict(self, model: WriterT, examples: Examples, features: Features, device: torch.device) -> list[Prediction]:
        """The likeliest sequence for each row."""
        if self.writes_frames(features):
            return super().predict(model, examples, features, device)
        from ostinato.tasks.transcripts import predictions_of

        return predictions_of(model, examples, features.target, device)

    def generate(self, run: OpenRun, options: GenerateOptions) -> Generation:
        """Texts, or frames, drawn for what is given."""
        if self.writes_frames(run.features):
            return super().generate(run, options)
        from ostinato.tasks.written import draw_texts

        return draw_texts(run, options, self.noun)

    def evaluate(
        self, model: WriterT, examples: Examples, features: Features, recipe: Recipe, device: torch.device
    ) -> Metrics:
        """Of tokens: loss, errors, exact answers, BLEU of words, by beam search."""
        if self.writes_frames(features):
            return super().evaluate(model, examples, features, recipe, device)
        return self.writer().metrics(model, examples, features, device, model.tokens.beam_size, None)

    def monitor(
        self, model: WriterT, examples: Examples, features: Features, recipe: Recipe, device: torch.device
    ) -> Metrics:
        """Of tokens: the same, greedy, of at most 2,000 rows, evenly spaced; the loss of all."""
        if self.writes_frames(features):
            return super().monitor(model, examples, features, recipe, device)
        return self.writer().metrics(model, examples, features, device, 1, MONITORED)

    def figures(self, recipe: Recipe, validation: Examples | None = None) -> tuple[str, ...]:
        """Errors of what is written."""
        if self.frames_of(recipe):
            return super().figures(recipe)
        from ostinato.tasks.written import figures_of_tokens

        return figures_of_tokens(recipe)

    def report(self, model: WriterT, prepared: Prepared, device: torch.device, known: Metrics | None = None) -> Section:
        """Figures, and what was written beside the truth."""
        if self.writes_frames(prepared.features):
            return super().report(model, prepared, device, known)
        return self.writer().report(model, prepared, device)

    def comparison(self, recipe: Recipe) -> type[BaselineComparison] | None:
        """Nats a frame, or as the task compares tokens."""
        return super().comparison(recipe) if self.frames_of(recipe) else self.writer().comparison

    def baselines(self, recipe: Recipe) -> list[type[Baseline]]:
        """Of frames, or of tokens."""
        return super().baselines(recipe) if self.frames_of(recipe) else list(self.writer().baselines)

    # ---- diagnosis --------------------------------------------------------------------------------------------------
    def probes(self, reading: Reading, num_steps: int | None = None) -> list[Part]:
        """The decoder, and what reads for it."""
        return self.writer().parts(reading)

    def answers(self, model: WriterT, batch: Batch, features: Features, recipe: Recipe) -> Tensor:
        """One a token or frame of the target, its end among them: its nats given those before it."""
        return model.nll(batch.inputs, batch.sequence_targets, batch.extra).row_major()

    # ---- signature --------------------------------------------------------------------------------------------------
    def signature(self, model: WriterT, features: Features, recipe: Recipe) -> Signature:
        """What the decoder makes of each step written so far, for what is given."""
        from ostinato.tasks.decoder_probing import decoder_signature

        return decoder_signature(model.decoder, features, recipe, getattr(model, "encoder", None))
