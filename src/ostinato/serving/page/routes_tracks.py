"""Long sequences over HTTP: tracks of a run, and what the page draws of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Depends, Query, Response
from pydantic import Field

from ostinato.exploration.pyramid import KINDS, Kind
from ostinato.exploration.track import SURPRISE, Scale, Track
from ostinato.serving.asking import owner_of
from ostinato.serving.bodies import Body
from ostinato.serving.cells import refuse_files
from ostinato.serving.house import House
from ostinato.serving.page.tracking import Source, Tracking
from ostinato.serving.refused import RefusedError

MOST_STEPS = 5_000_000
_MOST_TOKENS = 2_000
_PATH_POINTS = 3_000
Step = Annotated[int, Query(ge=0, description="From 0 on.")]
Name = Annotated[str, Query(max_length=80, description="`layer 1.c`.")]


class Begin(Body):
    """A track to make."""

    source: Source = Field("validation", description="The run's own data, or what is given.")
    given: str | list[Any] | None = Field(None, description="A text or numbers, as a session's step takes them.")
    steps: int = Field(1_000_000, ge=1, le=MOST_STEPS, description="At most so many.")
    gates: bool = Field(True, description="Whether gates are kept, too.")


def tracks_router(house: House, folder_of: Callable[[str], Path], tracking: Tracking) -> APIRouter:
    """What the page asks of long sequences.

    Args:
        house: the runs whose models are served.
        folder_of: of a run that is shown, by name.
        tracking: their tracks.
    """
    router = APIRouter(prefix="/v1/runs/{run}/tracks", tags=["page"], dependencies=[Depends(owner_of)])

    def track_of(run: str, key: str) -> Track:
        return tracking.find(folder_of(run), key)

    @router.get("")
    def tracks(run: str) -> dict[str, Any]:
        """Tracks that there are, and the one in the making."""
        return tracking.of(run, folder_of(run))

    @router.post("", status_code=202)
    def begin(run: str, body: Begin) -> dict[str, Any]:
        """Begin to make a track in the background; `GET` tells how far it is."""
        served = house.find(run)
        if (body.source == "given") != bool(body.given):
            raise RefusedError(422, '`given` goes with `source` "given", and must not be empty.')
        if body.given:
            refuse_files(served.run, body.given)
        return tracking.start(run, served.run.folder, body.source, body.given, body.steps, body.gates)

    @router.delete("", status_code=204)
    def stop(run: str) -> None:
        """End the making of a track."""
        folder_of(run)
        tracking.stop(run)

    @router.delete("/{key}", status_code=204)
    def drop(run: str, key: str) -> None:
        """Remove the files of a track."""
        tracking.drop(folder_of(run), key)

    @router.get("/{key}")
    def track(run: str, key: str) -> dict[str, Any]:
        """Steps, rows, and range and spread of each unit."""
        return track_of(run, key).to_dict()

    _add_drawn(router, track_of)
    _add_asked(router, track_of)
    return router


def _add_drawn(router: APIRouter, track_of: Callable[[str, str], Track]) -> None:
    @router.get("/{key}/tile", response_class=Response)
    async def tile(
        run: str,
        key: str,
        series: Name,
        zoom: Annotated[int, Query(ge=0, le=40, description="A column is 2^zoom steps.")],
        number: Annotated[int, Query(ge=0, le=2**40, description="512 columns each.")],
        kind: Kind = "mean",
        scale: Scale = "own",
    ) -> Response:
        """Shades (columns, units), a byte each: 127 the middle, 255 no number."""
        found = await asyncio.to_thread(lambda: track_of(run, key).tile(series, zoom, number, kind, scale))
        headers = {"cache-control": "private, max-age=600", "x-columns": str(len(found))}
        return Response(found.tobytes(), headers=headers, media_type="application/octet-stream")

    @router.get("/{key}/line")
    def line(
        run: str,
        key: str,
        series: Name,
        first: Step,
        last: Step,
        unit: Annotated[int, Query(ge=0)] = 0,
        columns: Annotated[int, Query(ge=1, le=4_000)] = 600,
    ) -> dict[str, Any]:
        """Least, largest and mean of one unit over a span."""
        found = track_of(run, key)
        pyramid = found.series(series)
        if unit >= pyramid.values.shape[1]:
            raise RefusedError(422, f"`unit` must be below {pyramid.values.shape[1]}. Received: {unit}.")
        first, last = _span(found, first, last)
        step, values = pyramid.span(first, last, columns)
        kept: dict[str, Any] = {kind: rounded(values[at, :, unit]) for at, kind in enumerate(KINDS)}
        return {"first": first // step * step, "step": step, **kept}

    @router.get("/{key}/tokens")
    def tokens(run: str, key: str, first: Step, last: Step) -> dict[str, Any]:
        """What the steps are."""
        found = track_of(run, key)
        first, last = _span(found, first, last)
        return {"first": first, "tokens": found.tokens(first, min(last, first + _MOST_TOKENS))}


def _add_asked(router: APIRouter, track_of: Callable[[str, str], Track]) -> None:
    @router.get("/{key}/step")
    def step(run: str, key: str, at: Step) -> dict[str, Any]:
        """What stands around a step, its row, and all units there."""
        found = track_of(run, key)
        at = _span(found, at, at + 1)[0]
        known = found.pyramids
        cost = float(known[SURPRISE].values[at, 0]) if SURPRISE in known else float("nan")
        return {
            "at": at,
            "row": int(found.rows[at]),
            "around": found.exploration.around(at, 40, 20),
            "surprise": cost if np.isfinite(cost) else None,
            "values": {name: rounded(one.values[at]) for name, one in known.items() if name != SURPRISE},
        }

    @router.get("/{key}/order")
    def order(
        run: str,
        key: str,
        series: Name,
        by: Annotated[str, Query(max_length=500, description="unit, constant, cluster, or a question.")] = "unit",
    ) -> dict[str, Any]:
        """The units of a series in an order, and what that is by."""
        found = track_of(run, key).sorted(series, by)
        return {"units": found.units, "values": rounded(np.asarray(found.values))}

    @router.get("/{key}/answer")
    def answer(run: str, key: str, question: Annotated[str, Query(min_length=1, max_length=500)]) -> dict[str, Any]:
        """Which units tell a question, scored on steps that did not choose them."""
        return track_of(run, key).exploration.answer(question).to_dict()

    @router.get("/{key}/nearest")
    def nearest(run: str, key: str, at: Step, count: Annotated[int, Query(ge=1, le=50)] = 12) -> dict[str, Any]:
        """Where else the state was like that after a step."""
        found = track_of(run, key)
        at = _span(found, at, at + 1)[0]
        return {"at": at, "moments": [one.__dict__ for one in found.exploration.nearest(at, count)]}

    @router.get("/{key}/path")
    def path(run: str, key: str, first: Step, last: Step) -> dict[str, Any]:
        """The state in two dimensions: over all steps, some of them, and over a span."""
        found = track_of(run, key)
        first, last = _span(found, first, last)
        places, whole = found.path, -(-found.num_steps // _PATH_POINTS)
        every = max(1, (last - first) // _PATH_POINTS)
        return {
            "all": [rounded(one) for one in places[::whole].T],
            "every": whole,
            "first": first,
            "step": every,
            "span": [rounded(one) for one in places[first:last:every].T],
        }


def _span(track: Track, first: int, last: int) -> tuple[int, int]:
    if not first < last or first >= track.num_steps:
        raise RefusedError(422, f"steps from 0 to {track.num_steps:,} were expected. Received: {first} to {last}.")
    return first, min(last, track.num_steps)


def rounded(values: Any) -> list[float | None]:
    """For JSON, to four digits."""
    return [float(f"{one:.4g}") if np.isfinite(one) else None for one in values.tolist()]
