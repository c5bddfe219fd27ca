"""Many-to-one: a sequence to a class, to any number of labels, or to a number."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ostinato.heads.build import RowHead
from ostinato.heads.classes import Softmax, TwoClasses
from ostinato.layers.covariates import NO_EXTRA, Extra, RowCovariates
from ostinato.layers.encoder import RecurrentEncoder
from ostinato.layers.inputs import embed_ids, width_of
from ostinato.nn import Convolutions, Pooling, pool_mean
from ostinato.tasks.classification.blended import Blended
from ostinato.tasks.classification.recipe import ClassificationRecipe
from ostinato.types import Ragged


class Classifier(Blended):
    """embedding → recurrent stack → pooling over time → (ReLU layer) → output.

    With `convolution`, convolutions over time read the embedded input in parallel to the recurrent stack, and the mean
    of what they find in a row is added to the pooled vector. Source: Karim, Majumdar, Darabi and Chen 2018, "LSTM fully
    convolutional networks for time series classification", arXiv:1709.05206 (there the LSTM reads a whole series as a
    single step, and has a dropout of its own).

    With `ngrams` or `random_kernels`, a linear score of a row's n-grams, or of random convolutions over it, is blended
    in (`Blended`).

    Args:
        recipe: the model's part of a recipe.
        vocab_size: V.
        num_outputs: 1 for two classes (the logit of the second) or a number, else one a class or label.
        counts: (V,), how often training data held each token; needed for `normalize_embeddings`.
        inputs: the layer that reads the values, if they are no ids of a vocabulary (`layers.inputs`).
        covariates: what reads further columns, whose vectors are concatenated with the pooled one.
        head: what the outputs mean; none: classes, two of them where there is one output.
        vocabulary: the words by their integers; needed for `ngram_letters`.

    Example:
        >>> model = Classifier(ClassificationRecipe(hidden_size=8), vocab_size=50, num_outputs=1)
        >>> model(Ragged.from_rows(torch.tensor([4, 7, 7]), starts=[0, 1], lengths=[1, 2])).shape
        torch.Size([2, 1])
    """

    def __init__(
        self,
        recipe: ClassificationRecipe,
        vocab_size: int,
        num_outputs: int,
        counts: Tensor | None = None,
        *,
        inputs: nn.Module | None = None,
        covariates: RowCovariates | None = None,
        head: RowHead | None = None,
        vocabulary: Sequence[str] = (),
    ) -> None:
        super().__init__()
        self.head = head or (TwoClasses() if num_outputs == 1 else Softmax())
        inputs = embed_ids(vocab_size, recipe, counts) if inputs is None else inputs
        self.encoder = RecurrentEncoder(recipe, inputs=inputs)
        self.pooling = Pooling(recipe.pooling, self.encoder.output_size, recipe.bidirectional)
        self.covariates = covariates
        self.convolution = (
            Convolutions(width_of(self.encoder.embedding), recipe.convolution.channels, recipe.convolution.kernels)
            if recipe.convolution.channels
            else None
        )
        self.dropout = nn.Dropout(recipe.head_dropout)
        size = self.pooling.output_size + (covariates.output_size if covariates else 0)
        size += self.convolution.output_size if self.convolution else 0
        self.hidden = nn.Sequential(nn.Linear(size, recipe.head_size), nn.ReLU()) if recipe.head_size else nn.Identity()
        self.output = nn.Linear(recipe.head_size or size, num_outputs)
        self._build_linear(recipe, vocab_size, width_of(self.encoder.embedding), num_outputs, vocabulary)

    def recurrent(self, ids: Ragged, extra: Extra = NO_EXTRA) -> Tensor:
        """All but the linear score."""
        return self.score(self.encoder.embedding(ids), extra)

    def vectors(self, ids: Ragged) -> Tensor:
        """(N, F): what pooling (and the convolutions) made of each row."""
        embedded = self.encoder.embedding(ids)
        return self._pooled(self.encoder.run(embedded)[0], embedded)

    def score(self, vectors: Ragged, extra: Extra = NO_EXTRA) -> Tensor:
        """All but the linear score, from embedded tokens: those of a text, or others near them."""
        return self.scores(self.encoder.run(vectors)[0], vectors, extra)

    def scores(self, hidden: Ragged, vectors: Ragged, extra: Extra = NO_EXTRA) -> Tensor:
        """The head: the output of the last recurrent layer, (sum L, D*H), to (N, num_outputs).

        `vectors`, what the layers read, are read by the convolutions, too; nothing else looks at them.
        """
        return self.read(self._pooled(hidden, vectors), extra)

    def _pooled(self, hidden: Ragged, vectors: Ragged) -> Tensor:
        pooled: Tensor = self.pooling(hidden)
        if self.convolution is not None:
            pooled = torch.cat([pooled, pool_mean(self.convolution(vectors))], dim=1)
        return pooled

    def read(self, pooled: Tensor, extra: Extra = NO_EXTRA) -> Tensor:
        """From what pooling (and the convolutions) made of each row, (N, F), to (N, num_outputs)."""
        if self.covariates is not None:
            pooled = torch.cat([pooled, self.covariates(extra)], dim=1)
        logits: Tensor = self.output(self.hidden(self.dropout(pooled)))
        return logits
