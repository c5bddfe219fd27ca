"""The application: everything that is reached over HTTP, put together."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from ostinato import __version__
from ostinato.errors import OstinatoError
from ostinato.serving import routes_models, routes_sessions
from ostinato.serving.access import Access
from ostinato.serving.bodies import Problem
from ostinato.serving.direct import DirectSteps
from ostinato.serving.guard import Guard
from ostinato.serving.house import House
from ostinato.serving.json_text import json_bytes, too_deep
from ostinato.serving.metrics import Metrics
from ostinato.serving.page import routes_inside
from ostinato.serving.page.asking import Page
from ostinato.serving.page.jobs import Jobs
from ostinato.serving.page.routes import files_router, report_router, runs_router
from ostinato.serving.page.routes_tracks import tracks_router
from ostinato.serving.page.shown import Shown
from ostinato.serving.page.tickets import Tickets
from ostinato.serving.page.tracking import Tracking
from ostinato.serving.problems import PROBLEM, problem, problem_bytes
from ostinato.serving.refused import RefusedError
from ostinato.serving.reload import Reopen, watch
from ostinato.serving.routes_stream import Connections, stream_router
from ostinato.serving.served import Config
from ostinato.serving.workshop.routes import workshop_router
from ostinato.serving.workshop.workshop import Workshop

_PROBLEMS: dict[int | str, dict[str, Any]] = {
    code: {"description": text, "content": {PROBLEM: {"schema": {"$ref": "#/components/schemas/Problem"}}}}
    for code, text in (
        ("4XX", "What was sent can't be used as it is."),
        ("5XX", "The server can't do it now."),
    )
}


def make_app(
    house: House,
    config: Config,
    metrics: Metrics,
    connections: Connections,
    reopen: Reopen,
    hosts: frozenset[str] = frozenset(),
    workshop: Workshop | None = None,
) -> FastAPI:
    """An application that serves runs; their engines start and stop with it.

    Args:
        house: what is served.
        config: how.
        metrics: what the engines count in.
        connections: what the engines tell of sessions that end.
        reopen: opens a run again whose files have changed.
        hosts: names that requests may be meant for; none: any.
        workshop: the folder whose runs the page lists, and where it trains; None: it lists those that are served.
    """
    app = FastAPI(
        title="Ostinato",
        version=__version__,
        summary="Recurrent models, and sessions that keep their state.",
        lifespan=_lifespan(house, reopen),
        responses=_PROBLEMS,
        docs_url=None,
        redoc_url=None,
    )
    app.state.ready, app.state.house, app.state.config = True, house, config
    app.state.access = Access(config.tokens, config.per_second)
    app.include_router(routes_models.router)
    app.include_router(routes_sessions.router)
    app.include_router(stream_router(house, connections))
    shown, jobs = Shown(house, workshop), Jobs()
    tracking, tickets = Tracking(jobs), Tickets(config.key)
    app.state.page = Page(shown, tracking, jobs)
    app.include_router(report_router(shown, tickets))
    app.include_router(runs_router(house, shown, tickets))
    app.include_router(tracks_router(house, shown.folder_of, tracking))
    app.include_router(routes_inside.router)
    if workshop is not None:
        app.include_router(workshop_router(workshop))
    app.include_router(files_router())
    _add_operations(app, house, metrics)
    _add_problems(app)
    app.add_middleware(DirectSteps, house=house, access=app.state.access)
    app.add_middleware(
        Guard, metrics=metrics, max_body_bytes=config.max_body_bytes, body_s=config.request_s, hosts=hosts
    )
    return app


def _lifespan(house: House, reopen: Reopen) -> Any:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        for engine in house.engines:
            engine.start()
        watching = asyncio.create_task(watch(house, reopen))
        yield
        app.state.ready = False
        watching.cancel()
        for engine in house.engines:
            await asyncio.to_thread(engine.stop)
        workers: set[ThreadPoolExecutor] = {served.worker for served in house.served.values()}
        for worker in workers:
            worker.shutdown(cancel_futures=True)

    return lifespan


def _add_operations(app: FastAPI, house: House, metrics: Metrics) -> None:
    @app.get("/health", tags=["operations"], summary="Whether it lives")
    async def health() -> dict[str, str]:
        """The process lives."""
        return {"status": "alive"}

    @app.get("/ready", tags=["operations"], summary="Whether it takes requests")
    async def ready() -> dict[str, str]:
        """Requests are taken; 503 while the server stops."""
        if not app.state.ready:
            raise RefusedError(503, "the server is stopping.", hint="ask another server")
        return {"status": "ready"}

    @app.get(
        "/metrics",
        tags=["operations"],
        summary="Counters for Prometheus",
        response_class=Response,
        responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
    )
    async def measured() -> Response:
        """Requests, micro-batches, sessions and their memory, as its text format has them."""
        return Response(metrics.text(house), media_type="text/plain; version=0.0.4")


def _add_problems(app: FastAPI) -> None:
    async def ours(_: Request, error: Exception) -> Response:
        status, body = problem_bytes(error)
        headers = {"www-authenticate": "Bearer"} if status == 401 else {}
        headers |= {"retry-after": "1"} if status in (429, 503) else {}
        return Response(body, status, headers, PROBLEM)

    async def invalid(_: Request, error: Exception) -> Response:
        first = error.errors()[0] if isinstance(error, RequestValidationError) else {}
        where = ".".join(str(part) for part in first.get("loc", ())[1:]) or "the body"
        found = problem(
            422,
            f"`{where}`: {first.get('msg', 'a valid request was expected')}.",
            f"Received: {first.get('input')!r:.80}",
        )
        return Response(json_bytes(found), 422, media_type=PROBLEM)

    async def plain(request: Request, error: Exception) -> Response:
        if isinstance(error.__cause__, OstinatoError):  # raised while a body was read
            return await ours(request, error.__cause__)
        if isinstance(error.__cause__, RecursionError):  # so deep that it could not be read
            return await ours(request, too_deep())
        status = error.status_code if isinstance(error, HTTPException) else 500
        said = str(error.detail) if isinstance(error, HTTPException) else "error"
        headers = dict(getattr(error, "headers", None) or {})
        found = problem(status, f"{said}.", "The paths and methods that there are: /openapi.json.")
        return Response(json_bytes(found), status, headers, PROBLEM)

    app.add_exception_handler(OstinatoError, ours)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(HTTPException, plain)
    app.add_exception_handler(Exception, ours)
    described = app.openapi

    def openapi() -> dict[str, Any]:
        found = described()
        found["components"]["schemas"].setdefault("Problem", Problem.model_json_schema())
        return found

    app.openapi = openapi  # type: ignore[method-assign]
