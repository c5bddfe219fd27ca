"""Our layers against ONNX's operators RNN, LSTM and GRU (opset 14 to 22): their specification in numpy.

Shapes, in the operators' own words, with ``layout = 0``: X [seq_length, batch_size, input_size]; W [num_directions,
G*hidden_size, input_size]; R [num_directions, G*hidden_size, hidden_size]; B [num_directions, 2*G*hidden_size], Wb then
Rb; P [num_directions, 3*hidden_size], order i, o, f; Y [seq_length, num_directions, batch_size, hidden_size]; Y_h and
Y_c [num_directions, batch_size, hidden_size]. Gates: LSTM i, o, f, c; GRU z, r, h. Activations are the defaults.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ostinato import nn

SIZES = {"input": 3, "hidden": 5, "steps": 6, "rows": 4}
LENGTHS = [6, 0, 2, 5]
KINDS = {
    "RNN": ("RNN", {}, {}),
    "LSTM": ("LSTM", {}, {}),
    "LSTM with peepholes": ("LSTM", {"peepholes": True}, {}),
    "GRU, linear_before_reset=1": ("GRU", {}, {"linear_before_reset": 1}),
    "GRU, linear_before_reset=0": ("GRU", {"reset_after": False}, {"linear_before_reset": 0}),
}
BLOCKS = {"RNN": [0], "LSTM": [0, 3, 1, 2], "GRU": [1, 0, 2]}
"""Where ONNX's gates, in their order, stand among ours: iofc of ifgo, zrh of rzn."""


def f(a):
    return 1 / (1 + np.exp(-a))


def rnn_step(x, h, _, w, r, wb, rb, p, attributes):
    return np.tanh(x @ w.T + h @ r.T + wb + rb), None


def lstm_step(x, h, c, w, r, wb, rb, p, attributes):
    w_i, w_o, w_f, w_c = np.split(w, 4)
    r_i, r_o, r_f, r_c = np.split(r, 4)
    wb_i, wb_o, wb_f, wb_c = np.split(wb, 4)
    rb_i, rb_o, rb_f, rb_c = np.split(rb, 4)
    p_i, p_o, p_f = np.split(p, 3)
    it = f(x @ w_i.T + h @ r_i.T + p_i * c + wb_i + rb_i)
    ft = f(x @ w_f.T + h @ r_f.T + p_f * c + wb_f + rb_f)
    ct = np.tanh(x @ w_c.T + h @ r_c.T + wb_c + rb_c)
    new = ft * c + it * ct
    ot = f(x @ w_o.T + h @ r_o.T + p_o * new + wb_o + rb_o)
    return ot * np.tanh(new), new


def gru_step(x, h, _, w, r, wb, rb, p, attributes):
    w_z, w_r, w_h = np.split(w, 3)
    r_z, r_r, r_h = np.split(r, 3)
    wb_z, wb_r, wb_h = np.split(wb, 3)
    rb_z, rb_r, rb_h = np.split(rb, 3)
    zt = f(x @ w_z.T + h @ r_z.T + wb_z + rb_z)
    rt = f(x @ w_r.T + h @ r_r.T + wb_r + rb_r)
    if attributes["linear_before_reset"]:
        ht = np.tanh(x @ w_h.T + rt * (h @ r_h.T + rb_h) + wb_h)
    else:
        ht = np.tanh(x @ w_h.T + (rt * h) @ r_h.T + rb_h + wb_h)
    return (1 - zt) * ht + zt * h, None


STEPS = {"RNN": rnn_step, "LSTM": lstm_step, "GRU": gru_step}


def onnx_operator(kind, direction, inputs, attributes):
    """Y, Y_h, Y_c of the operator; ``inputs`` by their names in the specification."""
    x, lengths = inputs["X"], inputs["sequence_lens"]
    num_steps, num_rows, _ = x.shape
    num_directions, hidden = inputs["W"].shape[0], inputs["R"].shape[2]
    y = np.zeros((num_steps, num_directions, num_rows, hidden))
    y_h, y_c = inputs["initial_h"].copy(), inputs["initial_c"].copy()
    for d in range(num_directions):
        backwards = direction == "reverse" or d == 1
        wb, rb = np.split(inputs["B"][d], 2)
        for row in range(num_rows):
            h, c = y_h[d, row], y_c[d, row]
            steps = range(lengths[row])
            for t in reversed(steps) if backwards else steps:
                h, c = STEPS[kind](x[t, row], h, c, inputs["W"][d], inputs["R"][d], wb, rb, inputs["P"][d], attributes)
                y[t, d, row] = h
            y_h[d, row], y_c[d, row] = h, c if c is not None else y_c[d, row]
    return y, y_h, y_c


