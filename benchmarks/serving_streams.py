"""Streams of sound in real time, to a server that has one core: a part of `serving.py`."""

from __future__ import annotations

import asyncio
import json
import os
import struct
import time
from pathlib import Path
from typing import Any

import numpy as np
from serving_process import cpu_s, figures, memory_mb, serving
from serving_runs import RATE
from websockets.asyncio.client import connect

PIECE_S = 0.1


def streams(run: Path, count: int, seconds: float) -> dict[str, Any]:
    """So many at once, each a connection that sends 16-bit samples as a microphone would, and is answered after each
    piece; a latency is from the moment a piece is whole to its answer."""
    with serving(f"spoken={run}") as (url, pid):
        core = min(os.sched_getaffinity(pid))
        for task in Path(f"/proc/{pid}/task").iterdir():
            os.sched_setaffinity(int(task.name), {core})
        told = asyncio.run(_streams(f"{url.replace('http', 'ws')}/v1/stream", pid, count, seconds))
    print(json.dumps(told), flush=True)
    return told


async def _streams(url: str, pid: int, count: int, seconds: float) -> dict[str, Any]:
    noise = (np.random.default_rng(0).normal(size=RATE) * 3000).astype("<i2")
    size, latencies = round(RATE * PIECE_S), list[float]()
    ready, begin = asyncio.Semaphore(0), asyncio.Event()
    begun = 0.0

    async def one(number: int) -> None:
        async with connect(url, max_size=None, compression=None) as socket:
            await socket.send(json.dumps({"op": "create", "model": "spoken", "sample_rate": RATE}))
            id = json.loads(await socket.recv())["result"]["session"]
            await socket.send(json.dumps({"op": "attach", "model": "spoken", "session": id, "answers": "last"}))
            handle = json.loads(await socket.recv())["result"]["handle"]
            ready.release()
            await begin.wait()
            due = begun + number * PIECE_S / count
            for piece in range(round(seconds / PIECE_S)):
                at = (number * 37 + piece * size) % (RATE - size)
                wait = due - time.perf_counter()
                if wait > 0:
                    await asyncio.sleep(wait)
                await socket.send(b"\2\0\0\0" + struct.pack("<II", handle, size) + noise[at : at + size].tobytes())
                told = json.loads(await socket.recv())[0]
                assert told["result"]["answers"], told
                latencies.append(time.perf_counter() - due)
                due += PIECE_S

    tasks = [asyncio.create_task(one(number)) for number in range(count)]
    for _ in tasks:
        await ready.acquire()
    worked, begun = cpu_s(pid), time.perf_counter() + 0.2
    begin.set()
    await asyncio.gather(*tasks)
    took = time.perf_counter() - begun
    return {
        "streams": count,
        "seconds_of_sound": round(len(latencies) * PIECE_S),
        "took_s": round(took, 2),
        **figures(latencies, took),
        "cpu_share": round((cpu_s(pid) - worked) / took, 3),
        "mb": round(memory_mb(pid)),
    }
