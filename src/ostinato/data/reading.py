"""One pass over a source: each block checked and cut into tokens, what is good kept, what is not named."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
import polars as pl

from ostinato.data.arrays import Mask
from ostinato.data.blocks import Block
from ostinato.data.features import Draft
from ostinato.data.places import Places
from ostinato.data.sources import Source
from ostinato.data.targets import is_number
from ostinato.recipe import Recipe


@dataclass
class Reading:
    """What is kept of each block, beside its tokens.

    `places`: where the good rows stood; `cells`: their targets; `groups`: their values of the column `group`, if one is
    named; `num_characters`: of all texts read.
    """

    source: Source
    recipe: Recipe
    group: str | None = None
    places: Places = field(default_factory=Places)
    cells: list[pl.Series] = field(default_factory=list)
    groups: list[pl.Series] = field(default_factory=list)
    num_characters: int = 0

    def drafts(self, draft: Callable[[pl.Series], Draft], *, with_target: bool) -> Iterator[tuple[Draft, Mask]]:
        """Each block cut into tokens, with the rows to keep; bad rows are recorded, and neither cut nor kept.

        Args:
            draft: cuts a column of texts into tokens.
            with_target: read the target column too.
        """
        data = self.recipe.data
        text_name = str(data.input)
        target_name = data.target if with_target else None
        names = list(dict.fromkeys(name for name in (text_name, target_name, self.group) if name))
        for block in self.source.blocks(names):
            block = block.keep(self._usable(block, text_name, target_name))
            if not len(block):
                continue
            texts = block.frame[text_name]
            piece = draft(texts)
            keep = piece.lengths > 0
            if self.source.format != "text":  # a block of one long text may well hold no token
                self._reject(block, ~keep, "nothing is left of the text after cleaning", texts)
            self.num_characters += int(texts.str.len_chars().sum())
            kept = block.keep(keep)
            self.places.add(kept, kept.frame[text_name])
            if target_name:
                self.cells.append(kept.frame[target_name].rename("target"))
            if self.group:
                self.groups.append(kept.frame[self.group].rename("group"))
            yield piece, keep

    def all_cells(self) -> pl.Series:
        """The targets of all rows kept."""
        return pl.concat(self.cells) if self.cells else pl.Series("target", [], dtype=pl.String)

    def _usable(self, block: Block, text_name: str, target_name: str | None) -> Mask:
        """Which rows can be used; the others are recorded with the first reason that holds."""
        texts, limit = block.frame[text_name], self.recipe.data.max_characters
        problems: list[tuple[pl.Series, str, str | None]] = [
            (texts.is_null(), f"no value in column `{text_name}`", None),
            (texts.str.contains("\0", literal=True), "holds a NUL character", None),
        ]
        if self.source.format != "text":
            hint = "to allow longer rows: --set data.max_characters=N"
            problems.append((texts.str.len_chars() > limit, f"more than {limit:,} characters", hint))
        if target_name:
            cells = block.frame[target_name]
            problems.append((cells.is_null(), f"no value in column `{target_name}`", None))
            if self.recipe.features.target.kind == "number":
                wrong = cells.filter(~is_number(cells)).drop_nulls().unique(maintain_order=True)
                problems += [(cells == value, f"not a number: {value!r}", None) for value in wrong]
        good = np.ones(len(block), dtype=np.bool_)
        for where, reason, remedy in problems:
            bad = good & where.fill_null(False).to_numpy()
            self._reject(block, bad, reason, texts, remedy)
            good &= ~bad
        return good

    def _reject(self, block: Block, bad: Mask, reason: str, texts: pl.Series, hint: str | None = None) -> None:
        for row in np.flatnonzero(bad).tolist():
            file, line = block.location(row)
            self.source.bad_rows.add(file, line, reason, texts[row] or "", hint)
