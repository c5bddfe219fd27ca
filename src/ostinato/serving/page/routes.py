"""The page over HTTP: its files, and what it asks of runs."""

from __future__ import annotations

import asyncio
import hashlib
import os
from importlib import resources
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Depends, Query, Request, Response

from ostinato.serving.access import Access
from ostinato.serving.asking import Owner, owner_of
from ostinato.serving.house import House
from ostinato.serving.page.examples import examples
from ostinato.serving.page.looking import MOST_STEPS, Looks
from ostinato.serving.page.shown import Shown
from ostinato.serving.page.tickets import Tickets, ended
from ostinato.serving.refused import RefusedError
from ostinato.shelf.facts import REPORT_FILE, run_details, run_facts
from ostinato.training.run_folder import MODEL_FILE
from ostinato.wording import command

POLICY = "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; object-src 'none'"
_REPORT_POLICY = (
    "sandbox allow-scripts; default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
    "img-src data:; media-src data:; font-src data:"
)
"""A report is one file with all in it: it may show itself, and reach nothing."""
_KINDS = {".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}


def static_files() -> dict[str, bytes]:
    """What a browser may read, by its path below `/page/`."""
    found = dict[str, bytes]()
    root = resources.files("ostinato.serving.page") / "static"
    folders = [("", root)]
    for at, folder in folders:
        for entry in folder.iterdir():
            if entry.is_dir():
                folders.append((f"{at}{entry.name}/", entry))
            elif Path(entry.name).suffix in _KINDS:
                found[at + entry.name] = entry.read_bytes()
    return found


def files_router() -> APIRouter:
    """The page itself, which anybody who reaches the server may read: it holds nothing of a run."""
    router, files = APIRouter(include_in_schema=False), static_files()
    tags = {name: f'"{hashlib.sha256(content).hexdigest()[:16]}"' for name, content in files.items()}

    def sent(request: Request, name: str) -> Response:
        if name not in files:
            raise RefusedError(404, f"a file of the page was expected. Received: {name[:80]!r}.")
        headers = {
            "content-security-policy": POLICY,
            "x-content-type-options": "nosniff",
            "referrer-policy": "no-referrer",
            "cache-control": "no-cache",
            "etag": tags[name],
        }
        if request.headers.get("if-none-match") == tags[name]:
            return Response(status_code=304, headers=headers)
        return Response(files[name], headers=headers, media_type=_KINDS[Path(name).suffix])

    @router.get("/")
    async def page(request: Request) -> Response:
        return sent(request, "index.html")

    @router.get("/page/{name:path}")
    async def file(name: str, request: Request) -> Response:
        return sent(request, name)

    return router


def runs_router(house: House, shown: Shown, tickets: Tickets) -> APIRouter:
    """What the page asks.

    Args:
        house: the runs whose models are served.
        shown: all that the page lists.
        tickets: for links to reports.
    """
    router = APIRouter(prefix="/v1/runs", tags=["page"], dependencies=[Depends(owner_of)])
    looks, workshop = Looks(), shown.workshop

    @router.get("")
    def runs() -> dict[str, Any]:
        """All runs: task, main figure, state; and whether further ones are trained here."""
        found = [run_facts(name, folder) for name, folder in shown.folders().items()]
        if workshop is not None:
            found += workshop.pending()
        return {"runs": found, "trains": workshop is not None}

    @router.get("/{run}")
    def run(run: str, who: Owner) -> dict[str, Any]:
        """One run: figures, findings and curves; where it trains, what its process says."""
        if workshop is not None:
            coming = next((one for one in workshop.pending() if one["name"] == run), None)
            if coming is not None:
                return {**coming, "job": workshop.trainings.state(run), "trains": True, "served": False}
        folder = shown.folder_of(run)
        job = None if workshop is None else workshop.trainings.state(run)
        own = {} if workshop is None else {"use": command("serve", folder)}
        served = run in house.served or (folder / MODEL_FILE).is_file()
        found = run_details(run, folder)
        report = (
            None
            if (written := _written(folder / REPORT_FILE)) is None
            else f"/v1/runs/{quote(run, safe='')}/report?ticket={quote(tickets.of(run, written, who), safe='')}"
        )
        return {**found, "report": report, "served": served, "job": job, "trains": workshop is not None, **own}

    @router.get("/{run}/asked")
    def asked(run: str) -> dict[str, Any]:
        """How its model is asked, which is opened for that."""
        return _asked(house.find(run))

    @router.get("/{run}/explore")
    async def explore(
        run: str,
        question: Annotated[str, Query(max_length=500, description="As of `ostinato explore -q`.")] = "",
        steps: Annotated[int, Query(ge=40, le=MOST_STEPS, description="Of the validation data.")] = 4_000,
        series: Annotated[str, Query(max_length=80, description="Whose unit is shown: `layer 1.c`.")] = "",
        unit: Annotated[int, Query(ge=0)] = 0,
    ) -> dict[str, Any]:
        """Which units tell a question, scored on steps that did not choose them."""
        served = await house.found(run)
        return await served.work(looks.look, served, question, steps, series, unit)

    return router


def report_router(shown: Shown, tickets: Tickets) -> APIRouter:
    """Reports, which a browser opens by a link: that can't send a token, so it holds a ticket for the one report."""
    router = APIRouter(prefix="/v1/runs", tags=["page"])

    @router.get("/{run}/report", response_class=Response)
    async def report(
        run: str,
        request: Request,
        ticket: Annotated[
            str, Query(max_length=1000, description="As the run's `report` has it, in place of a token.")
        ] = "",
    ) -> Response:
        """Its report."""
        access: Access = request.app.state.access
        written = None
        if not ticket or "authorization" in request.headers or not access.has_tokens:
            await owner_of(request, None)
        else:
            written, who = tickets.holder(run, ticket)
            access.count(who, request.scope)
        content = await asyncio.to_thread(_report, shown, run, written)
        headers = {
            "content-security-policy": _REPORT_POLICY,
            "x-content-type-options": "nosniff",
            "referrer-policy": "no-referrer",
        }
        return Response(content, headers=headers, media_type="text/html")

    return router


def _written(report: Path) -> int | None:
    try:
        return report.stat().st_mtime_ns
    except OSError:
        return None


def _report(shown: Shown, run: str, written: int | None) -> bytes:
    """A report, as it was written then."""
    try:
        with (shown.folder_of(run) / REPORT_FILE).open("rb") as file:
            if written not in (None, os.fstat(file.fileno()).st_mtime_ns):
                raise ended()
            return file.read()
    except OSError as error:
        raise RefusedError(404, "a run with a report was expected. Received: one without.") from error


def _asked(served: Any) -> dict[str, Any]:
    """How a model is asked: its columns, whether it writes, whether it answers step by step."""
    run, facts = served.run, served.facts()
    columns = {str(run.recipe.data.input or "input"): run.features.input, **run.features.extra}
    return {
        "noun": facts["noun"],
        "writes": facts["writes"],
        "sessions": facts["sessions"],
        "no_sessions": facts.get("no_sessions"),
        "examples": examples(run),
        "sample_rate": facts.get("sample_rate"),
        "columns": [
            {"name": name, "kind": feature.kind, "is_file": feature.reads_files, "is_text": _is_text(feature)}
            for name, feature in columns.items()
        ],
    }


def _is_text(feature: Any) -> bool:
    return feature.form in ("ids", "words")
