"""The decoder of sequences, from an initial state and optionally a memory; what its steps are, subclasses say."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeVar, cast

import torch
from torch import Tensor, nn

from ostinato.heads.base import OutputHead
from ostinato.layers.beam_search import beams_of
from ostinato.layers.encoder import RecurrentEncoder
from ostinato.layers.inputs import width_of
from ostinato.layers.teacher_forcing import mixed
from ostinato.nn.attention import Attention, Memory, pack_like
from ostinato.recipe.model import WriterRecipe
from ostinato.recipe.parts import AttentionDecoderRecipe
from ostinato.types import Ragged, State

TensorT = TypeVar("TensorT", Tensor, Ragged)


@dataclass(frozen=True)
class Writing:
    """The state of a decoder in R sequences written at once: what `Decoder.begin` returns and `step` takes.

    layers: the state of each layer, (1, R, H) a tensor; memory: of N rows, where R = N * beams and the beams of a row
    stand side by side; fed: (R, F), what every step reads with the last one written; fed_back: (R, C), what attention
    made of the step before (`input_feeding`); weights: (R, S), where the last step looked; history: (1, R, N - 1), the
    last tokens, of a decoder that builds on n-grams.
    """

    layers: list[State]
    memory: Memory | None = None
    fed: Tensor | None = None
    fed_back: Tensor | None = None
    weights: Tensor | None = None
    history: Tensor | None = None

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
        history = None if self.history is None else self.history.index_select(1, rows)
        return Writing(layers, self.memory, fed, fed_back, weights, history)

    def spread(self, num_beams: int) -> Writing:
        """Each sequence as `num_beams` beams, side by side, over the same memory."""
        device = self.layers[0][0].device
        return self.select(torch.arange(self.num_rows, device=device).repeat_interleave(num_beams))

    def only(self, rows: Tensor, num_beams: int) -> Writing:
        """The sequences of some rows of the memory, each with its `num_beams`, and no other memory."""
        rows = rows.to(self.layers[0][0].device)
        memory = None if self.memory is None else self.memory.select(rows)
        return replace(self.select(beams_of(rows, num_beams)), memory=memory)


def own_sizes(recipe: WriterRecipe) -> WriterRecipe:
    """The recipe of a decoder's recurrent layers: those of `recipe.decoder` where it has its own, one direction."""
    options = recipe.decoder
    return recipe.model_copy(
        update={
            "bidirectional": False,
            "num_layers": options.num_layers or recipe.num_layers,
            "hidden_size": options.hidden_size or recipe.hidden_size,
            "embedding_dim": options.embedding_dim or recipe.embedding_dim,
        }
    )


