"""What the certificate compares besides layers: models as a whole; and a model that was saved and loaded."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import TypeAlias

import torch
from torch import Tensor, nn

from ostinato.data.batching import Batch
from ostinato.errors import RecipeError, RunError, ShapeError
from ostinato.nn import Embedding, RecurrentStack
from ostinato.probes.batches import default_dtype, in_dtype
from ostinato.probes.cases import Case, EncoderCase, Loss
from ostinato.tasks.registry import names, task_named
from ostinato.tasks.spec import TaskSpec
from ostinato.training.weights import load_tensors, load_weights, save_tensors, weights_of
from ostinato.types import Ragged
from ostinato.wording import with_article

Rebuild: TypeAlias = Callable[[Path, nn.Module], nn.Module]
"""A fresh model out of what it writes into an empty folder about the one given; the weights are loaded afterwards."""

Answer: TypeAlias = Callable[[nn.Module, Batch], Tensor]
"""The loss of each answer of a model on a batch, row after row."""

WEIGHTS_FILE = "model.safetensors"


class WholeCase(Case):
    """A model of any task on a batch, from its values to the loss of each answer; the sum of them is its loss.

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
    """The case of layers, or of a model whose task says how it is run in every form.

    Raises:
        RecipeError: for another module.
        ShapeError: if there is no step to read, or the inputs are not what the model reads.
    """
    if inputs.max_length == 0:
        raise ShapeError(f"`inputs` must hold at least one step. Received: {inputs.num_rows} empty rows.")
    specs = [] if isinstance(module, RecurrentStack) else [task_named(name) for name in names()]
    found = next(filter(None, (spec.case(module) for spec in specs)), None) if specs else Case
    embedding = module.get_submodule("encoder.embedding") if found and issubclass(found, EncoderCase) else None
    wants_ids = isinstance(embedding, Embedding)
    if wants_ids == inputs.values.is_floating_point():
        raise ShapeError(
            f"`inputs` of a {type(module).__name__} must be {'token ids, (sum L,)' if wants_ids else 'vectors'}. "
            f"Received: {tuple(inputs.values.shape)} in {inputs.values.dtype}."
        )
    if found is None:
        nouns = ", ".join(with_article(spec.noun) for spec in specs if type(spec).case is not TaskSpec.case)
        raise RecipeError(f"`model` must be {nouns} or a RecurrentStack. Received: {type(module).__name__}.")
    return found(module, inputs, dtype, loss, seed)


def reloaded(case: Case, rebuild: Rebuild | None) -> Case:
    """The same rows read by a model that got its weights from a file; without `rebuild`, a copy emptied before.

    Raises:
        RunError: if a weight is not what it was.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / WEIGHTS_FILE
        save_tensors(path, weights_of(case.module))
        fresh = _emptied(case.module) if rebuild is None else rebuild(Path(folder), case.module)
        fresh = fresh.to(case.inputs.device).to(case.dtype)
        load_weights(fresh, load_tensors(path), path)
    after = dict(fresh.named_parameters())
    for name, weight in case.module.named_parameters():
        if not torch.equal(weight, after[name]):
            raise RunError(f"`{name}` is not what was saved.")
    return case.with_module(fresh)


def _emptied(module: nn.Module) -> nn.Module:
    fresh = deepcopy(module)
    with torch.no_grad():
        for weight in fresh.parameters():
            weight.fill_(torch.nan)
    return fresh
