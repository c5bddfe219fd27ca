"""One-to-many: a sequence is written for one value a row."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ostinato.tasks.conditional.recipe import ConditionalRecipe
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
    from ostinato.metrics.prediction import Prediction
    from ostinato.probes.part import Part
    from ostinato.recipe import Recipe
    from ostinato.tasks.conditional.model import Conditional
    from ostinato.tasks.signature import Signature


class ConditionalGeneration(SequenceWriting["Conditional"]):
    """One-to-many."""

    name, noun = "conditional", "conditional"
    recipe = ConditionalRecipe

    def infers(self, recipe: Recipe, sample: DataSample) -> str | None:
        """A sequence for one value a row."""
        from ostinato.data.features import feature_type, is_fixed

        data, features = recipe.data, recipe.features
        if data.target is None or feature_type(features.target) is None or not is_fixed(features.input):
            return None
        return f"{data.input} is one value a row, {data.target} a sequence"

    def model_type(self) -> type[nn.Module]:
        """`Conditional`."""
        from ostinato.tasks.conditional.model import Conditional

        return Conditional

    def evaluate(
        self, model: Conditional, examples: Examples, features: Features, recipe: Recipe, device: torch.device
    ) -> Metrics:
        """Of tokens: loss, errors, exact answers, BLEU of words, by beam search; of frames as `FrameWriting`."""
        if self.writes_frames(features):
            return super().evaluate(model, examples, features, recipe, device)
        from ostinato.tasks.conditional.evaluation import evaluate

        return evaluate(model, examples, features, device)

    def monitor(
        self, model: Conditional, examples: Examples, features: Features, recipe: Recipe, device: torch.device
    ) -> Metrics:
        """Greedy, of at most 2,000 rows."""
        if self.writes_frames(features):
            return super().monitor(model, examples, features, recipe, device)
        from ostinato.tasks.conditional.evaluation import monitor

        return monitor(model, examples, features, device)

    def figures(self, recipe: Recipe, validation: Examples | None = None) -> tuple[str, ...]:
        """Errors of what is written, where each value has one answer."""
        if self.frames_of(recipe):
            return super().figures(recipe)
        from ostinato.tasks.given import has_one_answer
        from ostinato.tasks.written import figures_of_tokens

        return figures_of_tokens(recipe) if validation is None or has_one_answer(validation) else ()

    def predict(
        self, model: Conditional, examples: Examples, features: Features, device: torch.device
    ) -> list[Prediction]:
        """The likeliest sequence for each row; a value that training never showed is refused."""
        from ostinato.tasks.given import refuse_unknown

        refuse_unknown(examples, features)
        return super().predict(model, examples, features, device)

    def report(
        self, model: Conditional, prepared: Prepared, device: torch.device, known: Metrics | None = None
    ) -> Section:
        """Figures, and written sequences next to the truth."""
        if self.writes_frames(prepared.features):
            return super().report(model, prepared, device, known)
        from ostinato.tasks.conditional.report import conditional_results

        return conditional_results(model, prepared, device)

    def comparison(self, recipe: Recipe) -> type[BaselineComparison] | None:
        """Nats a token."""
        if self.frames_of(recipe):
            return super().comparison(recipe)
        from ostinato.tasks.conditional.baselines import GivenComparison

        return GivenComparison

    def baselines(self, recipe: Recipe) -> list[type[Baseline]]:
        """Frequencies and n-grams, of all and of each value."""
        if self.frames_of(recipe):
            return super().baselines(recipe)
        from ostinato.tasks.conditional.baselines import NgramsOfAll, NgramsOfEach, TokenFrequencies
        from ostinato.tasks.conditional.baselines_whole import WholeSequences

        return [TokenFrequencies, NgramsOfAll, NgramsOfEach, WholeSequences]

    # ---- diagnosis --------------------------------------------------------------------------------------------------
    def probes(
        self,
        model: Conditional,
        examples: Examples,
        features: Features,
        recipe: Recipe,
        num_steps: int | None = None,
    ) -> list[Part]:
        """The decoder."""
        from ostinato.tasks.conditional.diagnosis import parts
        from ostinato.tasks.probing import Reading

        return parts(Reading(self, model, examples, features, recipe))

    def answers(self, model: Conditional, batch: Batch, features: Features, recipe: Recipe) -> Tensor:
        """One a token or frame of the target, its end among them."""
        from ostinato.tasks.conditional.diagnosis import answers

        return answers(model, batch)

    # ---- signature --------------------------------------------------------------------------------------------------
    def signature(self, model: Conditional, features: Features, recipe: Recipe) -> Signature:
        """What the decoder makes of each step written so far, for what is given."""
        from ostinato.tasks.decoder_probing import decoder_signature

        return decoder_signature(model.decoder, features, recipe)


SPEC = ConditionalGeneration()
