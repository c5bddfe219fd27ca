"""Forms that the time stamps of a column may have, from some of its cells."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cache

import polars as pl

from ostinato.data.times.fields import knows_zone
from ostinato.data.times.forms import NUMBERS, Form, NumberForm, TextForm

_DATE_NAMES = re.compile(r"(?i)(?:^|[^a-z])(?:year|yr|date|datum|period|month|jahr|ds)(?:[^a-z]|$)|time_period")
"""What a column is called whose four digits are years, and others dates."""
_LOOKED_AT, _COUNTED = 64, 10_000
"""Cells from which formats are guessed, and on which each is tried."""
_DAYS = ("%Y %m %d", "%d %m %Y", "%m %d %Y", "%d %m %y", "%m %d %y", "%y %m %d")
_NAMED_DAYS = ("%d %b %Y", "%b %d %Y", "%Y %b %d", "%d %b %y")
_MONTHS = ("%Y %m", "%m %Y", "%Y %N", "%Y %j")
_NAMED_MONTHS = ("%Y %b", "%b %Y", "%b %y", "%y %b")
_PARTS_OF_YEARS = ("%Y Q%q", "Q%q %Y", "%y Q%q", "Q%q %y", "%q Q%Y", "%q Q%y", "%Y H%h", "H%h %Y", "%Y S%h", "%Y M%m")
_WEEKS = ("%G W%V", "W%V %G", "%G W%V %u")
_RARE = ("%m.%d.%Y", "%m.%d.%y", "%y.%m.%d", "%y-%b-%d", "%y %b %d", "%G-%V", "%G/%V")
"""Taken where they read more cells than all others."""
_DATES = (
    *(one.replace(" ", sep) for one in _DAYS for sep in "-/. " if one.replace(" ", sep) not in _RARE),
    *(one.replace(" ", sep) for one in (*_NAMED_DAYS, *_NAMED_MONTHS) for sep in ("-", "/", ".", " ", "")),
    *(one.replace(" ", sep) for one in _MONTHS for sep in "-/. "),
    *(one.replace(" ", sep) for one in (*_PARTS_OF_YEARS, *_WEEKS) for sep in ("-", "/", ".", ":", " ", "")),
    *(f"FY{year}{after}" for year in ("%Y", " %Y", "%y") for after in ("", "Q%q", "-Q%q", " Q%q")),
    *(
        "Q%q FY%Y",
        "Q%q FY%y",
        "%Y%m%d",
        "%Y%j",
        "%d %b, %Y",
        "%d. %b %Y",
        "%b %d, %Y",
        "%b. %d, %Y",
        "%b, %Y",
        "%b. %Y",
    ),
    *("%b. %Y", "%b '%y", "Q%q '%y", "Week %V %G", "%Y年%m月%d日", "%Y年%m月"),
)
"""Dates, months, quarters, halves, weeks and years; a weekday may precede."""
_DIGITS = {14: "%Y%m%d%H%M%S", 12: "%Y%m%d%H%M", 10: "%Y%m%d%H", 8: "%Y%m%d", 7: "%Y%j", 6: "%Y%m"}
_NAMED_DIGITS = {8: ("%d%m%Y", "%m%d%Y"), 6: ("%y%m%d",), 4: ("%Y",)}
"""Integers that are dates, by how many digits they have; the latter in a column whose name says so."""
_TIME = re.compile(
    r"(?P<before>[T ,_:-]*)(?:(?<!\d)\d{1,2}|^\d{3,4}):\d{2}(?P<s>:\d{2}(?P<f>[.,]\d{1,9})?)?"
    r"(?:(?P<blank>\s*)(?P<p>[AaPp]\.?[Mm]\.?))?"
)
_HOUR = re.compile(r"(?P<before>[T ,_:-]+)(?P<h>\d{1,2})(?P<blank>\s*)(?P<p>[AaPp]\.?[Mm]\.?)?$")
_COMPACT = re.compile(r"(?P<before>[T _-])(?P<h>\d{2})(?P<m>\d{2})(?P<s>\d{2})?$")
_DOTTED = re.compile(r"(?P<before>^|[T ])\d{2}\.\d{2}\.\d{2}$")
_ZONE = re.compile(r"(?P<blank>\s*)(?P<z>[+-]\d{2}(?::?\d{2})?|(?![AP]M)[A-Z]{1,4}|\[?[A-Z][A-Za-z]+/[A-Za-z_/]+\]?)$")
_ENDS_IN_TIME = re.compile(r"(?:\d:\d{2}[\d:.,]*\s*(?:[AaPp]\.?[Mm]\.?)?|T\d{2,6})$")
_WEEKDAY = re.compile(r"^(?P<day>(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]*)(?P<after>[, ]+)", re.IGNORECASE)
_YEAR_LAST = re.compile(r"^(?P<zone>\s[A-Z]{3,4})?(?P<year>\s\d{4})$")
_NUMBER = r"^[+-]?\d+(?:\.\d*)?(?:[eE][+-]?\d+)?$"
Forms = Sequence[Form]


def forms_of(cells: pl.Series, name: str = "", *, plain: bool = False) -> list[Form]:
    """The forms that read most of some cells, and all of them equally many; none where no cell is a time stamp.

    Args:
        cells: texts without blanks around them.
        name: of the column; `year` says that 1990 is no plain number.
        plain: whether numbers are only to be put in order, and are never dates.
    """
    there = cells.drop_nulls()
    there = there.filter(there.str.len_bytes() > 0).head(_COUNTED)
    if not len(there):
        return []
    numbers = there.filter(there.str.contains(_NUMBER))
    if 2 * len(numbers) > len(there):
        return _number_forms(numbers, name, plain)
    sample = there.unique(maintain_order=True)
    sample = sample.gather_every(max(1, len(sample) // _LOOKED_AT)).head(_LOOKED_AT)
    best, most = list[TextForm](), 0
    for rare in (False, True):
        guessed = dict.fromkeys(format for cell in sample.to_list() for format in _formats(cell, rare))
        counts = {format: int(TextForm(format).read(there).good.sum()) for format in guessed}
        if (reached := max(counts.values(), default=0)) > most:
            best, most = [TextForm(format) for format, count in counts.items() if count == reached], reached
        if most == len(there):
            break
    return _without_doubles(best, there)


def may_be_time(cell: str, name: str) -> bool:
    """Whether a cell looks like a time stamp, decided quickly: a table may have very many columns."""
    if re.match(_NUMBER, cell):
        return len(cell) in _DIGITS or "." in cell or len(cell) > 8 or bool(_DATE_NAMES.search(name)) or name.isalpha()
    return any(map(str.isdigit, cell)) and any(True for rare in (False, True) for _ in _formats(cell, rare))


def _without_doubles(forms: list[TextForm], cells: pl.Series) -> list[Form]:
    """One of those of one order that read the cells alike; a year and the one after it are no year and month."""
    following = [form for form in forms if "%N" in form.format]
    kept: dict[object, Form] = {}
    for form in following if following and cells.n_unique() > 2 else forms:
        fresh = TextForm(form.format)
        order = re.sub(r"[^YyGNmbdjqhVu]", "", form.format)
        kept.setdefault((order, fresh.read(cells).local.tobytes()), fresh)
    return list(kept.values())


def _number_forms(numbers: pl.Series, name: str, plain: bool) -> list[Form]:
    """Numbers are dates where all their digits are, or where their size says since when they count."""
    whole = bool(numbers.str.contains(r"^[+-]?\d+$").all())
    usual = NumberForm("number" if plain and not whole else "step")
    if plain:
        return [usual]
    lengths = numbers.str.len_bytes().unique().to_list()
    digits = lengths[0] if len(lengths) == 1 and numbers.str.contains(r"^\d+$").all() else 0
    named = _NAMED_DIGITS.get(digits, ()) if _DATE_NAMES.search(name) else ()
    months = ("%Y.%m",) if _DATE_NAMES.search(name) and numbers.str.contains(r"^\d{4}\.\d{2}$").all() else ()
    for formats in ((_DIGITS.get(digits, ""),), named, months):
        if fitting := [TextForm(format) for format in formats if format and _are_dates(numbers, TextForm(format))]:
            return list(fitting)
    least, most = float(str(numbers.cast(pl.Float64).min())), float(str(numbers.cast(pl.Float64).max()))
    sized = (NumberForm(form) for form, (_, low, high) in NUMBERS.items() if low <= least and most <= high)
    return [next(sized, usual)]


def _are_dates(numbers: pl.Series, form: TextForm) -> bool:
    """Whether all are dates from 1600 to 2299."""
    found = form.read(numbers)
    years = found.local.astype("datetime64[us]").astype("datetime64[Y]").astype("int64") + 1970
    return bool(found.good.all()) and bool((years >= 1600).all()) and bool((years < 2300).all())


def _formats(cell: str, rare: bool) -> Iterator[str]:
    """The formats that a cell may have."""
    if found := _DOTTED.search(cell):
        yield from (f"{format}{found['before']}%H.%M.%S" for format in _dates(cell[: found.start()], rare) or [""])
    if whole := _dates(cell, rare):
        yield from whole
        return
    rest, zone = cell, ""
    if (found := _ZONE.search(cell)) and _ENDS_IN_TIME.search(cell[: found.start()]):
        text = found["z"]
        offset = "%:z" if ":" in text else "%z" if len(text) == 5 else "%#z"
        zone = found["blank"] + (offset if text[0] in "+-" else "%Z" if knows_zone(text) and text != "Z" else text)
        rest = cell[: found.start()]
    for date, time, after in _times(rest):
        sections = f"{time}{zone}" if not date else f"[{time}]{zone}"
        if not date and not after:
            yield sections
        elif date and not after.strip():
            yield from (f"{format}{sections}" for format in _dates(date, rare))
        elif not date:
            yield from (f"{time} {format}{zone}" for format in _dates(after.strip(" ,"), rare))
    if (found := _TIME.search(cell)) and (last := _YEAR_LAST.match(cell[found.end() :])):  # as `date` writes it
        named = " %Z" if last["zone"] and knows_zone(last["zone"].strip()) else last["zone"] or ""
        before = cell[: found.start()]
        for format in _dates(f"{before}{last['year']}", rare):
            if format.endswith(" %Y"):
                yield f"{format.removesuffix(' %Y')}{found['before']}%H:%M:%S{named} %Y"


def _times(text: str) -> Iterator[tuple[str, str, str]]:
    """The ways to take a time of day out of a text: what precedes it, its format, what follows it."""
    if found := _TIME.search(text):
        hour = "%I" if found["p"] else "%H"
        seconds = f"[:%S[{(found['f'] or '.')[0]}%f]]"
        clock = f"{found['before']}{hour}:%M{seconds}" + (f"{found['blank'] or ''}%p" if found["p"] else "")
        yield text[: found.start()], clock if text[: found.start()] else clock.strip(" ,"), text[found.end() :]
    for pattern in (_COMPACT, _HOUR):
        found = pattern.search(text)
        if found and found.start() > 4:
            parts = found.groupdict()
            hour = "%I" if parts.get("p") else "%H"
            clock = hour + ("%M" if parts.get("m") else "") + ("[%S]" if parts.get("m") else "")
            clock += f"{parts['blank']}%p" if parts.get("p") else ""
            yield text[: found.start()], f"{found['before']}{clock}", ""


def _dates(text: str, rare: bool) -> list[str]:
    """The formats of a date, month, quarter, week or year."""
    weekday = _WEEKDAY.match(text)
    before = f"%a{weekday['after']}" if weekday else ""
    text = text[weekday.end() :] if weekday else text
    return [before + format for format, pattern in _patterns(rare) if pattern.match(text)]


@cache
def _patterns(rare: bool) -> list[tuple[str, re.Pattern[str]]]:
    formats = [*_DATES, *_RARE] if rare else _DATES
    lower = [re.sub(r"(?<!%)[A-Z]+", lambda found: found[0].lower(), format) for format in formats]
    return [(format, TextForm(format).pattern) for format in dict.fromkeys([*formats, *lower])]
