"""Hours that the clock of a place repeats in autumn and skips in spring: told apart, and recognised."""

from __future__ import annotations

import numpy as np
import polars as pl

from ostinato.arrays import Mask, Offsets
from ostinato.data.io.spool import stretches
from ostinato.data.times.fields import DAY_US

_KNOWN = ("Europe/Berlin", "Europe/London", "Europe/Helsinki", "America/New_York", "Australia/Sydney")
"""Places of which one at a time repeats an hour: most others repeat the same hour of the same day as one of these."""


def ahead_of_utc(local: Offsets, place: str, *, second: bool = False) -> tuple[Offsets, Mask]:
    """Microseconds that the clock of a place is ahead of UTC when it shows `local`, and which of these it ever shows.

    Of an hour that it repeats, the first is meant, or the `second`.
    """
    shown = pl.Series(local).cast(pl.Datetime("us"))
    utc = shown.dt.replace_time_zone(place, ambiguous="latest" if second else "earliest", non_existent="null")
    there = utc.is_not_null().to_numpy()
    return np.where(there, local - utc.to_physical().fill_null(0).to_numpy(), 0), there


def ahead_at(utc: Offsets, place: str) -> Offsets:
    """Microseconds that the clock of a place is ahead of UTC at some moments."""
    when = pl.Series(utc).cast(pl.Datetime("us", "UTC")).dt.convert_time_zone(place)
    return when.dt.replace_time_zone(None).to_physical().to_numpy() - utc


def tell_apart(stamps: Offsets, zone: Offsets, offsets: Offsets, place: str) -> None:
    """Change `zone` where rows of a series are of the second of two hours with one name.

    Rows in order of time, rising or falling, say so themselves: it begins where the clock is set back. Of rows in any
    order, the second of one time stamp is the later one.

    Args:
        stamps: by the clock of the place, series after series.
        zone: microseconds that this clock is ahead of UTC, those of the first of two such hours.
        offsets: where each series begins and ends.
        place: whose clock it is.
    """
    found = [_second(stamps, zone, some, place) for some in stretches(stamps)]
    rows, ahead = (np.concatenate(parts) for parts in zip(*found, strict=True))
    series = np.searchsorted(offsets, rows, side="right")
    for own in np.split(np.arange(len(rows)), np.flatnonzero(np.diff(series)) + 1) if len(rows) else []:
        first, last = offsets[series[own[0]] - 1 : series[own[0]] + 1]
        others = np.delete(stamps[first:last], rows[own] - first)
        rises, falls = bool((np.diff(others) >= 0).all()), bool((np.diff(others) <= 0).all())
        own = own[::-1] if falls and not rises else own
        late = own[_after_the_change(stamps[rows[own]]) if rises or falls else _again(stamps[rows[own]])]
        zone[rows[late]] = ahead[late]


def _second(stamps: Offsets, zone: Offsets, some: slice, place: str) -> tuple[Offsets, Offsets]:
    """The rows of a stretch that are of such an hour, and how far the clock is ahead in the second one."""
    ahead, there = ahead_of_utc(stamps[some], place, second=True)
    rows = np.flatnonzero(there & (ahead != zone[some]))
    return rows + some.start, ahead[rows]


def _after_the_change(local: Offsets) -> Mask:
    """Of rows in order of time: those of each day from the first on that is not later than the row before it."""
    begins = np.diff(local // DAY_US, prepend=-1) != 0
    back = np.cumsum((np.diff(local, prepend=local[0]) <= 0) & ~begins)
    return np.asarray(back > np.maximum.accumulate(np.where(begins, back, 0)))


def _again(local: Offsets) -> Mask:
    """The rows whose time stamp stood before."""
    order = np.argsort(local, kind="stable")
    found = np.zeros(len(local), dtype=np.bool_)
    found[order[1:]] = np.diff(local[order]) == 0
    return found


def place_that_repeats(local: Offsets) -> str | None:
    """A place whose clock repeats all these times; none: there is no such place."""
    return next((place for place in _KNOWN if _are_repeated(local, place)), None)


def place_that_skips(local: Offsets) -> str | None:
    """A place whose clock skips all these times; none: there is no such place."""
    return next((place for place in _KNOWN if len(local) and not ahead_of_utc(local, place)[1].any()), None)


def _are_repeated(local: Offsets, place: str) -> bool:
    first, there = ahead_of_utc(local, place)
    return len(local) > 0 and bool((there & (first != ahead_of_utc(local, place, second=True)[0])).all())
