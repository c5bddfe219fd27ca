"""Next-token prediction: a text, or documents one after the other."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from ostinato.errors import RunError
from ostinato.recipe import TextRecipe
from ostinato.tasks.language_model.recipe import LanguageModelRecipe
from ostinato.tasks.spec import Say, Section, TaskSpec

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    import torch
    from torch import nn

    from ostinato.baselines.base import Baseline, BaselineComparison
    from ostinato.data.dataset import Examples, Features, Prepared
    from ostinato.data.inference.sample import DataSample
    from ostinato.metrics.classification import Metrics
    from ostinato.probes.cases import Case
    from ostinato.probes.part import Part
    from ostinato.probes.sample import Sample
    from ostinato.recipe import Recipe
    from ostinato.tasks.adaptation import Adaptation
    from ostinato.tasks.generation import GenerateOptions, Generation, OpenRun
    from ostinato.tasks.language_model.model import LanguageModel
    from ostinato.tasks.plan import Plan, Shape
    from ostinato.tasks.probing import Reading
    from ostinato.tasks.signature import Signature
    from ostinato.tasks.streaming import StreamingModel
    from ostinato.tasks.training import TrainingTask


class LanguageModelling(TaskSpec["LanguageModel"]):
    """p(token | all tokens before it), the state carried throughout. Its examples are documents, one a row; a text is
    a single row."""

    name, noun, row_noun, needs_targets = "language_model", "language model", "documents", False
    recipe = LanguageModelRecipe

    def infers(self, recipe: Recipe, sample: DataSample) -> str | None:
        """Text, and nothing else to predict."""
        alone = recipe.data.target is None and isinstance(recipe.features.input, TextRecipe)
        return "there is no target column" if alone else None

    def plan(self, shape: Shape, recipe: Recipe) -> Plan:
        """N-grams, and a network that builds on them."""
        from ostinato.tasks.language_model.plan import plan

        return plan(shape, recipe)

    def folds(self, prepared: Prepared) -> Iterator[tuple[Examples, Examples]]:
        """The end of the text held out."""
        from ostinato.tasks.folds import fold_of_text

        return fold_of_text(prepared)

    def build(self, recipe: Recipe, features: Features) -> nn.Module:
        """A language model of the vocabulary."""
        import torch

        from ostinato.tasks.language_model.model import LanguageModel

        return LanguageModel(
            LanguageModelRecipe.of(recipe), features.text.vocab_size, torch.from_numpy(features.text.counts)
        )

    def training(self, model: LanguageModel, prepared: Prepared, device: torch.device) -> TrainingTask:
        """Parallel streams, read in windows."""
        from ostinato.tasks.language_model.training import LanguageModelTraining

        return LanguageModelTraining(self, model, prepared, device)

    def solve(self, model: LanguageModel, prepared: Prepared, device: torch.device) -> bool:
        """Count the n-grams."""
        values = prepared.train.sequences.values
        if model.ngrams is not None:
            model.ngrams.fit(values, prepared.features.begins(values))
        return model.ngrams is not None

    def prepare(self, recipe: Recipe, sample: DataSample, say: Say = lambda _: None) -> Prepared:
        """Documents, the last share of which validates."""
        from ostinato.data.prepare import prepare_text

        return prepare_text(recipe, sample, say)

    def load(self, reference: str, features: Features, recipe: Recipe, say: Say = lambda _: None) -> Examples:
        """Another text."""
        from ostinato.data.loading import load_documents

        return load_documents(reference, features, recipe, say)

    def load_inputs(self, reference: str, features: Features, recipe: Recipe, say: Say = lambda _: None) -> Examples:
        """There is nothing to predict."""
        raise self._no_rows(recipe)

    def encode(self, rows: list[Any], features: Features, recipe: Recipe) -> Examples:
        """There is nothing to predict."""
        raise self._no_rows(recipe)

    def _no_rows(self, recipe: Recipe) -> RunError:
        return RunError(
            f"`{recipe.name}` is a language model: it has no target to predict.",
            hint="it writes text: `ostinato generate`",
        )

    def evaluate(
        self, model: LanguageModel, examples: Examples, features: Features, recipe: Recipe, device: torch.device
    ) -> Metrics:
        """Read in one stream."""
        from ostinato.tasks.language_model.evaluation import evaluate_stream

        values = examples.sequences.values
        if len(values) < 2:
            raise RunError(f"there are {len(values)} tokens to score; a language model needs at least 2.")
        return evaluate_stream(model, values, features, device, recipe.training.bptt)

    def monitor(
        self, model: LanguageModel, examples: Examples, features: Features, recipe: Recipe, device: torch.device
    ) -> Metrics:
        """Read in up to 32 streams."""
        from ostinato.tasks.language_model.evaluation import MONITOR_STREAMS, evaluate_stream

        values, bptt = examples.sequences.values, recipe.training.bptt
        return evaluate_stream(model, values, features, device, bptt, MONITOR_STREAMS)

    def final_metrics(
        self, model: LanguageModel, examples: Examples, features: Features, recipe: Recipe, device: torch.device
    ) -> Metrics:
        """Those of `evaluate`."""
        return self.evaluate(model, examples, features, recipe, device)

    def adapting(self, model: LanguageModel, how: Adaptation) -> LanguageModel:
        """Dynamic evaluation, and a continuous cache."""
        from ostinato.tasks.language_model.adaptive import adapting

        return adapting(model, how)

    def loss_unit(self, recipe: Recipe) -> tuple[float, str]:
        """Bits a token."""
        return 1 / math.log(2), f"bits per {(recipe.features.text.unit or 'characters').removesuffix('s')}"

    def report(
        self, model: LanguageModel, prepared: Prepared, device: torch.device, known: Metrics | None = None
    ) -> Section:
        """Bits, samples, and a passage with what was expected."""
        from ostinato.tasks.language_model.report import language_results

        found = language_results(model, prepared, device, known)
        return {**found, "template": "language.html.jinja"}

    def parts(self, model: LanguageModel, recipe: Recipe, features: Features) -> list[tuple[str, str, str]]:
        """Bridge and output."""
        own = LanguageModelRecipe.of(recipe)
        bridged = own.tie_embeddings and own.embedding_dim != getattr(model.encoder, "output_size", 0)
        rows = [("bridge", f"to {own.embedding_dim:,}, so that weights can be tied", "bridge")] if bridged else []
        tied = ", weights tied to the embedding's" if own.tie_embeddings else ""
        how = "probabilities mixed in by a gate" if own.ngram_combination == "mixture" else "log-probabilities added"
        if own.ngrams:
            rows += [("n-grams", f"up to {own.ngrams} tokens, {how}", "ngrams"), ("gate", "of the n-grams", "gate")]
        return [*rows, ("output", f"{features.text.vocab_size:,} tokens{tied}", "output")]

    def generate(self, run: OpenRun, options: GenerateOptions) -> Generation:
        """Text after a prompt, piece by piece; mistakes are raised at once."""
        from ostinato.tasks.generation import USUAL_LENGTH, Generation
        from ostinato.tasks.intervening import changing
        from ostinato.tasks.language_model.adaptive import learn_from
        from ostinato.tasks.language_model.sampling import decode_chunks, encode_prompt, generate_chunks
        from ostinato.tasks.language_model.streaming import changed_chunks

        options.refuse(self.noun, "condition", "num")
        bptt, prompt = run.recipe.training.bptt, encode_prompt(run.features, options.prompt)
        if options.dynamic:
            learn_from(run, prompt)
        if changing(options.intervene):
            tokens = changed_chunks(run, prompt, options)
        else:
            tokens = generate_chunks(
                run.model,
                prompt,
                max_new_tokens=USUAL_LENGTH if options.max_new_tokens is None else options.max_new_tokens,
                temperature=options.temperature,
                top_k=options.top_k,
                top_p=options.top_p,
                seed=options.seed,
                precision=options.precision,
                state_reset_interval=bptt.state_reset_interval if bptt else None,
            )
        pieces = decode_chunks(run.features, tokens, begun=bool(options.prompt))
        return Generation(pieces=pieces, prompt=options.prompt)

    def comparison(self, recipe: Recipe) -> type[BaselineComparison]:
        """Bits a token."""
        from ostinato.tasks.language_model.baselines import TextComparison

        return TextComparison

    def baselines(self, recipe: Recipe) -> list[type[Baseline]]:
        """Counts."""
        from ostinato.tasks.language_model.baselines import Frequencies, KneserNey

        return [Frequencies, KneserNey]

    # ---- diagnosis --------------------------------------------------------------------------------------------------
    def probes(self, reading: Reading, num_steps: int | None = None) -> list[Part]:
        """Its layers, and how much of its past it leaves unused."""
        from ostinato.tasks.language_model.diagnosis import parts

        return parts(reading, num_steps)

    def case(self, model: LanguageModel) -> type[Case] | None:
        """Of tokens and of their stream."""
        from ostinato.tasks.language_model.diagnosis import LanguageModelCase
        from ostinato.tasks.language_model.model import LanguageModel

        return LanguageModelCase if isinstance(model, LanguageModel) else None

    def sample(
        self, model: LanguageModel, examples: Examples, features: Features, num_rows: int, random: np.random.Generator
    ) -> Sample | None:
        """Rows out of the text."""
        from ostinato.tasks.language_model.diagnosis import sample

        return sample(examples, features, num_rows, random)

    # ---- streaming --------------------------------------------------------------------------------------------------
    def streaming(self, model: LanguageModel, features: Features, recipe: Recipe) -> StreamingModel:
        """Token by token."""
        from ostinato.tasks.language_model.streaming import LanguageModelStreaming

        return LanguageModelStreaming(model, features, recipe)

    # ---- signature --------------------------------------------------------------------------------------------------
    def signature(self, model: LanguageModel, features: Features, recipe: Recipe) -> Signature:
        """The scores of the token that follows each."""
        from ostinato.tasks.signature import (
            BATCH,
            TIME,
            Signature,
            TensorSpec,
            float_name,
            input_specs,
            ngram_specs,
            state_specs,
        )

        scores = TensorSpec("scores", float_name(model), (BATCH, TIME, model.output.out_features))
        states = [*state_specs("encoder", model.encoder), *ngram_specs(model)]
        return Signature(input_specs(features, recipe), (scores,), tuple(states))


SPEC = LanguageModelling()
