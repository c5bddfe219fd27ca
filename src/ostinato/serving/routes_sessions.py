"""Sessions over HTTP."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import StreamingResponse

from ostinato.serving.asked import write
from ostinato.serving.asking import Model, Owner, SessionId, TheHouse
from ostinato.serving.bodies import (
    Create,
    Finished,
    Peeked,
    Rewind,
    Rewound,
    SessionFacts,
    SessionList,
    Step,
    Stepped,
    Write,
    WrittenSteps,
)
from ostinato.serving.engine import Engine
from ostinato.serving.problems import problem_of
from ostinato.serving.refused import RefusedError
from ostinato.serving.routes_models import AS_IT_COMES, EVENTS, JSON, STREAM, event
from ostinato.tasks.intervening import Edit, edits_of, later

SNAPSHOT = "application/vnd.ostinato.snapshot"
_PIECES_AT_ONCE = 16
"""Tokens that are written between two events."""
_BYTES = {"type": "string", "format": "binary"}
_SNAPSHOT_BODY: dict[str, Any] = {"requestBody": {"required": True, "content": {SNAPSHOT: {"schema": _BYTES}}}}

router = APIRouter(prefix="/v1/models/{model}/sessions", tags=["sessions"])


@router.post("", summary="Begin a session", status_code=201, response_model=SessionFacts)
async def create(house: TheHouse, model: Model, who: Owner, body: Create | None = None) -> Response:
    """A session before its first step."""
    engine = (await house.found(model)).running
    given = body or Create()
    return _json(await engine.do(engine.sessions.create(who, given.seed, given.sample_rate)), 201)


@router.get("", summary="All sessions", response_model=SessionList)
async def sessions(house: TheHouse, model: Model, who: Owner) -> Response:
    """All sessions of whoever asks."""
    engine = (await house.found(model)).running
    return _json(await engine.do(engine.sessions.all_of(who)))


@router.post(
    "/restore",
    summary="Go on from a snapshot",
    status_code=201,
    response_model=SessionFacts,
    openapi_extra=_SNAPSHOT_BODY,
)
async def restore(house: TheHouse, model: Model, who: Owner, request: Request) -> Response:
    """A new session from a snapshot."""
    engine = (await house.found(model)).running
    return _json(await engine.do(engine.sessions.restore(who, await request.body())), 201)


@router.get("/{session}", summary="One session", response_model=SessionFacts)
async def about(house: TheHouse, model: Model, session: SessionId, who: Owner) -> Response:
    """What is known of a session."""
    engine = (await house.found(model)).engine_of(session)
    return _json(await engine.do(engine.sessions.about(who, session)))


@router.delete("/{session}", summary="End a session", status_code=204)
async def delete(house: TheHouse, model: Model, session: SessionId, who: Owner) -> Response:
    """End a session."""
    engine = (await house.found(model)).engine_of(session)
    await engine.do(engine.sessions.delete(who, session))
    return Response(status_code=204)


@router.get("/{session}/peek", summary="The answer as it stands", response_model=Peeked)
async def peek(house: TheHouse, model: Model, session: SessionId, who: Owner) -> Response:
    """The answer as it stands, without a step."""
    engine = (await house.found(model)).engine_of(session)
    return _json(await engine.do(engine.sessions.peek(who, session)))


@router.get("/{session}/finish", summary="What is still owed", response_model=Finished)
async def finish(house: TheHouse, model: Model, session: SessionId, who: Owner) -> Response:
    """What would still be answered if nothing more came: of sound that ends within a step, of answers that come
    later than their step. The session stays as it is."""
    engine = (await house.found(model)).engine_of(session)
    return _json(await engine.do(engine.sessions.finish(who, session)))


@router.post("/{session}/step", summary="Read steps", response_model=Stepped)
async def step(house: TheHouse, model: Model, session: SessionId, body: Step, who: Owner) -> Response:
    """Read one step or more."""
    engine = (await house.found(model)).engine_of(session)
    made = engine.sessions.step(who, session, body.inputs, body.answers, body.sequence, body.intervene)
    return _json(await engine.do(made))


@router.post(
    "/{session}/generate",
    summary="Write steps",
    response_model=WrittenSteps,
    responses={200: {**STREAM, "description": "What was written, or events."}},
)
async def generate(
    house: TheHouse, model: Model, session: SessionId, body: Write, request: Request, who: Owner
) -> Response:
    """Write, and read what is written; with `Accept: text/event-stream` as it is written. Events have no sequence
    number: who loses the connection looks at the session, and goes on or rewinds."""
    engine = (await house.found(model)).engine_of(session)
    if EVENTS not in request.headers.get("accept", ""):
        return _json(await engine.do(write(engine.sessions, who, session, body)))
    if body.sequence is not None:
        raise RefusedError(422, "`sequence` does not apply to events: leave it out.")
    return StreamingResponse(await _begun(engine, who, session, body), headers=AS_IT_COMES, media_type=EVENTS)


@router.post("/{session}/rewind", summary="Go back", response_model=Rewound)
async def rewind(house: TheHouse, model: Model, session: SessionId, body: Rewind, who: Owner) -> Response:
    """Back to an earlier step."""
    engine = (await house.found(model)).engine_of(session)
    return _json(await engine.do(engine.sessions.rewind(who, session, body.to, body.sequence)))


@router.post("/{session}/fork", summary="Copy a session", status_code=201, response_model=SessionFacts)
async def fork(house: TheHouse, model: Model, session: SessionId, who: Owner) -> Response:
    """A new session that goes on from where this one stands."""
    engine = (await house.found(model)).engine_of(session)
    return _json(await engine.do(engine.sessions.fork(who, session)), 201)


@router.get(
    "/{session}/snapshot",
    summary="Take a session away",
    response_class=Response,
    responses={200: {"content": {SNAPSHOT: {"schema": _BYTES}}}},
)
async def snapshot(
    house: TheHouse,
    model: Model,
    session: SessionId,
    who: Owner,
    lasting_s: Annotated[float | None, Query(gt=0, description="Seconds until it is refused.")] = None,
) -> Response:
    """Its state as signed bytes of safetensors."""
    engine = (await house.found(model)).engine_of(session)
    return Response(await engine.do(engine.sessions.snapshot(who, session, lasting_s)), media_type=SNAPSHOT)


async def _begun(engine: Engine, who: str, session: SessionId, body: Write) -> AsyncIterator[bytes]:
    """Events, of which the first are written: what is refused has its status."""
    edits = edits_of(body.intervene)
    return _pieces(engine, who, session, body, edits, await _some(engine, who, session, body, edits))


async def _pieces(
    engine: Engine, who: str, session: SessionId, body: Write, edits: tuple[Edit, ...], last: dict[str, Any]
) -> AsyncIterator[bytes]:
    done = 0
    while True:
        done += _PIECES_AT_ONCE
        for piece in last.pop("pieces"):
            yield event("piece", {"text" if isinstance(piece, str) else "frame": piece})
        if last["ended"] or done >= body.max_new_tokens:
            break
        try:
            last = await _some(engine, who, session, body, edits, done)
        except Exception as error:  # noqa: BLE001 (the status is sent already: the error is an event)
            yield event("problem", problem_of(error))
            return
    yield event("end", last)


async def _some(
    engine: Engine, who: str, session: SessionId, body: Write, edits: tuple[Edit, ...], done: int = 0
) -> dict[str, Any]:
    """What is written after so many tokens, until the next events."""
    now = {
        "max_new_tokens": min(body.max_new_tokens - done, _PIECES_AT_ONCE),
        "seed": None if done else body.seed,
        "intervene": later(edits, done) or None,
    }
    found: dict[str, Any] = json.loads(
        await engine.do(write(engine.sessions, who, session, body.model_copy(update=now)))
    )
    return found


def _json(body: bytes, status: int = 200) -> Response:
    return Response(body, status, media_type=JSON)
