r"""Initial weights that change what a recurrence can remember: orthogonal, identity, forget gates, chrono.

Each function changes a freshly made ``RecurrentStack`` in place, all its layers and both directions, and draws from
torch's global generator. By default nothing is changed: ``recurrent_init(stack, "default")`` leaves torch.nn's values
bit for bit. Time constants are in steps: a gate that keeps the share f of the state at each step forgets as f^k, and
has forgotten all but 1/e after -1/ln f steps.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ostinato.cells.registry import check_takes
from ostinato.errors import RecipeError
from ostinato.nn.stack import RecurrentStack

METHODS = ("default", "orthogonal", "identity")
"""What ``recurrent_init`` knows."""


@torch.no_grad()
def recurrent_init(stack: RecurrentStack, method: str) -> None:
    r"""Initialise the recurrent weights, each gate's block of ``weight_hh`` separately.

    - ``default``: U(-1/sqrt(H), 1/sqrt(H)), torch.nn's, untouched. Its spectral radius is near 1/sqrt(3) = 0.58
      (circular law), so a tanh recurrence forgets within a few steps.
    - ``orthogonal``: a random orthogonal Q, Q^T Q = 1: every singular value is one, and a linear recurrence keeps
      the norm of state and gradient over any number of steps. A. Saxe, J. McClelland and S. Ganguli (2014),
      arXiv:1312.6120, section 3; in recurrences: M. Henaff, A. Szlam and Y. LeCun (2016), arXiv:1602.06662. With a
      projection the block is (H, P) and its P columns are orthonormal.
    - ``identity``: the unit matrix, and every bias of the stack zero. Q. Le, N. Jaitly and G. Hinton (2015),
      arXiv:1504.00941, whose IRNN is this with the cell ``elman_relu``: without input the state stays as it is.

    Args:
        stack: of any registered cell.
        method: one of the three.

    Raises:
        RecipeError: for another method, or ``identity`` with a projection, whose blocks are not square.

    Example:
        >>> layer = RecurrentStack("elman_relu", 3, 2)
        >>> recurrent_init(layer, "identity")
        >>> layer.weight_hh_l0.tolist()
        [[1.0, 0.0], [0.0, 1.0]]
    """
    if method not in METHODS:
        raise RecipeError(f"`recurrent_init` must be one of {', '.join(METHODS)}. Received: {method!r}.")
    if method == "identity" and stack.proj_size:
        raise RecipeError(f"`recurrent_init` identity needs `proj_size` = 0. Received: {stack.proj_size}.")
    if method == "default":
        return
    for weight in _named(stack, "weight_hh"):
        for block in torch.split(weight, stack.hidden_size):
            nn.init.orthogonal_(block) if method == "orthogonal" else nn.init.eye_(block)
    if method == "identity":
        for bias in (*_named(stack, "bias_ih"), *_named(stack, "bias_hh")):
            bias.zero_()


@torch.no_grad()
def forget_bias(stack: RecurrentStack, value: float) -> None:
    """Start the gate that keeps the state with a bias: at each step it first keeps about the share sigmoid(value).

    It is the gate f of an LSTM (F. Gers, J. Schmidhuber and F. Cummins, "Learning to Forget", Neural Computation 12,
    2000; R. Jozefowicz, W. Zaremba and I. Sutskever, ICML 2015, section 3: a value of 1 or 2), or the gate z of a GRU
    in torch.nn's convention, ``h_t = (1 - z_t) n_t + z_t h_{t-1}``: there too a positive value keeps (a paper that
    writes ``z_t n_t`` has the opposite sign). The two biases of a gate add up: that of the input gets the value, that
    of the state zero.

    Raises:
        RecipeError: if the cell has no such gate, or the stack has no biases.
    """
    for row in _gate_biases(stack, _keeping_gate(stack, "forget_bias", value)):
        row.fill_(value)


@torch.no_grad()
def chrono(stack: RecurrentStack, longest: int) -> None:
    r"""Spread the time constants of the gates over 1 to ``longest`` steps.

    .. math::

        b_f \sim \log U[1, T_{max} - 1], \quad b_i = -b_f

    for an LSTM, and ``b_z ~ log U[1, T_max - 1]`` for a GRU, whose z keeps the state (``forget_bias`` on the sign).
    Where input and state are zero, f = u / (1 + u) with u = exp(b_f), so that the time constant -1/ln f is u + 1/2
    steps within a tenth. The biases of the other gates stay. Source: C. Tallec and Y. Ollivier, "Can recurrent neural
    networks warp time?" (ICLR 2018), arXiv:1804.11188, section 2.2, equation 16. Where a gate has two biases, that of
    the input gets the value and that of the state is zero.

    Args:
        stack: of a cell with gates f and i, or z.
        longest: T_max, in steps, the longest dependency expected; >= 3, below that there is nothing to draw from.

    Raises:
        RecipeError: if the cell has no such gate, the stack has no biases, or ``longest`` is no integer of at least 3.

    Example:
        >>> layer = RecurrentStack("gru", 3, 4)
        >>> chrono(layer, 1000)
        >>> bool((torch.sigmoid(layer.bias_ih_l0[4:8]) >= 0.5).all())
        True
    """
    if not isinstance(longest, int) or isinstance(longest, bool) or longest < 3:
        raise RecipeError(f"`chrono` must be an integer of at least 3 steps. Received: {longest!r}.")
    kept = _gate_biases(stack, _keeping_gate(stack, "chrono", longest))
    for row in kept:
        row.uniform_(1.0, longest - 1.0).log_()
    if stack.cell.writing_gate is not None:
        for row, written in zip(kept, _gate_biases(stack, stack.cell.writing_gate), strict=True):
            torch.neg(row, out=written)


def _keeping_gate(stack: RecurrentStack, option: str, value: float) -> str:
    check_takes(stack.cell, option, value)
    if not stack.bias:
        raise RecipeError(f"`{option}` needs `bias` = True. Received: False.")
    return str(stack.cell.keeping_gate)


def _gate_biases(stack: RecurrentStack, gate: str) -> list[Tensor]:
    """The gate's part (H,) of each ``bias_ih``; its part of each ``bias_hh``, which adds to it, is set to zero."""
    begin = stack.cell.gates.index(gate) * stack.hidden_size
    rows = slice(begin, begin + stack.hidden_size)
    for bias in _named(stack, "bias_hh"):
        bias[rows] = 0.0
    return [bias[rows] for bias in _named(stack, "bias_ih")]


def _named(stack: RecurrentStack, name: str) -> list[nn.Parameter]:
    """The parameter of that name of each layer and direction."""
    return [weight for full, weight in stack.named_parameters() if full.startswith(f"{name}_l")]
