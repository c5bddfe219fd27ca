"""One pass over a source: each block checked and decoded, what is good kept, what is not named."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import polars as pl

from ostinato.arrays import Mask
from ostinato.data.distinct import Distinct
from ostinato.data.features import Draft, Feature, feature_type
from ostinato.data.inference.aligned import misfits
from ostinato.data.io.blocks import Block, located
from ostinato.data.places import Places, preview_of
from ostinato.data.readers.registry import Source
from ostinato.data.targets import Unusable, target_type
from ostinato.errors import DataError
from ostinato.recipe import Recipe, TextRecipe
from ostinato.recipe.kinds import TokensRecipe
from ostinato.wording import set_options

_WRITTEN = (TextRecipe, TokensRecipe)
"""Targets whose wording is kept: what is written is compared with it."""
Drafts = Mapping[str, Draft]
"""A block's drafts by column."""


class Drafter(Protocol):
    """A feature, or what is building one."""

    @property
    def reads_files(self) -> bool:
        """Whether cells name files."""

    def draft(self, cells: pl.Series) -> Draft:
        """Cells, decoded."""


@dataclass
class Reading:
    """What is kept of each block, beside its drafts.

    drafters: what decodes the column of each sequence or further input, by column; cells_of: a column of plain cells
    that are kept as they are (a target that is one value a row); group: a column that is kept for splitting; where:
    rows to take, as SQL; distinct: what leaves out rows it has seen. `places`: those of the good rows; `cells`:
    the plain cells; `groups`: values of `group`; `num_characters`: of all texts read.
    """

    source: Source
    recipe: Recipe
    drafters: Mapping[str, Drafter]
    cells_of: str | None = None
    group: str | None = None
    where: str | None = None
    distinct: Distinct | None = None
    places: Places = field(default_factory=Places)
    cells: list[pl.Series] = field(default_factory=list)
    groups: list[pl.Series] = field(default_factory=list)
    num_characters: int = 0

    def drafts(self) -> Iterator[tuple[Drafts, Mask]]:
        """Each block decoded, with the rows to keep; bad rows are recorded, and not kept."""
        input_name = str(self.recipe.data.input)
        names = list(dict.fromkeys(name for name in (*self.drafters, self.cells_of, self.group) if name))
        target = self.recipe.data.target
        wording = target if target in self.drafters and isinstance(self.recipe.features.target, _WRITTEN) else None
        given = [name for name in self.drafters if name != target]
        for block in self._blocks(names):
            block = block.keep(self._usable(block))
            if not len(block):
                continue
            drafts = {name: drafter.draft(_cells(block, name, drafter)) for name, drafter in self.drafters.items()}
            keep = self._good(block, drafts)
            if self.distinct is not None:
                keep = self.distinct.keep(block, keep)
            cells = block.table[input_name]
            if cells.dtype == pl.String:
                self.num_characters += int(cells.str.len_chars().sum())
            kept = block.keep(keep)
            wanted = kept.table[wording] if wording else None
            self.places.add(kept, kept.table[input_name], kept.table.select(given), wanted)
            if self.cells_of:
                plain = target_type(self.recipe.features.target).plain(kept.table[self.cells_of])
                self.cells.append(plain.rename("target"))
            if self.group:
                self.groups.append(kept.table[self.group].rename("group"))
            yield drafts, keep

    def all_cells(self) -> pl.Series:
        """The plain cells of all rows kept."""
        return pl.concat(self.cells) if self.cells else pl.Series("target", [], dtype=pl.String)

    def _blocks(self, names: list[str]) -> Iterator[Block]:
        """The blocks, of rows for which `where` holds."""
        if self.where is None:
            yield from self.source.blocks(names)
            return
        columns = self.source.columns()
        for block in self.source.blocks(columns):
            try:
                chosen = block.table.select(pl.sql_expr(self.where).cast(pl.Boolean).fill_null(False)).to_series()
            except pl.exceptions.PolarsError as error:
                raise DataError(
                    f"`where` can't be evaluated on `{self.source.name}`: {str(error).splitlines()[0]}. "
                    f"Received: {self.where!r}.",
                    hint=f"columns: {', '.join(columns)}; strings go in single quotes, numbers need a CAST",
                ) from error
            block = block.keep(chosen.to_numpy())
            yield Block(block.table.select(names), block.files, block.lines)

    def _good(self, block: Block, drafts: Drafts) -> Mask:
        """Which rows every column could be decoded of; the others are recorded."""
        good = np.ones(len(block), dtype=np.bool_)
        for name, draft in drafts.items():
            for note in draft.notes:
                self.source.note(note)
            for row, problem in draft.problems.items():
                if good[row]:
                    remedy = self._remedy(name, draft.remedies.get(row, {}))
                    self._reject(block, np.arange(len(block)) == row, problem, name, remedy)
                    good[row] = False
            empty = good & (draft.lengths == 0)
            if self.source.format != "text":  # a block of one long text may well hold no token
                feature = self._feature(name)
                text = block.table[name].dtype == pl.String and not (feature and feature.frames_hold)
                reason = "nothing is left of the text after cleaning" if text else f"`{name}` is empty"
                self._reject(block, empty, reason, name)
            good &= ~empty
        for row, (problem, name) in misfits(self.recipe, drafts).items():
            if good[row]:
                self._reject(block, np.arange(len(block)) == row, problem, name)
                good[row] = False
        return good

    def _remedy(self, name: str, options: Mapping[str, Any]) -> str | None:
        """How a row of a column can be used: with some options of its kind."""
        others = f"extra.{name}" if name in self.recipe.features.extra else "target"
        path = "input" if name == self.recipe.data.input else others
        said = set_options({f"features.{path}.{key}": value for key, value in options.items()})
        return f"to read more of them: {' '.join(said)}" if options else None

    def _feature(self, name: str) -> type[Feature] | None:
        """What reads a column."""
        features, data = self.recipe.features, self.recipe.data
        return feature_type(features.input if name == data.input else features.extra.get(name, features.target))

    def _usable(self, block: Block) -> Mask:
        """Which rows have a value in every column; the others are recorded with the first reason that holds."""
        limit = self.recipe.data.max_characters
        problems: list[Unusable] = []
        for name in self.drafters:
            cells = block.table[name]
            problems.append((cells.is_null(), f"no value in column `{name}`", None))
            if cells.dtype == pl.String:
                problems.append((cells.str.contains("\0", literal=True), "holds a NUL character", None))
                feature = self._feature(name)
                if not (feature and feature.letters):  # these name each letter
                    problems += [(*wrong, None) for wrong in self.source.unusable(name, cells)]
            if cells.dtype == pl.String and self.source.format != "text":
                lengths = cells.str.len_chars()
                longest = lengths.fill_null(0).to_numpy().max(initial=limit)
                hint = f"to allow longer rows: --set data.max_characters={longest}"
                problems.append((lengths > limit, f"more than {limit:,} characters", hint))
        if self.cells_of:
            problems += target_type(self.recipe.features.target).unusable(block.table[self.cells_of], self.cells_of)
        good = np.ones(len(block), dtype=np.bool_)
        for where, reason, remedy in problems:
            bad = good & where.fill_null(False).to_numpy()
            self._reject(block, bad, reason, str(self.recipe.data.input), remedy)
            good &= ~bad
        return good

    def _reject(self, block: Block, bad: Mask, reason: str, column: str, hint: str | None = None) -> None:
        if bad.any():
            shown = preview_of(block.table[column])
            for row in np.flatnonzero(bad).tolist():
                file, line = block.location(row)
                self.source.bad_rows.add(file, line, reason, shown[row] or "", hint)


def _cells(block: Block, name: str, drafter: Drafter) -> pl.Series:
    """A column; where its cells name files, relative to the table."""
    return located(block, block.table[name]) if drafter.reads_files else block.table[name]
