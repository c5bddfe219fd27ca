"""A decoder that writes tokens of a vocabulary."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ostinato.errors import RecipeError
from ostinato.layers.decoder import Decoder, Writing, own_sizes
from ostinato.layers.inputs import embed_ids
from ostinato.layers.teacher_forcing import mixed, shifted
from ostinato.nn import Embedding
from ostinato.nn.attention import Memory
from ostinato.recipe.model import WriterRecipe
from ostinato.recipe.parts import DecoderRecipe
from ostinato.types import Ragged, State

NEVER_WRITTEN = 2
"""`<pad>` and `<unk>`."""
_USUAL_BEAM = DecoderRecipe().beam_size


class TokenDecoder(Decoder):
    """``p(y_t | y_<t, x) = softmax(W r_t + b)``, with y_0 = <end> and r_t as of `Decoder`.

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
        >>> decoder = TokenDecoder(WriterRecipe(hidden_size=8), vocab_size=10)
        >>> targets = Ragged.from_rows(torch.tensor([4, 7, 7]), starts=[0, 1], lengths=[1, 2])
        >>> decoder.loss(targets, decoder.zero_states(2)).shape
        torch.Size([])
        >>> scores, writing = decoder.step(torch.full((2,), 2), decoder.begin(decoder.zero_states(2)))
        >>> scores.shape
        torch.Size([2, 10])
    """

    def __init__(
        self,
        recipe: WriterRecipe,
        vocab_size: int,
        *,
        counts: Tensor | None = None,
        memory_size: int = 0,
        fed_size: int = 0,
    ) -> None:
        options = recipe.decoder
        widest = vocab_size - NEVER_WRITTEN
        if options.beam_size > widest and options.beam_size != _USUAL_BEAM:
            raise RecipeError(
                f"`model.decoder.beam_size` must be at most {widest}, the tokens that can be written: a beam wider "
                f"than the vocabulary holds nothing more. Received: {options.beam_size}."
            )
        own = own_sizes(recipe)
        super().__init__(
            own,
            embed_ids(vocab_size, own, counts),
            memory_size=memory_size,
            fed_size=fed_size,
            read_size=own.embedding_dim if recipe.tie_embeddings else 0,
        )
        self.vocab_size = vocab_size
        self.beam_size = min(options.beam_size, widest)  # narrower only where nothing but the default is asked for
        self.output = nn.Linear(self.read_size, vocab_size)
        if recipe.tie_embeddings:
            self.output.weight = self.embedding.weight

    @property
    def embedding(self) -> Embedding:
        """The vectors of the tokens it reads."""
        return cast("Embedding", self.written)

    @property
    def about(self) -> str:
        """What it writes, in words."""
        return f"{self.vocab_size:,} tokens"

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

    def nll(
        self, targets: Ragged, states: list[State], memory: Ragged | None = None, fed: Tensor | None = None
    ) -> Ragged:
        """-ln p of each token and of the closing `<end>`, (sum (T + 1),)."""
        inputs, wanted = shifted(targets)
        scores = self.scores(inputs, states, self.remember(memory), fed)[0]
        return scores.with_values(F.cross_entropy(scores.values, wanted.values, reduction="none"))

    def scores(
        self, inputs: Ragged, states: list[State], memory: Memory | None, fed: Tensor | None = None
    ) -> tuple[Ragged, Tensor | None]:
        """Logits (sum T, V) of the token after each input, and where each step looked, (N, T, S)."""
        read, weights = self.reads(inputs, states, memory, fed)
        return read.with_values(self._head(read.values)), weights

    def step(self, ids: Tensor, writing: Writing) -> tuple[Tensor, Writing]:
        """The last token of each sequence, (R,), to logits (R, V) of the next, and where it stands then; the first
        token to give is `END_ID`."""
        read, writing = self.advance(ids, writing)
        return self._head(read), writing

    def inputs_and_targets(self, targets: Ragged) -> tuple[Ragged, Ragged]:
        """What is read at each step of whole targets, and what is to be said there."""
        return shifted(targets)

    def step_nll(self, read: Tensor, wanted: Tensor) -> Tensor:
        """(M,): -ln p of single steps, from r (M, Q') and what is to be said, (M,)."""
        return F.cross_entropy(self._head(read), wanted, reduction="none")

    def _head(self, read: Tensor) -> Tensor:
        logits: Tensor = self.output(self.dropout(read))
        return logits
