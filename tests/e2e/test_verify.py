"""`ostinato verify` on small trained runs of both founding jobs: the table, the verdict, the file, the exit code."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import Cli
from torch import Tensor

import ostinato
from ostinato import cells
from ostinato.cells import Elman, Weights
from ostinato.kernels import dispatch, torch_backend
from ostinato.types import State

SMALL = ("--set", "model.embedding_dim=6", "--set", "model.hidden_size=6", "--set", "training.num_threads=1")
BRIEF = (*SMALL, "--set", "training.epochs=1", "--set", "training.batch_size=64")
COLUMNS = ("form", "backend", "dtype", "outputs", "final_state", "gradients", "tolerance", "passed", "note")


class _Mixes(Elman):
    """A user's cell that lets rows of a batch see each other."""

    def __init__(self) -> None:
        super().__init__()
        self.name = "mixes"

    def step(self, x_projected: Tensor, state: State, weights: Weights, mask: Tensor | None = None) -> State:
        (h,) = super().step(x_projected, state, weights, mask)
        return (h - h.mean(0, keepdim=True) / 10,)


def _train_classifier(cli: Cli, polarity: Path, out: str, *settings: str) -> None:
    chosen = [part for setting in settings for part in ("--set", setting)]
    done = cli("train", polarity, "--input", "text", "--target", "label", "--out", out, *BRIEF, *chosen)
    assert done.code == 0, done.err


def test_a_bidirectional_classifier(cli: Cli, polarity: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = ("model.pooling=[max, mean]", "model.ngrams=2", "model.ngram_buckets=64", "model.bidirectional=true")
    _train_classifier(cli, polarity, "run", "model.head_dropout=0.5", *options)
    seen = cli("verify", "run", "--rows", "4")
    assert seen.code == 0, seen.out + seen.err
    assert seen.out.splitlines()[-1].startswith("equivalent: ")
    assert "step by step: not defined: a layer reads from the rows' ends" in seen.out
    assert "triton in float64: can't run here" in seen.out
    saved = json.loads((tmp_path / "run/certificate.json").read_text())
    assert saved["passed"] is True
    assert min(saved["lengths"]) == 1
    assert len(set(saved["lengths"])) > 1
    assert all(tuple(row) == COLUMNS for row in saved["rows"])
    assert {row["form"] for row in saved["rows"] if row["passed"]} >= {"token ids", "padded", "one at a time"}

    as_json = cli("verify", "run", "--rows", "4", "--data", polarity, "--json", "--seed", "1")
    assert as_json.code == 0
    other = json.loads(as_json.out)
    assert other == json.loads((tmp_path / "run/certificate.json").read_text())
    assert other["lengths"] != saved["lengths"]

    def lossy(*arguments: Any) -> tuple[Tensor, State]:
        output, final = torch_backend.scan(*arguments)
        return output.detach() + (output - output.detach()) * 0.9, final

    monkeypatch.setitem(dispatch._BACKENDS, "torch", replace(dispatch._BACKENDS["torch"], scan=lossy))
    broken = cli("verify", "run", "--rows", "4")
    assert broken.code == 1
    assert "FAILED: token ids on torch in float64: gradients: a difference of" in broken.out
    assert broken.out.splitlines()[-1].startswith("NOT equivalent: ")
    failed = json.loads((tmp_path / "run/certificate.json").read_text())
    assert {row["backend"] for row in failed["rows"] if row["passed"] is False} == {"torch"}


def test_a_language_model(cli: Cli, book: Path) -> None:
    done = cli("train", book, "--out", "run", *BRIEF)
    assert done.code == 0, done.err
    certificate = ostinato.load("run").verify(num_rows=3, seed=2)
    assert certificate.passed, certificate.failures
    forms = {row.form for row in certificate.rows if row.passed}
    assert forms >= {"step by step", "chunked", "stream", "token stream", "token ids", "saved and loaded"}
    assert sorted(certificate.lengths)[0] == 1
    assert sorted(certificate.lengths)[-1] == 256


def test_a_users_cell_that_mixes_rows_fails(cli: Cli, polarity: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(cells.registry._CELLS._added, "mixes", _Mixes())
    _train_classifier(cli, polarity, "run", "model.cell=mixes")
    seen = cli("verify", "run", "--rows", "4")
    assert seen.code == 1
    assert "FAILED: one at a time on reference in float32: outputs: a difference of" in seen.out
    assert "FAILED: chunked on reference in float64" in seen.out
    assert "torch has no fused layer for the cell `mixes`" in seen.out


def test_bad_input(cli: Cli, polarity: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = polarity.read_text(encoding="utf-8").splitlines(keepends=True)
    (tmp_path / "data.csv").write_text("".join(rows[:101]), encoding="utf-8")
    _train_classifier(cli, tmp_path / "data.csv", "run")
    missing = cli("verify", "nowhere")
    assert missing.code == 1
    assert "nowhere" in missing.err
    assert cli("verify", "run", "--rows", "1").code == 2
    assert "no-such" in cli("verify", "run", "--data", "no-such.csv").err
    (tmp_path / "data.csv").write_text("".join(rows[:91]), encoding="utf-8")
    changed = cli("verify", "run")
    assert changed.code == 1
    assert "has changed since training began" in changed.err
    assert "--data " in changed.err
    monkeypatch.setenv("OSTINATO_BACKEND", "torch")
    forced = cli("verify", "run", "--data", polarity)
    assert forced.code == 1
    assert "OSTINATO_BACKEND must not be set here" in forced.err
    assert not (tmp_path / "run/certificate.json").exists()
