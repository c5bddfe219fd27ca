"""Forecasts with no options: `ostinato train FILE` on series nobody set anything for, beside simple forecasts.

    python benchmarks/auto_forecasts.py DATA [SET ...] [--inside] [--set KEY=VALUE ...] [--report FILE.md]

DATA is a folder with the sets by name (`ett/ETTh1.csv.xz`, …); small ones come with statsmodels. Each is written as a
plain CSV, its last fifth held back; the rest is trained on by the bare command in a process of its own. Then origins
roll over the held-back part, every method knowing all that came before, with the horizon that the run chose. Squared
error is in deviations of the training part, MASE divides by its seasonal naive error. `--inside` leaves the last fifth
out altogether and holds back a fifth of the rest: how what a plan chooses should be chosen.

Beside it: the last value; the last season again and again; Holt-Winters (ETS, statsmodels, damped trend, additive
season, fitted anew at each origin), at some of the origins because it is slow; NLinear, by ridge regression on the
training part with a penalty chosen on its last fifth. The season is the calendar's (a day of hours, a year of months).
"""

from __future__ import annotations

import csv
import gzip
import lzma
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import bare
import numpy as np
from numpy.typing import NDArray

from ostinato.run import Run, load
from ostinato.tasks.forecasting.evaluation import forecast_rows

Floats = NDArray[np.float64]
_HELD_BACK = 0.2
_MOST_ORIGINS, _MOST_FITS, _ETS_READS = 300, 80, 500
_PENALTIES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0)


@dataclass(frozen=True)
class Data:
    """A table in time, (L, C), with its time stamps and the steps of a season; or several series, (L,) each."""

    values: list[Floats]
    stamps: list[str]
    season: int
    channels: list[str]

    @property
    def is_long(self) -> bool:
        """Whether it holds several series."""
        return len(self.values) > 1

    def part(self, share: float) -> Data:
        """The first share of each series."""
        return Data([one[: round(len(one) * share)] for one in self.values], self.stamps, self.season, self.channels)

    def write(self, path: Path, begin: Sequence[int], end: Sequence[int]) -> None:
        """The steps from `begin` to `end` of each series as a user would have them."""
        rows: list[Sequence[object]] = [[*(["series"] if self.is_long else []), "time", *self.channels]]
        for number, values in enumerate(self.values):
            name = [f"s{number:03d}"] if self.is_long else []
            for step in range(begin[number], end[number]):
                rows.append([*name, self.stamps[step], *(f"{value:.8g}" for value in values[step])])
        bare.write(path, rows)


@dataclass(frozen=True)
class Found:
    """Of a set: steps of training, horizon, lookback; squared error and MASE of each method; of ETS and ours at the
    origins that ETS was asked at; processor seconds; the plan."""

    name: str
    steps: int
    horizon: int
    lookback: int
    mse: dict[str, float]
    mase: dict[str, float]
    seconds: float
    plan: str

    @property
    def is_best(self) -> bool:
        """Whether ours has no greater squared error than any simple forecast."""
        rest = min(self.mse[key] for key in ("last", "seasonal", "nlinear"))
        return self.mse["ours"] <= rest and self.mse["ours_ets"] <= self.mse["ets"]


# ---- the sets -------------------------------------------------------------------------------------------------------
def _text(path: Path) -> list[list[str]]:
    opened = {".xz": lzma.open, ".gz": gzip.open}.get(path.suffix, open)
    with cast("Any", opened)(path, "rt") as file:
        return [row for row in csv.reader(file) if row]


def _table(path: Path, season: int, columns: Sequence[int], most: int | None = None) -> Data:
    head, *rows = _text(path)
    rows = [row for row in rows if len(row) == len(head)][:most]
    values = np.asarray([[float(row[column]) for column in columns] for row in rows])
    return Data([values], [row[0] for row in rows], season, [head[column] for column in columns])


def _exchange(folder: Path) -> Data:
    values = np.asarray(_text(folder / "exchange_rate" / "exchange_rate.txt.gz"), dtype=np.float64)
    days = np.datetime64("1990-01-01") + np.arange(len(values))
    return Data([values], [str(day) for day in days], 7, [f"rate{number}" for number in range(values.shape[1])])