class Decoder(nn.Module):
    """Computes r_t, which a step of ``p(y_t | y_<t, x)`` is predicted from, given an initial state and optionally a
    memory to attend to and a vector fed in. `TokenDecoder` and `FrameDecoder` say what is written.

    h_t = cell([e(y_{t-1}); fed], h_{t-1}); without a memory r_t = h_t. With one, after Luong, Pham, Manning 2015
    (arXiv:1508.04025, eq. 5): c_t = attention(h_t), r_t = tanh(W_r [h_t; c_t]). Attention comes after the recurrence,
    so a whole target is one call of the recurrent layers.

    With `input_feeding` each step also reads what attention made of the one before, and training is a loop over steps:
    luong: r_{t-1} (section 3.3 there); bahdanau: c_t of the query h_{t-1}, which then is that of the answer, too
    (Bahdanau, Cho, Bengio 2015, arXiv:1409.0473, section A.2.2, with one tanh layer in place of maxout). There, locked
    dropout is redrawn at each step.

    Args:
        recipe: the model's part of a recipe, with a decoder's `own_sizes`.
        written: the layer that reads the last step written, e.
        memory_size: M, features of a step of the memory; 0: there is none, whatever `attention` says.
        fed_size: F, features of a vector that each step reads with the last one written; 0: none.
        read_size: of r_t; 0: as the last layer gives out.
    """

    def __init__(
        self, recipe: WriterRecipe, written: nn.Module, *, memory_size: int = 0, fed_size: int = 0, read_size: int = 0
    ) -> None:
        super().__init__()
        own = recipe.decoder
        options = own if isinstance(own, AttentionDecoderRecipe) else AttentionDecoderRecipe(attention="none")
        self.recipe, self.fed_size = recipe, fed_size
        self.query_size = recipe.proj_size or recipe.hidden_size  # what the last layer gives out
        self.read_size = read_size or self.query_size
        attends = options.attention != "none" and memory_size > 0
        self.additive = options.attention == "bahdanau"
        self.feeds_back = options.input_feeding and attends
        self._fed_back_size = (memory_size if self.additive else self.read_size) if self.feeds_back else 0
        further = fed_size + self._fed_back_size
        self.stack = RecurrentEncoder(recipe, inputs=_Widened(written, further) if further else written)
        self.attention: Attention | None = None
        self.read: nn.Module = nn.Identity()
        if attends:
            score = "additive" if self.additive else options.score
            size = options.attention_size or recipe.hidden_size
            self.attention = Attention(score, self.query_size, memory_size, size)
            self.read = nn.Sequential(nn.Linear(self.query_size + memory_size, self.read_size), nn.Tanh())
        elif self.read_size != self.query_size:
            self.read = nn.Linear(self.query_size, self.read_size, bias=False)
        self.dropout = nn.Dropout(recipe.head_dropout)

    head: OutputHead
    """What `outputs` mean."""
    about: str
    """What it writes, in words."""

    def inputs_and_targets(self, targets: Ragged) -> tuple[Ragged, Ragged]:
        """The decoder inputs and targets of whole sequences."""
        raise NotImplementedError

    def _outputs(self, read: Tensor, last: Tensor, known: Tensor | None, found: Tensor | None = None) -> Tensor:
        """What `head` reads, out of r (M, Q'), the step before each, and what n-grams know there, as `known`, and
        translations, as `translated`."""
        raise NotImplementedError

    def translated(self, weights: Tensor | None, ids: Tensor | None) -> Tensor | None:
        """What translations know of the step after weights (M, S) over source tokens (M, S); None: there are none."""
        return None

    def known(self, ids: Ragged, left_out: Tensor | None = None) -> Tensor | None:
        """What n-grams know of the step after each of the decoder inputs; None: there are none."""
        return None

    def _own(self, outputs: Tensor) -> Tensor:
        """The model's own step that scheduled sampling reads in place of the truth."""
        raise NotImplementedError

    def outputs(
        self,
        inputs: Ragged,
        states: list[State],
        memory: Memory | None,
        fed: Tensor | None = None,
        left_out: Tensor | None = None,
    ) -> tuple[Ragged, Tensor | None]:
        """What `head` reads of the step after each input, (sum T, ...), and where each step looked, (N, T, S).
        `left_out`, (sum T,): targets that n-grams leave out of their counts."""
        read, weights = self.reads(inputs, states, memory, fed)
        found = None
        if weights is not None and memory is not None and memory.ids is not None:
            looked, rows = pack_like(weights, inputs).values, inputs.sorted_indices[inputs.rows_index()]
            found = self.translated(looked, memory.ids[rows])
        known = self.known(inputs, left_out)
        return read.with_values(self._outputs(read.values, inputs.values, known, found)), weights

    def step(self, last: Tensor, writing: Writing) -> tuple[Tensor, Writing]:
        """From the last step of each sequence, (R, ...), to what `head` reads of the next, and the new state; the first
        input is the closing step: `END_ID`, or zeros."""
        read, writing = self.advance(last, writing)
        return self._outputs(read, last.to(read.device), None), writing

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
        """Mean nats a token, the closing `<end>` counted, or a frame, those of the end among them, with the true steps
        as inputs (teacher forcing).

        Args:
            targets: (sum T,) ids without `<end>`, or (sum T, C) frames.
            states: the first state of each layer, (1, N, H) a tensor, in the original order of the rows.
            memory: (sum S, M), what is attended to.
            fed: (N, F), what every step reads.
            label_smoothing: share of the truth spread over all tokens.
            own_share: share of inputs that are the model's own (`sampled_share`).
        """
        inputs, wanted = self.inputs_and_targets(targets)
        laid = self.remember(memory)
        if own_share > 0:
            with torch.no_grad():
                guesses = self._own(self.outputs(inputs, states, laid, fed)[0].values)
            inputs = mixed(inputs, guesses.to(inputs.values.dtype), own_share)
        outputs = self.outputs(inputs, states, laid, fed, wanted.values if self.training else None)[0].values
        return self.head.loss(outputs, wanted.values, label_smoothing)

    def nll(
        self, targets: Ragged, states: list[State], memory: Ragged | None = None, fed: Tensor | None = None
    ) -> Ragged:
        """-ln p of each token or frame and of the end, (sum (T + 1),); of frames whose number is set, (sum T,)."""
        inputs, wanted = self.inputs_and_targets(targets)
        outputs = self.outputs(inputs, states, self.remember(memory), fed)[0]
        return outputs.with_values(self.head.nll(outputs.values, wanted.values))

    @property
    def written(self) -> nn.Module:
        """The layer that reads the last step written."""
        inputs = self.stack.embedding
        return inputs.tokens if isinstance(inputs, _Widened) else inputs

    def zero_states(self, num_rows: int) -> list[State]:
        """A first state of zeros: of each layer a tuple of (1, N, H), as `RecurrentEncoder.zero_states`."""
        return self.stack.zero_states(num_rows)

    def remember(self, memory: Ragged | None) -> Memory | None:
        """A memory laid out for all steps; None without attention."""
        return None if memory is None or self.attention is None else self.attention.remember(memory)

    def reads(
        self, inputs: Ragged, states: list[State], memory: Memory | None, fed: Tensor | None = None
    ) -> tuple[Ragged, Tensor | None]:
        """r (sum T, Q') of the step after each input, and where each step looked, (N, T, S)."""
        if self.feeds_back and memory is not None:
            return self._reads_step_by_step(inputs, states, memory, fed)
        hidden = self._run(inputs, states, fed)
        weights = None
        if self.attention is not None and memory is not None:
            context, weights = self.attention(hidden.to_padded()[0], memory)
            hidden = hidden.with_values(torch.cat([hidden.values, pack_like(context, hidden).values], dim=1))
        return hidden.with_values(self.read(hidden.values)), weights

    def begin(self, states: list[State], memory: Ragged | None = None, fed: Tensor | None = None) -> Writing:
        """Before the first step; `states`, `memory` and `fed` as `loss` takes them."""
        zeros = states[0][0].new_zeros(states[0][0].shape[1], self._fed_back_size) if self.feeds_back else None
        return Writing(states, self.remember(memory), fed, zeros)

    def advance(self, last: Tensor, writing: Writing) -> tuple[Tensor, Writing]:
        """From the last step of each sequence, (R, ...), to r (R, Q') of the next, and the new state."""
        last = last.to(writing.layers[0][0].device)
        memory, context, weights = writing.memory, None, None
        fed_back = writing.fed_back
        if self.feeds_back and self.additive and memory is not None:
            context, weights = self._attend(writing.layers[-1][0][0], memory)
            fed_back = context
        further = [part for part in (writing.fed, fed_back) if part is not None]
        if further:
            vectors = torch.cat([self.written(last), *further], dim=1)
            hidden, layers = self.stack.run(vectors.unsqueeze(0), writing.layers)
        else:
            hidden, layers = self.stack(last.unsqueeze(0), writing.layers)
        hidden = hidden.squeeze(0)
        if self.attention is not None and memory is not None:
            if context is None or weights is None:
                context, weights = self._attend(hidden, memory)
            hidden = torch.cat([hidden, context], dim=1)
        read = self.read(hidden)
        if self.feeds_back:
            fed_back = context if self.additive else read
        return read, replace(writing, layers=layers, fed_back=fed_back, weights=weights)

    def single(
        self,
        hidden: Tensor,
        last: Tensor,
        memory: Memory | None,
        context: Tensor | None = None,
        known: Tensor | None = None,
    ) -> Tensor:
        """What `head` reads of single steps, from the last layer's output there, (R, Q), and the step before each;
        `context`, (R, M): what attention made of the memory, where that is known; `known`: as of `known`, there."""
        found = None
        if self.attention is not None and memory is not None:
            if context is None:
                context, weights = self._attend(hidden, memory)
                found = self.translated(weights, memory.ids)
            hidden = torch.cat([hidden, context], dim=1)
        return self._outputs(self.read(hidden), last, known, found)

    def _attend(self, queries: Tensor, memory: Memory) -> tuple[Tensor, Tensor]:
        """Queries (R, Q), R = N * beams, to context (R, M) and weights (R, S)."""
        attention = cast("Attention", self.attention)
        num_rows = memory.mask.shape[0]
        context, weights = attention(queries.view(num_rows, -1, queries.shape[1]), memory)
        return context.flatten(0, 1), weights.flatten(0, 1)

    def _run(self, inputs: Ragged, states: list[State], fed: Tensor | None) -> Ragged:
        """The last layer's output for whole targets, in one call of each layer."""
        if fed is None:
            return cast("Ragged", self.stack(inputs, states)[0])
        vectors = self.written(inputs)
        rows = inputs.sorted_indices[inputs.rows_index()]
        joined = torch.cat([vectors.values, fed.index_select(0, rows)], dim=1)
        return self.stack.run(inputs.with_values(joined), states)[0]

    def _reads_step_by_step(
        self, inputs: Ragged, states: list[State], memory: Memory, fed: Tensor | None
    ) -> tuple[Ragged, Tensor]:
        """As `reads`, each step reading what attention made of the one before; rows that ended are left out."""
        order = inputs.sorted_indices
        writing = self.begin([tuple(part.index_select(1, order) for part in state) for state in states], None, fed)
        memory = memory.select(order)
        writing = replace(writing, fed=None if fed is None else fed.index_select(0, order))
        found: list[Tensor] = []
        looked = memory.values.new_zeros(len(order), inputs.max_length, memory.mask.shape[1])
        start = 0
        for time, alive in enumerate(inputs.batch_sizes.tolist()):
            rows = torch.arange(alive, device=order.device)
            if alive < writing.num_rows:
                writing = writing.select(rows)
            writing = replace(writing, memory=memory.select(rows))
            read, writing = self.advance(inputs.values[start : start + alive], writing)
            found.append(read)
            looked[:alive, time] = cast("Tensor", writing.weights).detach()
            start += alive
        return inputs.with_values(torch.cat(found)), looked.index_select(0, inputs.unsorted_indices)


class _Widened(nn.Module):
    """The layer that reads what was written, as an input layer of vectors that are concatenated with others."""

    def __init__(self, tokens: nn.Module, further: int) -> None:
        super().__init__()
        self.tokens, self.embedding_dim = tokens, width_of(tokens) + further

    def forward(self, values: TensorT) -> TensorT:
        """The vectors of what was written; the decoder concatenates the others."""
        return self.tokens(values)  # type: ignore[no-any-return]
