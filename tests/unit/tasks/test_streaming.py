"""Sessions: byte for byte what a cold run of the same history gives, and what the model gives for whole rows."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from tests.e2e.every_category import SMALL, train_one
from tests.tagged import tagged_by_the_word_before

import ostinato
from ostinato.arrays import Array
from ostinato.errors import RecipeError, RowError, RunError
from ostinato.recipe import build_recipe
from ostinato.tasks.intervening import edits_of
from ostinato.tasks.streaming import Read, Reading, Steps, StreamingModel, Writing, WritingModel
from ostinato.training.progress import Observer
from ostinato.training.train import train_recipe

TEXT = "the lazy dog sat. a big fox jumps over the dog. "


def _train(folder: Path, recipe: dict[str, Any]) -> ostinato.Run:
    training = {"epochs": 1, "num_threads": 1, "baselines_seconds": 0, "batch_size": 8, **recipe.get("training", {})}
    return ostinato.load(train_recipe(build_recipe({**recipe, "training": training}), folder / "run", Observer()))


def _language_model(folder: Path, training: dict[str, Any] | None = None, **model: Any) -> ostinato.Run:
    (folder / "book.txt").write_text(TEXT * 40)
    data = {"train": str(folder / "book.txt")}
    return _train(folder, {"data": data, "model": {**SMALL, **model}, "training": training or {}})


def _documents(folder: Path) -> ostinato.Run:
    (folder / "lines.csv").write_text("text\n" + "".join(f"the {n} dogs\n" for n in range(60)))
    data = {"train": str(folder / "lines.csv"), "input": "text"}
    return _train(folder, {"data": data, "model": {"task": "language_model", **SMALL}})


def _series_classifier(folder: Path, target: str = "ab", **model: Any) -> ostinato.Run:
    draw = np.random.default_rng(0)
    answers = [f"{n % 7}.5" if target == "numbers" else target[n % len(target)] for n in range(40)]
    rows = [f'"{draw.normal(size=int(draw.integers(3, 12))).round(2).tolist()}",{answer}' for answer in answers]
    (folder / "rows.csv").write_text("\n".join(["x,y", *rows]) + "\n")
    data = {"train": str(folder / "rows.csv"), "input": "x", "target": "y"}
    return _train(folder, {"data": data, "model": {"cell": "gru", "hidden_size": 6, **model}})


def _tagger(folder: Path, **model: Any) -> ostinato.Run:
    path = tagged_by_the_word_before(folder / "words.conll", 60, ["a", "bb", "abc"], np.random.default_rng(0))
    recipe = {
        "data": {"train": str(path), "validation": 0.3},
        "features": {"input": {"kind": "tokens", "characters": model.pop("characters", False)}},
        "model": {"task": "tagging", **SMALL, **model},
    }
    return _train(folder, recipe)


def _forecaster(folder: Path) -> ostinato.Run:
    lines = [f"{np.sin(n / 4):.3f},{n % 7}" for n in range(160)]
    (folder / "series.csv").write_text("\n".join(["a,b", *lines]) + "\n")
    model = {"task": "forecasting", "lookback": 24, "horizon": 4, "hidden_size": 6}
    data = {"train": str(folder / "series.csv"), "split": [100, 40, 20]}
    return _train(folder, {"data": data, "model": model})


def _streaming(run: ostinato.Run) -> StreamingModel:
    return run.spec.streaming(run.model, run.features, run.recipe)


def _cold(model: StreamingModel, steps: Steps) -> Read:
    (found,) = model.read([Reading(steps, model.zero(), "each")])
    return found


def _check_pieces(model: StreamingModel, rows: list[Steps], seed: int = 0) -> None:
    """Rows in pieces of random sizes, beside any others, then each alone, whole."""
    draw = np.random.default_rng(seed)
    states, answers = [model.zero() for _ in rows], [list[dict[str, Any]]() for _ in rows]
    done = [0] * len(rows)
    while any(at < len(one) for at, one in zip(done, rows, strict=True)):
        chosen = [row for row in range(len(rows)) if draw.random() < 0.7]
        sizes = draw.integers(0, 6, len(chosen)).tolist()
        pieces = [
            Reading(rows[row].cut(done[row], done[row] + size), states[row], "each")
            for row, size in zip(chosen, sizes, strict=True)
        ]
        before = [one.state.copy() for one in pieces]
        for row, size, one in zip(chosen, sizes, model.read(pieces), strict=True):
            states[row], done[row] = one.state, min(len(rows[row]), done[row] + size)
            answers[row] += one.answers
        assert all(np.array_equal(one.state, old) for one, old in zip(pieces, before, strict=True))
    for row, one in enumerate(rows):
        cold = _cold(model, one)
        assert np.array_equal(cold.state, states[row])
        assert cold.answers == answers[row]
        assert model.peek(cold.state) == model.peek(states[row])
        (last,) = model.read([Reading(one, model.zero())])
        assert last.answers == cold.answers[-1:]
        assert Steps.from_bytes(one.to_bytes()).values.tobytes() == one.values.tobytes()
    named = model.named(states[0])
    assert np.array_equal(model.joined(named), states[0])
    assert [spec.name for spec in model.states] == list(named)


# ---- language models ------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "model",
    [
        {"ngrams": 0},
        {"ngrams": 3, "num_layers": 2},
        {"ngrams": 1, "ngram_combination": "mixture", "cell": "gru"},
        {"ngrams": 2, "tie_embeddings": True, "hidden_size": 9},
    ],
)
def test_a_language_model_reads_and_writes(tmp_path: Path, model: dict[str, Any]) -> None:
    run = _language_model(tmp_path, **model)
    streaming = cast("WritingModel", _streaming(run))
    _check_pieces(streaming, [streaming.encode(text) for text in (TEXT, TEXT[3:], TEXT[9:20], "a")])
    found = _cold(streaming, streaming.encode(TEXT))
    ids = streaming.encode(TEXT).values
    with torch.no_grad():
        logits, _ = run.model(torch.from_numpy(ids.astype(np.int64)).unsqueeze(1))
    expected = -logits[:-1, 0].log_softmax(-1).gather(1, torch.from_numpy(ids[1:].astype(np.int64)).unsqueeze(1))[:, 0]
    assert found.answers[0] == {"token": TEXT[0], "nll": None}
    np.testing.assert_allclose([one["nll"] for one in found.answers[1:]], expected, rtol=1e-4, atol=1e-5)
    likely = streaming.peek(found.state)["next"]
    shares = [one["probability"] for one in likely]
    assert shares == sorted(shares, reverse=True)
    assert sum(shares) <= 1 + 1e-5
    assert streaming.peek(streaming.zero()) == {"next": []}
    whole, part = streaming.write([Writing(found.state, 30, seed=4), Writing(found.state, 11, seed=4)])
    assert TEXT + "".join(whole.pieces) == run.generate(TEXT, max_new_tokens=30, seed=4)
    (rest,) = streaming.write([Writing(part.state, 19, seed=4, drawn=part.drawn)])
    assert [*part.pieces, *rest.pieces] == whole.pieces
    assert np.array_equal(rest.state, whole.state)


def test_states_begin_anew_where_training_began_anew(tmp_path: Path) -> None:
    training = {"bptt": {"window": 7, "carry_state": False}, "batch_size": 2}
    run = _language_model(tmp_path, training, ngrams=2)
    streaming = cast("WritingModel", _streaming(run))
    _check_pieces(streaming, [streaming.encode(text) for text in (TEXT, TEXT[:13])])
    found = _cold(streaming, streaming.encode(TEXT))
    evaluated = run.spec.evaluate(
        run.model,
        run.spec.load(str(_written(tmp_path, TEXT)), run.features, run.recipe),
        run.features,
        run.recipe,
        run.device,
    )
    assert np.mean([one["nll"] for one in found.answers[1:]]) == pytest.approx(evaluated["loss"], rel=1e-5)
    (written,) = streaming.write([Writing(found.state, 20, seed=1)])
    assert TEXT + "".join(written.pieces) == run.generate(TEXT, max_new_tokens=20, seed=1)


def _written(folder: Path, text: str) -> Path:
    (folder / "other.txt").write_text(text)
    return folder / "other.txt"


def test_a_model_of_documents_begins_after_the_end_of_one(tmp_path: Path) -> None:
    streaming = _streaming(_documents(tmp_path))
    found = _cold(streaming, streaming.encode("the 7"))
    assert found.answers[0]["nll"] > 0
    assert streaming.peek(streaming.zero())["next"]
    _check_pieces(streaming, [streaming.encode("the 7 dogs"), streaming.encode("dogs")])


def test_what_a_language_model_can_not_read_or_write(tmp_path: Path) -> None:
    streaming = cast("WritingModel", _streaming(_language_model(tmp_path)))
    with pytest.raises(RowError, match="the text holds what the model never saw: 'ß'"):
        streaming.encode("straße")
    for given in ("", 3, None, ["a"]):
        with pytest.raises(RowError, match="a step must be a text that is not empty"):
            streaming.encode(given)
    with pytest.raises(RecipeError, match="has read no token"):
        streaming.write([Writing(streaming.zero())])
    state = _cold(streaming, streaming.encode("a")).state
    with pytest.raises(RecipeError, match="`temperature` must be at least 0"):
        streaming.write([Writing(state, temperature=-1.0)])
    with pytest.raises(RecipeError, match="`max_new_tokens` must be a positive integer"):
        streaming.write([Writing(state, 0)])
    with pytest.raises(RunError, match="a state of this model has the parts"):
        streaming.joined({"h": state})


# ---- classifiers ----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("pooling", [["last"], ["mean", "max"], ["attention"], ["last", "attention", "mean"]])
def test_a_classifier_answers_as_it_reads(tmp_path: Path, pooling: list[str]) -> None:
    run = _series_classifier(tmp_path, pooling=pooling, head_size=5)
    streaming = _streaming(run)
    draw = np.random.default_rng(1)
    rows: list[Array] = [draw.normal(size=size) for size in (1, 9, 30)]
    _check_pieces(streaming, [streaming.encode(row.tolist()) for row in rows])
    found = _cold(streaming, streaming.encode(rows[1].tolist())).answers
    for stop, answer in enumerate(found, start=1):
        (whole,) = run.predict([rows[1][:stop].tolist()])
        assert answer["label"] == whole.label
        np.testing.assert_allclose(
            list(answer["probabilities"].values()), list((whole.probabilities or {}).values()), rtol=1e-4, atol=1e-5
        )
    assert streaming.peek(streaming.zero()) == {}


@pytest.mark.parametrize("target", ["ab", "abc", "numbers"])
def test_several_networks_answer_as_one_while_they_read(tmp_path: Path, target: str) -> None:
    run = _series_classifier(tmp_path, target=target, members=3, num_layers=2, pooling=["last", "mean"])
    streaming = _streaming(run)
    draw = np.random.default_rng(1)
    rows: list[Array] = [draw.normal(size=size) for size in (1, 9, 30)]
    _check_pieces(streaming, [streaming.encode(row.tolist()) for row in rows])
    assert {spec.name[:10] for spec in streaming.states} == {"members.0.", "members.1.", "members.2."}
    found = _cold(streaming, streaming.encode(rows[1].tolist())).answers
    for stop, answer in enumerate(found, start=1):
        whole = run.predict([rows[1][:stop].tolist()])[0].to_dict()
        assert answer.get("label") == whole.get("label")
        shares = [list(one.get("probabilities", {"": one.get("value")}).values()) for one in (answer, whole)]
        np.testing.assert_allclose(*shares, rtol=1e-4, atol=1e-5)
    assert streaming.peek(streaming.zero()) == {}
    changed = _cold(streaming.changed(edits_of("layer 2.h = 0.9")), streaming.encode(rows[1].tolist())).answers[-1]
    whole = run.predict([rows[1].tolist()], intervene="layer 2.h = 0.9")[0].to_dict()
    shares = [list(one.get("probabilities", {"": one.get("value")}).values()) for one in (changed, whole)]
    np.testing.assert_allclose(*shares, rtol=1e-4, atol=1e-5)
    run.model.num_answering = 1  # where validation rows speak against the mean
    (alone,) = run.predict([rows[1].tolist()])
    assert len({spec.name[:10] for spec in _streaming(run).states}) == 1
    said = _cold(_streaming(run), streaming.encode(rows[1].tolist())).answers[-1]
    assert said.get("label") == alone.to_dict().get("label")


def test_subwords_cut_between_words_are_those_of_the_whole_text(tmp_path: Path) -> None:
    """A blank goes with the word after it."""
    (tmp_path / "book.txt").write_text(TEXT * 40)
    features = {"input": {"kind": "text", "unit": "subwords", "max_size": 290}}
    model = {"task": "language_model", **SMALL, "ngrams": 0}
    run = _train(tmp_path, {"data": {"train": str(tmp_path / "book.txt")}, "features": features, "model": model})
    streaming = cast("WritingModel", _streaming(run))
    whole, pieces = streaming.encode(TEXT), ["the lazy", " dog sat. a big", " fox jumps", " over the dog. "]
    assert np.array_equal(np.concatenate([streaming.encode(one).values for one in pieces]), whole.values)
    assert len(whole) < len(TEXT)
    _check_pieces(streaming, [whole, whole.cut(2, 9)])
    (written,) = streaming.write([Writing(_cold(streaming, whole).state, 12, seed=1)])
    assert TEXT + "".join(written.pieces) == run.generate(TEXT, max_new_tokens=12, seed=1)


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        ({"bidirectional": True}, "a bidirectional layer reads from the end"),
        ({"convolution": {"channels": [4, 4, 4]}}, "its convolutions read ahead"),
        ({"members": 2, "bidirectional": True}, "a bidirectional layer reads from the end"),
        ({"members": 2, "random_kernels": 84}, "its convolutions read ahead"),
    ],
)
def test_a_classifier_that_needs_whole_rows_says_why(tmp_path: Path, model: dict[str, Any], reason: str) -> None:
    with pytest.raises(RunError, match=f"can't be read step by step: {reason}"):
        _streaming(_series_classifier(tmp_path, **model))


@pytest.mark.parametrize(("key", "value"), [("normalize", "row"), ("deltas", True), ("stack", 2)])
def test_a_feature_that_looks_at_other_steps_says_so(tmp_path: Path, key: str, value: Any) -> None:
    run = _series_classifier(tmp_path)
    run.features.input.recipe = run.features.input.recipe.model_copy(update={key: value})
    with pytest.raises(RunError, match=f"`features.input.{key}.*looks at other steps"):
        _streaming(run)


def test_nan_and_the_wrong_shape_are_refused(tmp_path: Path) -> None:
    streaming = _streaming(_series_classifier(tmp_path))
    for given in ([float("nan")], [[1.0, 2.0]], "x", [], None):
        with pytest.raises(RowError):
            streaming.encode(given)


# ---- taggers --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("model", [{}, {"delay": 2}, {"characters": True, "head_size": 4}])
def test_a_tagger_answers_each_step(tmp_path: Path, model: dict[str, Any]) -> None:
    run = _tagger(tmp_path, **model)
    streaming, delay = _streaming(run), model.get("delay", 0)
    rows = [["a", "bb", "abc", "a", "a", "bb"], ["abc"], ["bb"] * 20]
    _check_pieces(streaming, [streaming.encode(row) for row in rows])
    for row, whole in zip(rows, run.predict(rows), strict=True):
        found = _cold(streaming, streaming.encode(row))
        assert len(found.answers) == max(len(row) - delay, 0)
        said = [*found.answers, *streaming.finish(found.state)]
        assert [one["tag"] for one in said] == list(whole.tags or ())
        sure = (whole.details or {})["probabilities"]
        np.testing.assert_allclose([one["probability"] for one in said], sure, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("model", "reason"),
    [({"output": "crf"}, "a chain is decoded"), ({"feedback": "output"}, "it reads its own answers")],
)
def test_a_tagger_that_needs_whole_rows_says_why(tmp_path: Path, model: dict[str, Any], reason: str) -> None:
    with pytest.raises(RunError, match=f"can't be read step by step: {reason}"):
        _streaming(_tagger(tmp_path, **model))


# ---- frames and forecasts -------------------------------------------------------------------------------------------
def test_a_next_step_model_reads_and_writes_frames(tmp_path: Path) -> None:
    run = ostinato.load(train_one(tmp_path, "next_step"))
    streaming = cast("WritingModel", _streaming(run))
    tune = [[60, 64], [60], [], [67, 71, 74], [60]]
    _check_pieces(streaming, [streaming.encode(tune), streaming.encode(tune[:2])])
    found = _cold(streaming, streaming.encode(tune))
    assert all(one["nll"] > 0 for one in found.answers)
    assert isinstance(streaming.peek(found.state)["expected"], list)
    whole, part = streaming.write([Writing(found.state, 9, seed=2), Writing(found.state, 4, seed=2)])
    (rest,) = streaming.write([Writing(part.state, 5, seed=2, drawn=part.drawn)])
    assert [*part.pieces, *rest.pieces] == whole.pieces
    assert np.array_equal(rest.state, whole.state)
    with pytest.raises(RecipeError, match="`top_k` does not apply"):
        streaming.write([Writing(found.state, top_k=3)])


def test_a_recurrence_a_note_has_no_sessions(tmp_path: Path) -> None:
    run = ostinato.load(train_one(tmp_path, "next_step", recurrence="note", notes={}))
    with pytest.raises(RunError, match="can't be read step by step: each note has a recurrence of its own"):
        _streaming(run)


def test_a_forecaster_keeps_its_window(tmp_path: Path) -> None:
    run = _forecaster(tmp_path)
    streaming = _streaming(run)
    values = [[float(np.sin(n / 4)), float(n % 7)] for n in range(60)]
    _check_pieces(streaming, [streaming.encode(values), streaming.encode(values[:30])])
    found = _cold(streaming, streaming.encode(values))
    assert streaming.peek(streaming.zero()) == {"needed": 1}
    for stop in (1, 5, 24, 25, 60):
        (whole,) = run.predict([values[:stop]])
        np.testing.assert_allclose(found.answers[stop - 1]["values"], whole.values or (), rtol=1e-5, atol=1e-6)
    for given in (1.0, [1.0, float("nan")], [[1.0]], "x", []):
        with pytest.raises(RowError, match="a step must be 2 numbers"):
            streaming.encode(given)


def test_a_task_of_whole_rows_has_no_sessions(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="can't be read step by step: a seq2seq answers whole rows"):
        _streaming(ostinato.load(train_one(tmp_path, "seq2seq")))


# ---- interventions --------------------------------------------------------------------------------------------------
def test_units_that_are_changed_change_what_follows(tmp_path: Path) -> None:
    run = _language_model(tmp_path, ngrams=0, num_layers=2)
    streaming = cast("Any", _streaming(run))
    steps = streaming.encode(TEXT)
    same = streaming.intervened(["layer 1.c *= 1", "layer 2.h[0:3] *= 1"])
    assert _cold(same, steps).answers == _cold(streaming, steps).answers
    _check_pieces(same, [steps, steps.cut(3, 9)])
    clamped = streaming.intervened(["layer 2.c[1, 4] = 0.5", "layer 2.h[0] = -1"])
    found = _cold(clamped, steps)
    state = clamped.named(found.state)
    assert state["encoder.1.c"][[1, 4]].tolist() == [0.5, 0.5]
    assert state["encoder.1.h"][0] == state["hidden"][0] == -1
    assert found.answers != _cold(streaming, steps).answers
    _check_pieces(clamped, [steps, steps.cut(2, 30)])
    silent = streaming.intervened(["layer 2.h *= 0"])  # the output is its bias alone
    bias = run.model.output.bias.detach().log_softmax(0)
    ids = steps.values[1:].astype(np.int64)
    np.testing.assert_allclose([one["nll"] for one in _cold(silent, steps).answers[1:]], -bias[ids], rtol=1e-5)
    (written,) = clamped.write([Writing(found.state, 20, seed=1)])
    assert clamped.named(written.state)["encoder.1.h"][0] == -1
    assert clamped.peek(found.state) != streaming.peek(_cold(streaming, steps).state)


@pytest.mark.parametrize("cell", ["lstm", "gru", "lstm_peephole"])
def test_gates_that_are_changed_are_what_was_asked_for(tmp_path: Path, cell: str) -> None:
    run = _language_model(tmp_path, ngrams=0, cell=cell)
    streaming = cast("Any", _streaming(run))
    gate, parts = run.model.encoder.layers[0].cell.keeping_gate, streaming.shapes[0][0].state_names
    steps, kept = streaming.encode(TEXT), f"encoder.0.{parts[-1]}"
    same = _cold(streaming.intervened([f"layer 1.{gate} *= 1"]), steps)
    for one, other in zip(same.answers[1:], _cold(streaming, steps).answers[1:], strict=True):
        assert one["nll"] == pytest.approx(other["nll"], rel=1e-4)
    begun = _cold(streaming, steps.cut(0, 5)).state
    writes = [] if cell == "gru" else ["layer 1.i = 0"]
    (held,) = streaming.intervened([f"layer 1.{gate} = 1", *writes]).read([Reading(steps.cut(5, 30), begun)])
    np.testing.assert_allclose(streaming.named(held.state)[kept], streaming.named(begun)[kept], atol=1e-5)
    (let,) = streaming.intervened([f"layer 1.{gate}[2] = 1", *(f"{one[:9]}[2] = 0" for one in writes)]).read(
        [Reading(steps.cut(5, 30), begun)]
    )
    assert (
        np.isclose(streaming.named(let.state)[kept], streaming.named(begun)[kept], atol=1e-5).tolist().count(True) == 1
    )
    with pytest.raises(RecipeError, match=rf"the gate `layer 1\.{gate}` can be from 0 to 1\. Received: 2"):
        _cold(streaming.intervened([f"layer 1.{gate} = 2"]), steps)


def test_what_a_layer_leaves_is_changed_before_the_next_reads_it(tmp_path: Path) -> None:
    """So a silent first layer is one that read nothing, from the very first step on."""
    run = _language_model(tmp_path, ngrams=0, num_layers=2)
    streaming = cast("Any", _streaming(run))
    steps = streaming.encode(TEXT)
    found = _cold(streaming.intervened(["layer 1.h *= 0"]), steps)
    with torch.no_grad():
        hidden, _ = run.model.encoder.layers[1](torch.zeros(len(steps), 1, run.model.encoder.layers[0].output_size))
        expected = -run.model.scores(hidden[:-1, 0]).log_softmax(-1)
    nll = [one["nll"] for one in found.answers[1:]]
    np.testing.assert_allclose(nll, expected[range(len(nll)), steps.values[1:]], rtol=1e-4)
    copied = streaming.intervened(["layer 1.c[3] = layer 1.c[5]"])
    state = copied.named(_cold(copied, steps).state)["encoder.0.c"]
    assert state[3] == state[5]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("layer 1.c[3]", "an intervention is spelled"),
        ("layer 1.c[] = 1", "an intervention is spelled"),
        ("layer 1.c[1:2:3] = 1", "an intervention is spelled"),
        ("layer 1.c[2:2] = 1", "an intervention is spelled"),
        ("layer 1.c = x", "an intervention is spelled"),
        ("layer 3.c = 1", "the state has the parts layer 1.h, layer 1.c, beside the gates layer 1.i, layer 1.f"),
        ("layer 1.c[1] *= layer 1.c[2]", "an intervention is spelled"),
        ("layer 1.f[1] = layer 1.c[2]", "a unit is copied from a part of the same layer's state"),
        ("layer 1.c[1] = layer 1.c[9]", "`layer 1.c` has 6 units, from 0 on. Received: 9"),
        ("layer 1.c[6] = 1", "`layer 1.c` has 6 units, from 0 on. Received: 6"),
    ],
)
def test_what_is_no_intervention_is_refused(tmp_path: Path, text: str, message: str) -> None:
    streaming = cast("Any", _streaming(_series_classifier(tmp_path, cell="lstm")))
    with pytest.raises(RecipeError, match=re.escape(message)):
        streaming.intervened([text])
