"""Checkpoints: whole or not at all, the last ones kept, damage noticed."""

from __future__ import annotations

import errno
import os
import resource
import signal
from pathlib import Path

import pytest
import torch

from ostinato.errors import CheckpointError, RunError
from ostinato.storage.files import write_atomically
from ostinato.storage.log import RunLog, read_log
from ostinato.training import checkpoint as checkpoints
from ostinato.training.checkpoint import read_checkpoint, write_checkpoint
from ostinato.training.weights import load_tensors, save_tensors


def _write(run: Path, step: int) -> Path:
    best = run / "model.safetensors"
    tensors, state = {"model.w": torch.full((3,), float(step))}, {"position": {"step": step}}
    return write_checkpoint(run, step, tensors, state, best if best.is_file() else None)


def test_reads_back_the_newest(tmp_path: Path) -> None:
    for step in (1, 20, 3):
        _write(tmp_path, step)
    found = read_checkpoint(tmp_path)
    assert found.state["position"]["step"] == 20
    assert found.tensors["model.w"].tolist() == [20.0] * 3


def test_keeps_the_last_two(tmp_path: Path) -> None:
    for step in (1, 2, 3):
        _write(tmp_path, step)
    assert sorted(p.name for p in (tmp_path / "checkpoint").iterdir()) == ["step-0000000002", "step-0000000003"]


FILES = ["tensors.safetensors", "state.json", "best.safetensors", "manifest.json"]


@pytest.mark.parametrize("damage", ["flip", "cut", "remove"])
@pytest.mark.parametrize("name", FILES)
def test_a_damaged_newest_one_is_passed_over_said_and_put_aside(tmp_path: Path, name: str, damage: str) -> None:
    save_tensors(tmp_path / "model.safetensors", {"w": torch.ones(2)})
    _write(tmp_path, 1)
    save_tensors(tmp_path / "model.safetensors", {"w": torch.zeros(2)})
    newest = _write(tmp_path, 2)
    content = bytearray((newest / name).read_bytes())
    (newest / name).unlink()
    content[len(content) // 2] ^= 0xFF
    if damage != "remove":
        (newest / name).write_bytes(content if damage == "flip" else content[: len(content) // 2])
    found = read_checkpoint(tmp_path)
    assert found.state["position"]["step"] == 1
    assert "step-0000000002" in found.skipped[0]
    assert sorted(p.name for p in (tmp_path / "checkpoint").iterdir()) == [
        "damaged-step-0000000002",
        "step-0000000001",
    ]
    assert read_checkpoint(tmp_path).skipped == ()


def test_a_second_checkpoint_of_a_step_is_the_newer(tmp_path: Path) -> None:
    for value in (1.0, 2.0, 3.0):
        write_checkpoint(tmp_path, 7, {"model.w": torch.full((1,), value)}, {"position": {"step": 7}}, keep=2)
    assert read_checkpoint(tmp_path).tensors["model.w"].item() == 3.0
    assert len(list((tmp_path / "checkpoint").iterdir())) == 2


@pytest.mark.parametrize("keep", [1, 3])
def test_as_many_are_kept_as_asked_for(tmp_path: Path, keep: int) -> None:
    for step in range(5):
        write_checkpoint(tmp_path, step, {"w": torch.zeros(1)}, {"position": {"step": step}}, keep=keep)
    kept = sorted(p.name for p in (tmp_path / "checkpoint").iterdir())
    assert kept == [f"step-{step:010d}" for step in range(5 - keep, 5)]


def test_what_a_crash_left_half_written_is_cleared_away(tmp_path: Path) -> None:
    left = tmp_path / "checkpoint" / ".step-0000000009.partial"
    left.mkdir(parents=True)
    (left / "tensors.safetensors").write_bytes(b"half")
    _write(tmp_path, 1)
    assert [p.name for p in (tmp_path / "checkpoint").iterdir()] == ["step-0000000001"]


def test_no_checkpoint_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="has no checkpoint to resume from"):
        read_checkpoint(tmp_path)


def test_best_weights_are_the_files_of_that_moment(tmp_path: Path) -> None:
    save_tensors(tmp_path / "model.safetensors", {"w": torch.ones(2)})
    _write(tmp_path, 1)
    save_tensors(tmp_path / "model.safetensors", {"w": torch.zeros(2)})
    best = read_checkpoint(tmp_path).best
    assert best is not None
    assert load_tensors(best)["w"].tolist() == [1.0, 1.0]


def test_a_full_disk_leaves_the_previous_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _write(tmp_path, 1)

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(checkpoints, "_write", refuse)
    with pytest.raises(CheckpointError, match="the disk is full") as caught:
        _write(tmp_path, 2)
    assert "free some space" in str(caught.value)
    assert read_checkpoint(tmp_path).state["position"]["step"] == 1
    assert [p.name for p in (tmp_path / "checkpoint").iterdir()] == ["step-0000000001"]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_the_operating_systems_own_refusal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A real refusal by the kernel: no file of this process may grow beyond four bytes."""
    target = tmp_path / "model.safetensors"
    target.write_bytes(b"old")
    before, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4, before[1]))
    try:
        with pytest.raises(CheckpointError, match="the disk is full"):
            write_atomically(target, b"after")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]


def test_truncated_weights(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    save_tensors(path, {"w": torch.ones(100)})
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(RunError, match="is damaged or no safetensors file"):
        load_tensors(path)


def test_log_is_cut_where_the_checkpoint_was(tmp_path: Path) -> None:
    log = RunLog(tmp_path / "log.jsonl")
    log.write("step", {"step": 1})
    log.flush()
    size = log.size
    log.write("step", {"step": 2})
    log.write("validation", {"step": 2})
    log.cut(size)
    log.write("step", {"step": 2})
    log.flush()
    steps, validations = read_log(tmp_path / "log.jsonl")
    assert [event["step"] for event in steps] == [1, 2]
    assert validations == []


def test_a_foreign_log(tmp_path: Path) -> None:
    (tmp_path / "log.jsonl").write_text("{}\n")
    with pytest.raises(RunError, match=r"log\.jsonl:1` is not a line of a log"):
        read_log(tmp_path / "log.jsonl")
