"""Errors as `application/problem+json` (RFC 9457), in the three parts that the command line prints."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from ostinato.errors import DataError, MissingLibraryError, OstinatoError, RecipeError, RowError
from ostinato.serving.json_text import json_bytes
from ostinato.serving.refused import RefusedError

PROBLEM = "application/problem+json"
_RECEIVED = " Received: "


def problem_of(error: BaseException) -> dict[str, Any]:
    """An error in plain values: title (what was expected), status, detail (what was received), hint, and what a
    program may want. What is no error of ours is not told to strangers."""
    if not isinstance(error, OstinatoError):
        return problem(500, "the server failed.", "It has logged why; nothing was changed.")
    title, _, received = error.message.partition(_RECEIVED)
    more = error.more if isinstance(error, RefusedError) else {}
    return problem(status_of(error), title, f"Received: {received}" if received else title, error.hint, **more)


def problem(status: int, title: str, detail: str, hint: str | None = None, **more: Any) -> dict[str, Any]:
    """The members of a problem; a hint only where there is one."""
    said = {"title": title, "status": status, "detail": detail}
    return {**said, **({"hint": hint} if hint else {}), **more}


def status_of(error: OstinatoError) -> int:
    """The status of HTTP for an error."""
    if isinstance(error, RefusedError):
        return error.status
    if isinstance(error, RowError | DataError | RecipeError):
        return HTTPStatus.UNPROCESSABLE_ENTITY
    return HTTPStatus.NOT_IMPLEMENTED if isinstance(error, MissingLibraryError) else HTTPStatus.CONFLICT


def problem_bytes(error: BaseException) -> tuple[int, bytes]:
    """Status and body."""
    found = problem_of(error)
    return int(found["status"]), json_bytes(found)
