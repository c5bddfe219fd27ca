"""Several networks of one recipe as one model: a deep ensemble."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from ostinato.layers.covariates import NO_EXTRA, Extra
from ostinato.layers.encoder import RecurrentEncoder
from ostinato.layers.inputs import width_of
from ostinato.tasks.classification.blended import Blended
from ostinato.tasks.classification.model import Classifier
from ostinato.tasks.classification.recipe import ClassificationRecipe
from ostinato.types import Ragged


class Ensemble(Blended):
    r"""Classifiers that differ in their initial weights and in the randomness of training, averaged:

    .. math::

        p(y \mid x) = \frac{1}{K} \sum_k p_k(y \mid x)

    of K members' probabilities of classes or labels; of numbers, the mean. One linear score stands beside all of them
    (`Blended`).

    Source: Lakshminarayanan, Pritzel and Blundell 2017, "Simple and scalable predictive uncertainty estimation using
    deep ensembles", arXiv:1612.01474, section 2.4, without adversarial training. Deviation: all members see the same
    batches, one after the other.

    Args:
        members: at least one, of equal outputs, without a linear score of their own.
        recipe: which linear score all of them share; none: without one.
        vocab_size: V, of ids.
        vocabulary: the words by their integers; needed for `ngram_letters`.

    Example:
        >>> model = Ensemble([Classifier(ClassificationRecipe(hidden_size=8), 50, 1) for _ in range(3)])
        >>> model(Ragged.from_rows(torch.tensor([4, 7, 7]), starts=[0, 1], lengths=[1, 2])).shape
        torch.Size([2, 1])
    """

    def __init__(
        self,
        members: Sequence[Classifier],
        recipe: ClassificationRecipe | None = None,
        vocab_size: int = 0,
        vocabulary: Sequence[str] = (),
    ) -> None:
        super().__init__()
        self.members, self.head = nn.ModuleList(members), members[0].head
        first = members[0]
        width, outputs = width_of(first.encoder.embedding), first.output.out_features
        self.num_answering = len(members)
        """The first so many answer: all, or one where validation rows speak against the mean."""
        self._build_linear(recipe or ClassificationRecipe(), vocab_size, width, outputs, vocabulary)

    @property
    def classifiers(self) -> list[Classifier]:
        """The members."""
        return cast("list[Classifier]", list(self.members))

    @property
    def encoder(self) -> RecurrentEncoder:
        """The first member's, of which states are shown."""
        return self.classifiers[0].encoder

    def vectors(self, ids: Ragged) -> Tensor:
        """(N, members * F): those of the members side by side."""
        return torch.cat([member.vectors(ids) for member in self.classifiers[: self.num_answering]], dim=1)

    def recurrent(self, ids: Ragged, extra: Extra = NO_EXTRA) -> Tensor:
        """(N, num_outputs): logits whose probabilities are the mean of the members', or standardised numbers."""
        return self.head.mixture(
            torch.stack([member.recurrent(ids, extra) for member in self.classifiers[: self.num_answering]])
        )
