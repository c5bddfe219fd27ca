"""Figures of models that write frames, what is predicted, and the report's panels, against plain computations."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
import pytest
import torch

import ostinato
from ostinato.data.dataset import Examples, Prepared
from ostinato.data.sequences import Sequences
from ostinato.run import Run
from ostinato.tasks.frames import evaluation as frames_written
from ostinato.tasks.frames import plots as plots_written
from ostinato.tasks.frames.report import written_results
from ostinato.tasks.prepare import prepare
from ostinato.training.progress import Observer

SMALL = {
    "model.hidden_size": 5,
    "training.epochs": 2,
    "training.num_threads": 1,
    "training.baselines_seconds": 0,
    "data.validation": 0.3,
}
COLUMNS = {
    "for a name": {"data.input": "kind", "data.target": "curve"},
    "for a number": {"data.input": "size", "data.target": "curve"},
    "of a sequence": {"data.input": "curve", "data.target": "far", "data.extra": ["kind"]},
    "tunes": {"data.input": "curve", "data.target": "tune", "features.target.kind": "notes"},
    "next": {"data.input": "curve"},
    "next for a name": {"data.input": "curve", "data.extra": ["kind"]},
}


class Made(NamedTuple):
    """A run, its data, and its validation part."""

    run: Run
    prepared: Prepared
    rows: Examples


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Made]:
    folder = tmp_path_factory.mktemp("written")
    draw = np.random.default_rng(0)
    rows = []
    for k in range(40):
        curve = draw.normal(3, 2, size=(int(draw.integers(3, 7)), 2)).round(3).tolist()
        rows.append(
            {"kind": ("up", "up", "down")[k % 3], "size": k / 7, "curve": curve, "far": [*curve, *curve, [0, 1]]}
        )
        rows[-1]["tune"] = [[60, 64][: int(n)] for n in draw.integers(0, 3, len(curve) + 3)]
    (folder / "t.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = {}
    for name, columns in COLUMNS.items():
        run = ostinato.train(
            str(folder / "t.jsonl"), settings={**SMALL, **columns}, out=folder / name, observer=Observer()
        )
        prepared = prepare(run.recipe)
        found[name] = Made(run, prepared, cast("Examples", prepared.validation))
    return found


def _evaluated(one: Made) -> dict[str, Any]:
    return frames_written.evaluate(one.run.model, one.rows, one.run.features, one.run.device)


def _target(one: Made) -> Sequences:
    return cast("Sequences", one.rows.targets)


@pytest.mark.parametrize("name", COLUMNS)
def test_what_is_told_is_of_each_row(made: dict[str, Made], name: str) -> None:
    """A row's nats and frames are those it has alone, in the place it has in the file."""
    one = made[name]
    rows = dict(frames_written.teacher_forced(cast("Any", one.run.model), one.rows, one.run.device))
    assert sorted(rows) == list(range(len(one.rows)))
    frames = one.rows.sequences if name.startswith("next") else _target(one)
    ends = 0 if name.startswith("next") else 1
    for number, row in rows.items():
        count = len(frames.row(number))
        assert (len(row.nll), row.expected.shape) == (count + ends, (count, frames.values.shape[1]))
        np.testing.assert_allclose(row.truth, frames.row(number))
        single = one.rows.take(np.asarray([number]))
        ((_, alone),) = frames_written.teacher_forced(cast("Any", one.run.model), single, one.run.device)
        np.testing.assert_allclose(alone.nll, row.nll, rtol=1e-4, atol=1e-5)
    figures = _evaluated(one)
    count = sum(len(row.truth) for row in rows.values())
    assert figures["loss"] == pytest.approx(sum(row.nll.sum() for row in rows.values()) / count)
    assert (figures["num_frames"], figures["num_examples"]) == (count, len(one.rows))
    if name != "tunes":
        errors = np.concatenate([row.expected - row.truth for row in rows.values()])
        assert figures["mae"] == pytest.approx(np.abs(errors).mean())


