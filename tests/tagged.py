"""Small data that several tests write for themselves."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np


def tagged_by_the_word_before(path: Path, count: int, words: Sequence[str], draw: np.random.Generator) -> Path:
    """Write a CoNLL file of `count` random sentences of 2 to 14 words, each tagged by the word before it."""
    lines: list[str] = []
    for _ in range(count):
        before = "START"
        for word in draw.choice(list(words), size=int(draw.integers(2, 15))).tolist():
            lines.append(f"{word} {before}")
            before = f"after-{word}"
        lines.append("")
    path.write_text("\n".join(lines))
    return path
