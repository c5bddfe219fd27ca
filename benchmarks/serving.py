"""Sessions: exactness by random operations, streams of sound, load through WebSockets, single steps over HTTP.

    python benchmarks/serving.py [--operations 1000000] [--sessions 10000] [--rate 2000,4000,…] [--out FILE.json]

Runs with 128 units are trained for a moment on made-up data. `exactness` does random operations on sessions of five of
them, in a server process with a store of SQLite that is killed on the way, and compares every answer with a cold run of
the same history, byte for byte. `streams` sends sound at 16 kHz in pieces of 100 ms, each stream through a WebSocket of
its own, to a server process that has one core. `load` sends steps at some rates in turn, whether or not answers have
come, through WebSockets to a server process; a latency is from the moment a frame should have been sent to its answer,
and the highest rate of which 99 % are answered within 20 ms is told. `http`
asks for single steps, one in a request, of our server and of plain FastAPI handlers (torch; ONNX Runtime) in turn.
Server and generator share the machine. Needs onnx and onnxruntime for the last.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import tempfile
from pathlib import Path
from typing import Any

import uvloop
from serving_exactness import exactness
from serving_http import http
from serving_load import load
from serving_process import serving
from serving_runs import make_runs
from serving_streams import streams


def main() -> None:
    """All of it."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--operations", type=int, default=1_000_000)
    options.add_argument("--sessions", type=int, default=10_000)
    options.add_argument("--rate", default="2000,4000,6000,8000,10000", help="steps a second, in turn")
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
            rates = [int(rate) for rate in given.rate.split(",")]
            for in_frame in (1, 5, 20):
                with serving(f"text={folder / 'text'}") as (url, pid):
                    told = uvloop.run(load(url, pid, given.sessions, rates, given.seconds, in_frame))
                found[f"load_{in_frame}_in_frame"] = told
                for one in told["rates"]:
                    print(json.dumps(one), flush=True)
                print(f"{in_frame} a frame: 99 % within 20 ms up to {told['within_20_ms']:,} a second", flush=True)
        if "http" in given.only:
            found["http"] = http(folder / "text", given.seconds / 4, given.rounds)
    if given.out is not None:
        given.out.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
