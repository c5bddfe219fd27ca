"""What counting knows of the next token, as a distribution that a network builds on, and how it does."""

from __future__ import annotations

from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from ostinato.arrays import Ids
from ostinato.data.vocabulary import PAD_ID
from ostinato.errors import ShapeError
from ostinato.layers.ngram_counts import Ngrams
from ostinato.layers.ngram_tree import NgramTree
from ostinato.recipe.model import NgramsRecipe
from ostinato.types import Ragged

_LEAST = 1e-30


class NgramDistribution(nn.Module):
    r"""p(next token | last N-1 tokens), interpolated Kneser-Ney, over the whole vocabulary.

    The equations are those of `ngram_counts.Ngrams`. While training, each prediction leaves itself out of the counts:
    for a target w after c, every a(c w) that this one occurrence gave rise to is one less, and so are the
    sums and discounts that it is in. What the network then meets is what it will meet on a text that was not counted;
    with its own occurrence left in, counts of the training text know nearly every answer.

    Args:
        vocab_size: V.
        order: N, tokens of the longest n-gram.
    """

    def __init__(self, vocab_size: int, order: int) -> None:
        super().__init__()
        self.vocab_size, self.order = vocab_size, order
        self.sizes = _table(torch.int64)
        """(N,): n-grams of each length. Parameters, so that they are saved; of the shape that the text gives them."""
        self.keys = _table(torch.int64)
        self.counts = _table(torch.int32)
        """a of each n-gram."""
        self.once = _table(torch.uint8)
        """Whether it occurs once in the training text."""
        self._tree: NgramTree | None = None

    def fit(self, values: Ids, begins: NDArray[np.int64] | None = None) -> None:
        """Count a text.

        Args:
            values: (L,), the tokens.
            begins: places at which a document begins, whose first tokens have no context; none: the text is one. What
                stands there, `<end>`, also is what the document before ends with.
        """
        tokens = values.astype(np.int64)
        if begins is not None and self.order > 1:
            ends, paddings = begins[begins > 0], np.repeat(begins, self.order - 1)
            inserted = np.concatenate([tokens[ends], np.full(len(paddings), PAD_ID)])
            tokens = np.insert(tokens, np.concatenate([ends, paddings]), inserted)  # at one place in this order
        tables = Ngrams.count(tokens, self.vocab_size, [self.order], never=PAD_ID)[self.order].tables
        offsets = np.cumsum([0, 1, *(len(table.keys) for table in tables)])
        shifts = np.repeat(offsets[:-2], [len(table.keys) for table in tables]) * self.vocab_size
        found = {
            "sizes": np.asarray([len(table.keys) for table in tables]),
            "keys": np.concatenate([table.keys for table in tables]) + shifts,
            "counts": np.concatenate([table.counts for table in tables]),
            "once": np.concatenate([table.occurrences == 1 for table in tables]),
        }
        for name, array in found.items():
            parameter = cast("nn.Parameter", getattr(self, name))
            parameter.data = torch.from_numpy(array).to(parameter)
        self._tree = None

    def zero_state(self, num_rows: int) -> Tensor:
        """(1, N, order - 1), the last tokens of each row: none. Floats, as every state; exact below 2^24."""
        return torch.zeros(1, num_rows, self.order - 1, device=self.keys.device)

    def contexts_of(self, ids: Tensor | Ragged, history: Tensor) -> tuple[Tensor, Tensor]:
        """The contexts after each token, by length, and the last tokens of each row then.

        Args:
            ids: (L, N) or rows of unequal length.
            history: (1, N, order - 1), the tokens before.

        Returns:
            nodes (sum L, order), -1 where a context never occurred, step after step or packed as `ids`, and
            (1, N, order - 1).
        """
        before = self.order - 1
        padded, lengths = ids.to_padded(batch_first=False) if isinstance(ids, Ragged) else (ids, None)
        tokens = torch.cat([history[0].t().long(), padded.long()])  # (order - 1 + L, N)
        nodes = self.tree.contexts(tokens)
        if lengths is None:
            return nodes.flatten(0, 1), tokens[len(padded) :].t().to(history).unsqueeze(0)
        ends = lengths.to(tokens.device) + torch.arange(before, device=tokens.device).unsqueeze(1)
        after = tokens.gather(0, ends).t().to(history).unsqueeze(0)
        return Ragged.from_padded(nodes, lengths, batch_first=False).values, after

    def forward(self, contexts: Tensor, targets: Tensor | None = None) -> Tensor:
        """ln p, (M, V).

        Args:
            contexts: (M, order) nodes.
            targets: (M,), what follows each context in the training text, to be left out of the counts; none: nothing
                is left out.
        """
        return self.tree.distribution(contexts, targets).clamp_(min=_LEAST).log_()

    @property
    def tree(self) -> NgramTree:
        """Of the tables as they are."""
        if self._tree is None or self._tree.keys.device != self.keys.device:
            sizes, keys, counts, once = (table.detach() for table in (self.sizes, self.keys, self.counts, self.once))
            self._tree = NgramTree(sizes, keys, counts, once, self.vocab_size)
        return self._tree