def _pollution(folder: Path) -> Data:
    head, *rows = _text(folder / "ts_small" / "pollution.csv.xz")
    names = ["pm2.5", "DEWP", "TEMP", "PRES", "Iws"]
    cells = np.asarray([[row[head.index(name)] for name in names] for row in rows[24:]])
    cells[cells == "NA"] = "nan"
    values = cells.astype(np.float64)
    holes = np.isnan(values[:, 0])
    values[holes, 0] = np.interp(np.flatnonzero(holes), np.flatnonzero(~holes), values[~holes, 0])
    hours = np.datetime64("2010-01-02T00") + np.arange(len(values))
    return Data(
        [values], [str(hour).replace("T", " ") + ":00" for hour in hours], 24, [n.replace(".", "") for n in names]
    )


def _m4(folder: Path) -> Data:
    _, *rows = _text(folder / "m4" / "Hourly-train.csv.xz")
    series = [np.asarray([float(cell) for cell in row[1:] if cell])[:, None] for row in rows[::14]]
    hours = np.datetime64("2020-01-06T00") + np.arange(max(map(len, series)))
    return Data(series, _hours(hours), 24, ["value"])


def _of_statsmodels(name: str, columns: Sequence[str], first: str, step: str, season: int) -> Data:
    import statsmodels.api as sm

    table = getattr(sm.datasets, name).load_pandas().data
    values = table[list(columns)].interpolate().to_numpy(dtype=np.float64)
    return Data([values], _dates(first, step, len(values)), season, list(columns))


def _elnino() -> Data:
    import statsmodels.api as sm

    values = sm.datasets.elnino.load_pandas().data.iloc[:, 1:].to_numpy(dtype=np.float64).reshape(-1, 1)
    return Data([values], _dates("1950-01", "1M", len(values)), 12, ["temperature"])


def _hours(hours: NDArray[np.datetime64]) -> list[str]:
    return [f"{hour!s:.10} {str(hour)[11:13]}:00" for hour in hours]


def _dates(first: str, step: str, count: int) -> list[str]:
    """So many stamps, `step` apart: 1Y, 3M, 1W, 1D."""
    size, unit = int(step[:-1]), step[-1]
    return [str(one) for one in np.datetime64(first, unit) + size * np.arange(count)]


def sets(folder: Path) -> dict[str, Callable[[], Data]]:
    """Every set, by name."""
    small, ett = folder / "ts_small", folder / "ett"
    return {
        "airline": lambda: _table(small / "airline_passengers.csv", 12, [1]),
        "nile": lambda: _of_statsmodels("nile", ["volume"], "1871", "1Y", 1),
        "economy": lambda: _of_statsmodels("macrodata", ["realgdp", "cpi", "unemp", "tbilrate"], "1959-01", "3M", 4),
        "sunspots-yearly": lambda: _of_statsmodels("sunspots", ["SUNACTIVITY"], "1700", "1Y", 1),
        "elnino": _elnino,
        "co2": lambda: _of_statsmodels("co2", ["co2"], "1958-03-29", "7D", 52),
        "sunspots": lambda: _table(small / "monthly-sunspots.csv", 12, [1]),
        "temperatures": lambda: _table(small / "daily-min-temperatures.csv", 7, [1]),
        "m4-hourly": lambda: _m4(folder),
        "exchange": lambda: _exchange(folder),
        "pollution": lambda: _pollution(folder),
        "etth1": lambda: _table(ett / "ETTh1.csv.xz", 24, range(1, 8)),
        "ettm1": lambda: _table(ett / "ETTm1.csv.xz", 96, range(1, 8), 30_000),
    }


# ---- simple forecasts: of a history (L, C), whose rows after `origin` they don't read -------------------------------
def _last_season(history: Floats, origin: int, horizon: int, season: int) -> Floats:
    steps = origin - season + np.arange(horizon) % season
    return np.asarray(history[np.maximum(steps, 0)])


