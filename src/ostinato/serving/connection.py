"""One WebSocket: requests for many sessions come in frames, and each frame is answered by one, in their order."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, get_args

import numpy as np
from starlette.websockets import WebSocket, WebSocketDisconnect

from ostinato.errors import OstinatoError
from ostinato.serving.access import Access
from ostinato.serving.asked import operation
from ostinato.serving.engine import Engine, Reply, Waiting
from ostinato.serving.house import House
from ostinato.serving.json_text import json_bytes, json_of
from ostinato.serving.live import Ended
from ostinato.serving.operations import Operation
from ostinato.serving.problems import problem_bytes
from ostinato.serving.reading import Answers
from ostinato.serving.refused import RefusedError
from ostinato.serving.served import Served

MOST_WAITING = 256
"""Frames of a connection that wait for their answers; no further one is read until there are fewer."""
_DTYPES: Mapping[int, tuple[str, float]] = {1: ("<f4", 1.0), 2: ("<i2", 1 / 32768)}
"""What the first byte of a binary frame says: numbers, or PCM of 16 bits, which is from -1 to 1."""
_MOST_CHANNELS, _MOST_HANDLES = 4096, 100_000
MOST_IN_FRAME = 20_000
"""Requests of a frame: nobody else is answered while it is taken apart."""
_UNNAMED = b"{"
_RECORD = struct.Struct("<II")

_One = tuple[bytes, Any]
"""How the answer to a request begins, which says what the client calls it; and its engine and operation, or what it is
answered at once."""


class Connection:
    """Reads frames and answers them.

    A frame of text is a request or a list of them: `{"op": "step", "model": …, "session": …, "inputs": …, "id": …}`.
    A binary one begins with a byte that says what numbers it holds (1: float32, 2: PCM of 16 bits) and three zeros;
    then, for each session, its handle and how many numbers follow (uint32 both, little-endian), and the numbers.
    A session gets its handle by `{"op": "attach", …}`, with `channels` (1) and which `answers` are wanted ("each").

    Args:
        socket: accepted.
        house: what is served.
        access: counts requests.
        owner: who has connected.
    """

    def __init__(self, socket: WebSocket, house: House, access: Access, owner: str) -> None:
        self._socket, self._house, self._access, self._owner = socket, house, access, owner
        self._waiting: asyncio.Queue[tuple[bool, list[bytes], Reply]] = asyncio.Queue(MOST_WAITING)
        self._handles = list[tuple[Served, str, int, Answers]]()
        self._sending = asyncio.Lock()

    async def run(self) -> None:
        """Until the client goes."""
        writer = asyncio.create_task(self._write())
        try:
            while True:
                message = await self._socket.receive()
                if message["type"] == "websocket.disconnect":
                    break
                frame = await self._begun(message)
                if self._waiting.full():
                    await self._send(json_bytes({"event": "busy", "waiting": self._waiting.qsize()}))
                await self._waiting.put(frame)
        finally:
            writer.cancel()

    def tell(self, model: str, ended: Ended) -> None:
        """A session that this client may use has ended by itself."""
        if ended.owner == self._owner:
            said = {"event": "ended", "model": model, "session": ended.session, "reason": ended.reason}
            self._tasks = asyncio.ensure_future(self._send(json_bytes(said)))

    async def _begun(self, message: Mapping[str, Any]) -> tuple[bool, list[bytes], Reply]:
        """What a frame asks for, handed over: whether it was a list, how its answers begin, and their reply."""
        try:
            self._access.count(self._owner, self._socket.scope)
            if message.get("bytes") is not None:
                return self._handed_over(True, [(_UNNAMED, one) for one in self._numbers(message["bytes"])])
            asked = json_of(message["text"])
            whole = asked if isinstance(asked, list) else [asked]
            if len(whole) > MOST_IN_FRAME:
                raise _too_many(len(whole))
            for name in {
                str(each.get("model")) for each in whole if isinstance(each, dict)
            } - self._house.served.keys():
                with suppress(OstinatoError):  # it is told to each request
                    await self._house.found(name)
        except OstinatoError as error:
            return self._handed_over(False, [(_UNNAMED, error)])
        except (ValueError, RecursionError) as error:
            refused = RefusedError(422, f"a frame of JSON was expected. Received: {error}.")
            return self._handed_over(False, [(_UNNAMED, refused)])
        return self._handed_over(isinstance(asked, list), [self._one(each) for each in whole])

    @staticmethod
    def _handed_over(is_list: bool, asked: list[_One]) -> tuple[bool, list[bytes], Reply]:
        reply, waiting = Reply(len(asked)), dict[Engine, list[Waiting]]()
        for place, (_, one) in enumerate(asked):
            if isinstance(one, tuple):
                waiting.setdefault(one[0], []).append((one[1], reply, place))
            else:
                reply.put(place, one)
        for engine, some in waiting.items():
            engine.hand_over(some)
        return is_list, [begin for begin, _ in asked], reply

    def _one(self, asked: Any) -> _One:
        if not isinstance(asked, dict):
            return _UNNAMED, RefusedError(422, f"an object was expected. Received: {asked!r:.80}.")
        take, begin = asked.pop, _UNNAMED
        id, name, model, session = take("id", None), take("op", None), str(take("model", None)), take("session", None)
        try:
            begin = _UNNAMED if id is None else _named(id)
            served, session = self._house.find(model), str(session)
            if name == "attach":
                return begin, self._attach(served, session, asked)
            engine = served.engine_of(session)
            return begin, (engine, operation(engine.sessions, self._owner, name, session, asked))
        except OstinatoError as error:
            return begin, error

    def _attach(self, served: Served, session: str, body: Mapping[str, Any]) -> bytes:
        """A number that stands for a session in binary frames of this connection."""
        channels, answers = body.get("channels", 1), body.get("answers", "each")
        if not isinstance(channels, int) or not 0 < channels <= _MOST_CHANNELS or len(self._handles) >= _MOST_HANDLES:
            raise RefusedError(
                422,
                f"from 1 to {_MOST_CHANNELS:,} `channels`, and {_MOST_HANDLES:,} handles at most, were expected. "
                f"Received: {channels!r:.20} and {len(self._handles):,} handles.",
            )
        if answers not in get_args(Answers):
            expected = ", ".join(get_args(Answers))
            raise RefusedError(422, f"`answers` must be one of {expected}. Received: {answers!r:.80}.")
        self._handles.append((served, session, channels, answers))
        return json_bytes({"session": session, "handle": len(self._handles) - 1})

    def _numbers(self, data: bytes) -> list[tuple[Engine, Operation]]:
        """The steps of a binary frame."""
        dtype, scale = _DTYPES.get(data[0] if data else 0, ("", 0.0))
        if not dtype or data[1:4] != b"\0\0\0":
            raise RefusedError(422, "a binary frame must begin with the byte 1 or 2 and three zeros.")
        found, at, size = list[tuple[Engine, Operation]](), 4, np.dtype(dtype).itemsize
        while at < len(data):
            if len(found) == MOST_IN_FRAME:
                raise _too_many(len(found) + 1)
            handle, count = _RECORD.unpack_from(data, at) if at + _RECORD.size <= len(data) else (0, 2**32)
            at += _RECORD.size
            if at + count * size > len(data):
                raise RefusedError(422, f"a record of {count:,} numbers was expected. Received: fewer bytes.")
            if handle >= len(self._handles):
                raise RefusedError(422, f"a handle that `attach` has given was expected. Received: {handle}.")
            served, session, channels, answers = self._handles[handle]
            values = np.frombuffer(data, dtype, count, at).astype("float32") * np.float32(scale)
            if count % channels:
                raise RefusedError(422, f"steps of {channels} numbers were expected. Received: {count}.")
            engine = served.engine_of(session)
            given = engine.sessions.model.of_numbers(values if channels == 1 else values.reshape(-1, channels))
            found.append((engine, engine.sessions.step(self._owner, session, given, answers)))
            at += count * size
        return found

    async def _write(self) -> None:
        """Answer frames in their order."""
        while True:
            is_list, begun, reply = await self._waiting.get()
            said = b",".join(map(_said, begun, await reply.future))
            await self._send(b"[" + said + b"]" if is_list else said)

    async def _send(self, data: bytes) -> None:
        try:
            async with self._sending:
                await self._socket.send_text(data.decode())
        except (WebSocketDisconnect, RuntimeError):  # the client has gone; `run` will hear of it
            return


def _named(id: Any) -> bytes:
    """How an answer begins that is called so.

    Raises:
        RefusedError: for what can be received as JSON and not be sent: half a character, no number.
    """
    try:
        return b'{"id":' + json_bytes(id) + b","
    except (ValueError, RecursionError) as error:
        raise RefusedError(422, f"`id` must be a text or a number. Received: {id!a:.80}.") from error


def _too_many(received: int) -> RefusedError:
    return RefusedError(
        413, f"at most {MOST_IN_FRAME:,} requests in a frame were expected. Received: {received:,} or more."
    )


def _said(begin: bytes, answer: Any) -> bytes:
    """An answer as it stands in a frame."""
    if isinstance(answer, Exception):
        status, problem = problem_bytes(answer)
        return begin + b'"status":' + str(status).encode() + b',"problem":' + problem + b"}"
    return begin + b'"status":200,"result":' + (answer or b"null") + b"}"
