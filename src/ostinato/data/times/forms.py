"""The form of time stamps: a format as strptime has it, read and written; what may be absent stands in brackets."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import polars as pl

from ostinato.data.times.fields import DIGITS, FIELDS, Moments, Written, is_dated, moments_of
from ostinato.errors import RecipeError

_TOKEN = re.compile(r"%([-^#:B0-9]{0,2})([A-Za-z])|(\[)|(\])|([^%\[\]]+|%)")
_SAME = {"B": ("b", "B"), "A": ("a", "B"), "P": ("p", "#"), "e": ("d", "-")}
"""Letters of strptime that are another one, written otherwise."""


class Form(Protocol):
    """How the time stamps of a column are written."""

    @property
    def format(self) -> str:
        """What `data.time_format` calls it."""
        ...

    @property
    def dated(self) -> bool:
        """Whether stamps name a day, and not only a time of day."""
        ...

    @property
    def unit(self) -> str:
        """Of the numbers: `us`, microseconds since 1970; `step`, plain numbers."""
        ...

    def read(self, cells: pl.Series) -> Moments:
        """Texts without blanks around them."""
        ...

    def shown(self, local: int, zone: int = 0) -> str:
        """A stamp as it stands in the column."""
        ...

    def settled(self) -> Form:
        """The form of what was read, without what never came up."""
        ...


@dataclass(frozen=True)
class _Field:
    letter: str
    flag: str = ""


Node = "str | _Field | list[Node]"
"""A literal, a field, or what may be absent."""


@dataclass
class _Seen:
    """What came up of a field: how often it was there, its shortest and longest text, and some of its texts."""

    there: int = 0
    least: int = 1 << 30
    most: int = 0
    texts: set[str] = field(default_factory=set)


class TextForm:
    """Stamps as texts, by a format such as `%Y-%m-%d[ %H:%M[:%S[.%f]]]`.

    Raises:
        RecipeError: for a format that can't be read.

    Example:
        >>> import polars as pl
        >>> form = TextForm("%m/%d/%Y %I:%M %p")
        >>> when = form.read(pl.Series(["1/31/2021 1:30 PM"])).local[0]
        >>> TextForm("%Y-%m-%dT%H:%M").shown(when)
        '2021-01-31T13:30'
    """

    unit = "us"

    def __init__(self, format: str) -> None:
        self.format = format
        self._nodes = _parsed(format)
        self._fields = [one.letter for one in _flat(self._nodes)]
        self.dated = is_dated("".join(self._fields))
        if not self._fields or len(set(self._fields)) < len(self._fields):
            raise _unreadable(format, "each field once, one at least")
        self._pattern = rf"^{_regex(self._nodes, self.dated)}$"
        self._seen = {letter: _Seen() for letter in self._fields}
        self._rows = 0

    @property
    def pattern(self) -> re.Pattern[str]:
        """What its cells look like."""
        return re.compile(self._pattern)

    def read(self, cells: pl.Series) -> Moments:
        """Texts without blanks around them."""
        texts = dict(
            zip(self._fields, cells.str.extract_groups(self._pattern).struct.unnest().get_columns(), strict=True)
        )
        found = moments_of(texts)
        there = next(texts[one.letter] for one in _flat(self._nodes, optional=False)).is_not_null().to_numpy()
        good = found.good & there
        self._note(texts, good)
        return Moments(np.where(good, found.local, 0), found.zone, good)

    def shown(self, local: int, zone: int = 0) -> str:
        """A stamp as it stands in the column."""
        names = {_zone_of(name): name for name in self._seen["Z"].texts} if "Z" in self._seen else {}
        return _written(self._nodes, Written(local, zone, names), self.dated)

    def settled(self) -> TextForm:
        """The form of what was read: what never came up is left out, what always did is no longer in brackets."""
        made = TextForm(_spelt(self._settled(self._nodes)))
        made._seen = {letter: self._seen[letter] for letter in made._fields}
        return made

    def _note(self, texts: dict[str, pl.Series], good: np.ndarray) -> None:
        self._rows += int(good.sum())
        for letter, seen in self._seen.items():
            some = texts[letter].filter(good).drop_nulls()
            lengths = some.str.len_bytes()
            seen.there += len(some)
            seen.least = min(seen.least, *(int(one) for one in (lengths.min(),) if isinstance(one, int)), 1 << 30)
            seen.most = max(seen.most, *(int(one) for one in (lengths.max(),) if isinstance(one, int)), 0)
            if letter in "bapzZ" and len(seen.texts) < 32:
                seen.texts |= set(some.unique().head(32).to_list())

    def _settled(self, nodes: Sequence[object]) -> list[object]:
        made: list[object] = []
        for node in nodes:
            if isinstance(node, list):
                there = self._seen[next(iter(_flat(node))).letter].there
                inner = self._settled(node)
                made += [] if not there else inner if there == self._rows else [inner]
            else:
                made.append(self._settled_field(node) if isinstance(node, _Field) else node)
        return made

    def _settled_field(self, one: _Field) -> _Field:
        seen = self._seen[one.letter]
        texts = [text for text in seen.texts if text]
        if one.letter in "ba":
            case = "^" if all(map(str.isupper, texts)) else "#" if all(map(str.islower, texts)) else ""
            return _Field(one.letter, ("B" if seen.most > 3 else "") + case if texts else one.flag)
        if one.letter == "p":
            return _Field("p", "#" if texts and all(map(str.islower, texts)) else "")
        if one.letter == "z":
            colon = any(":" in text for text in texts)
            return _Field("z", ":" if colon else "#" if texts and seen.most == 3 else "")
        if one.letter == "f":
            return _Field("f", str(seen.most) if seen.there else one.flag)
        if one.letter == "N":
            return _Field("N", "4" if seen.most == 4 else "")
        if one.letter in "mdHIV" and seen.there:
            return _Field(one.letter, "-" if seen.least == 1 else "")
        return one


NUMBERS: dict[str, tuple[int, float, float]] = {
    "epoch_s": (0, 1e8, 4.2e9),
    "epoch_ms": (3, 1e11, 4.2e12),
    "epoch_us": (6, 1e14, 4.2e15),
    "epoch_ns": (9, 1e17, 4.2e18),
}
"""Times since 1970: decimals of a second, and between what they lie from 1973 to 2103."""
_EXCEL_DAYS = 25_569
PLAIN = ("step", "number", "excel", *NUMBERS)
"""Forms that are numbers, as `data.time_format` calls them."""


class NumberForm:
    """Stamps as numbers.

    Args:
        format: `epoch_s`, `epoch_ms`, `epoch_us`, `epoch_ns` since 1970; `excel`: days, as a spreadsheet counts them;
            `step`: whole numbers that are no dates; `number`: others.
    """

    dated = True

    def __init__(self, format: str) -> None:
        self.format = format
        self.unit = "step" if format in ("step", "number") else "us"
        self._fractions = False

    def read(self, cells: pl.Series) -> Moments:
        """Texts without blanks around them."""
        whole = cells.cast(pl.Int64, strict=False)
        if self.format == "excel" or whole.null_count() > cells.null_count():
            numbers = cells.cast(pl.Float64, strict=False)
            good = numbers.is_not_null().to_numpy() & np.isfinite(numbers.fill_null(0.0).to_numpy())
            found = np.where(good, numbers.fill_null(0.0).to_numpy(), 0.0)
            self._fractions |= bool((found != np.rint(found)).any())
            if self.format == "number":
                return Moments(found, None, good)
            if self.format == "step":
                good &= found == np.rint(found)
            if self.format == "excel":
                found = np.rint((found - _EXCEL_DAYS) * 86_400) * 1e6
            elif self.format in NUMBERS:
                found = found * 10.0 ** (6 - NUMBERS[self.format][0])
            good &= np.abs(found) < 2.0**62
            return Moments(np.rint(np.where(good, found, 0.0)).astype(np.int64), None, good)
        stamps, good = whole.fill_null(0).to_numpy(), whole.is_not_null().to_numpy()
        if self.format in NUMBERS:
            decimals = NUMBERS[self.format][0]
            stamps = stamps // 1000 if decimals == 9 else stamps * 10 ** (6 - decimals)
        return Moments(stamps.astype(np.float64) if self.format == "number" else stamps, None, good)

    def shown(self, local: int, zone: int = 0) -> str:
        """A stamp as it stands in the column."""
        if self.unit == "step":
            return f"{local:g}" if self.format == "number" else str(local)
        if self.format == "excel":
            return f"{local / 86_400e6 + _EXCEL_DAYS:.5f}".rstrip("0").rstrip(".")
        decimals = NUMBERS[self.format][0]
        if decimals == 9:
            return str(local * 1000)
        number = local / 10 ** (6 - decimals)
        return f"{number:.6f}".rstrip("0").rstrip(".") if self._fractions else str(local // 10 ** (6 - decimals))

    def settled(self) -> NumberForm:
        """It is as it is."""
        return self


def form_of(format: str) -> TextForm | NumberForm:
    """The form of a `data.time_format`. Raises `RecipeError` for one that can't be read."""
    if format in PLAIN:
        return NumberForm(format)
    if "%" not in format:
        raise _unreadable(format, f"fields such as %Y-%m-%d, or one of {', '.join(PLAIN)}")
    return TextForm(format)


