"""Reads the time stamps of a table block by block; their form is chosen when all of them have been read."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from ostinato.arrays import Array, Mask, Offsets
from ostinato.data.times.columns import joined
from ostinato.data.times.fields import Moments
from ostinato.data.times.forms import Form, NumberForm, TextForm, form_of
from ostinato.data.times.guess import forms_of
from ostinato.data.times.repeated import tell_apart
from ostinato.data.times.step import num_steps
from ostinato.errors import DataError
from ostinato.wording import setting

_LOOKED_AT, _STEPS = 64, 1 << 18
"""Series, and steps of each, by which two orders of day and month are distinguished."""
_MOST_STEPS = 2.0
"""Steps for each row that an order may leave to be taken where its steps are not even; others leave twice as many."""


class Clock:
    """The column, or columns, of time stamps of a table.

    Args:
        names: of the columns.
        format: `data.time_format`; none: it is inferred over all cells.
        plain: whether numbers are only to be put in order, and are never dates.
        likely: the format that a run's own data had, which is taken where it fits as well as any other.

    Raises:
        RecipeError: for a format that can't be read.
    """

    def __init__(
        self, names: Sequence[str], format: str | None = None, *, plain: bool = False, likely: str | None = None
    ) -> None:
        self.names, self._plain, self._likely = tuple(names), plain, likely
        self.given = format
        self._forms: list[Form] = [form_of(format)] if format else []
        self._failed: list[int] = [0] * len(self._forms)
        self._odd: list[str] = [""] * len(self._forms)
        self._apart = ""
        self.notes: list[str] = []

    @property
    def name(self) -> str:
        """Of the columns, for messages."""
        return ", ".join(self.names)

    @property
    def form(self) -> Form:
        """The form that was chosen, narrowed to what was read."""
        return self._forms[0].narrowed() if self._forms else NumberForm("step")

    @property
    def expected(self) -> str:
        """What is wrong with a cell that can't be read."""
        place = self._forms[0].place if self._forms else None
        skipped = f", or of an hour that the clock of {place} skips" if place else ""
        if self.given:
            return f"is not of the form {self.given} (`data.time_format`){skipped}"
        return f"is neither a {'' if self._plain else 'whole '}number nor a time{skipped}"

    @property
    def found(self) -> bool:
        """Whether there was a time stamp at all."""
        return bool(self._forms)

    def cells(self, frame: pl.DataFrame) -> pl.Series:
        """The cells of the columns, as one text per row."""
        return joined(frame, self.names)

    def read(self, cells: pl.Series) -> tuple[dict[str, Array], Mask]:
        """Stamps by each form there may be (`stamps 0`, `zone 0`, …), and which cells no form can read."""
        if not self._forms:
            self._find(cells)
        found = [form.read(cells) for form in self._forms]
        good = np.zeros(len(cells), dtype=np.bool_)
        for one in found:
            good |= one.good
        arrays: dict[str, Array] = {}
        for number, one in enumerate(found):
            self._count(number, cells, good & ~one.good)
            arrays[f"stamps {number}"] = one.local
            if one.zone is not None:
                arrays[f"zone {number}"] = one.zone
        if not self._apart and len(found) > 1:
            apart = good & (found[0].local != found[1].local)
            self._apart = str(cells[int(apart.argmax())]) if apart.any() else ""
        return arrays or {"stamps 0": np.zeros(len(cells), dtype=np.int64)}, ~good

    def _find(self, cells: pl.Series) -> None:
        forms = forms_of(cells, " ".join(self.names), plain=self._plain)
        if self._likely is not None:
            rest = [TextForm(one.format) for one in forms if isinstance(one, TextForm)]
            if form_of(self._likely).fits(cells) >= max((one.fits(cells) for one in rest), default=1):
                forms = [form_of(self._likely)]
        self._forms, self._failed, self._odd = forms, [0] * len(forms), [""] * len(forms)

    def _count(self, number: int, cells: pl.Series, failed: Mask) -> None:
        self._failed[number] += int(failed.sum())
        if failed.any() and not self._odd[number]:
            self._odd[number] = str(cells[int(failed.argmax())])

    def finish(self, arrays: dict[str, Array], offsets: Offsets, path: str) -> dict[str, Array]:
        """The arrays with `stamps`, and `zone` where there is one, of the form that fits; `notes` says which.

        Args:
            arrays: all that was read, series after series.
            offsets: where each series begins and ends.
            path: of the file, for messages.

        Raises:
            DataError: where no form fits all cells, or more than one does and no order leaves more even steps.
        """
        kept = {name: values for name, values in arrays.items() if name.split(" ")[0] not in ("stamps", "zone")}
        if not self._forms:
            return {**kept, "stamps": arrays["stamps 0"]}
        number = self._choose(arrays, offsets, path)
        self._forms = [self._forms[number]]
        made = {name: arrays[f"{name} {number}"] for name in ("stamps", "zone") if f"{name} {number}" in arrays}
        if (place := self._forms[0].place) is not None:
            tell_apart(made["stamps"], made["zone"], offsets, place)
        return {**kept, **made}

    def _choose(self, arrays: dict[str, Array], offsets: Offsets, path: str) -> int:
        fitting = [number for number, failed in enumerate(self._failed) if not failed]
        if not fitting:
            one, other = (form.format for form in self._forms[:2])
            raise DataError(
                f"`{self.name}` of `{path}` holds time stamps in two formats: {self._odd[1]!r} is of {one} only, "
                f"{self._odd[0]!r} of {other} only.",
                hint="write all of them in one format, such as 2016-07-01 13:00:00",
            )
        if len(fitting) > 1:
            steps = {number: _steps_each(arrays, number, offsets, self._forms[number].unit) for number in fitting}
            best, second = sorted(fitting, key=lambda number: steps[number])[:2]
            even = steps[best] == 1.0 < steps[second]
            if not even and (steps[best] > _MOST_STEPS or steps[second] < 2 * steps[best]):
                raise self._open(fitting, path)
            self.notes.append(
                f"time: {self.name} is {_said(self._forms[best].narrowed())}: that order gives evenly spaced steps"
            )
            return best
        form = self._forms[fitting[0]].narrowed()
        if not self.given and not _is_usual(form):
            why = ": no other order reads all cells" if " first, " in _said(form) else ""
            self.notes.append(f"time: {self.name} is {_said(form)}{why}")
        return fitting[0]

    def _open(self, fitting: Sequence[int], path: str) -> DataError:
        """What to say where both orders of day and month are possible."""
        forms = [self._forms[number].narrowed() for number in fitting]
        read = [_day(form_of(form.format).read(pl.Series([self._apart]))) for form in forms]
        ways = [
            f"where {self._apart} is {day}: {setting('data.time_format', form.format)}"
            for form, day in zip(forms, read, strict=True)
        ]
        return DataError(
            f"the order of day, month and year in `{self.name}` of `{path}` is ambiguous: all cells fit "
            f"{' and '.join(form.format for form in forms)}, and neither order alone gives evenly spaced steps.",
            hint="; ".join(ways),
        )


