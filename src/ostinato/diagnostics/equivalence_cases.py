"""What the certificate compares: a model at work on rows, in one dtype, on one backend."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable
from copy import deepcopy
from pathlib import Path
from typing import TypeAlias, cast

import torch
from torch import Tensor, nn

from ostinato.data.batching import Batch
from ostinato.diagnostics.answers import default_dtype, in_dtype
from ostinato.errors import RecipeError, RunError, ShapeError
from ostinato.nn import Embedding, RecurrentStack
from ostinato.tasks.classification.model import Classifier
from ostinato.tasks.language_model.model import LanguageModel
from ostinato.training.weights import load_tensors, load_weights, save_tensors, weights_of
from ostinato.types import Ragged, State

Loss: TypeAlias = Callable[[Tensor], Tensor]
Rebuild: TypeAlias = Callable[[Path, nn.Module], nn.Module]
"""A fresh model out of what it writes into an empty folder about the one given; the weights are loaded afterwards."""

Answer: TypeAlias = Callable[[nn.Module, Batch], Tensor]
"""The loss of each answer of a model on a batch, row after row."""

WEIGHTS_FILE = "model.safetensors"


class Case:
    """Layers alone, reading vectors. Everything is computed on a copy in evaluation mode; the original stays as it is.

    Args:
        module: a stack, or a list of them, the lowest first.
        inputs: (sum L, I) vectors.
        dtype: of the copy.
        loss: from the outputs to one number; None: a sum with fixed random weights.
        seed: of those.
        initial: the state that each stack begins in, (D*num_layers, N, H) a tensor; None: zeros.
    """

    per_step = True
    """Whether there is an output for each step, or one a row."""
    reads_ids = False
    """Whether the model can be called on token ids."""
    whole = False
    """Whether it is a model as a whole, on a batch, in place of layers."""

    def __init__(
        self,
        module: nn.Module,
        inputs: Ragged,
        dtype: torch.dtype,
        loss: Loss | None = None,
        seed: int = 0,
        initial: list[State] | None = None,
    ) -> None:
        self.module = deepcopy(module).to(dtype).eval()
        if inputs.values.is_floating_point():
            inputs = inputs.with_values(inputs.values.to(dtype))
        self.initial = initial and [
            tuple(part.detach().to(dtype).clone().requires_grad_() for part in state) for state in initial
        ]
        self.inputs, self.dtype, self.seed, self._loss = inputs, dtype, seed, loss
        self.wants_bf16 = any(stack.precision == "bf16" for stack in self.stacks)
        self.run_on("reference")

    @property
    def stacks(self) -> tuple[RecurrentStack, ...]:
        """The recurrent layers, the lowest first."""
        module = self.module
        return (module,) if isinstance(module, RecurrentStack) else tuple(cast("Iterable[RecurrentStack]", module))

    @property
    def one_way(self) -> bool:
        """Whether every layer reads forward in time only."""
        return not any(stack.bidirectional for stack in self.stacks)

    def run_on(self, backend: str, precision: str = "full") -> None:
        """From now on the layers run on that backend, keep all activations and multiply in that precision."""
        for stack in self.stacks:
            stack.backend, stack.precision, stack.recompute = backend, precision, False

    def with_module(self, module: nn.Module) -> Case:
        """The same rows read by another model."""
        return type(self)(module, self.inputs, self.dtype, self._loss, self.seed, self.initial)

    def vectors(self) -> Ragged:
        """What the lowest layer reads, (sum L, I), anew, with a gradient of its own."""
        return self.inputs.with_values(self.inputs.values.detach().to(self.dtype).clone().requires_grad_())

    def leaves(self, vectors: Ragged) -> dict[str, Tensor]:
        """What a form that reads `vectors` has a gradient by, besides the weights."""
        first = {
            f"first {name} of layer {number}": part
            for number, (stack, state) in enumerate(zip(self.stacks, self.initial or (), strict=False))
            for name, part in zip(stack.cell.state_names, state, strict=True)
        }
        return {"embedded inputs": vectors.values, **first}

    def outputs(self, hidden: Ragged, inputs: Ragged) -> Tensor:
        """What the model makes of the last layer's output: step after step, row after row; or one line a row.

        Args:
            hidden: (sum L, D*H).
            inputs: the rows that it comes from, as `self.inputs` has them.
        """
        return hidden.row_major()

    def read_ids(self) -> tuple[Tensor, list[State] | None]:
        """Outputs, and final states where the model tells them, as training and prediction call it."""
        raise NotImplementedError

    def loss(self, outputs: Tensor) -> Tensor:
        """One number, a sum over rows and steps."""
        if self._loss is not None:
            return self._loss(outputs)
        random = torch.Generator().manual_seed(self.seed)
        weights = torch.randn(outputs.shape, dtype=torch.float64, generator=random)
        return (outputs * weights.to(outputs)).sum()

    def weights(self) -> dict[str, Tensor]:
        """The parameters that are learnt, by name."""
        return {name: weight for name, weight in self.module.named_parameters() if weight.requires_grad}

    def reloaded(self, rebuild: Rebuild | None) -> Case:
        """The same rows read by a model that got its weights from a file; without `rebuild`, a copy emptied before.

        Raises:
            RunError: if a weight is not what it was.
        """
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / WEIGHTS_FILE
            save_tensors(path, weights_of(self.module))
            fresh = _emptied(self.module) if rebuild is None else rebuild(Path(folder), self.module)
            fresh = fresh.to(self.inputs.device).to(self.dtype)
            load_weights(fresh, load_tensors(path), path)
        after = dict(fresh.named_parameters())
        for name, weight in self.module.named_parameters():
            if not torch.equal(weight, after[name]):
                raise RunError(f"`{name}` is not what was saved.")
        return self.with_module(fresh)


class _EncoderCase(Case):
    """A model that embeds token ids, or reads values by another layer."""

    reads_ids = True

    @property
    def stacks(self) -> tuple[RecurrentStack, ...]:
        encoder = cast("Classifier | LanguageModel", self.module).encoder
        return tuple(cast("list[RecurrentStack]", list(encoder.layers)))

    def vectors(self) -> Ragged:
        encoder = cast("Classifier | LanguageModel", self.module).encoder
        embedded: Ragged = encoder.embedding(self.inputs)
        return embedded if embedded.values.requires_grad else embedded.with_values(embedded.values.requires_grad_())


class LanguageModelCase(_EncoderCase):
    """A language model: outputs are the scores of the next token, (sum L, V)."""

    def outputs(self, hidden: Ragged, inputs: Ragged) -> Tensor:
        """(sum L, V), row after row."""
        return cast("LanguageModel", self.module).scores(hidden.row_major())

    def read_ids(self) -> tuple[Tensor, list[State] | None]:
        """The encoder on packed ids, which may project the table in place of each token."""
        hidden, finals = cast("LanguageModel", self.module).encoder(self.inputs)
        return self.outputs(hidden, self.inputs), finals


class ClassifierCase(_EncoderCase):
    """A classifier: outputs are (N, K), n-grams included."""

    per_step = False

    def outputs(self, hidden: Ragged, inputs: Ragged) -> Tensor:
        """(N, K)."""
        model = cast("Classifier", self.module)
        scores = model.scores(hidden, model.encoder.embedding(inputs))
        if model.ngrams is None:
            return scores
        ngrams: Tensor = model.ngrams(inputs)
        return (scores + ngrams) / 2

    def read_ids(self) -> tuple[Tensor, list[State] | None]:
        """The model as `predict` calls it; it keeps its final states to itself."""
        return cast("Tensor", self.module(self.inputs)), None


class WholeCase(Case):
    """A model of any category on a batch, from its values to the loss of each answer; the sum of them is its loss.

    Args:
        module: the model.
        batch: with its targets.
        answer: the loss of each answer.
        dtype: of the copy, and of the batch's numbers.
    """

    whole = True

    def __init__(self, module: nn.Module, batch: Batch, answer: Answer, dtype: torch.dtype) -> None:
        self.batch, self.answer = in_dtype(batch, dtype), answer
        super().__init__(module, self.batch.inputs, dtype)

    @property
    def stacks(self) -> tuple[RecurrentStack, ...]:
        """All recurrent layers of the model."""
        return tuple(module for module in self.module.modules() if isinstance(module, RecurrentStack))

    def with_module(self, module: nn.Module) -> Case:
        """The same batch read by another model."""
        return WholeCase(module, self.batch, self.answer, self.dtype)

    def vectors(self) -> Ragged:
        """The batch's inputs as they are."""
        return self.inputs

    def leaves(self, vectors: Ragged) -> dict[str, Tensor]:
        """None: values may be ids."""
        return {}

    def answers(self, batch: Batch) -> Tensor:
        """The loss of each answer, row after row."""
        with default_dtype(self.dtype):
            return self.answer(self.module, batch)

    def loss(self, outputs: Tensor) -> Tensor:
        """Their sum."""
        return outputs.sum()


