"""A model at work on rows, in one dtype, on one backend: what the certificate compares, and the ways to run it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from copy import deepcopy
from dataclasses import dataclass
from typing import TypeAlias, cast

import torch
from torch import Tensor, nn

from ostinato.layers.encoder import RecurrentEncoder
from ostinato.nn import RecurrentStack
from ostinato.probes.subject import stacks_of
from ostinato.types import Ragged, State

Loss: TypeAlias = Callable[[Tensor], Tensor]
Found: TypeAlias = "tuple[Tensor, list[State] | None]"
"""Outputs, and the final state of each stack, (D*num_layers, N, H) a tensor; None where the form has none."""


@dataclass(frozen=True)
class Form:
    """One way to run a model.

    Args:
        name: what the table calls it.
        run: from a case and what its lowest layer reads to outputs and final states.
        undefined: why it is not defined for a model that also reads backwards; None: it is.
        differentiable: whether it gives gradients.
        embeds: whether it reads the case's vectors, so that they have a gradient.
        bf16: whether products in bfloat16 happen in it, where the layers ask for them.
    """

    name: str
    run: Callable[[Case, Ragged], Found]
    undefined: str | None = None
    differentiable: bool = True
    embeds: bool = True
    bf16: bool = True


BACKWARDS = "a layer reads from the rows' ends, so that no output is there before all of the row is"
"""Why a form that goes step by step is not defined."""


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

    reads_ids = False
    """Whether the model can be called on token ids."""
    whole = False
    """Whether it is a model as a whole, on a batch, in place of layers."""
    own_forms: tuple[Form, ...] = ()
    """Ways to run it that layers alone do not have."""

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
        """What the lowest layer reads, (sum L, I), again, with a gradient of its own."""
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
        """Outputs, and final states where the model returns them, as training and prediction call it."""
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


class EncoderCase(Case):
    """A model that embeds token ids, or reads values by another layer, and has its recurrent layers in `encoder`.
    A task says what reads their output."""

    reads_ids = True

    @property
    def encoder(self) -> RecurrentEncoder:
        """That of the model."""
        return cast("RecurrentEncoder", self.module.encoder)

    @property
    def stacks(self) -> tuple[RecurrentStack, ...]:
        """The recurrent layers, the lowest first."""
        return stacks_of(self.encoder)

    def vectors(self) -> Ragged:
        """What the input layer makes of the rows, (sum L, I), again, with a gradient."""
        embedded: Ragged = self.encoder.embedding(self.inputs)
        return embedded if embedded.values.requires_grad else embedded.with_values(embedded.values.requires_grad_())
