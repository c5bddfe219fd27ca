"""One WebSocket: requests for many sessions come in frames, and each frame is answered by one, in their order."""

from __future__ import annotations

import asyncio
import struct
from collections import deque
from collections.abc import Mapping
from typing import Any, get_args

import numpy as np
from starlette.websockets import WebSocket, WebSocketDisconnect

from ostinato.errors import OstinatoError
from ostinato.serving.access import Access
from ostinato.serving.asked import operation
from ostinato.serving.engine import Engine, Reply, Waiting
from ostinato.serving.house import House
from ostinato.serving.json_text import is_deep, json_bytes, read, too_deep
from ostinato.serving.live import Ended
from ostinato.serving.operations import Operation
from ostinato.serving.problems import problem_bytes
from ostinato.serving.reading import Answers
from ostinato.serving.refused import RefusedError
from ostinato.serving.served import Served

MOST_WAITING, MOST_WAITING_REQUESTS, MOST_WAITING_BYTES = 256, 40_000, 64 << 20
"""Frames of a connection that wait to be answered, their requests, and bytes of answers that wait to be sent; no
further frame is read until there are fewer of all."""
_DTYPES: Mapping[int, tuple[str, float]] = {1: ("<f4", 1.0), 2: ("<i2", 1 / 32768)}
"""What the first byte of a binary frame says: numbers, or PCM of 16 bits, which is from -1 to 1."""
_MOST_CHANNELS, _MOST_HANDLES = 4096, 100_000
MOST_IN_FRAME = 20_000
"""Requests of a frame: nobody else is answered while it is taken apart."""
_UNNAMED = b"{"
_RECORD = struct.Struct("<II")

_One = tuple[bytes, tuple[Engine, Operation] | bytes]
"""How the answer to a request begins, which says what the client calls it; and its engine and operation, or how the
answer goes on."""


class _Frame(Reply):
    """The answers to a frame: bytes from the first moment on, for an error would hold all that it came from.

    Args:
        is_list: whether the frame was one.
        begins: how each answer begins.
    """

    __slots__ = ("begins", "is_list", "num_bytes")

    def __init__(self, is_list: bool, begins: list[bytes]) -> None:
        super().__init__(len(begins))
        self.is_list, self.begins, self.num_bytes = is_list, begins, sum(map(len, begins))

    def put(self, place: int, outcome: Any) -> None:
        """As of a reply; called in the loop."""
        self.say(place, _said(outcome))

    def say(self, place: int, said: bytes) -> None:
        """How an answer goes on after its beginning."""
        self.num_bytes += len(said)
        super().put(place, said)

    async def text(self) -> bytes:
        """All answers, when there are all."""
        said = b",".join(map(bytes.__add__, self.begins, await self.future))
        return b"[" + said + b"]" if self.is_list else said


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
        self._owed, self._news, self._room = deque[_Frame](), asyncio.Event(), asyncio.Event()
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
                self._owed.append(await self._begun(message))
                self._news.set()
                if self._is_full:
                    await self._send(json_bytes({"event": "busy", "waiting": len(self._owed)}))
                while self._is_full:
                    self._room.clear()
                    await self._room.wait()
        finally:
            writer.cancel()

    @property
    def _is_full(self) -> bool:
        """Whether so much is owed that nothing more is read."""
        requests, held = sum(len(one.begins) for one in self._owed), sum(one.num_bytes for one in self._owed)
        return len(self._owed) >= MOST_WAITING or requests >= MOST_WAITING_REQUESTS or held >= MOST_WAITING_BYTES

    def tell(self, model: str, ended: Ended) -> None:
        """A session that this client may use has ended by itself."""
        if ended.owner == self._owner:
            said = {"event": "ended", "model": model, "session": ended.session, "reason": ended.reason}
            self._tasks = asyncio.ensure_future(self._send(json_bytes(said)))

    async def _begun(self, message: Mapping[str, Any]) -> _Frame:
        """What a frame asks for, handed over."""
        try:
            self._access.count(self._owner, self._socket.scope)
            if message.get("bytes") is not None:
                return self._handed_over(True, [(_UNNAMED, one) for one in self._numbers(message["bytes"])])
            asked = read(message["text"])
            whole = asked if isinstance(asked, list) else [asked]
            if len(whole) > MOST_IN_FRAME:
                raise _too_many(len(whole))
            if is_deep(whole):
                whole = [too_deep() if is_deep(each) else each for each in whole]
            models = await self._models({str(each.get("model")) for each in whole if isinstance(each, dict)})
        except OstinatoError as error:
            return self._handed_over(False, [(_UNNAMED, _said(error))])
        except ValueError as error:
            refused = RefusedError(422, f"a frame of JSON was expected. Received: {error}.")
            return self._handed_over(False, [(_UNNAMED, _said(refused))])
        return self._handed_over(isinstance(asked, list), [self._one(each, models) for each in whole])

    async def _models(self, names: set[str]) -> dict[str, Served | bytes]:
        """What is served by each name, or what is answered to whoever asks it: looked up once, outside of the loop."""
        found = dict[str, Served | bytes]()
        for name in names:
            try:
                found[name] = await self._house.found(name)
            except OstinatoError as error:
                found[name] = _said(error)
        return found

    @staticmethod
    def _handed_over(is_list: bool, asked: list[_One]) -> _Frame:
        frame, waiting = _Frame(is_list, [begin for begin, _ in asked]), dict[Engine, list[Waiting]]()
        for place, (_, one) in enumerate(asked):
            if isinstance(one, tuple):
                waiting.setdefault(one[0], []).append((one[1], frame, place))
            else:
                frame.say(place, one)
        for engine, some in waiting.items():
            engine.hand_over(some)
        return frame

    def _one(self, asked: Any, models: Mapping[str, Served | bytes]) -> _One:
        if not isinstance(asked, dict):
            wrong = RefusedError(422, f"an object was expected. Received: {asked!r:.80}.")
            return _UNNAMED, _said(asked if isinstance(asked, RefusedError) else wrong)
        take, begin = asked.pop, _UNNAMED
        id, name, model, session = take("id", None), take("op", None), str(take("model", None)), take("session", None)
        try:
            begin = _UNNAMED if id is None else _named(id)
            served, session = models[model], str(session)
            if isinstance(served, bytes):
                return begin, served
            if name == "attach":
                return begin, _said(self._attach(served, session, asked))
            engine = served.engine_of(session)
            return begin, (engine, operation(engine.sessions, self._owner, name, session, asked))
        except OstinatoError as error:
            return begin, _said(error)

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
            while not self._owed:
                self._news.clear()
                await self._news.wait()
            await self._send(await self._owed[0].text())
            self._owed.popleft()
            self._room.set()

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
    except ValueError as error:
        raise RefusedError(422, f"`id` must be a text or a number. Received: {id!a:.80}.") from error


def _too_many(received: int) -> RefusedError:
    return RefusedError(
        413, f"at most {MOST_IN_FRAME:,} requests in a frame were expected. Received: {received:,} or more."
    )


def _said(answer: Any) -> bytes:
    """An answer as it stands in a frame, after its beginning."""
    if isinstance(answer, Exception):
        status, problem = problem_bytes(answer)
        return b'"status":' + str(status).encode() + b',"problem":' + problem + b"}"
    return b'"status":200,"result":' + (answer or b"null") + b"}"
