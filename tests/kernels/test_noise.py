"""Masks, zoneout and the states of all steps: the scan against rows run one by one, one step at a time."""

from __future__ import annotations

import pytest
import torch

from ostinato import cells
from ostinato.errors import RecipeError
from ostinato.kernels import dispatch, reference
from ostinato.kernels.noise import Noise
from ostinato.types import Ragged

LENGTHS = {"ragged": [3, 7, 1, 7, 4], "empty rows": [0, 5, 0, 2, 0], "all empty": [0, 0], "one step": [1]}
KINDS = ["mask", "zoneout", "zoneout of c", "all"]
BACKENDS = [name for name, backend in dispatch._BACKENDS.items() if backend.abilities]
CLOSE = {"rtol": 1e-11, "atol": 1e-11}
H = 5


class Problem:
    """A bidirectional layer of a cell, a packed batch, states, and the noise of each direction."""

    def __init__(self, name: str, lengths: list[int], kind: str, **options: object) -> None:
        torch.manual_seed(0)
        self.cell, self.lengths = cells.get(name), lengths
        self.weights = []
        for _ in range(2):
            shapes = self.cell.parameter_shapes(3, H, **options)
            self.weights.append({key: torch.randn(shape).double() for key, shape in shapes.items()})
        offsets = torch.tensor([0, *lengths]).cumsum(0)
        self.ragged = Ragged.from_offsets(torch.randn(sum(lengths), 3).double(), offsets)
        sizes = self.cell.state_sizes(H, options.get("proj_size", 0))
        self.states = [tuple(torch.randn(len(lengths), size).double() for size in sizes) for _ in range(2)]
        self.noise = [self.draw(kind, sizes) for _ in range(2)]

    def draw(self, kind: str, sizes: tuple[int, ...]) -> Noise:
        mask = torch.rand(len(self.lengths), sizes[0]).double() if kind in ("mask", "all") else None
        shares = [torch.rand(sum(self.lengths), size).double() for size in sizes]
        if kind == "zoneout of c":
            shares[0] = None
        return Noise(mask, () if kind == "mask" else tuple(shares))

    def run(self, backend: str) -> tuple:
        return dispatch.layer(backend, self.cell, self.ragged, self.states, self.weights, self.noise, all_states=True)

    def truth(self) -> tuple[list, list]:
        """For each direction and row: states at all steps in the row's own order, and the last one."""
        order = self.ragged.sorted_indices.tolist()
        return [
            [self.row(direction, place, row) for row, place in enumerate(map(order.index, range(len(order))))]
            for direction in range(2)
        ]

    def row(self, direction: int, place: int, row: int) -> tuple[list, tuple]:
        noise, weights = self.noise[direction], self.weights[direction]
        state = tuple(part[place : place + 1] for part in self.states[direction])
        mask = None if noise.hidden_mask is None else noise.hidden_mask[place : place + 1]
        xs = self.ragged.split_rows()[row]
        shares = [None if s is None else self.ragged.with_values(s).split_rows()[row] for s in noise.zoneout]
        steps = range(len(xs)) if direction == 0 else reversed(range(len(xs)))
        every = [None] * len(xs)
        for t in steps:
            proposed = self.cell.step(self.cell.project(xs[t : t + 1], weights), state, weights, mask)
            kept = [0.0 if s is None else s[t] for s in shares or [None] * len(state)]
            state = tuple(z * old + (1 - z) * new for z, old, new in zip(kept, state, proposed, strict=True))
            every[t] = state
        return every, state


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("lengths", LENGTHS)
@pytest.mark.parametrize("name", cells.names())
def test_a_layer_is_its_rows_step_by_step(name, lengths, kind, backend):
    problem = Problem(name, LENGTHS[lengths], kind)
    check(problem, backend)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("options", [{"proj_size": 2}, {"bias": False}], ids=str)
@pytest.mark.parametrize("name", [name for name in cells.names() if name.startswith("lstm")])
def test_with_a_projection_and_without_biases(name, options, backend):
    check(Problem(name, LENGTHS["ragged"], "all", **options), backend)


def check(problem: Problem, backend: str) -> None:
    if dispatch.available(problem.cell, dtype=torch.float64)[backend] is not None:
        pytest.skip(f"{backend} has no kernel for {problem.cell.name}")
    output, finals, every = problem.run(backend)
    order = problem.ragged.sorted_indices.tolist()
    torch.testing.assert_close(output, torch.cat([parts[0] for parts in every], 1), **CLOSE)
    for direction, rows in enumerate(problem.truth()):
        for row, (states, last) in enumerate(rows):
            place = order.index(row)
            final = tuple(part[place : place + 1] for part in finals[direction])
            torch.testing.assert_close(final, tuple(last), **CLOSE)
            for number, part in enumerate(every[direction]):
                found = problem.ragged.with_values(part).split_rows()[row]
                truth = torch.cat([state[number] for state in states]) if states else found[:0]
                torch.testing.assert_close(found, truth, **CLOSE)


@pytest.mark.parametrize("name", cells.names())
def test_derivatives_with_noise(name):
    """Of the values, the weights and the initial state, through the states of all steps."""
    problem = Problem(name, [2, 0, 3], "all")
    cell, weights, noise = problem.cell, problem.weights[0], problem.noise[0]

    def run(values, *rest):
        given = dict(zip(weights, rest, strict=False))
        output, final, every = reference.scan(
            cell, values, problem.ragged.batch_sizes, rest[len(given) :], given, noise, all_states=True
        )
        return output, *final, *every

    leaves = [leaf.requires_grad_() for leaf in (problem.ragged.values, *weights.values(), *problem.states[0])]
    assert torch.autograd.gradcheck(run, leaves)


@pytest.mark.parametrize("name", cells.names())
def test_no_noise_is_noise_that_does_nothing(name):
    problem = Problem(name, LENGTHS["empty rows"], "all")
    cell, ragged, state, weights = problem.cell, problem.ragged, problem.states[0], problem.weights[0]
    arguments = (cell, ragged.values, ragged.batch_sizes, state, weights)
    sizes = cell.state_sizes(H)
    idle = Noise(torch.ones(len(state[0]), H).double(), tuple(torch.zeros(7, size).double() for size in sizes))
    torch.testing.assert_close(reference.scan(*arguments, idle), reference.scan(*arguments), **CLOSE)
    assert len(reference.scan(*arguments, Noise())) == 2


def test_reference_applies_noise_and_torch_does_not():
    assert dispatch._BACKENDS["reference"].abilities == {"noise", "all_states", "transforms"}
    assert "torch" not in BACKENDS


def test_a_cell_without_a_mask_is_refused_by_the_scan():
    class Maskless(cells.Cell):
        name = "maskless"
        gates = ("h",)

        def step(self, x_projected, state, weights):
            return (x_projected + state[0],)

    weights = {"weight_ih": torch.ones(2, 1)}
    arguments = (Maskless(), torch.ones(3, 1), torch.tensor([2, 1]), (torch.zeros(2, 2),), weights)
    zoneout = Noise(zoneout=(torch.full((3, 2), 0.5),))
    output, _ = reference.scan(*arguments, zoneout)
    assert output[:, 0].tolist() == [0.5, 0.5, 1.0]
    with pytest.raises(RecipeError, match="`recurrent_dropout` does not apply to the cell `maskless`"):
        reference.scan(*arguments, Noise(torch.ones(2, 2)))
