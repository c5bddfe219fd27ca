"""Which backend runs, how it is chosen, and what is said when it can't."""

from __future__ import annotations

import logging

import pytest
import torch

from ostinato import cells, nn
from ostinato.errors import BackendError
from ostinato.kernels import dispatch, reference

CPU = torch.device("cpu")
FUSED = ("elman", "elman_relu", "gru", "lstm")
VARIANTS = [name for name in cells.names() if name not in FUSED]


@pytest.fixture(autouse=True)
def no_forced_backend(monkeypatch):
    monkeypatch.delenv("OSTINATO_BACKEND", raising=False)


def run(backend: str, cell: str = "lstm") -> list[str]:
    with dispatch.record() as ran:
        nn.build(cell, 3, 4, num_layers=2, bidirectional=True, backend=backend)(torch.zeros(2, 1, 3))
    return ran


@pytest.mark.parametrize("backend", ["reference", "torch", "native"])
@pytest.mark.parametrize("cell", FUSED)
def test_the_named_backend_runs_every_layer_and_direction(backend, cell):
    assert run(backend, cell) == [backend] * 4


@pytest.mark.parametrize("cell", cells.names())
def test_auto_takes_the_native_core_where_it_has_the_cell(cell):
    has = dispatch.available(cells.get(cell))["native"] is None
    assert has or cell in VARIANTS
    assert run("auto", cell) == ["native" if has else "reference"] * 4


@pytest.mark.parametrize("cell", VARIANTS)
def test_torch_refuses_the_variants_that_it_lacks(cell):
    with pytest.raises(BackendError, match=f"torch has no fused layer for the cell `{cell}`"):
        run("torch", cell)


def test_the_environment_variable_forces_one(monkeypatch):
    monkeypatch.setenv("OSTINATO_BACKEND", "reference")
    assert run("auto") == ["reference"] * 4
    assert run("torch") == ["reference"] * 4
    monkeypatch.setenv("OSTINATO_BACKEND", "auto")
    assert run("reference") == ["native"] * 4
    monkeypatch.setenv("OSTINATO_BACKEND", "triton")
    with pytest.raises(BackendError, match="asked for by environment variable OSTINATO_BACKEND"):
        run("torch")


def test_a_backend_still_to_come_says_so():
    with pytest.raises(BackendError) as error:
        run("triton")
    assert str(error.value) == (
        "backend `triton`, asked for by `backend`, can't run `lstm` on cpu in torch.float32: "
        "it comes with a later release.\n"
        'hint: backend="auto" takes the fastest one that can; `ostinato info` lists them.'
    )


def test_an_unknown_backend_is_refused_when_the_layer_is_made():
    with pytest.raises(BackendError) as error:
        nn.GRU(3, 4, backend="refrence")
    assert str(error.value) == (
        "`backend` must be one of auto, native, reference, torch, triton. Received: 'refrence'.\n"
        "hint: did you mean reference?"
    )


class Leaky(cells.Cell):
    """A recurrence that no fused kernel knows."""

    name = "leaky"
    gates = ("h",)

    def step(self, x_projected, state, weights):
        return (0.5 * state[0] + x_projected,)


def test_a_new_cell_runs_with_reference_and_torch_says_why_it_can_not():
    layer = nn.RecurrentStack(Leaky(), 3, 4, bidirectional=True)
    with dispatch.record() as ran:
        output, h_n = layer(torch.ones(5, 2, 3), lengths=[5, 2])
    assert ran == ["reference", "reference"]
    assert (output.shape, h_n.shape) == ((5, 2, 8), (2, 2, 4))
    with pytest.raises(BackendError, match="torch has no fused layer for the cell `leaky`"):
        nn.RecurrentStack(Leaky(), 3, 4, backend="torch")(torch.ones(5, 2, 3))


def test_what_a_backend_lacks_is_the_reason():
    for options, reason in (
        ({"recurrent_dropout": 0.5}, "it does not support recurrent dropout or zoneout"),
        ({"zoneout": 0.5}, "it does not support recurrent dropout or zoneout"),
    ):
        with pytest.raises(BackendError) as error:
            nn.LSTM(3, 4, backend="torch", **options)(torch.zeros(2, 1, 3))
        assert str(error.value) == (
            f"backend `torch`, asked for by `backend`, can't run `lstm` on cpu in torch.float32: {reason}.\n"
            'hint: backend="auto" takes the fastest one that can; `ostinato info` lists them.'
        )
    layer = nn.LSTM(3, 4, backend="torch")
    with pytest.raises(BackendError, match=r"in torch\.float32: it does not return the state after every step"):
        layer(torch.zeros(2, 1, 3), return_all_states=True)
    layer = nn.LSTM(3, 4, backend="torch", zoneout=0.1)
    both = "it does not return the state after every step and it does not support recurrent dropout or zoneout"
    with pytest.raises(BackendError, match=both):
        layer(torch.zeros(2, 1, 3), return_all_states=True)