def _table(dtype: torch.dtype) -> nn.Parameter:
    return nn.Parameter(torch.empty(0, dtype=dtype), requires_grad=False)


class OnNgrams(nn.Module):
    r"""A model of tokens whose scores may build on what counting knows.

    Of the network's scores z and a gate g, both linear in the same vector, and the n-gram distribution q:

    .. math::
        \text{logits:} \quad \log p = \log \operatorname{softmax}(z + (1 + g) \log q) \qquad
        \text{mixture:} \quad p = \sigma(g) \operatorname{softmax}(z) + (1 - \sigma(g)) \, q

    where z and g begin at zero (logits), so that training begins at q. While training, each target is left out of the
    counts behind its own q (`NgramDistribution`).
    """

    ngrams: NgramDistribution | None
    gate: nn.Linear | None

    def _build_on_ngrams(self, recipe: NgramsRecipe, output: nn.Linear, *, tied: bool) -> None:
        """Make counts and gate where the recipe has n-grams; `output` gives z, `tied`: by weights of the embedding."""
        self.mixes = recipe.ngram_combination == "mixture"
        self.ngrams = NgramDistribution(output.out_features, recipe.ngrams) if recipe.ngrams else None
        self.gate = nn.Linear(output.in_features, 1) if recipe.ngrams else None
        if self.gate is not None and not self.mixes:
            for layer in (self.gate, *(() if tied else (output,))):
                nn.init.zeros_(layer.weight)
                nn.init.zeros_(layer.bias)

    def _combined(self, read: Tensor, scores: Tensor, known: Tensor | None) -> Tensor:
        """Scores of both, (..., V), from what gate and output read, z, and ln q."""
        if self.gate is None:
            return scores
        if known is None:
            raise ShapeError("the scores of a model with `ngrams` need those of its n-grams.")
        gate, known = self.gate(read), known.to(scores)
        if self.mixes:
            return torch.logaddexp(F.logsigmoid(gate) + scores.log_softmax(-1), F.logsigmoid(-gate) + known)
        added: Tensor = scores + (1 + gate) * known
        return added

    def known(self, ids: Ragged, left_out: Tensor | None = None) -> Tensor | None:
        """ln q of the token after each of `ids`, whole rows, (sum L, V), packed as these are; None: without n-grams.

        Args:
            ids: (sum L,).
            left_out: (sum L,), the targets, while training.
        """
        if self.ngrams is None:
            return None
        with torch.no_grad():
            contexts = self.ngrams.contexts_of(ids, self.ngrams.zero_state(ids.num_rows))[0]
            found: Tensor = self.ngrams(contexts, left_out)
        return found
