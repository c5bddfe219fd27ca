"""The variants of the cells against their equations written out in numpy, one row at a time, in float64."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ostinato import cells
from ostinato.cells.registry import check_takes
from ostinato.errors import RecipeError

H = 4


def sigmoid(a):
    return 1 / (1 + np.exp(-a))


def layer_norm(a, gain, shift=0.0):
    mean = sum(a) / len(a)
    variance = sum((value - mean) ** 2 for value in a) / len(a)
    return gain * (a - mean) / np.sqrt(variance + 1e-5) + shift


def zero(w, name):
    return w.get(name, 0.0)


def normalised_sums(x, h, w):
    """The two halves of the sums, (G*H,) each."""
    return (
        layer_norm(w["weight_ih"] @ x, w["gain_ih"]) + zero(w, "bias_ih"),
        layer_norm(w["weight_hh"] @ h, w["gain_hh"]) + zero(w, "bias_hh"),
    )


def plain_sums(x, h, w):
    return w["weight_ih"] @ x + zero(w, "bias_ih"), w["weight_hh"] @ h + zero(w, "bias_hh")


def elman_layer_norm(x, h, w, mask):
    from_x, from_h = normalised_sums(x, h * mask, w)
    return (np.tanh(from_x + from_h),)


def elman(x, h, w, mask):
    from_x, from_h = plain_sums(x, h * mask, w)
    return (np.tanh(from_x + from_h),)


def elman_relu(x, h, w, mask):
    from_x, from_h = plain_sums(x, h * mask, w)
    return (np.maximum(from_x + from_h, 0),)


def gru_of(sums):
    def step(x, h, w, mask):
        from_x, from_h = sums(x, h * mask, w)
        (xr, xz, xn), (hr, hz, hn) = np.split(from_x, 3), np.split(from_h, 3)
        r, z = sigmoid(xr + hr), sigmoid(xz + hz)
        return ((1 - z) * np.tanh(xn + r * hn) + z * h,)

    return step


def gru_reset_before(x, h, w, mask):
    w_ir, w_iz, w_in = np.split(w["weight_ih"], 3)
    w_hr, w_hz, w_hn = np.split(w["weight_hh"], 3)
    b_ir, b_iz, b_in = np.split(w["bias_ih"], 3) if "bias_ih" in w else (0, 0, 0)
    b_hr, b_hz, b_hn = np.split(w["bias_hh"], 3) if "bias_hh" in w else (0, 0, 0)
    r = sigmoid(w_ir @ x + b_ir + w_hr @ (h * mask) + b_hr)
    z = sigmoid(w_iz @ x + b_iz + w_hz @ (h * mask) + b_hz)
    n = np.tanh(w_in @ x + b_in + w_hn @ (r * h * mask) + b_hn)
    return ((1 - z) * n + z * h,)


def lstm(x, h, c, w, mask):
    from_x, from_h = plain_sums(x, h * mask, w)
    i, f, g, o = np.split(from_x + from_h, 4)
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    return project(sigmoid(o) * np.tanh(c), w), c


def lstm_peephole(x, h, c, w, mask):
    from_x, from_h = plain_sums(x, h * mask, w)
    i, f, g, o = np.split(from_x + from_h, 4)
    p_i, p_f, p_o = np.split(w["peepholes"], 3)
    new = sigmoid(f + p_f * c) * c + sigmoid(i + p_i * c) * np.tanh(g)
    return project(sigmoid(o + p_o * new) * np.tanh(new), w), new


def lstm_layer_norm(x, h, c, w, mask):
    from_x, from_h = normalised_sums(x, h * mask, w)
    i, f, g, o = np.split(from_x + from_h, 4)
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    return project(sigmoid(o) * np.tanh(layer_norm(c, w["gain_c"], w["bias_c"])), w), c


def project(h, w):
    return w["weight_hr"] @ h if "weight_hr" in w else h


def jordan(x, y, w, mask):
    hidden = np.tanh(w["weight_ih"] @ x + zero(w, "bias_ih") + w["weight_hh"] @ (y * mask) + zero(w, "bias_hh"))
    return (np.tanh(w["weight_hr"] @ hidden + zero(w, "bias_hr")),)


def output_recurrent(x, y, w, mask):
    hidden = np.tanh(w["weight_ih"] @ x + zero(w, "bias_ih"))
    return (np.tanh(w["weight_hr"] @ hidden + w["weight_hh"] @ (y * mask) + zero(w, "bias_hh")),)


STEPS = {
    "elman": elman,
    "elman_layer_norm": elman_layer_norm,
    "elman_relu": elman_relu,
    "gru": gru_of(plain_sums),
    "gru_layer_norm": gru_of(normalised_sums),
    "gru_reset_before": gru_reset_before,
    "jordan": jordan,
    "lstm": lstm,
    "lstm_layer_norm": lstm_layer_norm,
    "lstm_peephole": lstm_peephole,
    "output_recurrent": output_recurrent,
}
CASES = [(name, {"bias": bias}) for name in STEPS for bias in (True, False)]
CASES += [(name, {"proj_size": 2}) for name in STEPS if cells.get(name).supports_projection]


def problem(name: str, options: dict):
    """A cell, weights none of which is at its initial value, an input, a state and a mask of three rows."""
    torch.manual_seed(0)
    cell = cells.get(name)
    shapes = cell.parameter_shapes(3, H, **options)
    weights = {key: torch.randn(shape, dtype=torch.float64) for key, shape in shapes.items()}
    state = tuple(
        torch.randn(3, size, dtype=torch.float64) for size in cell.state_sizes(H, options.get("proj_size", 0))
    )
    mask = torch.tensor([0.0, 1.25, 0.5, 2.0]).double()[: state[0].shape[1]].expand_as(state[0])
    return cell, weights, torch.randn(3, 3, dtype=torch.float64), state, mask


def transcribed(name, weights, x, state, mask):
    w = {key: weight.numpy() for key, weight in weights.items()}
    rows = [
        STEPS[name](x[row].numpy(), *(part[row].numpy() for part in state), w, mask[row].numpy())
        for row in range(len(x))
    ]
    return tuple(torch.from_numpy(np.stack(parts)) for parts in zip(*rows, strict=True))


def test_every_cell_is_transcribed():
    own = [name for name in cells.names() if type(cells.get(name)).__module__.startswith("ostinato.")]
    assert sorted(STEPS) == own


@pytest.mark.parametrize("with_mask", [False, True])
@pytest.mark.parametrize(("name", "options"), CASES)
def test_one_step(name, options, with_mask):
    cell, weights, x, state, mask = problem(name, options)
    found = cell.step(cell.project(x, weights), state, weights, *([mask] if with_mask else []))
    truth = transcribed(name, weights, x, state, mask if with_mask else torch.ones_like(mask))
    torch.testing.assert_close(found, truth, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", ["gru", "gru_layer_norm", "gru_reset_before"])
def test_the_update_gate_carries_the_unmasked_state(name):
    """With z = 1 everything of h is kept, even where the mask is zero."""
    cell, weights, x, state, mask = problem(name, {})
    weights["bias_ih"][H : 2 * H] = 1e3
    found = cell.step(cell.project(x, weights), state, weights, torch.zeros_like(mask))
    torch.testing.assert_close(found, state, rtol=1e-14, atol=1e-14)


@pytest.mark.parametrize(("name", "options"), CASES)
def test_gradients_of_a_step(name, options):
    cell, weights, x, state, mask = problem(name, options)

    def run(x, mask, *rest):
        given = dict(zip(weights, rest, strict=False))
        return cell.step(cell.project(x, given), rest[len(given) :], given, mask)

    leaves = [leaf.clone().requires_grad_() for leaf in (x, mask, *weights.values(), *state)]
    assert torch.autograd.gradcheck(run, leaves)


def test_layer_norm_of_a_constant_row_is_its_shift():
    """The first step's h is zero in every row: no variance, no NaN, and a gradient."""
    cell, weights, x, _, _ = problem("lstm_layer_norm", {})
    zeros = (torch.zeros(3, H, dtype=torch.float64, requires_grad=True), torch.zeros(3, H, dtype=torch.float64))
    h, c = cell.step(cell.project(x, weights), zeros, weights)
    (h.sum() + c.sum()).backward()
    assert zeros[0].grad.isfinite().all()
    assert cells.LAYER_NORM_EPS == 1e-5


class Maskless(cells.Cell):
    """A user's cell from before there were masks."""

    name = "maskless"
    gates = ("h",)

    def step(self, x_projected, state, weights):
        return (x_projected,)


def test_a_cell_without_a_mask_says_so():
    for cell in map(cells.get, cells.names()):
        check_takes(cell, "recurrent_dropout", 0.5)
    with pytest.raises(RecipeError) as error:
        check_takes(Maskless(), "recurrent_dropout", 0.5)
    assert error.value.message == (
        "`recurrent_dropout` does not apply to the cell `maskless`: its `step` takes no `mask: Tensor | None = None`, "
        "to multiply h by where it meets `weight_hh`. Received: 0.5."
    )
    assert error.value.hint == f"cells that take it: {', '.join(cells.names())}."