@pytest.mark.parametrize("name", ["for a name", "for a number", "of a sequence"])
def test_what_is_expected_stands_in_the_place_of_its_frame(made: dict[str, Made], name: str) -> None:
    """Of the first frame it is what is written first, before anything was told."""
    one = made[name]
    written = frames_written.write(cast("Any", one.run.model), one.rows, one.run.device)
    for number, row in frames_written.teacher_forced(cast("Any", one.run.model), one.rows, one.run.device):
        np.testing.assert_allclose(row.expected[0], written[number][0].numpy(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["for a number", "of a sequence"])
def test_where_one_sequence_is_right_what_is_written_alone_is_compared_with_it(
    made: dict[str, Made], name: str
) -> None:
    one = made[name]
    written = frames_written.write(cast("Any", one.run.model), one.rows, one.run.device)
    right = [_target(one).row(row) for row in range(len(one.rows))]
    squares, gaps = [], []
    for said, truth in zip(written, right, strict=True):
        both = min(len(said), len(truth))
        squares.append((said[:both].numpy() - truth[:both]).ravel() ** 2)
        gaps.append(abs(len(said) - len(truth)))
    figures = _evaluated(one)
    assert figures["free_mse"] == pytest.approx(np.concatenate(squares).mean(), rel=1e-5)
    assert figures["length_error"] == pytest.approx(np.mean(gaps))


def test_where_many_are_right_or_none_is_written_alone_nothing_is_compared(made: dict[str, Made]) -> None:
    for name in ("for a name", "next", "next for a name"):
        assert not [key for key in _evaluated(made[name]) if key.startswith("free_") or key == "length_error"]
    assert {"accuracy", "f1", "exact", "free_f1"} <= set(_evaluated(made["tunes"]))


@pytest.mark.parametrize("name", ["for a number", "of a sequence", "tunes"])
def test_predictions_are_what_is_written_in_the_order_of_the_rows(made: dict[str, Made], name: str) -> None:
    one = made[name]
    said = frames_written.predict(one.run.model, one.rows, one.run.features, one.run.device)
    for row in (0, len(one.rows) - 1):
        (alone,) = frames_written.predict(
            one.run.model, one.rows.take(np.asarray([row])), one.run.features, one.run.device
        )
        if name == "tunes":
            assert alone.values == said[row].values
            assert {pitch for frame in said[row].values for pitch in frame} <= {60, 64}
        else:
            np.testing.assert_allclose(np.asarray(alone.values), np.asarray(said[row].values), rtol=1e-4, atol=1e-5)


def test_a_next_step_model_predicts_each_frame(made: dict[str, Made]) -> None:
    one = made["next"]
    said = frames_written.predict(one.run.model, one.rows, one.run.features, one.run.device)
    rows = dict(frames_written.teacher_forced(cast("Any", one.run.model), one.rows, one.run.device))
    feature = cast("Any", one.run.features.input)
    for number, prediction in enumerate(said):
        np.testing.assert_allclose(
            np.asarray(prediction.values), np.asarray(feature.decode(rows[number].expected)), rtol=1e-4, atol=1e-5
        )
        assert prediction.details["nats_per_frame"] == pytest.approx(rows[number].nll.mean())


@pytest.mark.parametrize("name", COLUMNS)
def test_scoring_leaves_the_model_as_it_was(made: dict[str, Made], name: str) -> None:
    one = made[name]
    for training in (True, False):
        one.run.model.train(training)
        _evaluated(one)
        assert one.run.model.training == training


def _results(one: Made) -> dict[str, Any]:
    return written_results(cast("Any", one.run.model), one.prepared, one.run.device)


@pytest.mark.parametrize(
    ("name", "sentence", "has_answer", "panels"),
    [
        ("for a name", "Writes `curve`, frame by frame, for a given `kind`.", False, 2),
        ("for a number", "Writes `curve`, frame by frame, for a given `size`.", True, 6),
        ("of a sequence", "Writes `far`, frame by frame, after reading `curve, kind`.", True, 6),
        ("tunes", "Writes `tune`, frame by frame, after reading `curve`.", True, 6),
        ("next", "Predicts each frame of `curve` from those before it.", False, 6),
        ("next for a name", "Predicts each frame of `curve` from those before it and `kind`.", False, 6),
    ],
)
def test_the_report_says_what_was_written(
    made: dict[str, Made], name: str, sentence: str, has_answer: bool, panels: int
) -> None:
    found = _results(made[name])
    assert (found["sentence"], found["has_answer"]) == (sentence, has_answer)
    assert len(found["panels"]) == panels
    assert all("<svg" in panel["plot"] for panel in found["panels"])
    for row in found["table"]:
        assert (row["free"] is not None) == (has_answer and "ln p" not in row["meaning"])


def test_what_is_given_swapped_between_rows_is_another_figure(made: dict[str, Made]) -> None:
    assert _results(made["next"])["shuffled"] is None
    for name in ("for a number", "of a sequence", "next for a name"):
        found = _results(made[name])
        assert found["shuffled"] != pytest.approx(found["metrics"]["nats_per_frame"], rel=1e-6)


def test_names_are_drawn_for_the_most_frequent_first(made: dict[str, Made]) -> None:
    one = made["for a name"]
    found = _results(one)
    counts = [int(panel["note"].split()[1]) for panel in found["panels"]]
    assert [panel["title"] for panel in found["panels"]] == ["up", "down"]
    assert counts == sorted(counts, reverse=True)
    assert sum(counts) == len(cast("Examples", one.prepared.train))
    assert found["lengths"]["right"] == pytest.approx(_target(one).lengths.mean())
    assert 1 <= found["lengths"]["drawn"] <= one.run.recipe.model.decoder.longest


def test_answers_are_shown_from_the_best_to_the_worst(made: dict[str, Made]) -> None:
    for name in ("of a sequence", "tunes"):
        gaps = [float(panel["note"].split(";")[0].split()[-1]) for panel in _results(made[name])["panels"]]
        assert gaps == sorted(gaps)
    nll = [float(panel["note"].split()[0]) for panel in _results(made["next"])["panels"]]
    assert nll == sorted(nll)


def test_pictures_stand_in_two_rows() -> None:
    right, said = np.zeros((20, 1, 4, 4), dtype=np.uint8), np.zeros((3, 1, 4, 4), dtype=np.uint8)
    page = str(plots_written.strips(right, said, "written"))
    above, below = page.split("written")
    assert 'alt="8 of 20 frames"' in above
    assert 'alt="3 of 3 frames"' in below


@pytest.mark.parametrize("low", [0.0, 1.0])
def test_many_channels_are_shades(low: float, tmp_path: Path) -> None:
    """Also of frames that never change."""
    right = np.full((200, 12), low)
    page = str(plots_written.shades("x", right, np.asarray(right[:50]), "frame", "written"))
    assert "<svg" in page
    assert page.count("<image") == 2
    assert len(page) < 20_000


def test_a_row_whose_name_is_unknown_is_refused(made: dict[str, Made]) -> None:
    from ostinato.errors import RunError

    with (
        torch.inference_mode(),
        pytest.raises(RunError, match=r"a name that was not seen in training\. Seen: down, up"),
    ):
        made["for a name"].run.predict(["sideways"])
