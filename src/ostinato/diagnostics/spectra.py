r"""The spectra behind vanishing and exploding: those of the recurrent weights, and of the Jacobians of real steps.

Pascanu's conditions are for ``h_t = phi(W h_{t-1} + ...)`` with ``|phi'| <= gamma``, so that a step changes the length
of a gradient by ``||J|| <= gamma * sigma_max(W)``: ``sigma_max < 1 / gamma`` is sufficient for it to vanish, and
``sigma_max > 1 / gamma`` necessary for it to explode. gamma is 1 for tanh and relu, 1/4 for the sigmoid. Source: R.
Pascanu, T. Mikolov and Y. Bengio, "On the difficulty of training recurrent neural networks", ICML 2013,
arXiv:1211.5063, section 2.1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.func import jacrev, vmap

from ostinato.diagnostics.probe import LayerTrace, Measured, traces
from ostinato.errors import DataError, RecipeError
from ostinato.probes.subject import Subject

_TOLERANCE = 1e-4


@dataclass(frozen=True)
class WeightSpectrum(Measured):
    """One block of rows of ``weight_hh`` of one layer and direction, as a map from the state to itself.

    Args:
        layer: `layer 1`, `layer 1 reverse`, ...
        block: the gate's name, or `whole` for a cell with a single block. With a projection it is
            ``W_block @ weight_hr``.
        spectral_radius: largest modulus of its eigenvalues.
        largest_singular_value: sigma_max.
        bound: 1 / gamma, 4 for a sigmoid gate and 1 otherwise.
        verdict: of a `whole`, the cell's only path back: `vanishing` (sigma_max below the bound: sufficient),
            `critical` (on it, within 1e-4 of it) or `may explode` (above it: necessary, not sufficient). Of a gate,
            whose cell has other paths, `below the bound`, `on the bound` or `above the bound`. `scale-free` with layer
            normalisation, which undoes any scale of the weights.
    """

    layer: str
    block: str
    spectral_radius: float
    largest_singular_value: float
    bound: float
    verdict: str


@dataclass(frozen=True)
class JacobianSpectrum(Measured):
    """The Jacobians ``ds_t / ds_{t-1}`` of one layer and direction at states it was really in.

    Args:
        layer: `layer 1`, `layer 1 reverse`, ...
        eigenvalue_moduli: S of them, the largest first, each the mean over the states of the one at that rank.
        singular_values: S of them, the same way.
        spectral_radius_low: smallest spectral radius of any of the states.
        spectral_radius_high: largest.
        num_states: at how many.
    """

    layer: str
    eigenvalue_moduli: list[float]
    singular_values: list[float]
    spectral_radius_low: float
    spectral_radius_high: float
    num_states: int


def weight_spectra(subject: Subject) -> list[WeightSpectrum]:
    """Spectral radius and largest singular value of each block of ``weight_hh``, against Pascanu's conditions.

    Cells without ``weight_hh`` have none.

    Raises:
        DataError: if a weight is not finite.

    Example:
        >>> from ostinato import nn
        >>> from ostinato.types import Ragged
        >>> layer = nn.RNN(1, 2)
        >>> with torch.no_grad():
        ...     _ = layer.weight_hh_l0.copy_(torch.tensor([[0.5, 3.0], [0.0, 0.5]]))
        >>> rows = Ragged.from_padded(torch.ones(1, 5, 1))
        >>> found = weight_spectra(Subject((layer,), rows, lambda output: output.select_last().sum(1), False))[0]
        >>> found.block, found.spectral_radius, round(found.largest_singular_value, 2), found.verdict
        ('whole', 0.5, 3.08, 'may explode')
    """
    return [each for layer in traces(subject) for trace in layer for each in _blocks(trace)]


def jacobian_spectrum(subject: Subject, num_states: int = 8, seed: int = 0) -> list[JacobianSpectrum]:
    """Eigenvalues and singular values of the step's Jacobian, at random steps of random rows.

    Args:
        subject: layers and rows; nothing of it changes.
        num_states: steps to look at, >= 1; all of them where there are fewer. Each costs an eigenvalue problem of
            size S.
        seed: of their choice.

    Raises:
        RecipeError: if `num_states` is below 1.
        DataError: if no state of a layer is finite; single ones that are not are skipped.
    """
    if num_states < 1:
        raise RecipeError(f"`num_states` must be at least 1. Received: {num_states}.")
    return [_jacobians(trace, num_states, seed) for layer in traces(subject) for trace in layer]


def step_jacobians(trace: LayerTrace, x_projected: Tensor, before: Tensor) -> Tensor:
    """``ds_t / ds_{t-1}`` of each row: (N, G*H), (N, S) -> (N, S, S), row i of it the derivatives of feature i."""

    def one_row(x: Tensor, state: Tensor) -> Tensor:
        found: Tensor = jacrev(lambda each: trace.step(x[None], each[None])[0])(state)
        return found

    jacobians: Tensor = vmap(one_row, chunk_size=1)(x_projected, before)
    return jacobians


def _blocks(trace: LayerTrace) -> list[WeightSpectrum]:
    if "weight_hh" not in trace.weights:
        return []
    if not bool(trace.weights["weight_hh"].isfinite().all()):
        raise DataError(f"`weight_hh` of {trace.layer} must be finite. Received: NaN or infinite entries.")
    gates = trace.cell.gates
    found = []
    for gate, block in zip(gates, trace.weights["weight_hh"].double().chunk(len(gates)), strict=True):
        square = block @ trace.weights["weight_hr"].double() if "weight_hr" in trace.weights else block
        radius = float(torch.linalg.eigvals(square).abs().max())
        largest = float(torch.linalg.matrix_norm(square, ord=2))
        bound = 4.0 if gate in trace.cell.sigmoid_gates else 1.0
        name = gate if len(gates) > 1 else "whole"
        found.append(WeightSpectrum(trace.layer, name, radius, largest, bound, _verdict(trace, largest / bound)))
    return found


def _verdict(trace: LayerTrace, ratio: float) -> str:
    if trace.cell.layer_norm:
        return "scale-free"
    alone = len(trace.cell.gates) == 1
    if abs(ratio - 1) <= _TOLERANCE:
        return "critical" if alone else "on the bound"
    if ratio < 1:
        return "vanishing" if alone else "below the bound"
    return "may explode" if alone else "above the bound"


@torch.no_grad()
def _jacobians(trace: LayerTrace, num_states: int, seed: int) -> JacobianSpectrum:
    finite = np.flatnonzero(trace.states.values.isfinite().all(1).cpu().numpy())
    if not len(finite):
        raise DataError(f"a state of {trace.layer} must be finite. Received: NaN or infinity at every step.")
    chosen = np.random.default_rng(seed).choice(finite, size=min(num_states, len(finite)), replace=False)
    places = torch.from_numpy(np.sort(chosen)).to(trace.states.device)
    jacobians = step_jacobians(trace, trace.project(trace.inputs.values[places]), trace.states_before()[places])
    moduli = torch.linalg.eigvals(jacobians).abs().sort(dim=1, descending=True).values
    singular = torch.linalg.svdvals(jacobians)
    return JacobianSpectrum(
        layer=trace.layer,
        eigenvalue_moduli=moduli.mean(0).tolist(),
        singular_values=singular.mean(0).tolist(),
        spectral_radius_low=float(moduli[:, 0].min()),
        spectral_radius_high=float(moduli[:, 0].max()),
        num_states=len(places),
    )
