"""Next-token prediction over one long sequence, with state carried from window to window."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import torch
from torch import Tensor, nn

from ostinato.heads.classes import Softmax
from ostinato.layers.encoder import RecurrentEncoder
from ostinato.layers.inputs import embed_ids
from ostinato.layers.ngrams import OnNgrams
from ostinato.nn import recompute_through_time
from ostinato.tasks.language_model.recipe import LanguageModelRecipe
from ostinato.types import Ragged, State

if TYPE_CHECKING:
    from ostinato.tasks.language_model.adaptive import DynamicEvaluation, NeuralCache

IdsT = TypeVar("IdsT", Tensor, Ragged)


class LanguageModel(OnNgrams):
    """embedding → recurrent stack → output over the vocabulary.

    With `ngrams` the network builds on what counting knows (`layers.ngrams.OnNgrams`). The tokens that this depends on
    are a part of the state.

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

    cache: NeuralCache | None = None
    dynamic: DynamicEvaluation | None = None
    """What it adapts by while it reads in one stream (`adaptive.adapting`)."""

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
        self._build_on_ngrams(recipe, self.output, tied=self.tied)

    def zero_states(self, num_rows: int) -> list[State]:
        """The state of each layer and, with `ngrams`, the last tokens, before the first token."""
        states = self.encoder.zero_states(num_rows)
        return states if self.ngrams is None else [*states, (self.ngrams.zero_state(num_rows),)]

    def forward(self, ids: Tensor, states: list[State] | None = None) -> tuple[Tensor, list[State]]:
        """Logits (L, N, V) of the token that follows each of `ids` (L, N), and the final states."""
        hidden, final, known = self._run(ids, states, None)
        return self.scores(hidden, None if known is None else known.view(*ids.shape, -1)), final

    def scores(self, hidden: Tensor, known: Tensor | None = None) -> Tensor:
        """The head: the output of the last layer, (..., D*H), to logits (..., V).

        Args:
            hidden: (..., D*H).
            known: (..., V), ln q of the n-grams; for a model with `ngrams`.
        """
        read = self.dropout(self.bridge(hidden))
        return self._combined(read, self.output(read), known)

    def projection(self) -> tuple[Tensor, Tensor]:
        """One linear map from the stack's output to the scores z: weight (V, P) and bias (V,)."""
        weight = self.output.weight
        return (weight @ self.bridge.weight if isinstance(self.bridge, nn.Linear) else weight), self.output.bias

    def nll(self, ids: IdsT, targets: IdsT, states: list[State] | None = None) -> tuple[Tensor, list[State]]:
        """Sum of -ln p(target) over a window, (L, N) or rows of unequal length, and the final states.

        With `recompute` a tensor's loss is summed up in stretches of sqrt(L) steps, whose activations are computed
        again in the backward pass; each stretch then draws its own dropout masks. Of a Ragged, what cuts the window
        up does so (`ostinato.bptt.truncated`).
        """
        if self.recompute and torch.is_grad_enabled() and isinstance(ids, Tensor):
            begin = self.zero_states(ids.shape[1]) if states is None else states
            return recompute_through_time(
                lambda parts, before: self._nll(parts[0], parts[1], before), begin, [ids, targets]
            )
        return self._nll(ids, targets, states)

    def _nll(self, ids: IdsT, targets: IdsT, states: list[State] | None) -> tuple[Tensor, list[State]]:
        wanted = targets.values if isinstance(targets, Ragged) else targets.flatten(0, 1)
        hidden, final, known = self._run(ids, states, wanted if self.training else None)
        read = hidden.values if isinstance(hidden, Ragged) else hidden.flatten(0, 1)
        scores = self.scores(read, known)
        if self.cache is not None and isinstance(ids, Ragged) and isinstance(targets, Ragged):
            in_order = [ids.with_values(part).row_major() for part in (scores, read, ids.values)]
            scores, wanted = self.cache.mix(*in_order), targets.row_major()
        return self.head.loss(scores, wanted, reduction="sum"), final

    def _run(
        self, ids: IdsT, states: list[State] | None, left_out: Tensor | None
    ) -> tuple[IdsT, list[State], Tensor | None]:
        """The last layer's output, the final states, and ln q (sum L, V)."""
        if self.ngrams is None:
            return *self.encoder(ids, states), None
        rows = ids.num_rows if isinstance(ids, Ragged) else ids.shape[1]
        *layers, (history,) = self.zero_states(rows) if states is None else states
        final: list[State]
        hidden, final = self.encoder(ids, layers)
        with torch.no_grad():
            nodes, history = self.ngrams.contexts_of(ids, history)
            known = self.ngrams(nodes, left_out)
        return hidden, [*final, (history,)], known
