"""Many-to-many, delayed: the source is read whole, then the target is written."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ostinato.tasks.seq2seq.recipe import SequenceToSequenceRecipe
from ostinato.tasks.spec import Section
from ostinato.tasks.writing import SequenceWriting

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from ostinato.baselines.base import Baseline, BaselineComparison
    from ostinato.data.batching import Batch
    from ostinato.data.dataset import Examples, Features, Prepared
    from ostinato.data.inference.sample import DataSample
    from ostinato.metrics.classification import Metrics
    from ostinato.probes.part import Part
    from ostinato.recipe import Recipe
    from ostinato.tasks.seq2seq.model import Seq2Seq
    from ostinato.tasks.signature import Signature


class SequenceToSequence(SequenceWriting["Seq2Seq"]):
    """Many-to-many, delayed."""

    name, noun = "seq2seq", "seq2seq"
    recipe = SequenceToSequenceRecipe

    def infers(self, recipe: Recipe, sample: DataSample) -> str | None:
        """A sequence for a sequence, and not a value for each of its steps."""
        from ostinato.data.features import feature_type, is_fixed
        from ostinato.data.inference.step_targets import answers_steps

        data, features = recipe.data, recipe.features
        if data.target is None or feature_type(features.target) is None or is_fixed(features.input):
            return None
        return None if answers_steps(sample, recipe) else f"{data.target} holds a sequence of its own"

    def check(self, recipe: Recipe) -> None:
        """The bridge needs states that fit, too."""
        from ostinato.tasks.seq2seq.model import check_bridge

        super().check(recipe)
        check_bridge(SequenceToSequenceRecipe.of(recipe))

    def model_type(self) -> type[nn.Module]:
        """`Seq2Seq`."""
        from ostinato.tasks.seq2seq.model import Seq2Seq

        return Seq2Seq

    def evaluate(
        self, model: Seq2Seq, examples: Examples, features: Features, recipe: Recipe, device: torch.device
    ) -> Metrics:
        """Of tokens: loss, errors, exact answers, BLEU of words, by beam search; of frames as `FrameWriting`."""
        if self.writes_frames(features):
            return super().evaluate(model, examples, features, recipe, device)
        from ostinato.tasks.seq2seq.evaluation import evaluate

        return evaluate(model, examples, features, device)

    def monitor(
        self, model: Seq2Seq, examples: Examples, features: Features, recipe: Recipe, device: torch.device
    ) -> Metrics:
        """Greedy, of at most 2,000 rows."""
        if self.writes_frames(features):
            return super().monitor(model, examples, features, recipe, device)
        from ostinato.tasks.seq2seq.evaluation import monitor

        return monitor(model, examples, features, device)

    def figures(self, recipe: Recipe, validation: Examples | None = None) -> tuple[str, ...]:
        """Errors of what is written."""
        if self.frames_of(recipe):
            return super().figures(recipe)
        from ostinato.tasks.written import figures_of_tokens

        return figures_of_tokens(recipe)

    def report(self, model: Seq2Seq, prepared: Prepared, device: torch.device, known: Metrics | None = None) -> Section:
        """Figures, and written sequences next to the truth."""
        if self.writes_frames(prepared.features):
            return super().report(model, prepared, device, known)
        from ostinato.tasks.seq2seq.report import transcription_results

        return transcription_results(model, prepared, device)

    def comparison(self, recipe: Recipe) -> type[BaselineComparison] | None:
        """Errors of whole answers."""
        if self.frames_of(recipe):
            return super().comparison(recipe)
        from ostinato.tasks.seq2seq.baselines import PairsComparison

        return PairsComparison

    def baselines(self, recipe: Recipe) -> list[type[Baseline]]:
        """Frequent answers, copies, tables of tokens."""
        if self.frames_of(recipe):
            return super().baselines(recipe)
        from ostinato.tasks.seq2seq.baselines import Copy, MostFrequentAnswer, TokenByToken

        return [MostFrequentAnswer, Copy, TokenByToken]

    # ---- diagnosis --------------------------------------------------------------------------------------------------
    def probes(
        self,
        model: Seq2Seq,
        examples: Examples,
        features: Features,
        recipe: Recipe,
        num_steps: int | None = None,
    ) -> list[Part]:
        """Encoder and decoder."""
        from ostinato.tasks.probing import Reading
        from ostinato.tasks.seq2seq.diagnosis import parts

        return parts(Reading(self, model, examples, features, recipe))

    def answers(self, model: Seq2Seq, batch: Batch, features: Features, recipe: Recipe) -> Tensor:
        """One a token or frame of the target, its end among them."""
        from ostinato.tasks.seq2seq.diagnosis import answers

        return answers(model, batch)

    # ---- signature --------------------------------------------------------------------------------------------------
    def signature(self, model: Seq2Seq, features: Features, recipe: Recipe) -> Signature:
        """What the decoder makes of each step written so far, for a source."""
        from ostinato.tasks.decoder_probing import decoder_signature

        return decoder_signature(model.decoder, features, recipe, model.encoder)


SPEC = SequenceToSequence()