class _NLinear:
    """Ridge regression from a lookback to the horizon, the last value taken out, the same for all channels."""

    def __init__(self, series: Sequence[Floats], horizon: int, season: int) -> None:
        shortest = min(map(len, series))
        self.lookback = max(2, min(max(96, 2 * season), shortest // 4))
        self.horizon = horizon
        pairs = [self._pairs(one) for one in series]
        cuts = [max(1, round(len(inputs) * 0.8)) for inputs, _ in pairs]
        early = [np.concatenate([pair[part][:cut] for pair, cut in zip(pairs, cuts, strict=True)]) for part in (0, 1)]
        late = [np.concatenate([pair[part][cut:] for pair, cut in zip(pairs, cuts, strict=True)]) for part in (0, 1)]
        errors = {p: float(np.mean((late[1] - late[0] @ self._solved(*early, p)) ** 2)) for p in _PENALTIES}
        whole = [np.concatenate(parts) for parts in zip(early, late, strict=True)]
        self.weights = self._solved(*whole, min(errors, key=lambda p: errors[p]))

    def _pairs(self, one: Floats) -> tuple[Floats, Floats]:
        """(N C, lookback), (N C, horizon), in order of time; some of very many."""
        windows = np.lib.stride_tricks.sliding_window_view(one, self.lookback + self.horizon, axis=0)
        windows = windows[:: -(-len(windows) * one.shape[1] // 60_000)].reshape(-1, self.lookback + self.horizon)
        moved = windows - windows[:, self.lookback - 1 : self.lookback]
        ones = np.ones((len(moved), 1))
        return np.concatenate([moved[:, : self.lookback - 1], ones], axis=1), moved[:, self.lookback :]

    @staticmethod
    def _solved(inputs: Floats, outputs: Floats, penalty: float) -> Floats:
        products = inputs.T @ inputs
        ridge = penalty * np.trace(products) / len(products) * np.eye(len(products))
        ridge[-1, -1] = 1e-9
        return np.asarray(np.linalg.solve(products + ridge, inputs.T @ outputs))

    def __call__(self, history: Floats, origin: int) -> Floats:
        past = history[np.maximum(np.arange(origin - self.lookback, origin), 0)]
        moved = np.concatenate([(past - past[-1])[:-1], np.ones((1, past.shape[1]))])
        return np.asarray(self.weights.T @ moved + past[-1])


def _ets(history: Floats, origin: int, horizon: int, season: int) -> Floats:
    from statsmodels.tsa.holtwinters import ExponentialSmoothing

    past = history[max(0, origin - max(_ETS_READS, 4 * season)) : origin]
    periods = season if 1 < season <= len(past) // 2 else None
    found = np.repeat(past[-1:], horizon, axis=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for channel, values in enumerate(past.T):
            model = ExponentialSmoothing(
                values, trend="add", damped_trend=True, seasonal="add" if periods else None, seasonal_periods=periods
            )
            forecast = np.asarray(model.fit().forecast(horizon))
            if np.isfinite(forecast).all():
                found[:, channel] = forecast
    return found


# ---- measuring ------------------------------------------------------------------------------------------------------
def score(name: str, data: Data, settings: Sequence[str], *, with_ets: bool) -> Found:
    """Train as a user would on the first four fifths, and forecast the rest."""
    cuts = [round(len(one) * (1 - _HELD_BACK)) for one in data.values]
    with tempfile.TemporaryDirectory() as place:
        train, test, folder = Path(place) / "train.csv", Path(place) / "test.csv", Path(place) / "run"
        data.write(train, [0] * len(cuts), cuts)
        before = bare.seconds()
        bare.ostinato("train", train, "--out", folder, *bare.options(settings))
        seconds = bare.seconds() - before
        run = load(folder)
        model: Any = run.model
        reads = [min(model.recipe.lookback, cut) for cut in cuts]
        begins = [cut - read for cut, read in zip(cuts, reads, strict=True)]
        data.write(test, begins, list(map(len, data.values)))
        asked = _asked(run, test, len(cuts), data.values[0].shape[1])
        picked, ours = _ours(run, test, asked)
        plan = str(run.recipe.training.plan)
    origins = [(row, len(data.values[row]) - left) for row, left in picked]
    mse, mase = _errors(data, cuts, origins, ours, with_ets=with_ets)
    return Found(name, sum(cuts), model.recipe.horizon, model.recipe.lookback, mse, mase, seconds, plan)


def _asked(run: Run, test: Path, num_series: int, width: int) -> NDArray[np.int64]:
    """Evenly spread windows of the test file."""
    count = len(cast("Any", run.spec.load(str(test), run.features, run.recipe)))
    return np.unique(np.linspace(0, count - 1, _MOST_ORIGINS).astype(np.int64))


def _ours(run: Run, test: Path, asked: NDArray[np.int64]) -> tuple[list[tuple[int, int]], Floats]:
    """The series of each window and its steps from the origin to the end of the file, since a gap before it may have
    been filled; and the forecasts (N, H, C) in the series' own units."""
    windows: Any = run.spec.load(str(test), run.features, run.recipe)
    run.model.eval()
    points = [
        forecast_rows(cast("Any", run.model), windows, rows, run.device, ())[0] for rows in np.split(asked, len(asked))
    ]
    own = windows.original(np.concatenate(points), asked)
    ends = windows.sequences.offsets[windows.rows[asked] + 1]
    names = [int(windows.facts.names[row][1:]) if len(windows.facts.names) > 1 else 0 for row in windows.rows[asked]]
    return list(zip(names, (ends - windows.origins[asked]).tolist(), strict=True)), own.astype(np.float64)


def _errors(
    data: Data, cuts: Sequence[int], origins: Sequence[tuple[int, int]], ours: Floats, *, with_ets: bool
) -> tuple[dict[str, float], dict[str, float]]:
    """Squared error and MASE of each method, channel by channel."""
    horizon, season = ours.shape[1], data.season
    parts = [one[:cut] for one, cut in zip(data.values, cuts, strict=True)]
    scales = [np.maximum(part.std(axis=0), 1e-12) for part in parts]
    naive = [np.maximum(np.abs(part[season:] - part[:-season]).mean(axis=0), 1e-12) for part in parts]
    linear = _NLinear([part / scale for part, scale in zip(parts, scales, strict=True)], horizon, season)
    every = max(1, -(-len(origins) * ours.shape[2] // _MOST_FITS))
    errors: dict[str, list[Floats]] = {}
    for number, (row, origin) in enumerate(origins):
        history, scale = data.values[row], scales[row]
        answers = {
            "ours": ours[number],
            "last": _last_season(history, origin, horizon, 1),
            "seasonal": _last_season(history, origin, horizon, season),
            "nlinear": linear(history / scale, origin) * scale,
        }
        if number % every == 0:
            answers["ours_ets"] = ours[number]
            answers["ets"] = _ets(history, origin, horizon, season) if with_ets else answers["ours"] * np.inf
        truth = history[origin : origin + horizon]
        for key, answer in answers.items():
            missed = np.nan_to_num(answer, posinf=1e9) - truth
            errors.setdefault(key, []).append(np.stack([(missed / scale) ** 2, np.abs(missed) / naive[row]]))
    figures = {key: np.mean(found, axis=(0, 2, 3)) for key, found in errors.items()}
    return tuple({key: float(one[part]) for key, one in figures.items()} for part in (0, 1))  # type: ignore[return-value]


def lines(found: Sequence[Found]) -> Iterator[str]:
    """The table: squared error, and MASE of ours."""
    simple = {"last": "last value", "seasonal": "seasonal naive", "nlinear": "NLinear"}
    rows = [
        [one.name, f"{one.steps:,}", f"{one.lookback} → {one.horizon}"]
        + [f"**{one.mse['ours']:.4g}**" if one.is_best else f"{one.mse['ours']:.4g}"]
        + [f"{one.mse[key]:.4g}" for key in simple]
        + [f"{one.mse['ours_ets']:.4g}, {one.mse['ets']:.4g}", f"{one.mase['ours']:.3f}", f"{one.seconds:.0f}"]
        for one in found
    ]
    heads = ["set", "steps", "lookback → horizon", "ours", *simple.values(), "ours, ETS", "MASE", "CPU s"]
    yield from bare.table(heads, rows)
    yield f"no worse than any: {sum(one.is_best for one in found)} of {len(found)}"


def main() -> None:
    parser = bare.parser(__doc__)
    parser.add_argument("--inside", action="store_true", help="the last fifth is left out, a fifth of the rest scored")
    parser.add_argument("--no-ets", action="store_true", help="which takes longest")
    given = parser.parse_args()
    found: list[Found] = []
    for name, read in sets(given.data).items():
        if not given.sets or name in given.sets:
            data = read().part(1 - _HELD_BACK) if given.inside else read()
            found.append(score(name, data, given.settings, with_ets=not given.no_ets))
            print(list(lines(found))[-2], found[-1].plan, flush=True)
    bare.finish("\n".join(lines(found)), given.report)


if __name__ == "__main__":
    main()
