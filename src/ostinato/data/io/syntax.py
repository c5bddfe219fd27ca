"""How a table of text is written, found in its beginning: what separates fields, quotes them, and marks comments."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from ostinato.data.io.csv_quotes import count_fields
from ostinato.data.io.fields import Fields
from ostinato.data.io.header import is_value
from ostinato.data.io.records import newlines_of
from ostinato.recipe.dialect import BLANKS, SEPARATORS, Dialect

_LOOKED_AT_BYTES = 1 << 16
_MOST = 0.9
"""Share of the lines that have the number of fields that a separator would give a table."""
_OPEN_LINES = 20
"""Lines that a quoted cell at the end of what is looked at may well have."""
_FEWEST = 3
"""Lines that blanks must separate alike."""
_ABOVE = 30
"""Lines that may stand above a table."""
_MARKS = ("#", "%", "//")
_TOLD = re.compile(rb"\s*sep=([^\r\n])\r?\n")
"""How spreadsheets say what separates fields."""
_SINGLE_QUOTED = re.compile(rb"(?m)^'[^'\n]*'(?=[,;\t|\r\n])|(?<=[,;\t|])'[^'\n]*'(?=[,;\t|\r\n])")


@dataclass(frozen=True)
class _Shape:
    """What a separator makes of some lines: fields of the first, of most, their share; whether all quotes close; the
    first line that has the fields of most, and their share from there on."""

    first: int
    most: int
    share: float
    regular: bool
    quoted: bool
    num_lines: int
    begin: int = 0
    share_below: float = 0.0

    @property
    def is_table(self) -> bool:
        return self.most > 1 and self.share >= _MOST and self.regular

    @property
    def is_table_below_text(self) -> bool:
        """Whether some lines that are no rows stand above a table."""
        enough = self.most > 1 and self.share_below >= _MOST and self.num_lines - self.begin >= _FEWEST
        return enough and self.regular and 0 < self.begin <= _ABOVE


def find_syntax(raw: bytes, dialect: Dialect, usual: Dialect) -> Dialect:
    """`dialect` with separator, quote and comment found where they are open; "none" where there is none.

    Args:
        raw: the beginning of a file in UTF-8, whole lines.
        dialect: what is known.
        usual: what files with this name are written like.
    """
    told = _TOLD.match(raw)
    text, cut = raw[told.end() :] if told else raw, len(raw) > _LOOKED_AT_BYTES
    text = text[: text.rfind(b"\n", 0, _LOOKED_AT_BYTES) + 1] or text
    if told and dialect.separator == "auto":
        dialect = dialect.model_copy(update={"separator": told.group(1).decode("utf-8", "replace")})
    if dialect.comment != "auto":
        return _find_fields(without_comments(text, dialect.comment), dialect, usual, cut)[0]
    for mark in _MARKS:
        body = without_comments(text, mark)
        if text.lstrip().startswith(mark.encode()) and body.strip():
            found, shape = _find_fields(body, dialect, usual, cut)
            marked = [line for line in text.split(b"\n") if line.startswith(mark.encode())]
            if all(_width(line, found) != shape.most for line in marked) or len(marked) > 1:
                return found.model_copy(update={"comment": mark})
    return _find_fields(text, dialect, usual, cut)[0].model_copy(update={"comment": "none"})


def told_separator(raw: bytes) -> bool:
    """Whether the first line says what separates fields (`sep=;`), and holds no row."""
    return _TOLD.match(raw) is not None


def without_comments(text: bytes, mark: str) -> bytes:
    """The lines that do not begin with a mark; "none": all of them."""
    if mark == "none":
        return text
    return re.sub(rb"(?m)^" + re.escape(mark.encode()) + rb"[^\n]*\n?", b"", text)


def _find_fields(text: bytes, dialect: Dialect, usual: Dialect, cut: bool) -> tuple[Dialect, _Shape]:
    """The separator and the quotes of lines without comments, and the shape that they give these."""
    if dialect.separator != "auto":
        return _find_quote(text, dialect, usual, cut)
    others = [one for one in SEPARATORS.values() if one != usual.separator and _separates(text, one)]
    candidates = (dialect.model_copy(update={"separator": one}) for one in (usual.separator, *others, BLANKS))
    found = [_find_quote(text, one, usual, cut) for one in candidates]
    if found[0][1].is_table and found[0][1].first == found[0][1].most:
        return found[0]
    fitting = [one for one in found[1:-1] if one[1].is_table and one[1].first == one[1].most]
    if not fitting and _by_blanks(text, *found[-1]):
        fitting = [found[-1]]
    if not fitting:
        below = [one for one in found[:-1] if one[1].is_table_below_text]
        return max(below, key=lambda one: (one[1].share_below, one[1].most), default=found[0])
    return max(fitting, key=lambda one: (one[1].share, one[1].most), default=found[0])


def _separates(text: bytes, mark: str) -> bool:
    """Whether there is something between the marks of some line below the first, where any has one."""
    marked = [line for line in text.split(b"\n")[1:] if mark.encode() in line]
    return not marked or any(line.translate(None, mark.encode() + b'\r"') for line in marked)


def _find_quote(text: bytes, dialect: Dialect, usual: Dialect, cut: bool) -> tuple[Dialect, _Shape]:
    if dialect.quote != "auto":
        return dialect, _shape(text, dialect, cut)
    if b'"' not in text and b"'" not in text:
        dialect = dialect.model_copy(update={"quote": usual.quote})
        return dialect, _shape(text, dialect, cut)
    double, none = (dialect.model_copy(update={"quote": quote}) for quote in ('"', "none"))
    shape = _shape(text, double, cut)
    if b'"' not in text and b"'" in text:
        single = dialect.model_copy(update={"quote": "'"})
        quoted = _shape(text, single, cut)
        if len(_SINGLE_QUOTED.findall(text)) >= _MOST * quoted.num_lines and quoted.regular and quoted.share >= _MOST:
            return single, quoted
        double = dialect.model_copy(update={"quote": usual.quote})
    if dialect.separator == "\t" and b'"' in text and not (shape.quoted and shape.regular and shape.share >= _MOST):
        return none, _shape(text, none, cut)
    return double, shape


def _by_blanks(text: bytes, dialect: Dialect, shape: _Shape) -> bool:
    """Whether blanks separate fields, and not words: some field below the first line is a number or a time."""
    if not shape.is_table or shape.num_lines < _FEWEST:
        return False
    fields = Fields(dialect)
    rows = [fields.split(line) for line in fields.rewritten(text).split(b"\n") if line][1:]
    rows = [row for row in rows if len(row) == shape.most]
    valued = [all(is_value(row[place]) for row in rows) for place in range(shape.most)]
    numbered = shape.first == shape.most - 1 and [row[0] for row in rows[:3]] in (["0", "1", "2"], ["1", "2", "3"])
    return any(valued) and (shape.first == shape.most or numbered)


def _shape(text: bytes, dialect: Dialect, cut: bool) -> _Shape:
    fields = Fields(dialect)
    raw = fields.rewritten(text if text.endswith(b"\n") else text + b"\n")
    quotes = fields.quotes(raw)
    ends = quotes.outside(newlines_of(raw)) + 1
    rest = raw.count(b"\n", int(ends[-1]) if len(ends) else 0)
    counts = count_fields(raw, ends, fields.separator, quotes)[np.diff(ends, prepend=0) > 1]
    regular = not len(quotes.malformed) and rest <= (_OPEN_LINES if cut else 0)
    if not len(counts):
        return _Shape(0, 0, 0.0, False, False, 0)
    times = np.bincount(counts)
    most = int(times.argmax())
    share, begin = float(times[most] / len(counts)), int((counts == most).argmax())
    below = float((counts[begin:] == most).mean())
    return _Shape(int(counts[0]), most, share, regular, len(quotes.toggles) > 0, len(counts), begin, below)


def _width(line: bytes, dialect: Dialect) -> int:
    return _shape(line.rstrip(b"\r") + b"\n", dialect, cut=True).most