def test_a_backend_is_asked_only_for_what_is_needed():
    """In evaluation dropout needs nothing, and a state of one tensor is the output."""
    layer = nn.GRU(3, 4, bidirectional=True, backend="torch", recurrent_dropout=0.5, weight_dropout=0.5)
    with pytest.raises(BackendError):
        layer(torch.zeros(2, 1, 3))
    with dispatch.record() as ran:
        output, _, every = layer.eval()(torch.zeros(2, 1, 3), return_all_states=True)
    assert ran == ["torch"] * 2
    assert torch.equal(every[0][0], output)


@pytest.mark.parametrize("needs", [["noise"], ["all_states"], ["noise", "all_states"]])
def test_auto_passes_by_a_backend_that_lacks_an_ability(needs, caplog, monkeypatch):
    monkeypatch.setattr(dispatch, "_LOGGED", set())
    gru = cells.get("gru")
    dispatch.register(dispatch.Backend("able", lambda *_: None, reference.scan, 100, abilities=frozenset(needs)))
    dispatch.register(dispatch.Backend("unable", lambda *_: None, reference.scan, 200))
    try:
        with caplog.at_level(logging.INFO, logger="ostinato"):
            assert dispatch.choose("auto", gru, CPU, torch.float32, frozenset(needs)).name == "able"
        assert dispatch.choose("auto", gru, CPU, torch.float32).name == "unable"
    finally:
        dispatch.unregister("able")
        dispatch.unregister("unable")
    assert caplog.messages == [
        f"backend auto: `gru` with {', '.join(sorted(needs))} on cpu in torch.float32 runs with `able`"
    ]


@pytest.mark.parametrize("name", ["triton", "fastest"])
def test_a_plug_in_is_picked_and_called(name):
    calls = []

    def scan(cell, values, batch_sizes, state, weights):
        calls.append(cell.name)
        return reference.scan(cell, values, batch_sizes, state, weights)

    def reason(cell, device, dtype):
        return None if cell.name == "gru" else "it knows the GRU alone"

    dispatch.register(dispatch.Backend(name, reason, scan, priority=100))
    try:
        assert run(name, "gru") == [name] * 4
        assert run("auto", "gru") == [name] * 4
        assert calls == ["gru"] * 8
        assert run("auto", "lstm") == ["native"] * 4
        with pytest.raises(BackendError, match="it knows the GRU alone"):
            run(name, "lstm")
        with pytest.raises(BackendError, match=f"a backend named `{name}` is registered already"):
            dispatch.register(dispatch.Backend(name, reason, scan))
    finally:
        dispatch.unregister(name)
    assert run("auto", "gru") == ["native"] * 4
    assert dispatch.available().get(name, "gone") in ("gone", "it comes with a later release")


def test_auto_is_no_name_for_a_backend():
    with pytest.raises(BackendError):
        dispatch.register(dispatch.Backend("auto", lambda *_: None, reference.scan))


def test_what_is_available():
    assert dispatch.available() == {
        "native": None,
        "reference": None,
        "torch": None,
        "triton": "it comes with a later release",
    }
    assert dispatch.available(device="meta")["torch"] == "it runs on cpu and cuda, not on meta"
    assert "not in torch.complex64" in dispatch.available(dtype=torch.complex64)["torch"]


def test_auto_logs_its_choice_once(caplog, monkeypatch):
    monkeypatch.setattr(dispatch, "_LOGGED", set())
    with caplog.at_level(logging.INFO, logger="ostinato"):
        for _ in range(3):
            dispatch.choose("auto", cells.get("gru"), CPU, torch.float32)
        dispatch.choose("reference", cells.get("gru"), CPU, torch.float32)
    assert [record.getMessage() for record in caplog.records] == [
        "backend auto: `gru` on cpu in torch.float32 runs with `native`"
    ]


def test_records_nest():
    layer = nn.GRU(3, 4)
    with dispatch.record() as outer:
        layer(torch.zeros(2, 1, 3))
        with dispatch.record() as inner:
            layer(torch.zeros(2, 1, 3))
    layer(torch.zeros(2, 1, 3))
    assert (outer, inner) == (["native"], ["native"])
