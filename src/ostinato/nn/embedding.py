"""Embedding of ids, packed or padded."""

from __future__ import annotations

from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ostinato.errors import RecipeError, ShapeError
from ostinato.nn.checks import check_positive, check_probability
from ostinato.types import Ragged

IdsT = TypeVar("IdsT", Tensor, Ragged)


class Embedding(nn.Module):
    """A vector for each id: ``y_t = weight[x_t]``. A Ragged of ids becomes a Ragged of vectors, packed only once.

    Embedding dropout zeroes the vectors of whole token types, everywhere in the batch, with probability ``p``, and
    scales the rest by ``1 / (1 - p)``: S. Merity, N. Keskar and R. Socher (2017), arXiv:1708.02182, section 4.3.

    With ``frequencies`` p the vectors are normalised before use, ``(e - m) / s`` with mean ``m = sum_v p_v e_v`` and
    variance ``s^2 = sum_v p_v (e_v - m)^2`` of each feature: T. Miyato, A. Dai and I. Goodfellow (2017),
    arXiv:1605.07725, eq. 1. Adversarial training needs it: otherwise vectors grow until a perturbation means nothing.

    Args:
        vocab_size: V, >= 1. Ids run from 0 to V - 1.
        embedding_dim: features of a vector, >= 1.
        padding_idx: the id whose vector starts at zero and gets no gradient, or None.
        embedding_dropout: probability in [0, 1] of dropping a token type. Only while training.
        frequencies: (V,), how often each id occurs, to normalise by; None for vectors as they are.
        device: where the weight is made.
        dtype: of the weight.

    Raises:
        RecipeError: if the arguments describe no possible embedding.

    Example:
        >>> ids = Ragged.from_rows(torch.tensor([4, 7, 7]), starts=[0, 1], lengths=[1, 2])
        >>> Embedding(10, 3)(ids).values.shape
        torch.Size([3, 3])
    """

    def __init__(
        self,
        vocab_size: int,
        embedding_dim: int,
        padding_idx: int | None = 0,
        embedding_dropout: float = 0.0,
        frequencies: Tensor | None = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        check_positive(vocab_size=vocab_size, embedding_dim=embedding_dim)
        check_probability(embedding_dropout=embedding_dropout)
        if padding_idx is not None and not 0 <= padding_idx < vocab_size:
            raise RecipeError(
                f"`padding_idx` must be an id below `vocab_size` = {vocab_size}, or None. Received: {padding_idx}."
            )
        self.vocab_size = vocab_size
        self.embedding_dim = embedding_dim
        self.padding_idx = padding_idx
        self.embedding_dropout = embedding_dropout
        self.frequencies: Tensor | None
        self.weight = nn.Parameter(torch.empty(vocab_size, embedding_dim, device=device, dtype=dtype))
        shares = None if frequencies is None else (frequencies / frequencies.sum()).to(self.weight).unsqueeze(1)
        self.register_buffer("frequencies", shares, persistent=False)  # (V, 1)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the vectors from N(0, 1), torch.nn's default, the padding vector zero."""
        with torch.no_grad():
            self.weight.normal_()
            if self.padding_idx is not None:
                self.weight[self.padding_idx] = 0

    def forward(self, ids: IdsT) -> IdsT:
        """Ids (sum L,) in a Ragged, or any shape in a tensor -> the same type with a last axis of ``embedding_dim``.

        Raises:
            ShapeError: if the ids are no integers, or one is outside the vocabulary.
        """
        flat = ids if isinstance(ids, Tensor) else ids.values
        if flat.is_floating_point() or flat.is_complex() or flat.dtype == torch.bool:
            raise ShapeError(f"ids must be integers. Received: {flat.dtype}.")
        flat = flat.long()
        try:
            vectors = F.embedding(flat, self.vectors(), self.padding_idx)
        except IndexError as error:
            raise ShapeError(
                f"ids must run from 0 to `vocab_size` - 1 = {self.vocab_size - 1}. "
                f"Received: {int(flat.min())} to {int(flat.max())}."
            ) from error
        keep = self._keep()
        if keep is not None:
            vectors = vectors * keep[flat].unsqueeze(-1)
        return vectors if isinstance(ids, Tensor) else ids.with_values(vectors)

    def table(self) -> Tensor:
        """(V, embedding_dim): the vectors as `forward` gathers them, dropout of token types included.

        The padding vector gets no gradient.
        """
        vectors = self.vectors()
        if self.padding_idx is not None:
            fixed = torch.zeros(self.vocab_size, 1, dtype=torch.bool, device=vectors.device)
            fixed[self.padding_idx] = True
            vectors = torch.where(fixed, vectors.detach(), vectors)
        return vectors if (keep := self._keep()) is None else vectors * keep.unsqueeze(1)

    def _keep(self) -> Tensor | None:
        """(V,): which token types are kept this time, scaled; None: all."""
        if not self.training or self.embedding_dropout == 0:
            return None
        keep = self.weight.new_empty(self.vocab_size).bernoulli_(1 - self.embedding_dropout)
        return keep / (1 - self.embedding_dropout) if self.embedding_dropout < 1 else keep

    def vectors(self) -> Tensor:
        """(V, embedding_dim): the weight, normalised if there are frequencies."""
        if self.frequencies is None:
            return self.weight
        mean = (self.frequencies * self.weight).sum(0)
        variance = (self.frequencies * (self.weight - mean).square()).sum(0)
        return (self.weight - mean) / (variance + 1e-6).sqrt()

    def extra_repr(self) -> str:
        """The arguments that differ from their defaults."""
        text = f"{self.vocab_size}, {self.embedding_dim}"
        if self.padding_idx != 0:
            text += f", padding_idx={self.padding_idx}"
        return text + (f", embedding_dropout={self.embedding_dropout}" if self.embedding_dropout else "")


class OneHot(Embedding):
    """Each id as the row of a unit matrix, (V,): nothing is learnt, and a layer above has a weight for each token.

    A layer that reads it as a table (`RecurrentStack.forward_tokens`) gathers its own weights: no product is computed.

    Args:
        vocab_size: V, >= 1.
        embedding_dropout: as `Embedding`.

    Example:
        >>> OneHot(3)(torch.tensor([2, 0])).tolist()
        [[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]
    """

    def __init__(self, vocab_size: int, embedding_dropout: float = 0.0) -> None:
        super().__init__(vocab_size, vocab_size, padding_idx=None, embedding_dropout=embedding_dropout)
        size, dtype = self.weight.shape[0], self.weight.dtype
        del self.weight
        self.register_buffer("weight", torch.eye(size, dtype=dtype), persistent=False)

    def reset_parameters(self) -> None:
        """Nothing is drawn."""
