"""Sessions: exactness by random operations, streams of sound, load through WebSockets, single steps over HTTP.

    python benchmarks/serving.py [--operations 1000000] [--sessions 10000] [--rate 10000] [--out FILE.json]

Runs with 128 units are trained for a moment on made-up data. `exactness` does random operations on sessions of five of
them, in a server process with a store of SQLite that is killed on the way, and compares every answer with a cold run of
the same history, byte for byte. `streams` sends sound at 16 kHz in pieces of 100 ms, each stream through a WebSocket of
its own, to a server process that has one core. `load` sends steps at a fixed rate, whether or not answers have come,
through WebSockets to a server process; a latency is from the moment a frame should have been sent to its answer. `http`
asks for single steps, one in a request, of our server and of plain FastAPI handlers (torch; ONNX Runtime) in turn.
Server and generator share the machine. Needs onnx and onnxruntime for the last.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import string
import tempfile
import time
from pathlib import Path
from typing import Any

from serving_exactness import exactness
from serving_http import http
from serving_process import cpu_s, figures, memory_mb, serving
from serving_runs import make_runs
from serving_streams import streams
from websockets.asyncio.client import connect


async def load(url: str, pid: int, sessions: int, rate: int, seconds: float, in_frame: int) -> dict[str, Any]:
    """Steps at a fixed rate, `in_frame` of them in a frame."""
    connections, letters = 20, string.ascii_lowercase
    before = memory_mb(pid)
    latencies = list[float]()
    refused = 0

    async def one(number: int) -> None:
        nonlocal refused
        async with connect(f"{url.replace('http', 'ws')}/v1/stream", max_size=None, compression=None) as socket:
            ids = list[str]()
            for _ in range(sessions // connections // 100):
                await socket.send(json.dumps([{"op": "create", "model": "text"}] * 100))
                ids += [each["result"]["session"] for each in json.loads(await socket.recv())]
            heads = [f'{{"op":"step","model":"text","answers":"last","session":"{id}","inputs":"' for id in ids]
            ready.release()
            await begin.wait()
            due, every, at = begun + number * in_frame / rate, in_frame * connections / rate, 0
            expected = list[float]()

            async def receive() -> None:
                nonlocal refused
                for _ in range(round(seconds / every)):
                    told = await socket.recv()
                    latencies.extend([time.perf_counter() - expected.pop(0)] * in_frame)
                    refused += str(told).count('"problem"')

            receiver = asyncio.create_task(receive())
            for n in range(round(seconds / every)):
                frame = [f'{heads[(at + k) % len(ids)]}{letters[n % 26]}"}}' for k in range(in_frame)]
                at += in_frame
                wait = due - time.perf_counter()
                if wait > 0:
                    await asyncio.sleep(wait)
                expected.append(due)
                await socket.send(f"[{','.join(frame)}]")
                due += every
            await receiver

    ready, begin, begun = asyncio.Semaphore(0), asyncio.Event(), 0.0
    tasks = [asyncio.create_task(one(number)) for number in range(connections)]
    for _ in tasks:
        await ready.acquire()
    held = memory_mb(pid)
    worked = cpu_s(pid)
    begun = time.perf_counter() + 0.5
    begin.set()
    await asyncio.gather(*tasks)
    took = time.perf_counter() - begun
    return {
        "sessions": sessions,
        "in_frame": in_frame,
        "asked_per_s": rate,
        **figures(latencies, took),
        "cpu_us": round((cpu_s(pid) - worked) / len(latencies) * 1e6),
        "refused": refused,
        "kb_a_session": round((held - before) * 1024 / sessions, 2),
        "mb_after": round(memory_mb(pid)),
    }


def main() -> None:
    """All of it."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--operations", type=int, default=1_000_000)
    options.add_argument("--sessions", type=int, default=10_000)
    options.add_argument("--rate", type=int, default=10_000)
    options.add_argument("--seconds", type=float, default=20.0)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--minutes", type=float, default=240.0, help="of the exactness run, at most")
    options.add_argument("--only", default="exactness,streams,load,http")
    options.add_argument("--out", type=Path)
    given = options.parse_args()
    found: dict[str, Any] = {"machine": f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores"}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        runs = make_runs(folder)
        if "exactness" in given.only:
            found["exactness"] = exactness(list(runs.values()), given.operations, folder, given.minutes * 60)
        if "streams" in given.only:
            for count in (100, 200):
                found[f"streams_{count}"] = streams(folder / "spoken", count, given.seconds)
        if "load" in given.only:
            for in_frame in (1, 5, 20):
                with serving(f"text={folder / 'text'}") as (url, pid):
                    told = asyncio.run(load(url, pid, given.sessions, given.rate, given.seconds, in_frame))
                found[f"load_{in_frame}_in_frame"] = told
                print(json.dumps(told), flush=True)
        if "http" in given.only:
            found["http"] = http(folder / "text", given.seconds / 4, given.rounds)
    if given.out is not None:
        given.out.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
