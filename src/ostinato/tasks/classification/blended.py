"""A classifier's answer: what a network says of rows, and a linear score of them in parallel to it."""

from __future__ import annotations

from collections.abc import Sequence
from weakref import ref

from torch import Tensor, nn

from ostinato.data.dataset import Examples
from ostinato.heads.build import RowHead
from ostinato.layers.covariates import NO_EXTRA, Extra
from ostinato.tasks.classification.kernels import KernelScore
from ostinato.tasks.classification.ngrams import NgramScore
from ostinato.tasks.classification.recipe import ClassificationRecipe
from ostinato.types import Ragged


class Blended(nn.Module):
    r"""The mean of a recurrent path and a linear score, as logits:

    .. math:: y = (1 - s) \, y_\text{recurrent} + s \, y_\text{linear}

    With `ngrams` or `random_kernels`, a linear score of a row's n-grams, or of random convolutions over it. It is
    solved for before the network is trained, each by its own loss, so that neither leaves to the other what it could
    learn itself; validation rows decide about s, `linear_share`. Without one, s is 0.
    """

    head: RowHead
    ngrams: NgramScore | None
    kernels: KernelScore | None

    def recurrent(self, ids: Ragged, extra: Extra = NO_EXTRA) -> Tensor:
        """All but the linear score, (N, num_outputs)."""
        raise NotImplementedError

    def vectors(self, ids: Ragged) -> Tensor:
        """What a row is to the recurrent path before its output, (N, F)."""
        raise NotImplementedError

    def _build_linear(
        self, recipe: ClassificationRecipe, vocab_size: int, width: int, num_outputs: int, words: Sequence[str]
    ) -> None:
        """Make the score, of ids of a vocabulary or of vectors of a width."""
        sizes = (recipe.ngrams, recipe.ngram_buckets, recipe.ngram_letters)
        edges = recipe.ngram_edges
        self.ngrams = NgramScore(vocab_size, num_outputs, *sizes, words, edges=edges) if recipe.ngrams else None
        self.kernels = KernelScore(width, recipe.random_kernels, num_outputs) if recipe.random_kernels else None
        self.linear_share: float = self.linear.undecided_share if self.linear else 0.0
        self.scored: tuple[ref[Examples], object, Tensor] | None = None
        """Examples that were scored last by the linear score, its weights then, and the scores."""

    @property
    def linear(self) -> NgramScore | KernelScore | None:
        """What scores rows in parallel to the recurrent path."""
        return self.ngrams or self.kernels

    def forward(self, ids: Ragged, extra: Extra = NO_EXTRA) -> Tensor:
        """Logits (N, num_outputs), or standardised numbers, in the original order of the rows."""
        return self.joined(self.recurrent(ids, extra), ids)

    def joined(self, recurrent: Tensor, ids: Ragged) -> Tensor:
        """What the recurrent path says of rows, (N, num_outputs), with their linear score, if there is one."""
        return recurrent if self.linear is None else self.mixed(recurrent, self.linear(ids))

    def mixed(self, recurrent: Tensor, linear: Tensor) -> Tensor:
        """The mean of both, as they are weighted."""
        return (1 - self.linear_share) * recurrent + self.linear_share * linear