def _steps_each(arrays: dict[str, Array], number: int, offsets: Offsets, unit: str) -> float:
    """How many steps there would be for each row of the longest series if a form is taken; 1 where all are even."""
    stamps, zone = arrays[f"stamps {number}"], arrays.get(f"zone {number}")
    lengths = np.diff(offsets)
    rows, steps = 0, 0.0
    for series in np.argsort(-lengths, kind="stable")[:_LOOKED_AT]:
        some = slice(int(offsets[series]), int(offsets[series]) + min(int(lengths[series]), _STEPS))
        own = np.unique(stamps[some] if zone is None else stamps[some] - zone[some])
        rows, steps = rows + len(own), steps + num_steps(own, unit)
    return steps / max(rows, 1)


def _is_usual(form: Form) -> bool:
    """Whether nothing need be said of a form: the year first, the month, the day; or plain numbers."""
    return form.format in ("step", "number", "%Y") or form.format.startswith(("%Y-%m", "%Y/%m", "%H:%M"))


def _said(form: Form) -> str:
    day, month = form.format.replace("-", "").find("%d"), form.format.replace("-", "").find("%m")
    order = "" if min(day, month) < 0 else "day first, " if day < month else "month first, "
    return f"{order if not form.format.startswith(('%Y', '%y')) else ''}{form.format} (`data.time_format`)"


def _day(found: Moments) -> str:
    return str(np.datetime64(int(found.local[0]), "us").astype("datetime64[D]"))
