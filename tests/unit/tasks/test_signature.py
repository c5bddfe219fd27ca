"""What a signature says of a model is what the model reads, gives out and carries."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from tests.e2e.every_category import SMALL, train_one
from torch import Tensor

import ostinato
from ostinato.data.batching import Batch
from ostinato.layers.decoder import Writing
from ostinato.recipe import build_recipe
from ostinato.tasks.prepare import prepare
from ostinato.tasks.signature import Signature, TensorSpec
from ostinato.training.progress import Observer
from ostinato.training.train import train_recipe
from ostinato.types import Ragged

DATA = Path(__file__).parents[2] / "data" / "polarity.csv"
ROWS = 3


class _Opened:
    """A tiny run, its signature, and a batch of its validation rows."""

    def __init__(self, folder: Path) -> None:
        self.run = ostinato.load(folder)
        self.signature: Signature = self.run.spec.signature(self.run.model, self.run.features, self.run.recipe)
        examples = prepare(self.run.recipe).validation
        self.batch: Batch = self.run.spec.batch(examples, np.arange(min(ROWS, len(examples))))
        self.model = cast("Any", self.run.model)

    def check(self, **found: Tensor | Ragged) -> dict[str, int]:
        """All tensors of the signature, and no others, each as it says; returns the sizes of free axes."""
        specs = {spec.name: spec for spec in (*self.signature.inputs, *self.signature.outputs, *self.signature.states)}
        named = {name.replace("__", "."): tensor for name, tensor in found.items()}
        assert set(named) == set(specs)
        axes: dict[str, int] = {}
        for name, spec in specs.items():
            tensor = named[name]
            dense = _dense(tensor, spec) if isinstance(tensor, Ragged) else tensor
            assert spec.fits(dense, axes), (spec, dense.shape, dense.dtype, axes)
        return axes


def _dense(rows: Ragged, spec: TensorSpec) -> Tensor:
    """Padded; one value a row without the axis of time."""
    padded = rows.to_padded()[0]
    return padded if len(padded.shape) == len(spec.shape) else padded[:, 0]


def _states(prefix: str, states: list[tuple[Tensor, ...]]) -> dict[str, Tensor]:
    return {
        f"{prefix}__{layer}__{name}": part
        for layer, state in enumerate(states)
        for name, part in zip("hc", state, strict=False)
    }


def _train(folder: Path, model: dict[str, Any], **data: Any) -> Path:
    recipe = {
        "data": data,
        "model": {**SMALL, **model},
        "training": {"epochs": 1, "num_threads": 1, "baselines_seconds": 0, "batch_size": 32},
    }
    return train_recipe(build_recipe(recipe), folder / "run", Observer())


@pytest.mark.parametrize("members", [1, 2])
def test_of_a_classifier(tmp_path: Path, members: int) -> None:
    model = {"members": members, "bidirectional": True, "num_layers": 2, "pooling": ["mean"]}
    opened = _Opened(_train(tmp_path, model, train=str(DATA), input="text", target="label"))
    inputs, network = opened.batch.inputs, opened.model
    encoders = (
        {"encoder": network.encoder}
        if members == 1
        else {f"members__{n}__encoder": one.encoder for n, one in enumerate(network.members)}
    )
    states = {key: part for name, each in encoders.items() for key, part in _states(name, each(inputs)[1]).items()}
    axes = opened.check(text=inputs, outputs=network(inputs), **states)
    assert axes == {"batch": ROWS, "time": inputs.max_length}


def test_of_a_tagger_and_of_words_with_their_letters(tmp_path: Path) -> None:
    opened = _Opened(train_one(tmp_path, "tagger"))
    inputs, model = opened.batch.inputs, opened.model
    states = _states("encoder", model.encoder(inputs)[1])
    axes = opened.check(form=inputs, outputs=model(inputs), **states)
    assert axes == {"batch": ROWS, "time": inputs.max_length}


@pytest.mark.parametrize("recurrence", ["frame", "note"])
def test_of_a_next_step_model(tmp_path: Path, recurrence: str) -> None:
    shape = {"recurrence": recurrence, "notes": {"output": "autoregressive", "output_size": 3}}
    opened = _Opened(train_one(tmp_path, "next_step", hidden_size=3, **shape))
    inputs, model = opened.batch.inputs, opened.model
    states = _states("encoder", model.read(model.laid(inputs))[1])
    opened.check(notes=inputs, hidden=model(inputs), **states)


def test_of_a_language_model(tmp_path: Path) -> None:
    text = tmp_path / "text.txt"
    text.write_text("the cats of seven houses sleep. " * 60)
    opened = _Opened(_train(tmp_path, {"cell": "gru"}, train=str(text)))
    ids = opened.batch.inputs.values.view(-1, 1)[:20]
    scores, states = opened.model(ids.long())
    (name,) = (spec.name for spec in opened.signature.inputs)
    opened.check(**{name: ids.t()}, scores=scores.transpose(0, 1), **_states("encoder", states))


@pytest.mark.parametrize("strategy", ["direct", "autoregressive", "segment"])
def test_of_a_forecaster(tmp_path: Path, strategy: str) -> None:
    shape: dict[str, Any] = {"lookback": 24, "horizon": 4, "strategy": strategy}
    shape |= {"channel_independent": strategy != "autoregressive", "segment": 2}
    shape = {key: value for key, value in shape.items() if key != "segment" or strategy == "segment"}
    opened = _Opened(train_one(tmp_path, "forecaster", **shape))
    inputs, model = opened.batch.inputs, opened.model
    states = model.strategy.encode(model._history(inputs, None)[0])
    axes = opened.check(past=inputs, parameters=model(inputs), **_states("encoder", states))
    assert axes["batch"] == ROWS
    assert axes.get("channels", 2 * ROWS) == 2 * ROWS


def _writing(opened: _Opened, begun: Writing, **more: Any) -> None:
    """A decoder on the batch's targets."""
    decoder, batch = opened.model.decoder, opened.batch
    inputs, _ = decoder.inputs_and_targets(batch.sequence_targets)
    laid = None if begun.memory is None else begun.memory
    scores = decoder.outputs(inputs, begun.layers, laid, begun.fed)[0]
    kept = {"fed": begun.fed, "fed_back": begun.fed_back}
    states = {**_states("decoder", begun.layers), **{name: part for name, part in kept.items() if part is not None}}
    (name, *_) = (spec.name for spec in opened.signature.inputs)
    opened.check(**{name: batch.inputs}, written=inputs, scores=scores, **states, **more)


