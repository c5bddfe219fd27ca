"""Many-to-many, delayed: the source is read whole, then the target is written."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ostinato.data.inference.written import FRAMES
from ostinato.tasks.frames.spec import FrameWriting
from ostinato.tasks.seq2seq.recipe import SequenceToSequenceRecipe
from ostinato.tasks.spec import Section

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from ostinato.baselines.base import Baseline, BaselineComparison
    from ostinato.data.batching import Batch
    from ostinato.data.dataset import Examples, Features, Prepared
    from ostinato.metrics.classification import Metrics
    from ostinato.metrics.prediction import Prediction
    from ostinato.probes.part import Part
    from ostinato.recipe import Recipe
    from ostinato.tasks.generation import GenerateOptions, Generation, OpenRun
    from ostinato.tasks.seq2seq.model import Seq2Seq
    from ostinato.tasks.signature import Signature


class SequenceToSequence(FrameWriting["Seq2Seq"]):
    """Many-to-many, delayed."""

    name, noun = "seq2seq", "seq2seq"
    recipe = SequenceToSequenceRecipe

    def check(self, recipe: Recipe) -> None:
        """The bridge needs states that fit, too."""
        from ostinato.tasks.seq2seq.model import check_bridge

        super().check(recipe)
        check_bridge(SequenceToSequenceRecipe.of(recipe))

    def build(self, recipe: Recipe, features: Features) -> nn.Module:
        """A model that writes the target's tokens or frames."""
        from ostinato.layers.covariates import BesideInputs
        from ostinato.layers.inputs import input_layer
        from ostinato.tasks.seq2seq.model import Seq2Seq
        from ostinato.tasks.written import written

        own = SequenceToSequenceRecipe.of(recipe)
        beside = BesideInputs(own, features.extra) if features.extra else None
        what, counts = written(features, self.noun)
        return Seq2Seq(own, input_layer(features.input, own), what, counts, beside=beside)

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

    def figures(self, prepared: Prepared) -> tuple[str, ...]:
        """Errors of what is written."""
        if self.writes_frames(prepared.features):
            return super().figures(prepared)
        from ostinato.tasks.written import figures_of_tokens

        return figures_of_tokens(prepared.features)

    def predict(self, model: Seq2Seq, examples: Examples, features: Features, device: torch.device) -> list[Prediction]:
        """The likeliest sequence for each row."""
        if self.writes_frames(features):
            return super().predict(model, examples, features, device)
        from ostinato.tasks.transcripts import predictions_of

        return predictions_of(model, examples, features.target, device)

    def report(self, model: Seq2Seq, prepared: Prepared, device: torch.device, known: Metrics | None = None) -> Section:
        """Figures, and what was written beside the truth."""
        if self.writes_frames(prepared.features):
            return super().report(model, prepared, device, known)
        from ostinato.tasks.seq2seq.report import transcription_results

        return transcription_results(model, prepared, device)

    def generate(self, run: OpenRun, options: GenerateOptions) -> Generation:
        """Texts, or frames, drawn for what is given."""
        if self.writes_frames(run.features):
            return super().generate(run, options)
        from ostinato.tasks.written import draw_texts

        return draw_texts(run, options, self.noun)

    def comparison(self, recipe: Recipe) -> type[BaselineComparison] | None:
        """Errors of whole answers."""
        if recipe.features.target.kind in FRAMES:
            return super().comparison(recipe)
        from ostinato.tasks.seq2seq.baselines import PairsComparison

        return PairsComparison

    def baselines(self, recipe: Recipe) -> list[type[Baseline]]:
        """Frequent answers, copies, tables of tokens."""
        if recipe.features.target.kind in FRAMES:
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

        own = model
        return decoder_signature(own.decoder, features, recipe, own.encoder)


SPEC = SequenceToSequence()
