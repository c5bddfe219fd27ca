"""Tracks beside a run: written once in bounded memory, kept within a bound, tied to the run's weights."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, Literal, TypedDict

import numpy as np
from numpy.typing import NDArray

from ostinato.data.dataset import Examples
from ostinato.errors import DataError, RecipeError
from ostinato.exploration.exploring import columns_of, first_steps, separator_of
from ostinato.exploration.following import follow
from ostinato.exploration.pyramid import Pyramid, file_bytes
from ostinato.exploration.track import COLUMNS_FILE, FACTS_FILE, SURPRISE, Track, facts_of
from ostinato.storage.files import disk_error, write_atomically
from ostinato.tasks.generation import OpenRun
from ostinato.training.run_folder import checksums

TRACKS_FOLDER = "tracks"
LIMIT_BYTES = 16 << 30
NUM_STEPS = 1_000_000
_VERSION = 2
_MOST_STEP_BYTES = 64
"""Of what a step is encoded as: that is kept, for attributions and fixed points."""
_BEGUN = "."
_STALE_S = 24 * 3600


class Tracking(TypedDict, total=False):
    """Options of a track; see `track_run`."""

    num_steps: int
    gates: bool
    dtype: Literal["float16", "float32"]
    limit_bytes: int
    say: Callable[[str], None]
    progress: Callable[[int, int], None]


def weights_key(folder: Path) -> str:
    """Of all that a run's answers come from."""
    return hashlib.sha256(json.dumps(checksums(folder), sort_keys=True).encode()).hexdigest()


def tracks_of(folder: Path) -> list[Track]:
    """The complete tracks of a run's present weights, the newest first."""
    weights, found = weights_key(folder), list[Track]()
    for place in sorted((folder / TRACKS_FOLDER).glob("[!.]*")):
        facts = facts_of(place)
        if facts is not None and (facts.get("version"), facts.get("weights")) == (_VERSION, weights):
            found.append(Track(place, facts))
    return sorted(found, key=lambda one: str(one.facts["made"]), reverse=True)


def track_run(
    run: OpenRun,
    data: str | Path | None = None,
    *,
    num_steps: int = NUM_STEPS,
    gates: bool = True,
    dtype: Literal["float16", "float32"] = "float16",
    limit_bytes: int = LIMIT_BYTES,
    say: Callable[[str], None] = lambda _: None,
    progress: Callable[[int, int], None] = lambda _, __: None,
) -> Track:
    """States, gates and surprise at each of many steps, in files beside the run; one that is there already is opened.

    A network that reads forward is followed in pieces, so that memory grows with neither the data nor a row; one of
    both directions takes a row whole. Where all tracks of the run would take more than `limit_bytes`, those that were
    opened longest ago go.

    Args:
        run: opened by `ostinato.load`.
        data: a file or catalogue name, read as the run's own data were; default: its validation data.
        num_steps: so many steps, of as many rows as that takes, >= 1; the last row is cut.
        gates: whether gates are kept, too: they take most of the space.
        dtype: of what is kept; surprise is float32 always.
        limit_bytes: of the files of all tracks of the run.
        say: called with messages on what is read.
        progress: called with steps that are done, and how many there are; what it raises ends the work.

    Raises:
        RecipeError: for a number out of range, or a track that is larger than the limit by itself.
        RunError: for a model without an encoder that reads its input.
        DataError: for data that can't be used.
        CheckpointError: where the disk refuses.
    """
    examples = first_steps(run, data, num_steps, say)
    return track_examples(
        run, examples, str(data or "validation"), gates=gates, dtype=dtype, limit_bytes=limit_bytes, progress=progress
    )


def track_examples(
    run: OpenRun,
    examples: Examples,
    name: str,
    *,
    gates: bool = True,
    dtype: Literal["float16", "float32"] = "float16",
    limit_bytes: int = LIMIT_BYTES,
    progress: Callable[[int, int], None] = lambda _, __: None,
) -> Track:
    """As `track_run`, of rows that are encoded; `name` is what they are called."""
    if not len(examples.sequences.values):
        raise DataError("a row with at least one step was expected. Received: none.")
    weights, home = weights_key(run.folder), run.folder / TRACKS_FOLDER
    key = _key(weights, examples, gates, dtype)
    facts = facts_of(home / key)
    if facts is not None and facts.get("version") == _VERSION:
        os.utime(home / key)
        return Track(home / key, facts)
    try:
        home.mkdir(exist_ok=True)
        remove_stale(home)
        partial = Path(tempfile.mkdtemp(prefix=_BEGUN, dir=home))
        try:
            written = _Writer(partial, run, examples, gates, dtype, limit_bytes, home, progress).write()
            facts = {"version": _VERSION, "weights": weights, "data": name, **written}
            write_atomically(partial / FACTS_FILE, json.dumps(facts).encode())
            shutil.rmtree(home / key, ignore_errors=True)
            partial.rename(home / key)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    except OSError as error:
        raise disk_error(home, error) from error
    return Track(home / key, facts)


def drop_track(folder: Path, key: str) -> bool:
    """Remove a track of a run; whether there was one."""
    place = folder / TRACKS_FOLDER / key
    there = key.isalnum() and place.is_dir()
    if there:
        shutil.rmtree(place, ignore_errors=True)
    return there


def remove_stale(home: Path) -> None:
    """Remove what a process left behind that was killed while it wrote a track."""
    for left in home.glob(f"{_BEGUN}*"):
        if left.is_dir() and time.time() - left.stat().st_mtime > _STALE_S:
            shutil.rmtree(left, ignore_errors=True)


def make_room(home: Path, needed: int, limit: int) -> None:
    """Remove the tracks that were opened longest ago, until so many bytes more are within the limit.

    Raises:
        RecipeError: where they alone are beyond it.
    """
    if needed > limit:
        raise RecipeError(
            f"the states of these steps would take {needed / 2**30:.2f} GB, more than the {limit / 2**30:.2f} GB that "
            "tracks of a run may take.",
            hint="read fewer steps, `--steps`, or leave the gates out, `--no-gates`",
        )
    kept = [(place.stat().st_mtime, _bytes(place), place) for place in home.glob("[!.]*") if place.is_dir()]
    total = sum(size for _, size, _ in kept)
    for _, size, place in sorted(kept):
        if total + needed <= limit:
            return
        shutil.rmtree(place, ignore_errors=True)
        total -= size


def _bytes(place: Path) -> int:
    return sum(file.stat().st_size for file in place.iterdir())


def _key(weights: str, examples: Examples, gates: bool, dtype: str) -> str:
    parts = (examples.sequences, *examples.extra.values())
    found = hashlib.sha256(f"{_VERSION} {weights} {gates} {dtype}".encode())
    for part in parts:
        found.update(np.ascontiguousarray(part.values).data)
        found.update(np.ascontiguousarray(part.offsets).data)
    return found.hexdigest()[:16]


class _Writer:
    """The first pass: values of all series into their files, then what lies above them."""

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
            "bytes": _bytes(self.folder),
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
