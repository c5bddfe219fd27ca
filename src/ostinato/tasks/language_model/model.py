"""Next-token prediction over one long sequence, with state carried from window to window."""

from __future__ import annotations

from typing import TypeVar

import torch
from torch import Tensor, nn

from ostinato.heads.classes import Softmax
from ostinato.layers.encoder import RecurrentEncoder
from ostinato.layers.inputs import embed_ids
from ostinato.nn import recompute_through_time
from ostinato.tasks.language_model.recipe import LanguageModelRecipe
from ostinato.types import Ragged, State

IdsT = TypeVar("IdsT", Tensor, Ragged)


class LanguageModel(nn.Module):
    """embedding → recurrent stack → output over the vocabulary.

    With `tie_embeddings` the output weight is the embedding (Press & Wolf 2017, arXiv:1608.05859); where the stack's
    output and the embedding differ in size, a linear layer without bias is put between.

    Args:
        recipe: the model's part of a recipe.
        vocab_size: V.
        counts: (V,), how often training data held each token; needed for `normalize_embeddings`.

    Example:
        >>> model = LanguageModel(LanguageModelRecipe(hidden_size=8), vocab_size=50)
        >>> logits, states = model(torch.zeros(7, 2, dtype=torch.long))
        >>> logits.shape
        torch.Size([7, 2, 50])
    """

    def __init__(self, recipe: LanguageModelRecipe, vocab_size: int, counts: Tensor | None = None) -> None:
        super().__init__()
        # `nll` recomputes layers and head together; layers that did so by themselves would run once more
        self.encoder = RecurrentEncoder(
            recipe.model_copy(update={"recompute": False}), inputs=embed_ids(vocab_size, recipe, counts)
        )
        self.dropout = nn.Dropout(recipe.head_dropout)
        size = self.encoder.output_size
        self.tied, self.recompute = recipe.tie_embeddings, recipe.recompute
        self.bridge = (
            nn.Linear(size, recipe.embedding_dim, bias=False)
            if self.tied and size != recipe.embedding_dim
            else nn.Identity()
        )
        self.output = nn.Linear(recipe.embedding_dim if self.tied else size, vocab_size)
        self.head = Softmax()
        if self.tied:
            self.output.weight = self.encoder.token_embedding.weight

    def forward(self, ids: Tensor, states: list[State] | None = None) -> tuple[Tensor, list[State]]:
        """Logits (L, N, V) of the token that follows each of `ids` (L, N), and the final state of each layer."""
        hidden, final = self.encoder(ids, states)
        return self.scores(hidden), final

    def scores(self, hidden: Tensor) -> Tensor:
        """The head: the output of the last layer, (..., D*H), to logits (..., V)."""
        logits: Tensor = self.output(self.dropout(self.bridge(hidden)))
        return logits

    def projection(self) -> tuple[Tensor, Tensor]:
        """One linear map from the stack's output to the scores: weight (V, P) and bias (V,)."""
        weight = self.output.weight
        return (weight @ self.bridge.weight if isinstance(self.bridge, nn.Linear) else weight), self.output.bias

    def nll(self, ids: IdsT, targets: IdsT, states: list[State] | None = None) -> tuple[Tensor, list[State]]:
        """Sum of -ln p(target) over a window, (L, N) or rows of unequal length, and the final states.

        With `recompute` a tensor's loss is summed up in stretches of sqrt(L) steps, whose activations are computed
        again in the backward pass; each stretch then draws its own dropout masks. Of a Ragged, what cuts the window
        up does so (`ostinato.bptt.truncated`).
        """
        if self.recompute and torch.is_grad_enabled() and isinstance(ids, Tensor):
            begin = self.encoder.zero_states(ids.shape[1]) if states is None else states
            return recompute_through_time(
                lambda parts, before: self._nll(parts[0], parts[1], before), begin, [ids, targets]
            )
        return self._nll(ids, targets, states)

    def _nll(self, ids: IdsT, targets: IdsT, states: list[State] | None) -> tuple[Tensor, list[State]]:
        hidden, final = self.encoder(ids, states)
        hidden, wanted = (each.values if isinstance(each, Ragged) else each.flatten(0, 1) for each in (hidden, targets))
        return self.head.loss(self.scores(hidden), wanted, reduction="sum"), final
