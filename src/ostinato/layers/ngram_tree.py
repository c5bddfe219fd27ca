"""N-grams in one tree: where contexts lie, and the distribution of the token after them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from ostinato.data.vocabulary import PAD_ID
from ostinato.kernels.native_layer import core, num_threads
from ostinato.layers.ngram_counts import DISCOUNTED, discounts_of


@dataclass(frozen=True)
class _Own:
    """(M, order): places of the n-grams that end with the target; gone: 1 where its count and its context's sum are one
    less without it, else 0; less_taken: how much less is then taken from the context; kept: max(a - 1 - D(a - 1), 0),
    what is then kept of the n-gram."""

    places: Tensor
    gone: Tensor
    less_taken: Tensor
    kept: Tensor


class NgramTree:
    """N-grams and what follows from their counts: sums, discounts and where continuations lie.

    Breadth first: node 0 is the empty context, node i + 1 the n-gram of `keys[i]`, which is `node of the n-1 first
    tokens * V + last token`. So all keys are sorted, and the continuations of a context lie side by side. Node -1 is a
    context that never occurred.

    Args:
        sizes: (N,), n-grams of each length.
        keys: (M,), sorted.
        counts: (M,), a of each n-gram.
        once: (M,), whether it occurs once in the text.
        vocab: V.

    totals, taken: (M + 2,), by node, the sum of a over its continuations, and what is taken from them, the last node
    having none; first: (M + 3,), the place of each node's first continuation; tokens, values, once, counts: of each
    n-gram, its last token, its share max(a - D(a), 0) / total of its context, whether it occurs once, and a; singles:
    (V,), the shares of single tokens; discounts: (N, 4).
    """

    def __init__(self, sizes: Tensor, keys: Tensor, counts: Tensor, once: Tensor, vocab: int) -> None:
        order, device = len(sizes), keys.device
        self.keys, self.once, self.vocab, self.order = keys, once.bool(), vocab, order
        parents, self.tokens = keys // vocab, keys % vocab
        self.counts = counts = torch.where(self.tokens == PAD_ID, 0, counts.long())
        lengths = torch.repeat_interleave(torch.arange(order, device=device), sizes)
        parts = counts.cpu().numpy(), lengths.cpu().numpy()
        found = np.stack([discounts_of(parts[0][parts[1] == n]) for n in range(order)])
        self.discounts = torch.from_numpy(found).to(device).float()
        discounts = self.discounts[lengths, counts.clamp(max=DISCOUNTED)]
        size = len(keys) + 1
        self.totals = torch.zeros(size + 1, dtype=torch.float32, device=device).index_add_(0, parents, counts.float())
        self.taken = torch.zeros(size + 1, dtype=torch.float32, device=device).index_add_(0, parents, discounts)
        self.values = (counts - discounts).clamp(min=0) / self.totals[parents].clamp(min=1)
        self.first = torch.searchsorted(keys, torch.arange(size + 2, device=device) * vocab)
        self.singles = torch.zeros(vocab, dtype=torch.float32, device=device)
        self.singles[self.tokens[: int(sizes[0])]] = self.values[: int(sizes[0])]
        self.native: dict[str, Any] | None = None
        """What the native core reads; None where it doesn't run."""
        if core is not None and device.type == "cpu":
            names = ("first", "tokens", "values", "totals", "taken", "discounts", "singles")
            tables = {name: getattr(self, name) for name in names}
            self.native = {**tables, "counts": counts.int(), "once": once, "vocab": vocab, "order": order}

    def place(self, nodes: Tensor, tokens: Tensor) -> Tensor:
        """The place of the n-gram that is a context and a token; -1: it never occurred."""
        wanted = nodes * self.vocab + tokens
        places = torch.searchsorted(self.keys, wanted).clamp(max=len(self.keys) - 1)
        return torch.where((self.keys[places] == wanted) & (nodes >= 0), places, -1)

    def contexts(self, tokens: Tensor) -> Tensor:
        """Tokens (order - 1 + L, N), of which the first order - 1 came before, to nodes (L, N, order)."""
        steps = len(tokens) - self.order + 1
        if self.native is not None:
            nodes = torch.empty(steps, tokens.shape[1], self.order, dtype=torch.int64)
            core.ngram_contexts(self.native, tokens.contiguous(), nodes, num_threads())
            return nodes
        found = [torch.zeros_like(tokens)]
        for _ in range(self.order - 1):
            parent = torch.cat([torch.full_like(tokens[:1], -1), found[-1][:-1]]) if len(found) > 1 else found[0]
            places = self.place(parent, tokens)
            found.append(torch.where(places >= 0, places + 1, -1))
        return torch.stack(found, 2)[self.order - 1 :]

    def distribution(self, contexts: Tensor, targets: Tensor | None) -> Tensor:
        """p of every token after contexts (M, order), (M, V); targets (M,) left out of the counts."""
        if self.native is None:
            return self._distribution(contexts, targets)
        found = torch.empty(len(contexts), self.vocab, dtype=torch.float32)
        left_out = None if targets is None else targets.contiguous()
        core.ngram_distribution(self.native, contexts.contiguous(), left_out, PAD_ID, found, num_threads())
        return found

    def _distribution(self, contexts: Tensor, targets: Tensor | None) -> Tensor:
        total, taken = self.totals[contexts], self.taken[contexts]  # (M, order); node -1 is one without continuations
        share, own = torch.ones_like(total), None
        if targets is not None:
            own = self._leave_out(contexts, targets)
            total, taken = total - own.gone, taken - own.less_taken
            share = self.totals[contexts] / total.clamp(min=1)
        known = total > 0
        kept = torch.where(known, taken / total.clamp(min=1), 1.0)  # what an order leaves to shorter ones
        weights = kept.flip(1).cumprod(1).flip(1)
        least = weights[:, 0] / max(self.vocab - 1, 1)
        weights = torch.cat([weights[:, 1:], torch.ones_like(weights[:, :1])], 1) * known
        shares = weights * share
        found = torch.addcmul(least.unsqueeze(1), shares[:, :1], self.singles)
        found[:, PAD_ID] = 0.0
        self._spread(found, contexts[:, 1:], shares[:, 1:])
        if own is not None:
            changed = weights * own.kept / total.clamp(min=1) - shares * own.gone * self.values[own.places]
            found.scatter_add_(1, cast("Tensor", targets).unsqueeze(1), changed.sum(1, keepdim=True))
        return found

    def _leave_out(self, contexts: Tensor, targets: Tensor) -> _Own:
        """What one occurrence of each target after its contexts gave rise to."""
        places = self.place(contexts, targets.unsqueeze(1))  # (M, order)
        count = self.counts[places]
        longer = places[:, 1:]
        gone = torch.cat([longer.ge(0) & self.once[longer], torch.ones_like(longer[:, :1], dtype=torch.bool)], 1)
        gone &= places.ge(0) & count.gt(0)
        orders = torch.arange(self.order, device=contexts.device)
        before = self.discounts[orders, count.clamp(max=DISCOUNTED)]
        after = self.discounts[orders, (count - 1).clamp(0, DISCOUNTED)]
        kept = (count - 1 - after).clamp(min=0)
        return _Own(places, gone.float(), gone * (before - after), gone * kept)

    def _spread(self, found: Tensor, nodes: Tensor, shares: Tensor) -> None:
        """Add the values of all continuations of contexts (M, N), times `shares` (M, N), to rows of `found` (M, V)."""
        nodes = nodes.flatten()
        begins = self.first[nodes]
        sizes = (self.first[nodes + 1] - begins).clamp(min=0)  # node -1 has none
        before = sizes.cumsum(0) - sizes
        number = torch.arange(len(nodes), device=nodes.device)
        which = torch.repeat_interleave(number, sizes)
        places = torch.arange(len(which), device=nodes.device) + (begins - before)[which]
        rows = torch.div(number, shares.shape[1], rounding_mode="floor") * self.vocab
        found.view(-1).index_add_(0, rows[which] + self.tokens[places], shares.flatten()[which] * self.values[places])