def _unreadable(format: str, expected: str) -> RecipeError:
    return RecipeError(
        f"`data.time_format` must be a format of strptime, {expected}. Received: {format!r}.",
        hint="for example --set 'data.time_format=%d/%m/%Y %H:%M'",
    )


def _parsed(format: str) -> list[object]:
    """The nodes of a format."""
    stack: list[list[object]] = [[]]
    place = 0
    while place < len(format):
        found = _TOKEN.match(format, place)
        if found is None:
            raise _unreadable(format, "with fields that are known")
        place = found.end()
        flag, letter, opens, closes, literal = found.groups()
        if letter:
            stack[-1] += _field_nodes(letter, flag, format)
        elif opens:
            stack.append([])
        elif closes:
            if len(stack) == 1 or not list(_flat(stack[-1])):
                raise _unreadable(format, "with a field between each pair of brackets")
            inner = stack.pop()
            stack[-1].append(inner)
        elif literal == "%":
            raise _unreadable(format, "with fields that are known")
        else:
            stack[-1].append(literal)
    if len(stack) > 1:
        raise _unreadable(format, "each [ closed by a ]")
    return stack[0]


def _field_nodes(letter: str, flag: str, format: str) -> list[object]:
    if letter == "T":
        return _parsed("%H:%M:%S")
    if letter == "F":
        return _parsed("%Y-%m-%d")
    name, usual = _SAME.get(letter, (letter, flag))
    if name not in FIELDS:
        raise _unreadable(format, f"with fields that are known: {', '.join('%' + one for one in FIELDS)}")
    return [_Field(name, usual)]


