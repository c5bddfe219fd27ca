"""What stands beside the states that frames are written from, and what models with several parts say of each frame."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch

import ostinato
from ostinato.data.dataset import Examples
from ostinato.layers.frame_decoder import FrameDecoder, previous_frames
from ostinato.layers.frames import Frames, NoteFrames
from ostinato.layers.inputs import Vectors
from ostinato.run import Run
from ostinato.tasks.frames.evaluation import evaluate, teacher_forced
from ostinato.tasks.next_step.model import NextStep
from ostinato.tasks.next_step.recipe import NextStepRecipe
from ostinato.tasks.prepare import prepare
from ostinato.tasks.probing import Reading
from ostinato.tasks.seq2seq.model import Seq2Seq
from ostinato.tasks.seq2seq.recipe import SequenceToSequenceRecipe
from ostinato.training.progress import Observer
from ostinato.types import Ragged

C = 3
SMALL = {"model.hidden_size": 6, "training.epochs": 2, "training.num_threads": 1, "training.baselines_seconds": 0}


def _targets() -> Ragged:
    torch.manual_seed(2)
    return Ragged.from_rows(torch.randn(8, C, dtype=torch.float64), [0, 4, 5], [4, 1, 3])


def test_the_frame_before_stands_beside_what_numbers_are_written_from() -> None:
    torch.manual_seed(0)
    decoder, targets = FrameDecoder(SequenceToSequenceRecipe(hidden_size=5), Frames(C)).double().eval(), _targets()
    inputs = decoder.inputs_and_targets(targets)[0]
    read = decoder.outputs(inputs, decoder.zero_states(3), None)[0].values
    torch.testing.assert_close(read[:, -C:], inputs.values)
    torch.testing.assert_close(inputs.split_rows()[0][:4], previous_frames(targets, torch.float64).split_rows()[0])
    assert NoteFrames(C).skipped == 0
    model = NextStep(NextStepRecipe(hidden_size=5), Frames(C)).double().eval()
    torch.testing.assert_close(model(targets).values[:, -C:], previous_frames(targets, torch.float64).values)


def test_rows_side_by_side_are_as_they_are_alone() -> None:
    torch.manual_seed(0)
    model = Seq2Seq(SequenceToSequenceRecipe(hidden_size=4, bidirectional=True), Vectors(2), Frames(C)).double().eval()
    sources = Ragged.from_rows(torch.randn(7, 2).double(), [0, 4, 5], [4, 1, 2])
    whole = model.nll(sources, _targets()).split_rows()
    for row in range(3):
        source, target = sources.split_rows()[row], _targets().split_rows()[row]
        alone = model.nll(Ragged.from_rows(source, [0], [len(source)]), Ragged.from_rows(target, [0], [len(target)]))
        torch.testing.assert_close(alone.values, whole[row])


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Letters said by one of two voices, two numbers a letter; one answer for each."""
    folder = tmp_path_factory.mktemp("voices")
    draw = np.random.default_rng(0)
    rows = []
    for k in range(60):
        text, sign = "".join(draw.choice(list("abcd"), draw.integers(2, 6))), 1 - 2 * (k % 2)
        curve = [round(sign * (ord(letter) - 97) / 3 + 0.1 * n, 3) for letter in text for n in range(2)]
        rows.append({"text": text, "voice": ("low", "high")[k % 2], "said": curve, "half": curve[::2]})
    (folder / "t.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder / "t.jsonl"


def _run(table: Path, folder: Path, input: str, target: str | None, *extra: str, **settings: Any) -> Run:
    return ostinato.train(
        table, input=input, target=target, extra=extra, settings={**SMALL, **settings}, out=folder, observer=Observer()
    )


@pytest.fixture(scope="module")
def runs(table: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Run]:
    """A run of each category that writes frames."""
    folder = tmp_path_factory.mktemp("runs")
    fed = {"model.decoder.attention": "bahdanau", "model.decoder.input_feeding": True}
    return {
        "seq2seq": _run(table, folder / "a", "text", "said", "voice"),
        "fed back": _run(table, folder / "b", "text", "said", "voice", **fed),
        "conditional": _run(table, folder / "c", "voice", "said"),
        "next step": _run(table, folder / "d", "said", None),
    }


def test_a_sequence_model_reads_further_columns(table: Path, runs: dict[str, Run]) -> None:
    run = runs["seq2seq"]
    assert run.recipe.model.task == "seq2seq"
    examples = cast("Examples", prepare(run.recipe).validation)
    voices = examples.extra["voice"].values
    swapped = Examples(
        examples.sequences,
        examples.targets,
        examples.places,
        examples.rows,
        {"voice": type(examples.extra["voice"])((7 - voices).astype(voices.dtype), examples.extra["voice"].offsets)},
    )
    ours, theirs = (evaluate(run.model, one, run.features, run.device)["loss"] for one in (examples, swapped))
    assert ours != pytest.approx(theirs)
    low, high = run.predict([{"text": "abc", "voice": voice} for voice in ("low", "high")])
    assert low.values != high.values
    assert "each step reads voice" in (run.folder / "report.html").read_text()


def test_free_running_figures_are_those_of_predictions(table: Path, runs: dict[str, Run]) -> None:
    run = runs["seq2seq"]
    rows = [json.loads(line) for line in table.read_text().splitlines()]
    said = [np.asarray(one.values) for one in run.predict([{k: row[k] for k in ("text", "voice")} for row in rows])]
    right = [np.asarray(row["said"]) for row in rows]
    figures = run.evaluate(table)
    scale = float(run.features.target.std[0])  # type: ignore[union-attr]
    errors = np.concatenate([(a[: len(b)] - b[: len(a)]) / scale for a, b in zip(said, right, strict=True)])
    assert figures["free_mse"] == pytest.approx(float((errors**2).mean()), rel=1e-4)
    gaps = [abs(len(a) - len(b)) for a, b in zip(said, right, strict=True)]
    assert figures["length_error"] == pytest.approx(np.mean(gaps))
    assert "Written and true" in (run.folder / "report.html").read_text()


def test_figures_are_those_of_rows(table: Path, runs: dict[str, Run]) -> None:
    run = runs["conditional"]
    examples = cast("Examples", prepare(run.recipe).validation)
    found = evaluate(run.model, examples, run.features, run.device)
    said = dict(teacher_forced(cast("Any", run.model), examples, run.device))
    frames = sum(len(one.truth) for one in said.values())
    assert found["num_frames"] == frames
    assert found["nats_per_frame"] == pytest.approx(sum(one.nll.sum() for one in said.values()) / frames)
    errors = np.concatenate([(one.expected - one.truth) ** 2 for one in said.values()])
    assert found["mse"] == pytest.approx(errors.mean())
    assert "free_mse" not in found  # a voice says many things


@pytest.mark.parametrize("name", ["seq2seq", "fed back", "conditional", "next step"])
def test_what_is_diagnosed_is_what_is_scored(runs: dict[str, Run], name: str) -> None:
    """All steps of all rows, each as one answer: their mean nats are those of the evaluation."""
    run = runs[name]
    examples = cast("Examples", prepare(run.recipe).validation)
    part = run.spec.probes(Reading(run.spec, run.model.eval(), examples, run.features, run.recipe))[-1]
    subject = part.make(10**6, 0)
    expected = np.concatenate([one.nll for _, one in teacher_forced(cast("Any", run.model), examples, run.device)])
    assert np.sort(subject.row_losses().detach().numpy()) == pytest.approx(np.sort(expected), rel=1e-3, abs=1e-4)
