"""The decoder: a recurrent stack that writes a sequence, token by token, from a first state and perhaps a memory."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeVar, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ostinato.errors import RecipeError
from ostinato.models.encoder import RecurrentEncoder
from ostinato.models.forcing import mixed, shifted
from ostinato.models.inputs import embed_ids
from ostinato.nn import Embedding
from ostinato.nn.attention import Attention, Memory, pack_like
from ostinato.recipe import ModelRecipe
from ostinato.recipe.model import DecoderRecipe
from ostinato.types import Ragged, State

NEVER_WRITTEN = 2
"""`<pad>` and `<unk>`."""
_USUAL_BEAM = DecoderRecipe().beam_size
TensorT = TypeVar("TensorT", Tensor, Ragged)


@dataclass(frozen=True)
class Writing:
    """Where a decoder stands in R sequences that it writes at once: what `Decoder.begin` returns and `step` takes.

    layers: the state of each layer, (1, R, H) a tensor; memory: of N rows, where R = N * beams and the beams of a row
    stand side by side; fed: (R, F), what every step reads beside the last token; fed_back: (R, C), what attention made
    of the step before (`input_feeding`); weights: (R, S), where the last step looked.
    """

    layers: list[State]
    memory: Memory | None = None
    fed: Tensor | None = None
    fed_back: Tensor | None = None
    weights: Tensor | None = None

    @property
    def num_rows(self) -> int:
        """R."""
        return int(self.layers[0][0].shape[1])

    def select(self, rows: Tensor) -> Writing:
        """The sequences `rows`, which must come from the same rows of the memory, as beams of one row do."""
        layers = [tuple(part.index_select(1, rows) for part in state) for state in self.layers]
        fed, fed_back, weights = (
            None if part is None else part.index_select(0, rows) for part in (self.fed, self.fed_back, self.weights)
        )
        return Writing(layers, self.memory, fed, fed_back, weights)

    def spread(self, num_beams: int) -> Writing:
        """Each sequence as `num_beams` beams, side by side, over the same memory."""
        device = self.layers[0][0].device
        return self.select(torch.arange(self.num_rows, device=device).repeat_interleave(num_beams))


class Decoder(nn.Module):
    """``p(y_t | y_<t, x)`` from a first state, and, each if there is one, a memory to attend to and a vector fed in.

    h_t = cell([e(y_{t-1}); fed], h_{t-1}), with y_0 = <end>; without a memory the scores are W h_t + b. With one, after
    Luong, Pham, Manning 2015 (arXiv:1508.04025, eq. 5): c_t = attention(h_t), r_t = tanh(W_r [h_t; c_t]), scores
    W r_t + b. Attention stands behind the recurrence, so that a whole target is one call of the recurrent layers.

    With `input_feeding` each step also reads what attention made of the one before, and training is a loop over steps:
    luong: r_{t-1} (section 3.3 there); bahdanau: c_t of the query h_{t-1}, which then is that of the scores, too
    (Bahdanau, Cho, Bengio 2015, arXiv:1409.0473, section A.2.2, with one tanh layer in place of maxout). There, locked
    dropout draws anew at each step.

    Scheduled sampling (Bengio et al. 2015, arXiv:1506.03099): some inputs are the model's own likeliest tokens. It is
    the parallel form in two passes (Mihaylova, Martins 2019, arXiv:1906.07651): the first, without gradients, reads the
    true tokens; the second reads a mix of them and of what the first would have written there.

    Args:
        recipe: the model's part of a recipe; sizes come from `recipe.decoder` where it has its own.
        vocab_size: V; ids are 0 to V - 1, of which `END_ID` opens and closes every sequence.
        counts: (V,), how often training data held each token; needed for `normalize_embeddings`.
        memory_size: M, features of a step of the memory; 0: there is none, whatever `attention` says.
        fed_size: F, features of a vector that each step reads beside the last token; 0: none.

    Raises:
        RecipeError: for sizes that don't fit, and for a beam that is wider than the vocabulary.

    Example:
        >>> decoder = Decoder(ModelRecipe(hidden_size=8), vocab_size=10)
        >>> targets = Ragged.from_rows(torch.tensor([4, 7, 7]), starts=[0, 1], lengths=[1, 2])
        >>> decoder.loss(targets, decoder.zero_states(2)).shape
        torch.Size([])
        >>> scores, writing = decoder.step(torch.full((2,), 2), decoder.begin(decoder.zero_states(2)))
        >>> scores.shape
        torch.Size([2, 10])
    """

    def __init__(
        self,
        recipe: ModelRecipe,
        vocab_size: int,
        *,
        counts: Tensor | None = None,
        memory_size: int = 0,
        fed_size: int = 0,
    ) -> None:
        super().__init__()
        options = recipe.decoder
        widest = vocab_size - NEVER_WRITTEN
        if options.beam_size > max(widest, _USUAL_BEAM):
            raise RecipeError(
                f"`model.decoder.beam_size` must be at most {widest}, the tokens that can be written: a beam wider "
                f"than the vocabulary holds nothing more. Received: {options.beam_size}."
            )
        own = recipe.model_copy(
            update={
                "bidirectional": False,
                "num_layers": options.num_layers or recipe.num_layers,
                "hidden_size": options.hidden_size or recipe.hidden_size,
                "embedding_dim": options.embedding_dim or recipe.embedding_dim,
            }
        )
        self.recipe, self.vocab_size, self.fed_size = own, vocab_size, fed_size
        self.beam_size = min(options.beam_size, widest)  # narrower only where nothing but the default is asked for
        self.query_size = own.proj_size or own.hidden_size  # what the last layer gives out
        attends = options.attention != "none" and memory_size > 0
        read_size = own.embedding_dim if recipe.tie_embeddings else self.query_size
        self.additive = options.attention == "bahdanau"
        self.feeds_back = options.input_feeding and attends
        fed_back = (memory_size if self.additive else read_size) if self.feeds_back else 0
        if fed_size + fed_back:
            beside = _Beside(embed_ids(vocab_size, own, counts), fed_size + fed_back)
            self.stack = RecurrentEncoder(own, inputs=beside)
        else:
            self.stack = RecurrentEncoder(own, vocab_size, counts)
        self._fed_back_size = fed_back
        self.attention: Attention | None = None
        self.read: nn.Module = nn.Identity()
        if attends:
            score = "additive" if self.additive else options.score
            size = options.attention_size or own.hidden_size
            self.attention = Attention(score, self.query_size, memory_size, size)
            self.read = nn.Sequential(nn.Linear(self.query_size + memory_size, read_size), nn.Tanh())
        elif read_size != self.query_size:
            self.read = nn.Linear(self.query_size, read_size, bias=False)
        self.dropout = nn.Dropout(recipe.head_dropout)
        self.output = nn.Linear(read_size, vocab_size)
        if recipe.tie_embeddings:
            self.output.weight = self.embedding.weight

    @property
    def embedding(self) -> Embedding:
        """The vectors of the tokens it reads."""
        inputs = self.stack.embedding
        return inputs.tokens if isinstance(inputs, _Beside) else cast("Embedding", inputs)

    def zero_states(self, num_rows: int) -> list[State]:
        """A first state of zeros: of each layer a tuple of (1, N, H), as `RecurrentEncoder.zero_states`."""
        return self.stack.zero_states(num_rows)

    def loss(
        self,
        targets: Ragged,
        states: list[State],
        memory: Ragged | None = None,
        fed: Tensor | None = None,
        *,
        label_smoothing: float = 0.0,
        own_share: float = 0.0,
    ) -> Tensor:
        """Mean nats a token, the closing `<end>` counted, with the true tokens as inputs (teacher forcing).

        Args:
            targets: (sum T,) ids without `<end>`.
            states: the first state of each layer, (1, N, H) a tensor, in the original order of the rows.
            memory: (sum S, M), what is attended to.
            fed: (N, F), what every step reads.
            label_smoothing: share of the truth spread over all tokens.
            own_share: share of inputs that are the model's own likeliest tokens (`sampled_share`).
        """
        inputs, wanted = shifted(targets)
        laid = self.remember(memory)
        if own_share > 0:
            with torch.no_grad():
                guesses = self.scores(inputs, states, laid, fed)[0].values.argmax(dim=1)
            inputs = mixed(inputs, guesses, own_share)
        scores = self.scores(inputs, states, laid, fed)[0]
        return F.cross_entropy(scores.values, wanted.values, label_smoothing=label_smoothing)

    def nats(
        self, targets: Ragged, states: list[State], memory: Ragged | None = None, fed: Tensor | None = None
    ) -> Ragged:
        """-ln p of each token and of the closing `<end>`, (sum (T + 1),)."""
        inputs, wanted = shifted(targets)
        scores = self.scores(inputs, states, self.remember(memory), fed)[0]
        return scores.with_values(F.cross_entropy(scores.values, wanted.values, reduction="none"))

    def remember(self, memory: Ragged | None) -> Memory | None:
        """A memory laid out for all steps; none where nothing attends to it."""
        return None if memory is None or self.attention is None else self.attention.remember(memory)

    def scores(
        self, inputs: Ragged, states: list[State], memory: Memory | None, fed: Tensor | None = None
    ) -> tuple[Ragged, Tensor | None]:
        """Logits (sum T, V) of the token after each input, and where each step looked, (N, T, S)."""
        if self.feeds_back and memory is not None:
            return self._scores_step_by_step(inputs, states, memory, fed)
        hidden = self._run(inputs, states, fed)
        weights = None
        if self.attention is not None and memory is not None:
            context, weights = self.attention(hidden.to_padded()[0], memory)
            hidden = hidden.with_values(torch.cat([hidden.values, pack_like(context, hidden).values], dim=1))
        return hidden.with_values(self._head(self.read(hidden.values))), weights

    def begin(self, states: list[State], memory: Ragged | None = None, fed: Tensor | None = None) -> Writing:
        """Before the first token; arguments as of `loss`. The first token to give to `step` is `END_ID`."""
        zeros = states[0][0].new_zeros(states[0][0].shape[1], self._fed_back_size) if self.feeds_back else None
        return Writing(states, self.remember(memory), fed, zeros)

    def step(self, ids: Tensor, writing: Writing) -> tuple[Tensor, Writing]:
        """The last token of each sequence, (R,), to logits (R, V) of the next, and where it stands then."""
        ids = ids.to(writing.layers[0][0].device)
        memory, context, weights = writing.memory, None, None
        fed_back = writing.fed_back
        if self.feeds_back and self.additive and memory is not None:
            context, weights = self._attend(writing.layers[-1][0][0], memory)
            fed_back = context
        beside = [part for part in (writing.fed, fed_back) if part is not None]
        if beside:
            vectors = torch.cat([self.embedding(ids), *beside], dim=1)
            hidden, layers = self.stack.run(vectors.unsqueeze(0), writing.layers)
        else:
            hidden, layers = self.stack(ids.unsqueeze(0), writing.layers)
        hidden = hidden.squeeze(0)
        if self.attention is not None and memory is not None:
            if context is None or weights is None:
                context, weights = self._attend(hidden, memory)
            hidden = torch.cat([hidden, context], dim=1)
        read = self.read(hidden)
        if self.feeds_back:
            fed_back = context if self.additive else read
        return self._head(read), replace(writing, layers=layers, fed_back=fed_back, weights=weights)

    def answers(self, hidden: Tensor, memory: Memory | None, context: Tensor | None = None) -> Tensor:
        """Logits (R, V) of single steps from the last layer's output there, (R, Q); `context`, (R, M): what attention
        made of the memory, where that is known."""
        if self.attention is not None and memory is not None:
            context = self._attend(hidden, memory)[0] if context is None else context
            hidden = torch.cat([hidden, context], dim=1)
        return self._head(self.read(hidden))

    def _attend(self, queries: Tensor, memory: Memory) -> tuple[Tensor, Tensor]:
        """Queries (R, Q), R = N * beams, to context (R, M) and weights (R, S)."""
        attention = cast("Attention", self.attention)
        num_rows = memory.mask.shape[0]
        context, weights = attention(queries.view(num_rows, -1, queries.shape[1]), memory)
        return context.flatten(0, 1), weights.flatten(0, 1)

    def _head(self, read: Tensor) -> Tensor:
        logits: Tensor = self.output(self.dropout(read))
        return logits

    def _run(self, inputs: Ragged, states: list[State], fed: Tensor | None) -> Ragged:
        """The last layer's output for whole targets, in one call of each layer."""
        if fed is None:
            return cast("Ragged", self.stack(inputs, states)[0])
        vectors = self.embedding(inputs)
        rows = inputs.sorted_indices[inputs.rows_index()]
        joined = torch.cat([vectors.values, fed.index_select(0, rows)], dim=1)
        return self.stack.run(inputs.with_values(joined), states)[0]

    def _scores_step_by_step(
        self, inputs: Ragged, states: list[State], memory: Memory, fed: Tensor | None
    ) -> tuple[Ragged, Tensor]:
        """As `scores`, each step reading what attention made of the one before; rows that ended are left out."""
        order = inputs.sorted_indices
        writing = self.begin([tuple(part.index_select(1, order) for part in state) for state in states], None, fed)
        memory = memory.select(order)
        writing = replace(writing, fed=None if fed is None else fed.index_select(0, order))
        scores: list[Tensor] = []
        looked = memory.values.new_zeros(len(order), inputs.max_length, memory.mask.shape[1])
        start = 0
        for time, alive in enumerate(inputs.batch_sizes.tolist()):
            rows = torch.arange(alive, device=order.device)
            if alive < writing.num_rows:
                writing = writing.select(rows)
            writing = replace(writing, memory=memory.select(rows))
            logits, writing = self.step(inputs.values[start : start + alive], writing)
            scores.append(logits)
            looked[:alive, time] = cast("Tensor", writing.weights).detach()
            start += alive
        return inputs.with_values(torch.cat(scores)), looked.index_select(0, inputs.unsorted_indices)


class _Beside(nn.Module):
    """Tokens embedded, as an input layer whose vectors get others beside them."""

    def __init__(self, tokens: Embedding, beside: int) -> None:
        super().__init__()
        self.tokens, self.embedding_dim = tokens, tokens.embedding_dim + beside

    def forward(self, ids: TensorT) -> TensorT:
        """The tokens' vectors alone; the decoder lays the others beside."""
        return self.tokens(ids)  # type: ignore[no-any-return]
