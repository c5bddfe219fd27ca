"""Input layer and recurrent stack with their dropouts: the encoder that all models share."""

from __future__ import annotations

from typing import Protocol, TypeVar, cast

import torch
from torch import Tensor, nn

from ostinato.errors import RecipeError
from ostinato.layers.inputs import width_of
from ostinato.nn import (
    Embedding,
    LockedDropout,
    RecurrentStack,
    WordDropout,
    build,
    chrono,
    forget_bias,
    recurrent_init,
)
from ostinato.nn.opening import hx_of, state_of
from ostinato.recipe import ModelRecipe
from ostinato.types import Ragged, State

IdsT = TypeVar("IdsT", Tensor, Ragged)
VectorsT = TypeVar("VectorsT", Tensor, Ragged)


class RecurrentEncoder(nn.Module):
    """Ids, or values of another form, to the hidden states of the last layer.

    embedding → word dropout → locked input dropout → [recurrent layer → locked hidden dropout] × num_layers; dropout of
    the state and its weights and zoneout act within the layers.

    Args:
        recipe: sizes, cell and dropouts.
        vocab_size: V.
        counts: (V,), how often training data held each token; needed to normalise embeddings.
        inputs: the layer that reads the values, if they are no ids of a vocabulary (`layers.inputs`).

    Shapes: ids (L, N) in a tensor or (sum L,) in a Ragged; output (L, N, D*H) or a Ragged of (sum L, D*H).
    """

    def __init__(
        self,
        recipe: ModelRecipe,
        *,
        inputs: nn.Module,
    ) -> None:
        super().__init__()
        self.embedding = inputs
        self.word_dropout = WordDropout(recipe.word_dropout)
        self.input_dropout = LockedDropout(recipe.input_dropout, batch_first=False)
        self.hidden_dropout = LockedDropout(recipe.hidden_dropout, batch_first=False)
        layers: list[RecurrentStack] = []
        for _ in range(recipe.num_layers):
            layers.append(
                build(
                    recipe.cell,
                    layers[-1].output_size if layers else width_of(self.embedding),
                    recipe.hidden_size,
                    bidirectional=recipe.bidirectional,
                    proj_size=recipe.proj_size,
                    backend=recipe.backend,
                    recurrent_dropout=recipe.recurrent_dropout,
                    weight_dropout=recipe.weight_dropout,
                    zoneout=_zoneout(recipe),
                    precision=recipe.precision,
                    recompute=recipe.recompute,
                )
            )
        self.layers = nn.ModuleList(layers)
        self.output_size = layers[-1].output_size
        for layer in layers:
            initialise(layer, recipe)

    def forward(self, ids: IdsT, states: list[State] | None = None) -> tuple[IdsT, list[State]]:
        """The output of the last layer, and the final state of each layer, (D, N, H) a tensor.

        Args:
            ids: tokens, a tensor (L, N) or a Ragged.
            states: the initial state of each layer, as returned; none: zeros.
        """
        if not isinstance(self.embedding, Embedding) or (
            self.training and (self.word_dropout.p or self.input_dropout.p)
        ):
            return self.run(self.embedding(ids), states)
        return self._run_layers(ids, states, self.embedding.table())

    @property
    def token_embedding(self) -> Embedding:
        """The input layer, which must embed ids. Raises `RecipeError` where it reads values of another form."""
        if not isinstance(self.embedding, Embedding):
            raise RecipeError(f"this needs an embedding of tokens. Received: {type(self.embedding).__name__}.")
        return self.embedding

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.layers.parameters()).device

    def zero_states(self, num_rows: int) -> list[State]:
        """The state of each layer before the first step."""
        like = next(self.layers.parameters())
        stacks = cast("list[RecurrentStack]", list(self.layers))
        return [
            tuple(
                like.new_zeros(stack.num_directions * stack.num_layers, num_rows, size)
                for size in stack.cell.state_sizes(stack.hidden_size, stack.proj_size)
            )
            for stack in stacks
        ]

    def run(self, vectors: VectorsT, states: list[State] | None = None) -> tuple[VectorsT, list[State]]:
        """As `forward`, from the embedded tokens on."""
        return self._run_layers(self.input_dropout(self.word_dropout(vectors)), states)

    def _run_layers(
        self, hidden: IdsT, states: list[State] | None, table: Tensor | None = None
    ) -> tuple[IdsT, list[State]]:
        """All layers; with a table the first one reads ids."""
        final: list[State] = []
        for number, layer in enumerate(cast("list[RecurrentStack]", list(self.layers))):
            state = None if states is None else states[number]
            hx = None if state is None else hx_of(state)
            hidden, after = (
                layer.forward_tokens(hidden, table, hx) if number == 0 and table is not None else layer(hidden, hx)
            )
            final.append(state_of(after))
            hidden = self.hidden_dropout(hidden)
        return hidden, final


def _zoneout(recipe: ModelRecipe) -> float | tuple[float, ...]:
    """None given: 0; one: for every tensor of the state; more: one each."""
    given = recipe.zoneout or (0.0,)
    return given[0] if len(given) == 1 else given


class InitialWeights(Protocol):
    """What is asked for beyond a cell's own initial weights."""

    @property
    def recurrent_init(self) -> str: ...
    @property
    def forget_bias(self) -> float | None: ...
    @property
    def chrono(self) -> int | None: ...


def initialise(layer: RecurrentStack, recipe: InitialWeights) -> None:
    """Apply a recipe's initial weights; by default the cell's own stay bit for bit."""
    recurrent_init(layer, recipe.recurrent_init)
    if recipe.forget_bias is not None:
        forget_bias(layer, recipe.forget_bias)
    if recipe.chrono is not None:
        chrono(layer, recipe.chrono)
