"""A decoder that writes tokens of a vocabulary."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from ostinato.data.sequences import Sequences
from ostinato.data.vocabulary import END_ID
from ostinato.errors import RecipeError
from ostinato.heads.classes import Softmax
from ostinato.layers.decoder import Decoder, Writing, own_sizes
from ostinato.layers.inputs import embed_ids
from ostinato.layers.lexicon import Lexicon
from ostinato.layers.ngrams import OnNgrams
from ostinato.layers.teacher_forcing import shifted
from ostinato.nn import Embedding
from ostinato.recipe.model import WriterRecipe
from ostinato.recipe.parts import DecoderRecipe
from ostinato.types import Ragged, State

NEVER_WRITTEN = 2
"""`<pad>` and `<unk>`."""
_USUAL_BEAM = DecoderRecipe().beam_size


class TokenDecoder(OnNgrams, Decoder):
    """``p(y_t | y_<t, x) = softmax(W r_t + b)``, with y_0 = <end> and r_t as of `Decoder`.

    Scheduled sampling (Bengio et al. 2015, arXiv:1506.03099): some inputs are the model's own likeliest tokens. It is
    the parallel form in two passes (Mihaylova, Martins 2019, arXiv:1906.07651): the first, without gradients, reads the
    true tokens; the second reads a mix of them and of what the first would have written there.

    With `ngrams` the scores build on n-grams of the training targets (`layers.ngrams.OnNgrams`); the last tokens are a
    part of `Writing`. With `lexicon` they build on translations, l, of the source tokens it looks at
    (`layers.lexicon.Lexicon`): z + (1 + h) l, of a gate h linear in r_t, in place of its scores z.

    Args:
        recipe: the model's part of a recipe; sizes come from `recipe.decoder` where it has its own.
        vocab_size: V; ids are 0 to V - 1, of which `END_ID` opens and closes every sequence.
        counts: (V,), how often training data held each token; needed for `normalize_embeddings`.
        memory_size: M, features of a step of the memory; 0: there is none, whatever `attention` says.
        fed_size: F, features of a vector that each step reads with the last token; 0: none.

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
                f"`model.decoder.beam_size` must be at most {widest}, the tokens that can be written: a beam can't be "
                f"wider than the vocabulary. Received: {options.beam_size}."
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
        self.beam_size = min(options.beam_size, widest)  # only the default is narrowed
        self.output = nn.Linear(self.read_size, vocab_size)
        if recipe.tie_embeddings:
            self.output.weight = self.embedding.weight
        self._build_on_ngrams(recipe, self.output, tied=recipe.tie_embeddings)
        size = getattr(options, "lexicon", 0) if self.attention is not None else 0
        self.lexicon = Lexicon(vocab_size, size) if size else None
        self.trust = nn.Linear(self.read_size, 1) if size else None
        if self.trust is not None:
            nn.init.zeros_(self.trust.weight)
            nn.init.zeros_(self.trust.bias)
        self.head = Softmax()
        built_on = [f"n-grams of up to {recipe.ngrams}"] if recipe.ngrams else []
        built_on += [f"{size:,} translations of each source token"] if size else []
        self.about = f"{vocab_size:,} tokens" + (f" on {' and '.join(built_on)}" if built_on else "")

    @property
    def embedding(self) -> Embedding:
        """The vectors of the tokens it reads."""
        return cast("Embedding", self.written)

    def inputs_and_targets(self, targets: Ragged) -> tuple[Ragged, Ragged]:
        """The decoder inputs and targets of whole sequences."""
        return shifted(targets)

    def begin(self, states: list[State], memory: Ragged | None = None, fed: Tensor | None = None) -> Writing:
        """As `Decoder.begin`; n-grams have seen nothing."""
        writing = super().begin(states, memory, fed)
        return writing if self.ngrams is None else replace(writing, history=self.ngrams.zero_state(writing.num_rows))

    def step(self, last: Tensor, writing: Writing) -> tuple[Tensor, Writing]:
        """As `Decoder.step`, with what n-grams know."""
        read, writing = self.advance(last, writing)
        last, known, found = last.to(read.device), None, None
        if self.lexicon is not None and writing.memory is not None and writing.memory.ids is not None:
            ids = writing.memory.ids
            found = self.translated(writing.weights, ids.repeat_interleave(len(read) // len(ids), 0))
        if self.ngrams is not None and writing.history is not None:
            contexts, history = self.ngrams.contexts_of(last.unsqueeze(0), writing.history)
            known, writing = self.ngrams(contexts), replace(writing, history=history)
        return self._outputs(read, last, known, found), writing

    def translated(self, weights: Tensor | None, ids: Tensor | None) -> Tensor | None:
        """ln p of the next token, (M, V)."""
        if self.lexicon is None or weights is None or ids is None:
            return None
        found: Tensor = self.lexicon(weights, ids)
        return found

    def count_ngrams(self, targets: Sequences) -> None:
        """Count the sequences that training has, for n-grams."""
        if self.ngrams is not None:
            text = np.insert(targets.values, targets.offsets, END_ID)  # <end> before each, and after the last
            self.ngrams.fit(text, targets.offsets[:-1] + np.arange(len(targets)))

    def count_translations(self, sources: Sequences, targets: Sequences, num_sources: int) -> None:
        """Count the pairs that training has, for a lexicon; `num_sources`: how many different source tokens."""
        if self.lexicon is not None:
            self.lexicon.fit(sources, targets, num_sources)

    def _outputs(self, read: Tensor, last: Tensor, known: Tensor | None, found: Tensor | None = None) -> Tensor:
        """Logits (M, V)."""
        read = self.dropout(read)
        scores = self.output(read)
        if self.trust is not None and found is not None:
            scores = torch.addcmul(scores, 1 + self.trust(read), found.to(scores))
        return self._combined(read, scores, known)

    def _own(self, outputs: Tensor) -> Tensor:
        """The likeliest token."""
        return self.head.point(outputs)