def draw(kind, direction, peepholes, lengths):
    """Inputs of the operator."""
    numbers = np.random.default_rng(0)
    gates, hidden = len(BLOCKS[kind]), SIZES["hidden"]
    d = 2 if direction == "bidirectional" else 1
    shapes = {
        "X": (SIZES["steps"], SIZES["rows"], SIZES["input"]),
        "W": (d, gates * hidden, SIZES["input"]),
        "R": (d, gates * hidden, hidden),
        "B": (d, 2 * gates * hidden),
        "P": (d, 3 * hidden),
        "initial_h": (d, SIZES["rows"], hidden),
        "initial_c": (d, SIZES["rows"], hidden),
    }
    inputs = {name: numbers.standard_normal(shape) for name, shape in shapes.items()}
    if not peepholes:
        inputs["P"][:] = 0
    return inputs | {"sequence_lens": np.array(lengths)}


def our_weights(kind, inputs, d):
    """The weights of direction ``d`` under our names and in our gate order."""
    place = np.argsort(BLOCKS[kind])  # for each of our gates, ONNX's block

    def gates(tensor):
        blocks = np.split(tensor, len(place))
        return torch.from_numpy(np.concatenate([blocks[block] for block in place]))

    bias_ih, bias_hh = np.split(inputs["B"][d], 2)
    p_i, p_o, p_f = np.split(inputs["P"][d], 3)
    return {
        "weight_ih": gates(inputs["W"][d]),
        "weight_hh": gates(inputs["R"][d]),
        "bias_ih": gates(bias_ih),
        "bias_hh": gates(bias_hh),
        "peepholes": torch.from_numpy(np.concatenate([p_i, p_f, p_o])),
    }


def our_layer(kind, direction, inputs, options, backend):
    """Y, Y_h, Y_c of our layer; for ``reverse`` one direction of a layer that has two."""
    both = direction != "forward"
    layer = getattr(nn, kind)(
        SIZES["input"], SIZES["hidden"], bidirectional=both, dtype=torch.float64, backend=backend, **options
    )
    names = {"forward": [""], "reverse": ["_reverse"], "bidirectional": ["", "_reverse"]}[direction]
    state = layer.state_dict()
    for d, suffix in enumerate(names):
        for name, weight in our_weights(kind, inputs, d).items():
            if name != "peepholes" or options.get("peepholes"):
                state[f"{name}_l0{suffix}"] = weight
    layer.load_state_dict(state)
    initial = [torch.from_numpy(inputs[name]) for name in ("initial_h", "initial_c")[: len(layer.cell.state_names)]]
    if direction == "reverse":
        initial = [torch.cat([torch.zeros_like(part), part]) for part in initial]
    hx = tuple(initial) if len(initial) > 1 else initial[0]
    output, final = layer(torch.from_numpy(inputs["X"]), hx, lengths=inputs["sequence_lens"])
    finals = list(final) if isinstance(final, tuple) else [final, None]
    y = output.detach().view(*output.shape[:2], -1, SIZES["hidden"]).transpose(1, 2)
    if direction == "reverse":
        y, finals = y[:, 1:], [None if part is None else part[1:] for part in finals]
    return y, finals[0].detach(), None if finals[1] is None else finals[1].detach()


@pytest.mark.parametrize("backend", ["auto", "reference"])
@pytest.mark.parametrize("lengths", [LENGTHS, [SIZES["steps"]] * SIZES["rows"]], ids=["ragged", "dense"])
@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
@pytest.mark.parametrize("name", KINDS)
def test_same_numbers_as_the_operator(name, direction, lengths, backend):
    kind, options, attributes = KINDS[name]
    inputs = draw(kind, direction, bool(options.get("peepholes")), lengths)
    found = our_layer(kind, direction, inputs, options, backend)
    truth = onnx_operator(kind, direction, inputs, attributes)
    for ours, theirs in zip(found[: 3 if kind == "LSTM" else 2], truth, strict=False):
        np.testing.assert_allclose(ours.numpy(), theirs, rtol=1e-11, atol=1e-11)
    assert (truth[0] != 0).any()


def test_the_two_forms_of_the_gru_and_the_peepholes_matter():
    """The transcription can tell what the options change."""
    inputs = draw("GRU", "forward", False, LENGTHS)
    before, after = (onnx_operator("GRU", "forward", inputs, {"linear_before_reset": n})[0] for n in (0, 1))
    assert np.abs(before - after).max() > 0.1
    inputs = draw("LSTM", "forward", True, LENGTHS)
    with_them = onnx_operator("LSTM", "forward", inputs, {})[0]
    swapped = dict(inputs, P=np.concatenate(np.split(inputs["P"], 3, axis=1)[::-1], axis=1))
    assert np.abs(with_them - onnx_operator("LSTM", "forward", swapped, {})[0]).max() > 0.1
