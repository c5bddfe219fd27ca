"""What needs no session: which models there are, predictions, scores, and what is written at once."""

from __future__ import annotations

import base64
import binascii
import json
import logging
import tempfile
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, TypeVar

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from ostinato.errors import OstinatoError, RowError
from ostinato.serving.asking import FileName, Model, Owner, TheHouse, owner_of
from ostinato.serving.bodies import (
    Carried,
    Carry,
    Evaluated,
    Generate,
    ModelFacts,
    ModelList,
    Predictions,
    Rows,
    Score,
    Scored,
)
from ostinato.serving.json_text import json_bytes
from ostinato.serving.problems import problem_of
from ostinato.serving.refused import RefusedError
from ostinato.serving.served import Served

T = TypeVar("T")
_LOG = logging.getLogger("ostinato.serving")
_LINES_AT_ONCE, _LONGEST_SUFFIX = 256, 16
JSON, LINES, EVENTS = "application/json", "application/x-ndjson", "text/event-stream"
AS_IT_COMES = {"cache-control": "no-store", "x-accel-buffering": "no"}
"""For proxies: a stream is passed on at once."""
_EVENT = {
    "type": "object",
    "required": ["event", "data"],
    "properties": {
        "event": {"type": "string", "enum": ["piece", "sequence", "end", "problem"]},
        "data": {"type": "string", "contentMediaType": JSON, "description": "What was written, in JSON."},
    },
}
STREAM: dict[str, Any] = {"description": "Server-sent events.", "content": {EVENTS: {"schema": _EVENT}}}

router = APIRouter(prefix="/v1/models", tags=["models"], dependencies=[Depends(owner_of)])


def _body(model: type[Any], *others: str) -> dict[str, Any]:
    """A request's body for OpenAPI where the route reads it itself."""
    content = {JSON: {"schema": model.model_json_schema()}}
    content |= {kind: {"schema": {"type": "string", "format": "binary"}} for kind in others}
    return {"requestBody": {"required": True, "content": content}}


@router.get("", summary="All models", response_model=ModelList)
async def models(house: TheHouse) -> dict[str, list[dict[str, Any]]]:
    """The models that are served: task, signature, figures."""
    return {"models": [await served.work(served.facts) for served in list(house.served.values())]}


@router.get("/{model}", summary="One model", response_model=ModelFacts)
async def model(house: TheHouse, model: Model) -> dict[str, Any]:
    """Its task, signature and figures; whether it has sessions, and why not."""
    served = await house.found(model)
    return await served.work(served.facts)


@router.post(
    "/{model}/predict", summary="Predict rows", response_model=Predictions, openapi_extra=_body(Rows, LINES, "*/*")
)
async def predict(
    house: TheHouse,
    model: Model,
    request: Request,
    name: FileName = "",
) -> Response:
    """Predict rows: `{"rows": [...]}`; lines of JSON, each answered by a line; or a file: a sound, a picture, a
    table, whose name the parameter `name` says."""
    served, kind = await house.found(model), request.headers.get("content-type", "").partition(";")[0]
    if kind == LINES:
        lines = _predicted(served, request, request.app.state.config.max_body_bytes)
        return _WhileReading(lines, headers=AS_IT_COMES, media_type=LINES)
    if kind in ("", JSON):
        given = _rows(await request.body())
        found = await served.work(served.predict, given.rows, given.intervene)
    else:
        found = await _with_file(served, served.predict_file, await request.body(), name)
    return Response(json_bytes(_finite({"predictions": found})), media_type=JSON)


@router.post(
    "/{model}/evaluate",
    response_model=Evaluated,
    summary="Figures on labelled rows",
    openapi_extra=_body(Rows, "*/*"),
)
async def evaluate(house: TheHouse, model: Model, request: Request, name: FileName = "") -> Response:
    """How well the model does on labelled rows, with intervals of 95 %, as `ostinato evaluate` has it:
    `{"rows": [...]}`, objects by column with the target among them, or a file, whose name the parameter `name`
    says. Nothing of it is kept."""
    served, kind = await house.found(model), request.headers.get("content-type", "").partition(";")[0]
    body = await request.body()
    if kind in ("", JSON):
        rows = _objects(_rows(body))
        body, name = b"\n".join(json_bytes(row) for row in rows), "rows.jsonl"
    found = await _with_file(served, served.evaluate, body, name)
    return Response(json_bytes(found), media_type=JSON)


@router.post("/{model}/score", summary="Answer each step of a sequence", response_model=Scored)
async def score(house: TheHouse, model: Model, body: Score) -> Response:
    """What the model answers at each step of a sequence; a language model says the loss of each token."""
    engine = (await house.found(model)).running
    return Response(await engine.do(engine.sessions.score(body.inputs)), media_type=JSON)


@router.post("/{model}/step", summary="Step with a state of one's own", response_model=Carried)
async def step(house: TheHouse, model: Model, body: Carry, who: Owner) -> Response:
    """Read steps in a session whose state travels with the client: no server keeps it, and any goes on with it."""
    engine = (await house.found(model)).running
    made = engine.sessions.carry(who, decoded(body.state), body.inputs, body.answers, body.intervene)
    return Response(await engine.do(made), media_type=JSON)


