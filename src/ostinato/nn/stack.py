"""The stack of recurrent layers that works with any cell: directions, layers, types of input, state."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from inspect import signature

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ostinato import cells
from ostinato.cells import Cell
from ostinato.kernels import dispatch
from ostinato.nn import checks
from ostinato.nn.layer_runs import LAYER_RUNS, LayerRun
from ostinato.nn.noise import draw_noise, drop_weights
from ostinato.nn.opening import SequencesT, TokensT, hx_of, open_input, open_padded, values_of
from ostinato.nn.recompute import run_layer
from ostinato.nn.scripting import as_torch, is_tracing, traced
from ostinato.nn.weights import RecurrentWeights
from ostinato.packing import Counts
from ostinato.types import Ragged, State


@dataclass(frozen=True)
class LayerCall:
    """One layer's work: its number, what it read ((sum L, I), or ids of a table), the states it began in, (D, N, H) in
    the order of the packed rows, and its output, (sum L, D*H), before any dropout."""

    stack: RecurrentStack
    layer: int
    input: Ragged
    table: Tensor | None
    initial: State
    output: Tensor


class RecurrentStack(RecurrentWeights):
    """``num_layers`` layers of one cell, in one or two directions.

    Each layer runs ``state_t = cell.step(cell.project(x_t), state_{t-1})`` over its rows, the layer above reads the
    outputs, with two directions those of both side by side, the reverse one running each row from its own end.

    Args:
        cell: the recurrence, or its registered name.
        input_size: I, features of the input, >= 1.
        hidden_size: H, >= 1.
        num_layers: >= 1.
        bias: whether the cell has biases.
        batch_first: padded tensors are (N, L, I) rather than (L, N, I). No effect on Ragged, packed and 2-D inputs.
        dropout: probability in [0, 1] of zeroing an output of every layer but the last, while training.
        bidirectional: D = 2 rather than 1.
        proj_size: size of the output if the cell projects it (LSTM), 0 for none; < hidden_size.
        device: where the weights are made.
        dtype: of the weights.
        backend: ``auto``, ``reference``, ``torch``, ``native``, ``triton`` or a plug-in's name.
        recurrent_dropout: probability in [0, 1] of zeroing a feature of h where it enters a product with ``weight_hh``,
            the same at every step of a row, while training (Gal and Ghahramani 2016); redrawn for each row, layer,
            direction and call.
        weight_dropout: probability in [0, 1] of leaving out an entry of ``weight_hh``, the same at every step, while
            training (DropConnect, Merity et al. 2017); redrawn for each layer, direction and call.
        zoneout: probability in [0, 1] that a value of the state keeps that of the step before (Krueger et al. 2017);
            in evaluation the state is its expectation. One for all tensors of the state, or one each: (h, c).
        precision: ``full``, or ``bf16``: products in bfloat16, with sums, state and weights kept in float32.
        recompute: keep only input, output and the states between stretches of sqrt(L) steps for the backward pass,
            which then computes the activations again: less memory for one more forward pass, in short stretches
            (``ostinato.nn.recompute``).

    Raises:
        RecipeError: if the arguments describe no possible layer.
        BackendError: if ``backend`` is unknown; at the first call, if it can't run here.

    Example:
        >>> layer = RecurrentStack("gru", 3, 4, bidirectional=True)
        >>> output, h_n = layer(torch.zeros(7, 2, 3), lengths=[7, 0])
        >>> output.shape, h_n.shape
        (torch.Size([7, 2, 8]), torch.Size([2, 2, 4]))
    """

    def __init__(
        self,
        cell: Cell | str,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        *,
        backend: str = "auto",
        recurrent_dropout: float = 0.0,
        weight_dropout: float = 0.0,
        zoneout: float | tuple[float, ...] = 0.0,
        precision: str = "full",
        recompute: bool = False,
    ) -> None:
        super().__init__()
        checks.check_positive(input_size=input_size, hidden_size=hidden_size, num_layers=num_layers)
        checks.check_flags(bias=bias, batch_first=batch_first, bidirectional=bidirectional, recompute=recompute)
        checks.check_precision(precision)
        dispatch.check_name(backend)
        self.cell = cells.get(cell) if isinstance(cell, str) else cell
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.bias = bias
        self.batch_first = batch_first
        self.dropout = float(dropout)
        self.bidirectional = bidirectional
        self.proj_size = proj_size
        self.backend = backend
        self.precision = precision
        self.recompute = recompute
        checks.check_regularisers(self.cell, recurrent_dropout, weight_dropout)
        self.recurrent_dropout = float(recurrent_dropout)
        self.weight_dropout = float(weight_dropout)
        self.call_hook: Callable[[LayerCall], None] | None = None
        """Called with each layer's call and its output in the autograd graph."""
        self.zoneout = checks.check_zoneout(zoneout, self.cell.state_names)
        checks.check_projection(self.cell, proj_size, hidden_size)
        checks.check_dropout(dropout, num_layers, stacklevel=4 if type(self) is not RecurrentStack else 3)
        self._make_weights(device, dtype)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the weights again, as ``torch.nn`` does from the same state of the random number generator."""
        for index in range(len(self._weight_names)):
            self.cell.initialise(self.weights_of(*divmod(index, self.num_directions)), self.hidden_size)

    def forward(
        self,
        input: SequencesT,
        hx: Tensor | State | None = None,
        *,
        lengths: Counts | None = None,
        return_all_states: bool = False,
    ) -> tuple[SequencesT, Tensor | State] | tuple[SequencesT, Tensor | State, list[tuple[SequencesT, ...]]]:
        """Run the stack over a batch.

        Under ``torch.autocast`` it computes in the dtype of the weights, and output and state have that of the input.

        Args:
            input: (L, N, I), (N, L, I) with ``batch_first``, one row (L, I), a PackedSequence or a Ragged.
            hx: initial state in the original order of the rows: ``h_0`` or, for an LSTM, ``(h_0, c_0)``, each
                (D*num_layers, N, H), or (D*num_layers, H) for one row. Zeros by default.
            lengths: (N,) integers, only with a padded 3-D input: the steps of each row, in any order, zero allowed.
                What lies behind a row's end is never read, and the output is zero there.
            return_all_states: return the state after every step as well.

        Returns:
            the output, of the input's own type with ``output_size`` features, and the state at each row's own end,
            shaped as ``hx``; an empty row ends as it began. With ``return_all_states`` also a list with a tuple for
            each layer: each tensor of its state after every step, of the input's own type with D*H features (the first
            is the layer's output, before the dropout between layers).

        Raises:
            ShapeError: if the input, the state or the lengths don't fit.
            BackendError: if the requested backend can't run this.
        """
        if not torch.compiler.is_compiling() and is_tracing():
            return traced(self, input, hx, lengths is not None or return_all_states)
        values, (dtype, device) = values_of(input), self._numbers()
        checks.check_features(values, self.input_size, "input_size", dtype, device)
        ragged, restore = open_input(input, lengths, self.batch_first, dtype)
        one_row = isinstance(input, Tensor) and input.dim() == 2
        if one_row and hx is not None:
            shapes = tuple((self.num_directions * self.num_layers, size) for size in self._state_sizes)
            parts = checks.check_state(hx, self.cell.state_names, shapes, ragged.values)
            hx = tuple(part.unsqueeze(1) for part in parts)
        output, state, every = self._run(ragged, hx, return_all_states)
        state = tuple((part.squeeze(1) if one_row else part).to(values.dtype) for part in state)
        final = hx_of(state)
        if return_all_states:
            return restore(output), final, [tuple(restore(part) for part in parts) for parts in every]
        return restore(output), final

    def forward_tokens(
        self, ids: TokensT, table: Tensor | None = None, hx: Tensor | State | None = None
    ) -> tuple[TokensT, Tensor | State]:
        """As ``forward`` on ``table[ids]``, a vector for each token, which need not be made.

        Where the tokens are many and the table is small, its projection ``table W_ih^T`` is computed once, (V, G*H),
        and gathered: V products in place of sum L, forward and backward.

        Args:
            ids: row numbers of the table, (L, N), (N, L) with ``batch_first``, or a Ragged of (sum L,).
            table: (V, I), with ``requires_grad`` where it is learnt. None: one-hot, V = I.
            hx: as ``forward``.

        Returns:
            the output, of the ids' own type with ``output_size`` features, and the final state, as ``forward``.

        Raises:
            ShapeError: if the ids are no integers, or one is outside the table.
        """
        dtype, device = self._numbers()
        table = torch.eye(self.input_size, dtype=dtype, device=device) if table is None else table
        checks.check_features(table, self.input_size, "input_size", dtype, device)
        ragged, restore = open_padded(ids, None, self.batch_first)
        checks.check_ids(ragged.values, len(table))
        ragged = ragged.with_values(ragged.values.long())
        output, state, _ = self._run(ragged, hx, False, table)
        return restore(output), hx_of(state)

    def __prepare_scriptable__(self) -> nn.RNNBase:
        """What ``torch.jit.script`` compiles in its place."""
        return as_torch(self, "torch.jit.script")

    def extra_repr(self) -> str:
        """The arguments that differ from their defaults, as torch.nn prints them."""
        made = signature(RecurrentStack).parameters
        options = {name: made[name].default for name in list(made)[3:] if name not in ("device", "dtype")}
        options["zoneout"] = (0.0,) * len(self.zoneout)
        variants = {"peepholes": False, "layer_norm": False, "reset_after": True}
        parts = [f"{self.input_size}, {self.hidden_size}"]
        if type(self) is RecurrentStack:
            parts, variants = [repr(self.cell.name), *parts], {}
        for of, usual in ((self, options), (self.cell, variants)):
            values = {name: getattr(of, name, usual[name]) for name in usual}
            parts += [f"{name}={value}" for name, value in values.items() if value != usual[name]]
        return ", ".join(parts)

    def _run(
        self, ragged: Ragged, hx: Tensor | State | None, all_states: bool, table: Tensor | None = None
    ) -> tuple[Ragged, State, list[tuple[Ragged, ...]]]:
        """The output, the final states (D*num_layers, N, H), and on request the states of each layer at all steps."""
        changed = None if torch.compiler.is_compiling() else LAYER_RUNS.get().get(self)
        if changed is not None and hx is None:
            changed.begin()
        initial = self._initial_state(ragged, hx, ragged.values if table is None else table)
        finals: list[State] = []
        every: list[tuple[Ragged, ...]] = []
        for layer in range(self.num_layers):
            read = table if layer == 0 else None
            output, ends, steps = self._run_layer(layer, ragged, initial, all_states, read, changed)
            if self.call_hook is not None:
                begins = tuple(part.chunk(self.num_layers)[layer] for part in initial)
                self.call_hook(LayerCall(self, layer, ragged, read, begins, output))
            finals.extend(ends)
            if all_states:
                every.append(tuple(ragged.with_values(torch.cat(parts, 1)) for parts in zip(*steps, strict=True)))
            ragged = ragged.with_values(output)
            if layer < self.num_layers - 1 and self.dropout > 0:
                ragged = ragged.with_values(F.dropout(ragged.values, self.dropout, self.training))
        stacked = tuple(torch.stack(parts) for parts in zip(*finals, strict=True))  # (D*num_layers, N, H) each
        return ragged, tuple(part.index_select(1, ragged.unsorted_indices) for part in stacked), every

    def _run_layer(
        self, layer: int, ragged: Ragged, initial: State, all_states: bool, table: Tensor | None, of: LayerRun | None
    ) -> tuple[Tensor, list[State], list[State]]:
        """One layer, with its draws; returns as ``dispatch.layer``."""
        directions = range(self.num_directions)
        states = [tuple(part[layer * self.num_directions + direction] for part in initial) for direction in directions]
        weights = [drop_weights(self.weights_of(layer, way), self.weight_dropout, self.training) for way in directions]
        noise = [
            draw_noise(ragged, self._state_sizes, self.recurrent_dropout, self.zoneout, self.training, states[0][0])
            for _ in directions
        ]
        again = self.recompute and torch.is_grad_enabled() and not torch.compiler.is_exporting()
        run = of or (run_layer if again else dispatch.layer)
        return run(self.backend, self.cell, ragged, states, weights, noise, all_states, self.precision, table)

    def _initial_state(self, ragged: Ragged, hx: Tensor | State | None, like: Tensor) -> State:
        """Initial states (D*num_layers, N, H) in the order of the packed rows, in the dtype of `like`."""
        shapes = tuple((self.num_directions * self.num_layers, ragged.num_rows, size) for size in self._state_sizes)
        if hx is None:
            return tuple(like.new_zeros(shape) for shape in shapes)
        states = checks.check_state(hx, self.cell.state_names, shapes, like)
        return tuple(part.to(like.dtype).index_select(1, ragged.sorted_indices) for part in states)
