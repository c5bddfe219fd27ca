"""How a column of each kind but text becomes sequences, or one value a row: one component a kind."""

from __future__ import annotations

from typing import Literal

from ostinato.recipe.base import Component, PositiveInt


class TokensRecipe(Component):
    """Lists of words that somebody has split (CoNLL): each word an integer."""

    kind: Literal["tokens"] = "tokens"
    case: Literal["fold", "keep"] = "fold"
    digits: Literal["keep", "zero"] = "keep"
    min_frequency: PositiveInt = 1
    max_size: PositiveInt | None = None
    characters: bool = False
    max_word_length: PositiveInt = 24


class TagsRecipe(Component):
    """A label for each step (target only)."""

    kind: Literal["tags"] = "tags"


class SeriesRecipe(Component):
    """Numbers at every step: one channel or several."""

    kind: Literal["series"] = "series"


class AudioRecipe(Component):
    """Sound files: frames of log-mel energies, cepstra, or raw samples."""

    kind: Literal["audio"] = "audio"


class VideoRecipe(Component):
    """Clips: a sequence of frames."""

    kind: Literal["video"] = "video"


class ImageRecipe(Component):
    """One picture a row: no sequence."""

    kind: Literal["image"] = "image"


class NotesRecipe(Component):
    """Frames of notes that sound at the same time."""

    kind: Literal["notes"] = "notes"


class DnaRecipe(Component):
    """Nucleotides."""

    kind: Literal["dna"] = "dna"


class ProteinRecipe(Component):
    """Amino acids."""

    kind: Literal["protein"] = "protein"


class CategoryRecipe(Component):
    """One of several names a row: no sequence."""

    kind: Literal["category"] = "category"


class NumbersRecipe(Component):
    """One number a row, or a list of as many in every row: no sequence."""

    kind: Literal["numbers"] = "numbers"