@pytest.mark.parametrize("attention", ["none", "luong", "bahdanau"])
def test_of_a_seq2seq_model(tmp_path: Path, attention: str) -> None:
    decoder = {"attention": attention, "input_feeding": attention != "none", "max_new_tokens": 8}
    opened = _Opened(train_one(tmp_path, "seq2seq", decoder=decoder))
    inputs, model = opened.batch.inputs, opened.model
    hidden, states = model.encoder(inputs)
    memory = {} if attention == "none" else {"memory": hidden}
    _writing(opened, model.begin(inputs), **memory, **_states("encoder", states))


def test_of_a_conditional_model(tmp_path: Path) -> None:
    opened = _Opened(train_one(tmp_path, "conditional"))
    _writing(opened, opened.model.begin(opened.batch.inputs))


def test_of_a_conditional_model_of_frames(tmp_path: Path) -> None:
    rows = [f'{{"size": {n % 5}, "curve": {[[n * 0.1 + k] for k in range(3 + n % 3)]}}}' for n in range(40)]
    (tmp_path / "curves.jsonl").write_text("\n".join(rows))
    recipe = {
        "data": {"train": str(tmp_path / "curves.jsonl"), "input": "size", "target": "curve", "validation": 0.3},
        "features": {"input": {"kind": "numbers"}, "target": {"kind": "series"}},
        "model": {"hidden_size": 6},
        "training": {"epochs": 1, "num_threads": 1, "baselines_seconds": 0},
    }
    opened = _Opened(train_recipe(build_recipe(recipe), tmp_path / "run", Observer()))
    model, batch = opened.model, opened.batch
    begun = model.begin(batch.inputs)
    inputs, _ = model.decoder.inputs_and_targets(batch.sequence_targets)
    hidden = model.decoder.outputs(inputs, begun.layers, None, begun.fed)[0]
    fed = {} if begun.fed is None else {"fed": begun.fed}
    opened.check(size=batch.inputs, written=inputs, hidden=hidden, **_states("decoder", begun.layers), **fed)


def test_what_does_not_fit() -> None:
    spec = TensorSpec("x", "float32", ("batch", "time", 3))
    axes = {"batch": 2}
    assert not spec.fits(torch.zeros(2, 3), axes)
    assert not spec.fits(torch.zeros(2, 4, 4), axes)
    assert not spec.fits(torch.zeros(3, 4, 3), axes)
    assert not spec.fits(torch.zeros(2, 4, 3, dtype=torch.float64), axes)
    assert spec.fits(torch.zeros(2, 4, 3), axes)
    assert axes["time"] == 4
    assert Signature((spec,), (), ()).to_dict()["inputs"][0]["shape"] == ("batch", "time", 3)
