"""The first pass over a long sequence: what becomes a track, written in bounded memory."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from ostinato.data.dataset import Examples
from ostinato.exploration.exploring import columns_of, separator_of
from ostinato.exploration.following import follow
from ostinato.exploration.pyramid import Pyramid, file_bytes
from ostinato.exploration.track import COLUMNS_FILE, SURPRISE
from ostinato.exploration.track_files import bytes_of, make_room
from ostinato.tasks.generation import OpenRun

_MOST_STEP_BYTES = 64
"""Of what a step is encoded as: that is kept, for attributions and fixed points."""


class Writer:
    """Values of all series into their files, then what lies above them.

    Args:
        folder: of the files.
        run, examples: what is followed.
        gates: whether these are kept.
        dtype: of what is kept.
        limit, home: bytes of all tracks, and their folder.
        progress: called with steps that are done, and how many there are.
    """

    def __init__(
        self,
        folder: Path,
        run: OpenRun,
        examples: Examples,
        gates: bool,
        dtype: str,
        limit: int,
        home: Path,
        progress: Callable[[int, int], None],
    ) -> None:
        self.folder, self.run, self.examples, self.gates, self.dtype = folder, run, examples, gates, dtype
        self.limit, self.home, self.progress = limit, home, progress
        self.files: dict[str, BinaryIO] = {}
        self.sums: dict[str, _Sums] = {}

    def write(self) -> dict[str, Any]:
        """Facts for `track.json`."""
        total, done, constants, known = len(self.examples.sequences.values), 0, dict[str, str](), True
        self.progress(0, total)
        try:
            for piece in follow(self.run, self.examples, gates=self.gates):
                constants = piece.constants
                known = known and piece.surprise is not None
                series = dict(piece.series)
                if piece.surprise is not None:
                    series[SURPRISE] = piece.surprise.astype(np.float32)[:, None]
                if not self.files:
                    self._begin(series, total)
                self._add(series, constants)
                done += len(next(iter(piece.series.values())))
                self.progress(done, total)
        finally:
            for file in self.files.values():
                file.close()
        facts: dict[str, dict[str, Any]] = {
            name: {"file": self._file(name).name, "units": one.units, "dtype": self._dtype(name), **one.to_dict()}
            for name, one in self.sums.items()
            if known or name != SURPRISE
        }
        for name, one in facts.items():
            Pyramid.build(self._file(name), total, one["units"], one["dtype"])
            self.progress(done, total)
        self._write_columns()
        return {
            "num_steps": total,
            "num_rows": int(np.count_nonzero(self.examples.sequences.lengths)),
            "separator": separator_of(self.run),
            "made": datetime.now(UTC).isoformat(timespec="seconds"),
            "bytes": bytes_of(self.folder),
            "series": facts,
            "time_constants": {layer: self.sums[gate].constants() for layer, gate in constants.items() if self.gates},
        }

    def _begin(self, series: dict[str, NDArray[np.float32]], total: int) -> None:
        units = {name: part.shape[1] for name, part in series.items()}
        make_room(self.home, sum(file_bytes(total, n, self._dtype(name)) for name, n in units.items()), self.limit)
        for number, name in enumerate(series):
            self.sums[name] = _Sums(units[name])
            self.files[name] = (self.folder / f"{number}.values").open("wb")

    def _add(self, series: dict[str, NDArray[np.float32]], constants: dict[str, str]) -> None:
        keeping = set(constants.values())
        for name, part in series.items():
            self.files[name].write(np.ascontiguousarray(part.astype(self._dtype(name))).data)
            self.sums[name].add(part, logs=name in keeping)

    def _file(self, name: str) -> Path:
        return self.folder / f"{list(self.sums).index(name)}.values"

    def _dtype(self, name: str) -> str:
        return "float32" if name == SURPRISE else self.dtype

    def _write_columns(self) -> None:
        columns, _ = columns_of(self.run, self.examples)
        arrays: dict[str, NDArray[Any]] = {"lengths": self.examples.sequences.lengths}
        values = self.examples.sequences.values
        if not self.examples.extra and values.nbytes <= _MOST_STEP_BYTES * len(values):
            arrays["encoded"] = np.asarray(values)
        for name in ("token", "label"):
            if name in columns:
                arrays[f"{name}.kinds"], arrays[name] = np.unique(columns[name].astype(str), return_inverse=True)
                arrays[name] = arrays[name].astype(np.int32)
        if "value" in columns:
            arrays["value"] = columns["value"]
        np.savez(self.folder / COLUMNS_FILE, allow_pickle=False, **arrays)


class _Sums:
    """Of each unit of a series: least, largest, mean and deviation, and the mean logarithm of a gate that keeps."""

    def __init__(self, units: int) -> None:
        self.units, self.count = units, 0
        self.low, self.high = np.full(units, np.inf), np.full(units, -np.inf)
        self.sums, self.logs = np.zeros((2, units)), np.zeros(units)

    def add(self, part: NDArray[np.float32], logs: bool) -> None:
        """(n, units) more; what is not finite doesn't count."""
        read = part.astype(np.float64)
        there = np.isfinite(read).all(axis=1)
        read = read[there]
        if len(read):
            self.count += len(read)
            self.low, self.high = np.minimum(self.low, read.min(axis=0)), np.maximum(self.high, read.max(axis=0))
            self.sums += read.sum(axis=0), (read**2).sum(axis=0)
            if logs:
                self.logs += np.log(np.maximum(read, 1e-30)).sum(axis=0)

    def constants(self) -> list[float]:
        """-1 / mean(ln f)."""
        found: list[float] = (-1 / np.minimum(self.logs / max(self.count, 1), -1e-12)).tolist()
        return found

    def to_dict(self) -> dict[str, list[float]]:
        """For `track.json`, rounded."""
        mean, square = self.sums / max(self.count, 1)
        deviation = np.sqrt(np.maximum(square - mean**2, 0.0))
        low, high = (np.where(np.isfinite(one), one, 0.0) for one in (self.low, self.high))
        found = {"low": low, "high": high, "mean": mean, "deviation": deviation}
        return {name: [float(f"{one:.6g}") for one in values.tolist()] for name, values in found.items()}
