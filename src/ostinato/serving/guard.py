"""What every request passes first: whom it was meant for, how large and how slow its body may be; and what the server
counts of it."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ostinato.serving.metrics import Metrics
from ostinato.serving.problems import PROBLEM, problem_bytes
from ostinato.serving.refused import RefusedError

_LOG = logging.getLogger("ostinato.serving.requests")
_READING = ("GET", "HEAD", "OPTIONS")
_SLOWEST = 16_384
"""Bytes a second that a body has to come at, after the seconds that its next part may take."""


class Guard:
    """Middleware.

    Args:
        app: what answers.
        metrics: counts requests.
        max_body_bytes: a longer body is refused; one that is a stream of lines is as long as it likes.
        body_s: seconds in which the next part of a body has to come.
        hosts: names that a request may be meant for (`Host`); none: any. A page of another name that leads to this
            machine (DNS rebinding) would else read what only this machine may.
    """

    def __init__(
        self, app: ASGIApp, metrics: Metrics, max_body_bytes: int, body_s: float, hosts: frozenset[str] = frozenset()
    ) -> None:
        self._app, self._metrics, self._hosts = app, metrics, hosts
        self._max_body_bytes, self._body_s = max_body_bytes, body_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request pass, or refuse it."""
        if scope["type"] == "websocket" and not self._is_meant(scope):
            await receive()
            await send({"type": "websocket.close", "code": 1008})
            return
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        start, status = time.perf_counter(), 0

        async def counted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            if not self._is_meant(scope):
                raise RefusedError(
                    421,
                    f"a request to {', '.join(sorted(self._hosts))} was expected. Received: one to {_host(scope)!r}.",
                    hint="a server without --token-file, and `ostinato ui`, answer this machine alone, by these names",
                )
            if self._hosts:
                _check_origin(scope)
            self._check_length(scope)
            await self._app(scope, self._guarded(scope, receive), counted)
        except RefusedError as error:
            if status:
                raise
            await send_problem(counted, error)
        finally:
            self._said(scope, status, time.perf_counter() - start)

    def _is_meant(self, scope: Scope) -> bool:
        return not self._hosts or _host(scope) in self._hosts

    def _check_length(self, scope: Scope) -> None:
        length = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
        if not _is_lines(scope) and length.isdigit() and int(length) > self._max_body_bytes:
            raise self._too_large(f"{int(length):,}")

    def _too_large(self, received: str) -> RefusedError:
        return RefusedError(
            413,
            f"a body of at most {self._max_body_bytes:,} bytes was expected. Received: {received}.",
            hint="send rows one a line as application/x-ndjson: that may be of any length",
        )

    def _guarded(self, scope: Scope, receive: Receive) -> Receive:
        total, whole, begin, is_lines = 0, False, time.monotonic(), _is_lines(scope)

        async def guarded() -> Message:
            nonlocal total, whole
            if whole:  # what comes now is that the client has gone
                return await receive()
            # A byte a second would else hold a connection for as long as it likes; lines are answered as they come.
            late = begin + self._body_s + total / _SLOWEST - time.monotonic()
            try:
                async with asyncio.timeout(self._body_s if is_lines else max(0.0, min(late, self._body_s))):
                    message = await receive()
            except TimeoutError as error:
                raise RefusedError(
                    408,
                    f"the next part of the body was expected within {self._body_s:g} s. Received: nothing."
                    if is_lines or late >= self._body_s or not total
                    else f"a body of {_SLOWEST:,} bytes a second or more was expected. Received: a slower one.",
                ) from error
            total += len(message.get("body", b""))
            whole = not message.get("more_body", False)
            if total > self._max_body_bytes and not is_lines:
                raise self._too_large("more")
            return message

        return guarded

    def _said(self, scope: Scope, status: int, seconds: float) -> None:
        route = scope.get("route")
        path = getattr(route, "path", "other")
        self._metrics.request(scope["method"], path, status, seconds)
        if _LOG.isEnabledFor(logging.INFO):
            _LOG.info("%s", line(method=scope["method"], path=scope["path"], status=status, ms=round(seconds * 1e3, 3)))


def _check_origin(scope: Scope) -> None:
    """Raises `RefusedError` for a request that changes something and comes from a page of another site: it could not
    read the answer, but would start work, or end it."""
    headers = dict(scope["headers"])
    foreign, site = is_foreign(headers), headers.get(b"sec-fetch-site", b"none")
    if scope["method"] not in _READING and (foreign or site not in (b"same-origin", b"none")):
        raise RefusedError(
            403,
            "a request of this server's own page, or of a program, was expected. Received: one of another site's page.",
            hint="a server with --token-file answers whoever has a token",
        )


def _host(scope: Scope) -> str:
    """The name that a request is meant for, without its port."""
    given = next((value.decode("latin-1") for name, value in scope["headers"] if name == b"host"), "")
    try:
        return (urlsplit(f"//{given}").hostname or "") if given else ""
    except ValueError:  # no name at all: half an address
        return given


def is_foreign(headers: Mapping[bytes, bytes]) -> bool:
    """Whether a page of another site makes a request; so does one whose origin can't be read."""
    origin, host = headers.get(b"origin"), headers.get(b"host")
    try:
        return origin is not None and urlsplit(origin.decode("latin-1")).netloc.encode("latin-1") != host
    except ValueError:
        return True


def line(**facts: Any) -> str:
    """A line of the structured log."""
    return json.dumps({"time": round(time.time(), 3), **facts}, ensure_ascii=False)


async def send_problem(send: Send, error: BaseException) -> None:
    """Answer with an error."""
    status, body = problem_bytes(error)
    headers = [(b"content-type", PROBLEM.encode()), (b"content-length", str(len(body)).encode())]
    if status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    if status in (429, 503):
        headers.append((b"retry-after", b"1"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _is_lines(scope: Scope) -> bool:
    return any(name == b"content-type" and b"ndjson" in value for name, value in scope["headers"])
