"""What counting knows of the next token, as a distribution that a network builds on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ostinato.arrays import Ids
from ostinato.baselines.ngrams import DISCOUNTED, Ngrams, discounts_of
from ostinato.data.vocabulary import PAD_ID
from ostinato.types import Ragged

_LEAST = 1e-30


class NgramDistribution(nn.Module):
    r"""p(next token | last N-1 tokens), interpolated Kneser-Ney, over the whole vocabulary.

    The equations are those of `ostinato.baselines.ngrams.Ngrams`. While training, each prediction leaves itself out of
    the counts: for a target w after c, every a(c w) that this one occurrence gave rise to is one less, and so are the
    sums and discounts that it is in. What the network then meets is what it will meet on a text that was not counted;
    with its own occurrence left in, counts of the training text know nearly every answer.

    The n-grams lie in one tree, breadth first: node 0 is the empty context, node i + 1 the n-gram of `keys[i]`, which
    is `node of the n-1 first tokens * V + last token`. So all keys are sorted, and the continuations of a context lie
    side by side.

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
        self._derived: _Derived | None = None

    def fit(self, values: Ids, begins: NDArray[np.int64] | None = None) -> None:
        """Count a text.

        Args:
            values: (L,), the tokens.
            begins: places at which a document begins, whose first tokens have no context; none: the text is one.
        """
        places = np.asarray((), np.int64) if begins is None else begins
        tokens = np.insert(values.astype(np.int64), np.repeat(places, self.order - 1), PAD_ID)
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
        self._derived = None

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
        found = [torch.zeros_like(tokens)]
        for _ in range(before):
            parent = torch.cat([torch.full_like(tokens[:1], -1), found[-1][:-1]]) if len(found) > 1 else found[0]
            places = self.tree.place(parent, tokens)
            found.append(torch.where(places >= 0, places + 1, -1))
        nodes = torch.stack(found, 2)[before:]
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
        tree = self.tree
        total, taken = tree.totals[contexts], tree.taken[contexts]  # (M, order); node -1 is one without continuations
        share, own = torch.ones_like(total), None
        if targets is not None:
            own = self._leave_out(contexts, targets)
            total, taken = total - own.gone, taken - own.less_taken
            share = tree.totals[contexts] / total.clamp(min=1)
        known = total > 0
        kept = torch.where(known, taken / total.clamp(min=1), 1.0)  # what an order leaves to shorter ones
        weights = kept.flip(1).cumprod(1).flip(1)
        least = weights[:, 0] / max(self.vocab_size - 1, 1)
        weights = torch.cat([weights[:, 1:], torch.ones_like(weights[:, :1])], 1) * known
        shares = weights * share
        found = torch.addcmul(least.unsqueeze(1), shares[:, :1], tree.singles)
        found[:, PAD_ID] = 0.0
        tree.spread(found, contexts[:, 1:], shares[:, 1:])
        if own is not None:
            changed = weights * own.kept / total.clamp(min=1) - shares * own.gone * tree.values[own.places]
            found.scatter_add_(1, cast("Tensor", targets).unsqueeze(1), changed.sum(1, keepdim=True))
        return found.clamp_(min=_LEAST).log_()

    def _leave_out(self, contexts: Tensor, targets: Tensor) -> _Own:
        """What one occurrence of each target after its contexts gave rise to."""
        tree = self.tree
        places = tree.place(contexts, targets.unsqueeze(1))  # (M, order)
        count = tree.counts[places]
        longer = places[:, 1:]
        gone = torch.cat([longer.ge(0) & tree.once[longer], torch.ones_like(longer[:, :1], dtype=torch.bool)], 1)
        gone &= places.ge(0) & count.gt(0)
        orders = torch.arange(self.order, device=contexts.device)
        before = tree.discounts[orders, count.clamp(max=DISCOUNTED)]
        after = tree.discounts[orders, (count - 1).clamp(0, DISCOUNTED)]
        kept = (count - 1 - after).clamp(min=0)
        return _Own(places, gone.float(), gone * (before - after), gone * kept)

    @property
    def tree(self) -> _Derived:
        """Of the tables as they are."""
        if self._derived is None or self._derived.keys.device != self.keys.device:
            self._derived = _Derived(self)
        return self._derived


