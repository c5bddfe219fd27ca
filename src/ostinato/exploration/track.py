"""A network's states over a long sequence, in mapped files: opened in no time, drawn at any scale."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ostinato.data.dataset import Examples
from ostinato.errors import RecipeError, RunError
from ostinato.exploration.exploration import Exploration
from ostinato.exploration.following import one_row
from ostinato.exploration.pyramid import TILE, Kind, Pyramid
from ostinato.exploration.questions import Column
from ostinato.exploration.sorting import Sorted, by_cluster, by_time_constant
from ostinato.exploration.states import Floats
from ostinato.storage.files import read_json

FACTS_FILE = "track.json"
COLUMNS_FILE = "columns.npz"
SURPRISE = "surprise"
_NO_VALUE = 255
_DEVIATIONS = 3.0
Scale = Literal["own", "shared"]


@dataclass(frozen=True)
class Track:
    """What `tracks.track_run` wrote.

    Args:
        folder: of its files.
        facts: `track.json`.

    Example:
        >>> track = ostinato.load("runs/island").track(num_steps=40)
        >>> track.num_steps, len(track.exploration.units("position", 3))
        (40, 3)
    """

    folder: Path
    facts: Mapping[str, Any]

    @classmethod
    def open(cls, folder: Path) -> Track:
        """Raises `RunError` where there is none."""
        return cls(folder, read_json(folder / FACTS_FILE))

    @property
    def num_steps(self) -> int:
        """T."""
        return int(self.facts["num_steps"])

    @cached_property
    def pyramids(self) -> dict[str, Pyramid]:
        """Of each series; `surprise` among them, of one unit, where it is known."""
        return {
            name: Pyramid.open(self.folder / one["file"], self.num_steps, one["units"], one["dtype"])
            for name, one in self.facts["series"].items()
        }

    @cached_property
    def _arrays(self) -> dict[str, NDArray[Any]]:
        with np.load(self.folder / COLUMNS_FILE, allow_pickle=False) as found:
            return dict(found)

    @cached_property
    def rows(self) -> Column:
        """(T,), the row of each step."""
        lengths = self._arrays["lengths"]
        return np.repeat(np.arange(len(lengths)), lengths)

    def tokens(self, first: int, last: int) -> list[str]:
        """Of some steps."""
        found: list[str] = self._arrays["token.kinds"][self._arrays["token"][first:last]].tolist()
        return found

    def examples(self, first: int, last: int) -> Examples:
        """Some steps as the network reads them, as one row without a target.

        Raises:
            RunError: where further columns are read, which a track doesn't keep.
        """
        if "encoded" not in self._arrays:
            raise RunError("this model reads further columns, or large frames, which a track does not keep.")
        return one_row(self._arrays["encoded"][first:last])

    @cached_property
    def exploration(self) -> Exploration:
        """The same as `Run.explore` gives of few steps; its series stay in their files."""
        arrays, rows = self._arrays, self.rows
        begins = np.concatenate([[0], np.cumsum(arrays["lengths"])[:-1]])
        columns: dict[str, Column] = {
            "token": arrays["token.kinds"][arrays["token"]],
            "position": np.arange(self.num_steps) - begins[rows],
            "row": rows,
        }
        columns |= {name: arrays[name] for name in ("value",) if name in arrays}
        if "label" in arrays:
            columns["label"] = arrays["label.kinds"][arrays["label"]]
        series = {name: one.values for name, one in self.pyramids.items()}
        if SURPRISE in series:
            columns[SURPRISE] = series.pop(SURPRISE)[:, 0].astype(np.float64)
        return Exploration(columns, rows, series, self.time_constants, self.facts["separator"])

    @cached_property
    def path(self) -> Floats:
        """(T, 2), as of `Exploration.path`; read once."""
        return self.exploration.path()

    @property
    def time_constants(self) -> dict[str, Floats]:
        """Of each layer, -1 / mean(ln f), as `Exploration` has it."""
        return {name: np.asarray(found) for name, found in self.facts["time_constants"].items()}

    def series(self, name: str) -> Pyramid:
        """Raises `RecipeError` for one that there is none of."""
        if name not in self.pyramids:
            raise RecipeError(f"`series` must be one of {', '.join(self.pyramids)}. Received: {name[:80]!r}.")
        return self.pyramids[name]

    def tile(self, name: str, zoom: int, number: int, kind: Kind = "mean", scale: Scale = "own") -> NDArray[np.uint8]:
        """(columns, units): 512 stretches of 2^zoom steps from the `number`th tile on, as shades of a palette.

        Args:
            name: of a series.
            zoom: a column is 2^zoom steps.
            number: of the tile, from 0 on.
            kind: of the values of a stretch.
            scale: `own`: 127 is a unit's mean, 0 and 254 three of its deviations away; `shared`: the same for all
                units, 0 or the middle of the range at 127, the largest at 254.

        Returns:
            shades 0 to 254; 255 where there is no number.

        Raises:
            RecipeError: for a series that there is none of.
        """
        (found,) = self.series(name).stretches(zoom, number * TILE, TILE, (kind,))
        own = self.facts["series"][name]
        if scale == "own":
            middle, reach = np.asarray(own["mean"]), _DEVIATIONS * np.asarray(own["deviation"])
        else:
            low, high = min(own["low"]), max(own["high"])
            middle = np.asarray(0.0 if low < 0 < high else (low + high) / 2)
            reach = np.asarray(max(abs(low - middle), abs(high - middle)))
        slope = (127 / np.where(reach > 0, reach, 1.0)).astype(np.float32)
        shades = np.rint(np.clip((found - middle.astype(np.float32)) * slope + 127, 0, 254))
        return np.where(np.isnan(shades), _NO_VALUE, shades).astype(np.uint8)

    def sorted(self, name: str, by: str) -> Sorted:
        """The units of a series in an order: `unit`, `constant`, `cluster`, or by their correlation with a question.

        Raises:
            RecipeError: for a series that there is none of, or a question that can't be asked.
        """
        values = self.series(name).values
        if by == "unit":
            return Sorted(list(range(values.shape[1])), [])
        if by == "constant":
            return by_time_constant(values, self.rows)
        if by == "cluster":
            return by_cluster(values)
        return self.exploration.sorted(name, by)

    def to_dict(self) -> dict[str, Any]:
        """What a reader is told."""
        return {
            "key": self.folder.name,
            **{name: self.facts[name] for name in ("num_steps", "num_rows", "data", "separator", "made", "bytes")},
            "series": {
                name: {key: one[key] for key in ("units", "dtype", "low", "high", "mean", "deviation")}
                for name, one in self.facts["series"].items()
            },
        }


def facts_of(folder: Path) -> dict[str, Any] | None:
    """The facts of a complete track; None: it is none, or damaged."""
    try:
        found = json.loads((folder / FACTS_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None
