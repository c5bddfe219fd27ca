"""Steps at a fixed rate through WebSockets, by a generator that takes little of the machine: a part of `serving.py`."""

from __future__ import annotations

import asyncio
import json
import resource
import string
import struct
import time
from collections import deque
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from serving_process import cpu_s, figures, memory_mb

CONNECTIONS, AT_ONCE = 20, 100
_HANDSHAKE = (
    "GET /v1/stream HTTP/1.1\r\nhost: {netloc}\r\nupgrade: websocket\r\nconnection: Upgrade\r\n"
    "sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
_TEXT, _PING, _PONG = 0x81, 0x89, 0x8A


class Socket(asyncio.Protocol):
    """The client's side of a WebSocket, in a hundredth of what a library does: frames are masked with zeros, answers
    are not read but counted."""

    def __init__(self, netloc: str) -> None:
        self._netloc, self._buffer = netloc, bytearray()
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.answers: asyncio.Queue[bytes] | None = asyncio.Queue()
        self.due, self.latencies, self.refused = deque[float](), list[float](), 0

    def connection_made(self, transport: Any) -> None:
        """Ask for a WebSocket."""
        self.transport = transport
        transport.write(_HANDSHAKE.format(netloc=self._netloc).encode())

    def send(self, payload: bytes, kind: int = _TEXT) -> None:
        """A frame."""
        size = len(payload)
        length = struct.pack("!BH", 0x80 | 126, size) if size > 125 else struct.pack("!B", 0x80 | size)
        if size > 0xFFFF:
            length = struct.pack("!BQ", 0x80 | 127, size)
        self.transport.write(b"".join((bytes((kind,)), length, b"\0\0\0\0", payload)))

    def data_received(self, data: bytes) -> None:
        """Answers, or parts of them."""
        self._buffer += data
        if not self.opened.done():
            head, end, rest = bytes(self._buffer).partition(b"\r\n\r\n")
            if not end:
                return
            assert b" 101 " in head[:20], head
            self._buffer = bytearray(rest)
            self.opened.set_result(None)
        for kind, payload in self._frames():
            if kind == _PING:
                self.send(payload, _PONG)
            elif self.answers is not None:
                self.answers.put_nowait(payload)
            elif not payload.startswith(b'{"event"'):  # that it is busy: it has not read on
                self.latencies.append(time.perf_counter() - self.due.popleft())
                self.refused += payload.count(b'"problem"')

    def _frames(self) -> Iterator[tuple[int, bytes]]:
        at, buffer = 0, self._buffer
        while len(buffer) >= at + 2:
            size, begin = buffer[at + 1], at + 2
            if size > 125:
                begin = at + (4 if size == 126 else 10)
                if len(buffer) < begin:
                    break
                size = int.from_bytes(buffer[at + 2 : begin], "big")
            if len(buffer) < begin + size:
                break
            yield buffer[at], bytes(buffer[begin : begin + size])
            at = begin + size
        del buffer[:at]


class Load:
    """So many sessions of a server, over some connections.

    Args:
        url, pid: of the server.
        sessions: of its model `text`.
    """

    def __init__(self, url: str, pid: int, sessions: int) -> None:
        self._netloc, self._pid, self._sessions = urlsplit(url).netloc, pid, sessions
        self._sockets, self._heads = list[Socket](), list[list[bytes]]()

    async def open(self) -> float:
        """Connect and begin the sessions; KB that each takes."""
        loop, before = asyncio.get_running_loop(), memory_mb(self._pid)
        host, port = self._netloc.rsplit(":", 1)
        head = '{{"op":"step","model":"text","answers":"last","session":"{}","inputs":"'
        for _ in range(CONNECTIONS):
            _, socket = await loop.create_connection(lambda: Socket(self._netloc), host, int(port))
            await socket.opened
            assert socket.answers is not None
            ids = list[str]()
            for _ in range(self._sessions // CONNECTIONS // AT_ONCE):
                socket.send(json.dumps([{"op": "create", "model": "text"}] * AT_ONCE).encode())
                ids += [each["result"]["session"] for each in json.loads(await socket.answers.get())]
            socket.answers = None
            self._sockets.append(socket)
            self._heads.append([head.format(id).encode() for id in ids])
        return round((memory_mb(self._pid) - before) * 1024 / self._sessions, 2)

    async def run(self, rate: int, seconds: float, in_frame: int) -> dict[str, Any]:
        """Steps at a rate, whether or not answers have come; a latency is from when a frame should have been sent."""
        for socket in self._sockets:
            socket.latencies.clear()
            socket.refused = 0
        count, every, letters = round(rate * seconds / in_frame), in_frame / rate, string.ascii_lowercase
        worked, own, begun = cpu_s(self._pid), _own_s(), time.perf_counter() + 0.2
        for number in range(count):
            due = begun + number * every
            left = due - time.perf_counter()
            if left > 0 or not number % 16:  # late as well, answers have to be read
                await asyncio.sleep(max(0.0, left))
            at, turn = number % CONNECTIONS, number // CONNECTIONS
            heads, end = self._heads[at], f'{letters[turn % 26]}"}}'.encode()
            first = turn * in_frame
            steps = (heads[(first + k) % len(heads)] + end for k in range(in_frame))
            self._sockets[at].due.append(due)
            self._sockets[at].send(b"[" + b",".join(steps) + b"]")
        while any(socket.due for socket in self._sockets):
            await asyncio.sleep(0.01)
        latencies = [one for socket in self._sockets for one in socket.latencies for _ in range(in_frame)]
        return {
            "in_frame": in_frame,
            "asked_per_s": rate,
            **figures(latencies, time.perf_counter() - begun),
            "cpu_us": round((cpu_s(self._pid) - worked) / len(latencies) * 1e6),
            "generator_cpu_us": round((_own_s() - own) / len(latencies) * 1e6),
            "refused": sum(socket.refused for socket in self._sockets),
            "mb_after": round(memory_mb(self._pid)),
        }


async def load(url: str, pid: int, sessions: int, rates: list[int], seconds: float, in_frame: int) -> dict[str, Any]:
    """Some rates in turn, from the lowest on; and the highest of which 99 % are answered within 20 ms."""
    there = Load(url, pid, sessions)
    found: dict[str, Any] = {"sessions": sessions, "kb_a_session": await there.open()}
    told = [await there.run(rate, seconds, in_frame) for rate in sorted(rates)]
    within = [one["asked_per_s"] for one in told if one["p99_ms"] < 20 and one["per_s"] > 0.98 * one["asked_per_s"]]
    return {**found, "rates": told, "within_20_ms": max(within, default=0)}


def _own_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