@dataclass(frozen=True)
class _Own:
    """(M, order): places of the n-grams that end with the target; gone: 1 where its count and its context's sum are one
    less without it, else 0; less_taken: how much less is then taken from the context; kept: max(a - 1 - D(a - 1), 0),
    what is then kept of the n-gram."""

    places: Tensor
    gone: Tensor
    less_taken: Tensor
    kept: Tensor


class _Derived:
    """What follows from the tables: sums, discounts and where continuations lie.

    totals, taken: (M + 2,), by node, the sum of a over its continuations, and what is taken from them, the last node
    having none; first: (M + 3,), the place of each node's first continuation; tokens, values, once, counts: of each
    n-gram, its last token, its share max(a - D(a), 0) / total of its context, whether it occurs once, and a; singles:
    (V,), the shares of single tokens; discounts: (N, 4).
    """

    def __init__(self, own: NgramDistribution) -> None:
        keys, counts, vocab = own.keys.detach(), own.counts.detach().long(), own.vocab_size
        self.keys, self.counts, self.once = keys, counts, own.once.bool()
        self._vocab = vocab
        parents, self.tokens = keys // vocab, keys % vocab
        counts = torch.where(self.tokens == PAD_ID, 0, counts)
        lengths = torch.repeat_interleave(torch.arange(own.order, device=keys.device), own.sizes)
        parts = counts.cpu().numpy(), lengths.cpu().numpy()
        found = np.stack([discounts_of(parts[0][parts[1] == n]) for n in range(own.order)])
        self.discounts = torch.from_numpy(found).to(keys.device).float()
        discounts = self.discounts[lengths, counts.clamp(max=DISCOUNTED)]
        size = len(keys) + 1
        self.totals = torch.zeros(size + 1, device=keys.device).index_add_(0, parents, counts.float())
        self.taken = torch.zeros(size + 1, device=keys.device).index_add_(0, parents, discounts)
        self.values = (counts - discounts).clamp(min=0) / self.totals[parents].clamp(min=1)
        self.first = torch.searchsorted(keys, torch.arange(size + 2, device=keys.device) * vocab)
        self.singles = torch.zeros(vocab, device=keys.device)
        self.singles[self.tokens[: int(own.sizes[0])]] = self.values[: int(own.sizes[0])]

    def place(self, nodes: Tensor, tokens: Tensor) -> Tensor:
        """The place of the n-gram that is a context and a token; -1: it never occurred."""
        wanted = nodes * self._vocab + tokens
        places = torch.searchsorted(self.keys, wanted).clamp(max=len(self.keys) - 1)
        return torch.where((self.keys[places] == wanted) & (nodes >= 0), places, -1)

    def spread(self, found: Tensor, nodes: Tensor, shares: Tensor) -> None:
        """Add the values of all continuations of contexts (M, N), times `shares` (M, N), to rows of `found` (M, V)."""
        nodes = nodes.flatten()
        begins = self.first[nodes]
        sizes = (self.first[nodes + 1] - begins).clamp(min=0)  # node -1 has none
        before = sizes.cumsum(0) - sizes
        number = torch.arange(len(nodes), device=nodes.device)
        which = torch.repeat_interleave(number, sizes)
        places = torch.arange(len(which), device=nodes.device) + (begins - before)[which]
        rows = torch.div(number, shares.shape[1], rounding_mode="floor") * self._vocab
        found.view(-1).index_add_(0, rows[which] + self.tokens[places], shares.flatten()[which] * self.values[places])


def _table(dtype: torch.dtype) -> nn.Parameter:
    return nn.Parameter(torch.empty(0, dtype=dtype), requires_grad=False)
