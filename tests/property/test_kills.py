"""Killed at any instant, by SIGKILL or by a power cut, and resumed until it ends, a run gives the very same bytes.

`killable.py` is the process that dies. OSTINATO_KILLS=100 kills every job that often instead.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

KILLS = int(os.environ.get("OSTINATO_KILLS", "9"))
CLOCKS = {"tokens_per_s", "elapsed_s", "finished", "seconds"}
Ask = Callable[..., dict[str, Any]]

JOBS: dict[str, dict[str, Any]] = {
    "classifier": {
        "model": {
            "embedding_dim": 8, "hidden_size": 8, "bidirectional": True, "pooling": ["last", "max"], "ngrams": 2,
            "ngram_buckets": 64, "word_dropout": 0.1, "hidden_dropout": 0.2, "head_dropout": 0.3,
        },
        "training": {
            "epochs": 2, "batch_size": 64, "schedule": "cosine", "warmup_steps": 3, "adversarial": 1.0,
            "clip": "adaptive", "clip_history": 5, "clip_quantile": 0.5, "checkpoint_steps": 3,
        },
    },
    "language_model": {
        "model": {"embedding_dim": 8, "hidden_size": 8, "num_layers": 2, "hidden_dropout": 0.1, "tie_embeddings": True},
        "training": {
            "epochs": 2, "batch_size": 8, "bptt": {"window": 50, "backprop": 80}, "schedule": "linear", "clip": "group",
            "checkpoint_steps": 4,
        },
    },
    "rollback": {
        "model": {"embedding_dim": 8, "hidden_size": 8, "pooling": ["last", "mean"], "head_dropout": 0.3},
        "training": {
            "epochs": 2, "batch_size": 16, "bptt": {"window": 16, "backprop": 48, "truncation": "random"},
            "checkpoint_steps": 5, "on_divergence": "rollback", "learning_rate": 0.01,
        },
    },
}  # fmt: skip
POISON = {"rollback": [8, 13]}


@pytest.fixture(scope="module")
def ask() -> Iterator[Ask]:
    """Have the killable process do something, and wait for its answer."""
    code = Path(__file__).with_name("killable.py")
    with subprocess.Popen([sys.executable, code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        to, back = process.stdin, process.stdout
        assert back.readline() == "ready\n"

        def request(**what: Any) -> dict[str, Any]:
            to.write(json.dumps(what, default=str) + "\n")
            to.flush()
            answer: dict[str, Any] = json.loads(back.readline())
            return answer

        yield request
        to.close()


def _recipe(job: str, folder: Path, polarity: Path) -> dict[str, Any]:
    job_recipe = JOBS[job]
    if job == "language_model":
        text = folder / "text.txt"
        text.write_text("".join(polarity.read_text().splitlines()[:40]))
        data: dict[str, Any] = {"train": str(text)}
    else:
        rows = folder / "rows.csv"
        rows.write_text("\n".join(polarity.read_text().splitlines()[:301]) + "\n")
        data = {"train": str(rows), "input": "text", "target": "label"}
    training = {**job_recipe["training"], "num_threads": 1}
    return {"data": data, "model": job_recipe["model"], "training": training}


def _without_clocks(content: str) -> dict[str, Any]:
    return {key: value for key, value in json.loads(content).items() if key not in CLOCKS}


def _result(run: Path) -> tuple[bytes, list[dict[str, Any]], dict[str, Any]]:
    """The weights, the log and the summary, without what clocks say."""
    log = [_without_clocks(line) for line in (run / "log.jsonl").read_text().splitlines()]
    return (
        (run / "model.safetensors").read_bytes(),
        log,
        _without_clocks((run / "summary.json").read_text().replace(str(run), "RUN")),
    )


@pytest.mark.parametrize("job", JOBS)
def test_killed_at_random_and_resumed_it_ends_with_the_same_bytes(
    job: str, ask: Ask, polarity: Path, tmp_path: Path
) -> None:
    common = {"recipe": _recipe(job, tmp_path, polarity), "poison": POISON.get(job, [])}
    began = time.monotonic()
    whole = ask(folder=tmp_path / "whole", resume=False, **common)
    seconds = time.monotonic() - began
    assert whole["end"] == "done", whole
    expected = _result(tmp_path / "whole")
    assert sum(event["kind"] == "note" for event in expected[1]) == len(common["poison"])

    chance = random.Random(f"{job} 0")
    killed, runs, history = 0, 0, []
    while killed < KILLS:
        folder = tmp_path / f"run-{runs}"
        runs += 1
        resume = False
        while True:
            kill: dict[str, Any] = {}
            if killed < KILLS:
                last = chance.random() < 0.2
                call = chance.randint(whole["calls"] - 8, whole["calls"]) if last else chance.randint(1, whole["calls"])
                at_call = {"call": call if not resume else 1 + call // 2, "power": chance.random() < 0.5}
                kill = chance.choice([{"delay": chance.uniform(0, 1.2 * seconds)}, at_call])
            answer = ask(folder=folder, resume=resume, **kill, **common)
            history.append((runs, resume, kill, answer["end"]))
            killed += answer["end"] == "killed"
            if "has ended" in answer["end"] or answer["end"] == "done":
                break
            if answer["end"] != "killed":  # it died before there was anything to go on from, and says so
                assert resume, (answer, history)
                assert "before its first step" in answer["end"], (answer, history)
                assert not list(folder.glob("checkpoint/step-*"))
                shutil.rmtree(folder)
            resume = folder.exists()
        assert _result(folder) == expected, history
        assert not list(folder.rglob("*.partial")), history
