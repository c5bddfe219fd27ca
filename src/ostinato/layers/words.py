"""Words with their characters: the word's own vector, and what a recurrent layer makes of its spelling."""

from __future__ import annotations

from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from ostinato.data.vocabulary import PAD_ID, SPECIAL, UNK_ID
from ostinato.nn import Embedding, LockedDropout, build
from ostinato.recipe.parts import CharactersRecipe
from ostinato.types import Ragged


class Words(nn.Module):
    """``[E w ; h_forward ; h_backward]``: the word's embedding, and the last states of a layer over its characters.

    Each distinct spelling of a batch is read once, however often it occurs.

    Source: G. Lample, M. Ballesteros, S. Subramanian, K. Kawakami and C. Dyer (2016), arXiv:1603.01360, section 4.1.

    Args:
        words: the embedding of the words.
        num_characters: of the characters' vocabulary.
        recipe: sizes and cell of what reads characters.
        backend: of the recurrent layer.

    Shapes: a Ragged of (sum L, 1 + max_word_length) integers, the word's and its characters', zeros behind; output a
    Ragged of (sum L, embedding_dim).
    """

    def __init__(self, words: Embedding, num_characters: int, recipe: CharactersRecipe, backend: str = "auto") -> None:
        super().__init__()
        self.words = words
        self.characters = Embedding(num_characters, recipe.embedding_dim, padding_idx=PAD_ID)
        with torch.no_grad():
            self.characters.weight.mul_(0.3)
        self.dropout = LockedDropout(recipe.dropout, batch_first=False)
        self.spelling = build(
            recipe.cell, recipe.embedding_dim, recipe.hidden_size, bidirectional=True, backend=backend
        )
        self.embedding_dim = words.embedding_dim + 2 * recipe.hidden_size

    def forward(self, values: Ragged) -> Ragged:
        """The vectors of the words."""
        flat = values.values
        spelled, place = distinct_spellings(flat[:, 1:])
        vectors = nn.functional.embedding(place, self._spelled(spelled))
        return values.with_values(torch.cat([cast("Tensor", self.words(flat[:, 0])), vectors], dim=1))

    def _spelled(self, spelled: Ragged) -> Tensor:
        """(distinct, 2 H): the last state of each direction for each spelling."""
        _, state = self.spelling(self.dropout(self.characters(spelled)))
        h_n: Tensor = state[0] if isinstance(state, tuple) else state  # (D, distinct, H)
        return torch.cat([h_n[0], h_n[1]], dim=1)


def distinct_spellings(characters: Tensor) -> tuple[Ragged, Tensor]:
    """Each row of (n, max_word_length) once, without the zeros behind, and for each of the n its number.

    Example:
        >>> spelled, place = distinct_spellings(torch.tensor([[5, 6, 0], [7, 0, 0], [5, 6, 0]]))
        >>> [row.tolist() for row in spelled.split_rows()], place.tolist()
        ([[5, 6], [7]], [0, 1, 0])
    """
    table = np.ascontiguousarray(characters.cpu().numpy())
    if not table.size:
        return Ragged.from_rows(characters.flatten(), [], []), torch.zeros(len(table), dtype=torch.long)
    whole = table.view(np.dtype((np.void, table.dtype.itemsize * table.shape[1]))).ravel()
    _, first, place = np.unique(whole, return_index=True, return_inverse=True)
    rows = table[first]
    starts = np.arange(len(rows)) * table.shape[1]
    spelled = Ragged.from_rows(rows.ravel(), starts, (rows != PAD_ID).sum(1))
    return spelled.to(characters.device), torch.from_numpy(place).to(characters.device)


class UnknownWords(nn.Module):
    """While training, a word seen c times is read as ``<unk>`` with probability ``a / (a + c)``, drawn for each place.

    So the vector of unknown words is learnt, and rare words are not memorised. Characters are left as they are.

    Source: E. Kiperwasser and Y. Goldberg (2016), arXiv:1603.04351, section 4 ("word dropout").

    Args:
        counts: (V,), how often training data held each word.
        alpha: a, >= 0; 0: never.
    """

    def __init__(self, counts: Tensor, alpha: float) -> None:
        super().__init__()
        probabilities = alpha / (alpha + counts.float()) if alpha else torch.zeros(len(counts))
        probabilities[: len(SPECIAL)] = 0
        self.alpha = alpha
        self.probabilities: Tensor
        self.register_buffer("probabilities", probabilities, persistent=False)

    def forward(self, values: Ragged) -> Ragged:
        """Integers of words (sum L,), or of words and their characters (sum L, 1 + C), some words unknown."""
        if not self.training or not self.alpha:
            return values
        flat = values.values
        ids = flat if flat.dim() == 1 else flat[:, 0]
        unknown = torch.rand(len(ids), device=ids.device) < self.probabilities[ids.long()]
        ids = ids.masked_fill(unknown, UNK_ID)
        return values.with_values(ids if flat.dim() == 1 else torch.cat([ids.unsqueeze(1), flat[:, 1:]], dim=1))