def make_case(module: nn.Module, inputs: Ragged, dtype: torch.dtype, loss: Loss | None, seed: int) -> Case:
    """The case of a model of any kind.

    Raises:
        RecipeError: for a module that is no stack, classifier or language model.
        ShapeError: if there is no step to read, or the inputs are not of the model's kind.
    """
    if inputs.max_length == 0:
        raise ShapeError(f"`inputs` must hold at least one step. Received: {inputs.num_rows} empty rows.")
    wants_ids = isinstance(module, Classifier | LanguageModel) and isinstance(module.encoder.embedding, Embedding)
    if wants_ids == inputs.values.is_floating_point():
        raise ShapeError(
            f"`inputs` of a {type(module).__name__} must be {'token ids, (sum L,)' if wants_ids else 'vectors'}. "
            f"Received: {tuple(inputs.values.shape)} in {inputs.values.dtype}."
        )
    if isinstance(module, Classifier):
        return ClassifierCase(module, inputs, dtype, loss, seed)
    if isinstance(module, LanguageModel):
        return LanguageModelCase(module, inputs, dtype, loss, seed)
    if isinstance(module, RecurrentStack):
        return Case(module, inputs, dtype, loss, seed)
    raise RecipeError(
        f"`model` must be a Classifier, a LanguageModel or a RecurrentStack. Received: {type(module).__name__}."
    )


def _emptied(module: nn.Module) -> nn.Module:
    fresh = deepcopy(module)
    with torch.no_grad():
        for weight in fresh.parameters():
            weight.fill_(torch.nan)
    return fresh