@router.post("/{model}/generate", summary="Write", response_class=StreamingResponse, responses={200: STREAM})
async def generate(house: TheHouse, model: Model, body: Generate) -> Response:
    """Write; server-sent events: `piece` as it is written (or one event for each whole sequence), then `end`."""
    served = await house.found(model)
    options = body.model_dump(exclude={"prompt"})
    made = await served.work(served.generation, body.prompt, options)
    if made.pieces is not None:
        return StreamingResponse(_pieces(served, iter(made.pieces)), headers=AS_IT_COMES, media_type=EVENTS)
    return StreamingResponse(_whole(made.sequences), headers=AS_IT_COMES, media_type=EVENTS)


def decoded(state: bytes) -> bytes:
    """Raises `RefusedError` for what is no base64."""
    try:
        return base64.b64decode(state, validate=True)
    except binascii.Error as error:
        raise RefusedError(422, f"`state` must be base64. Received: {state[:40]!r}.") from error


class _WhileReading(StreamingResponse):
    """A stream that is made while the request's body is read: nobody else may wait for what the client sends."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.stream_response(send)


def _rows(body: bytes) -> Rows:
    try:
        return Rows.model_validate_json(body)
    except ValueError as error:
        raise RefusedError(
            422, f'a body like {{"rows": [...]}} was expected. Received: {body[:60].decode(errors="replace")!r}.'
        ) from error


def _objects(rows: Rows) -> list[Any]:
    if not rows.rows or not all(isinstance(row, dict) for row in rows.rows):
        raise RefusedError(
            422, "`rows` must be objects by column, the target among them. Received: none, or something else."
        )
    return rows.rows


async def _with_file(served: Served, work: Callable[[Path], T], body: bytes, name: str) -> T:
    """What comes of a file that was sent, which is kept as long as it is worked on."""
    suffix = Path(name).suffix
    if not suffix[1:].isalnum() or not suffix.isascii() or len(suffix) > _LONGEST_SUFFIX:
        raise RefusedError(422, f"`name` must be that of a file, such as t.csv. Received: {name[:80]!r}.")
    with tempfile.TemporaryDirectory(prefix="ostinato-") as folder:
        path = Path(folder) / f"sent{suffix}"
        path.write_bytes(body)
        try:
            return await served.work(work, path)
        except RefusedError:
            raise
        except OstinatoError as error:
            said = error.message.replace(str(path), name).replace(folder, "")
            raise RowError(said, hint=None if error.hint is None else error.hint.replace(str(path), name)) from error


async def _predicted(served: Served, request: Request, most: int) -> AsyncIterator[bytes]:
    """A line for each line that is not empty, in their order."""
    number, rest = 0, b""
    async for part in _with_end(request.stream()):
        *whole, rest = (rest + part).split(b"\n")
        if len(rest) > most:
            yield json_bytes(problem_of(RefusedError(413, f"a line of at most {most:,} bytes was expected."))) + b"\n"
            return
        lines = [(number + n, line) for n, line in enumerate(whole, 1) if line.strip()]
        number += len(whole)
        for at in range(0, len(lines), _LINES_AT_ONCE):
            yield await served.work(_answered, served, lines[at : at + _LINES_AT_ONCE])


async def _with_end(parts: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The last line may lack its end."""
    async for part in parts:
        yield part
    yield b"\n"


def _answered(served: Served, lines: list[tuple[int, bytes]]) -> bytes:
    """All lines together; where one can't be used each alone, so that the others are answered."""
    try:
        found = served.predict([json.loads(line) for _, line in lines])
    except (OstinatoError, ValueError, RecursionError) as error:
        if len(lines) > 1:
            return b"".join(_answered(served, [one]) for one in lines)
        problem = error if isinstance(error, OstinatoError) else RowError(f"a line of JSON was expected: {error}.")
        return json_bytes({**problem_of(problem), "line": lines[0][0]}) + b"\n"
    return b"".join(json_bytes(_finite(one)) + b"\n" for one in found)


async def _pieces(served: Served, pieces: Any) -> AsyncIterator[bytes]:
    try:
        while (piece := await served.work(next, pieces, None)) is not None:
            yield event("piece", {"text": piece})
    except Exception as error:  # noqa: BLE001 (the status is sent already: the error is an event)
        _LOG.exception("%s stopped to write", served.name)
        yield event("problem", problem_of(error))
        return
    yield event("end", {})


async def _whole(sequences: list[Any]) -> AsyncIterator[bytes]:
    for sequence in sequences:
        yield event("sequence", {"text" if isinstance(sequence, str) else "frames": sequence})
    yield event("end", {})


def event(name: str, data: Any) -> bytes:
    """A server-sent event."""
    return b"event: " + name.encode() + b"\ndata: " + json_bytes(_finite(data)) + b"\n\n"


def _finite(value: Any) -> Any:
    """JSON has no NaN; what is no number is null."""
    if isinstance(value, dict):
        return {str(key): _finite(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(one) for one in value]
    if isinstance(value, float):
        return value if value - value == 0 else None
    return value.tolist() if hasattr(value, "tolist") else value
