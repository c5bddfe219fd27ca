"""Sessions: exactness by random operations, load through WebSockets, and single steps over HTTP beside plain handlers.

    python benchmarks/serving.py [--operations 1000000] [--sessions 10000] [--rate 10000] [--out FILE.json]

Four runs with 128 units are trained for a moment on made-up data. `exactness` does random operations on their sessions,
in a store of SQLite that is closed and opened again on the way, and compares every answer with a cold run of the same
history, byte for byte. `load` sends steps at a fixed rate, whether or not answers have come, through WebSockets to a
server process; a latency is from the moment a frame should have been sent to its answer. `http` asks for single steps,
one in a request, of our server and of plain FastAPI handlers (torch; ONNX Runtime) in turn. Server and generator share
the machine. Needs onnx and onnxruntime for the last.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import random
import string
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from serving_exactness import exactness
from serving_http import UNITS, http
from serving_process import cpu_s, figures, memory_mb, serving
from websockets.asyncio.client import connect

import ostinato
from ostinato.training.progress import Observer

TRAINING = {"training.epochs": 1, "training.num_threads": 1, "training.baselines_seconds": 0}


def make_runs(folder: Path) -> dict[str, tuple[ostinato.Run, Callable[[random.Random], Any]]]:
    """Four runs, and what draws an input of one step for each."""
    rng = random.Random(0)
    letters = string.ascii_lowercase + " "
    (folder / "text.txt").write_text("".join(rng.choice(letters) for _ in range(20_000)))
    numbers = np.random.default_rng(0).normal(size=(400, 20, 2)).round(2)
    rows = [{"x": one.tolist(), "y": "up" if one.mean() > 0 else "down"} for one in numbers]
    (folder / "waves.jsonl").write_text("\n".join(map(json.dumps, rows)))
    words = [[rng.choice("abcdef") for _ in range(12)] for _ in range(300)]
    tags = [{"x": row, "y": [word.upper() for word in row]} for row in words]
    (folder / "tags.jsonl").write_text("\n".join(map(json.dumps, tags)))
    values = np.sin(np.arange(600) / 7).round(4)
    (folder / "load.csv").write_text("y\n" + "\n".join(map(str, values)))
    common = {**TRAINING, "model.hidden_size": UNITS, "training.batch_size": 16}
    plans: dict[str, tuple[dict[str, Any], Callable[[random.Random], Any]]] = {
        "text": ({"data": "text.txt", "settings": {"model.cell": "lstm"}}, lambda r: r.choice(letters)),
        "waves": (
            {
                "data": "waves.jsonl",
                "input": "x",
                "target": "y",
                "settings": {"model.task": "classification", "model.cell": "gru", "model.bidirectional": False},
            },
            lambda r: [round(r.gauss(0, 1), 2), round(r.gauss(0, 1), 2)],
        ),
        "tags": (
            {
                "data": "tags.jsonl",
                "input": "x",
                "target": "y",
                "settings": {"model.task": "tagging", "model.bidirectional": False},
            },
            lambda r: r.choice("abcdef"),
        ),
        "load": (
            {"data": "load.csv", "settings": {"model.task": "forecasting", "model.horizon": 3, "model.lookback": 24}},
            lambda r: [round(r.gauss(0, 1), 3)],
        ),
    }
    found = {}
    for name, (plan, draw) in plans.items():
        settings = {**common, **plan.pop("settings")}
        data = folder / plan.pop("data")
        out = folder / name
        found[name] = (ostinato.train(data, settings=settings, out=out, observer=Observer(), **plan), draw)
    return found


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
    options.add_argument("--only", default="exactness,load,http")
    options.add_argument("--out", type=Path)
    given = options.parse_args()
    found: dict[str, Any] = {"machine": f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores"}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        runs = make_runs(folder)
        if "exactness" in given.only:
            found["exactness"] = exactness(runs, given.operations, folder)
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
