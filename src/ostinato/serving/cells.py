"""What cells of rows that come over the network may be: nothing that names a file of the server."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ostinato.errors import RowError
from ostinato.run import Run

_OF_TEXT = ("ids", "words")
"""Forms of features whose cells are texts, and never names of files."""


@dataclass(frozen=True)
class Cells:
    """The columns that a run reads.

    Args:
        input: the column of what is given without a name.
        texts: whether cells are texts, by column.
    """

    input: str
    texts: Mapping[str, bool]

    @classmethod
    def of(cls, run: Run) -> Cells:
        """Those of a run."""
        features = {str(run.recipe.data.input): run.features.input, **run.features.extra}
        texts = {name: one.cell_type is str or one.form in _OF_TEXT for name, one in features.items()}
        return cls(str(run.recipe.data.input), texts)

    def check(self, row: Any) -> Any:
        """A row, or cell of the input column, as it is.

        Raises:
            RowError: if it names a file, which would be one of the server's.
        """
        cells = {self.input: row} if isinstance(row, str) or not isinstance(row, Mapping) else row
        for name, is_text in self.texts.items():
            cell = cells.get(name)
            _check_text(name, cell)
            if not is_text and isinstance(cell, str):
                raise RowError(
                    f"`{name}` in JSON must be numbers. Received: a text, which could name a file.",
                    hint="send the file itself to `predict`, and its name as the parameter `name`",
                )
        return row


def refuse_files(run: Run, row: Any) -> Any:
    """As `Cells.check`, of a run's columns."""
    return Cells.of(run).check(row)


def reads_text(run: Run) -> bool:
    """Whether a cell of the input column is a text."""
    return run.features.input.form in _OF_TEXT


def _check_text(name: str, cell: Any) -> None:
    """JSON may hold halves of characters, which no text does."""
    for text in [cell] if isinstance(cell, str) else cell if isinstance(cell, list) and cell else ():
        if not isinstance(text, str):
            return
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise RowError(
                f"`{name}` must be a text of whole characters. Received: half of one, {text[:40]!a}."
            ) from error