def _flat(nodes: Iterable[object], *, optional: bool = True) -> Iterable[_Field]:
    for node in nodes:
        if isinstance(node, _Field):
            yield node
        elif isinstance(node, list) and optional:
            yield from _flat(node)


def _regex(nodes: Sequence[object], dated: bool) -> str:
    made = ""
    for number, node in enumerate(nodes):
        if isinstance(node, str):
            made += r"\s+".join(re.escape(part) for part in re.split(r"\s+", node))
        elif isinstance(node, _Field):
            beside = [nodes[i] for i in (number - 1, number + 1) if 0 <= i < len(nodes)]
            tight = node.letter in "mdHIMSV" and any(_is_digits(one) for one in beside)
            looks = FIELDS[node.letter]
            if node.letter == "H" and not dated:
                looks = r"\d{1,4}"
            elif tight or node.letter in "MS":
                looks = r"\d{2}"
            made += f"(?P<{node.letter}>{looks})"
        elif isinstance(node, list):
            made += f"(?:{_regex(node, dated)})?"
    return made


def _is_digits(node: object) -> bool:
    return isinstance(node, _Field) and node.letter in DIGITS


def _written(nodes: Sequence[object], of: Written, dated: bool) -> str:
    made = ""
    for node in nodes:
        if isinstance(node, str):
            made += node
        elif isinstance(node, _Field):
            made += of.text(node.letter, node.flag, dated)
        elif isinstance(node, list) and any(
            of.number(one.letter, dated) for one in _flat(node) if one.letter in DIGITS
        ):
            made += _written(node, of, dated)
    return made


def _spelt(nodes: Sequence[object]) -> str:
    made = ""
    for node in nodes:
        if isinstance(node, _Field):
            plain = {"B": "%B", "#": "%P"}.get(node.flag, "") if node.letter in "bp" else ""
            made += plain or f"%{node.flag}{node.letter}"
        else:
            made += f"[{_spelt(node)}]" if isinstance(node, list) else str(node)
    return made


def _zone_of(name: str) -> int:
    found = moments_of({"Z": pl.Series([name])}).zone
    return 0 if found is None else int(found[0])
