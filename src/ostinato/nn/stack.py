"""The stack of recurrent layers that works with any cell: directions, layers, kinds of input, state."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import PackedSequence

from ostinato import cells
from ostinato.cells import Cell
from ostinato.errors import RecipeError, ShapeError
from ostinato.kernels import dispatch
from ostinato.nn import checks
from ostinato.nn.noise import draw_noise, drop_weights
from ostinato.nn.recompute import run_layer
from ostinato.types import Counts, Ragged, State

Sequences: TypeAlias = "Tensor | PackedSequence | Ragged"
TokensT = TypeVar("TokensT", Tensor, Ragged)
SequencesT = TypeVar("SequencesT", Tensor, PackedSequence, Ragged)


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


class RecurrentStack(nn.Module):
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
            the same at every step of a row, while training (Gal and Ghahramani 2016); drawn anew for each row, layer,
            direction and call.
        weight_dropout: probability in [0, 1] of leaving out an entry of ``weight_hh``, the same at every step, while
            training (DropConnect, Merity et al. 2017); drawn anew for each layer, direction and call.
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
        checks.check_probability(dropout=dropout)
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
        """Is told of each layer's call, with its output as autograd knows it."""
        self.zoneout = checks.check_zoneout(zoneout, self.cell.state_names)
        self._check_projection()
        if dropout > 0 and num_layers == 1:
            warnings.warn(
                f"`dropout` acts between layers, so it has no effect with one layer. Received: dropout={dropout}, "
                "num_layers=1.",
                stacklevel=3 if type(self) is not RecurrentStack else 2,
            )
        self._make_weights(device, dtype)
        self.reset_parameters()

    @property
    def num_directions(self) -> int:
        """D."""
        return 2 if self.bidirectional else 1

    @property
    def output_size(self) -> int:
        """Features of the output: D * H, or D * proj_size."""
        return self.num_directions * self._state_sizes[0]

    @property
    def all_weights(self) -> list[list[nn.Parameter]]:
        """The parameters of each layer and direction, in torch.nn's order."""
        return [[getattr(self, name) for name in names.values()] for names in self._weight_names]

    def reset_parameters(self) -> None:
        """Draw the weights anew, as ``torch.nn`` does from the same state of the random number generator."""
        for index in range(len(self._weight_names)):
            self.cell.initialise(self._weights(index), self.hidden_size)

    def flatten_parameters(self) -> None:
        """Does nothing; it is here so that code written for ``torch.nn`` runs unchanged."""

    def forward(
        self,
        input: SequencesT,
        hx: Tensor | State | None = None,
        *,
        lengths: Counts | None = None,
        return_all_states: bool = False,
    ) -> tuple[SequencesT, Tensor | State] | tuple[SequencesT, Tensor | State, list[tuple[SequencesT, ...]]]:
        """Run the stack over a batch.

        Args:
            input: (L, N, I), (N, L, I) with ``batch_first``, one row (L, I), a PackedSequence or a Ragged.
            hx: initial state in the original order of the rows: ``h_0`` or, for an LSTM, ``(h_0, c_0)``, each
                (D*num_layers, N, H), or (D*num_layers, H) for one row. Zeros by default.
            lengths: (N,) integers, only with a padded 3-D input: the steps of each row, in any order, zero allowed.
                What lies behind a row's end is never read, and the output is zero there.
            return_all_states: return the state after every step as well.

        Returns:
            the output, of the input's own kind with ``output_size`` features, and the state at each row's own end,
            shaped as ``hx``; an empty row ends as it began. With ``return_all_states`` also a list with a tuple for
            each layer: each tensor of its state after every step, of the input's own kind with D*H features (the first
            is the layer's output, before the dropout between layers).

        Raises:
            ShapeError: if the input, the state or the lengths don't fit.
            BackendError: if the backend asked for can't run this.
        """
        ragged, restore = self._open(input, lengths)
        one_row = isinstance(input, Tensor) and input.dim() == 2
        if one_row and hx is not None:
            shapes = tuple((self.num_directions * self.num_layers, size) for size in self._state_sizes)
            hx = tuple(
                part.unsqueeze(1) for part in checks.check_state(hx, self.cell.state_names, shapes, ragged.values)
            )
        output, state, every = self._run(ragged, hx, return_all_states)
        if one_row:
            state = tuple(part.squeeze(1) for part in state)
        final = state[0] if len(state) == 1 else state
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
            the output, of the ids' own kind with ``output_size`` features, and the final state, as ``forward``.

        Raises:
            ShapeError: if the ids are no integers, or one is outside the table.
        """
        weight = next(iter(self._weights(0).values()))
        table = torch.eye(self.input_size, dtype=weight.dtype, device=weight.device) if table is None else table
        checks.check_features(table, self.input_size, "input_size", weight.dtype, weight.device)
        ragged = ids if isinstance(ids, Ragged) else Ragged.from_padded(ids, None, self.batch_first)
        checks.check_ids(ragged.values, len(table))
        ragged = ragged.with_values(ragged.values.long())
        output, state, _ = self._run(ragged, hx, False, table)
        final = state[0] if len(state) == 1 else state
        if isinstance(ids, Ragged):
            return output, final
        num_rows, num_steps = ids.shape if self.batch_first else (ids.shape[1], ids.shape[0])
        dense = output.values.view(num_steps, num_rows, self.output_size)
        return dense.transpose(0, 1) if self.batch_first else dense, final

    def extra_repr(self) -> str:
        """The arguments that differ from their defaults, as torch.nn prints them."""
        parts = [f"{self.input_size}, {self.hidden_size}"]
        defaults: dict[str, Any] = {"proj_size": 0, "num_layers": 1, "bias": True, "batch_first": False, "dropout": 0.0}
        defaults |= {"bidirectional": False, "backend": "auto", "recurrent_dropout": 0.0, "weight_dropout": 0.0}
        defaults |= {"zoneout": (0.0,) * len(self.zoneout), "precision": "full", "recompute": False}
        for name, default in defaults.items():
            value = getattr(self, name)
            if value != default:
                parts.append(f"{name}={value}")
        if type(self) is RecurrentStack:
            parts.insert(0, repr(self.cell.name))
        else:
            options = {"peepholes": False, "layer_norm": False, "reset_after": True}
            parts += [
                f"{name}={not usual}" for name, usual in options.items() if getattr(self.cell, name, usual) != usual
            ]
        return ", ".join(parts)

    def _open(self, input: SequencesT, lengths: Counts | None) -> tuple[Ragged, Callable[[Ragged], SequencesT]]:
        """The input packed, and what makes values in its structure the input's own kind again."""
        weight = next(iter(self._weights(0).values()))
        values = (
            input if isinstance(input, Tensor) else input.data if isinstance(input, PackedSequence) else input.values
        )
        checks.check_features(values, self.input_size, "input_size", weight.dtype, weight.device)
        if lengths is not None and not (isinstance(input, Tensor) and input.dim() == 3):
            raise ShapeError(
                "`lengths` goes with a padded 3-D tensor. "
                f"Received: {f'a {input.dim()}-D tensor' if isinstance(input, Tensor) else type(input).__name__}."
            )
        if isinstance(input, Ragged):
            return input, lambda ragged: ragged
        if isinstance(input, PackedSequence):
            return Ragged.from_packed(input), lambda ragged: input._replace(data=ragged.values)
        if input.dim() == 2:
            return Ragged.from_padded(input.unsqueeze(0)), lambda ragged: ragged.values
        if input.dim() != 3:
            raise ShapeError(
                f"the input must have 3 axes, or 2 for one row without a batch axis. Received: {tuple(input.shape)}."
            )
        num_rows, num_steps = input.shape[:2] if self.batch_first else (input.shape[1], input.shape[0])
        packed = Ragged.from_padded(input, lengths, self.batch_first)
        if lengths is not None:
            return packed, lambda ragged: ragged.to_padded(self.batch_first, total_length=num_steps)[0]

        def restore(ragged: Ragged) -> Tensor:
            dense = ragged.values.view(num_steps, num_rows, ragged.values.shape[1])
            return dense.transpose(0, 1) if self.batch_first else dense

        return packed, restore

    def _run(
        self, ragged: Ragged, hx: Tensor | State | None, all_states: bool, table: Tensor | None = None
    ) -> tuple[Ragged, State, list[tuple[Ragged, ...]]]:
        """The output, the final states (D*num_layers, N, H), and where asked the states of each layer at all steps."""
        initial = self._initial_state(ragged, hx, ragged.values if table is None else table)
        finals: list[State] = []
        every: list[tuple[Ragged, ...]] = []
        for layer in range(self.num_layers):
            read = table if layer == 0 else None
            output, ends, steps = self._run_layer(layer, ragged, initial, all_states, read)
            if self.call_hook is not None:
                begins = tuple(part[self._of(layer)] for part in initial)
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
        self, layer: int, ragged: Ragged, initial: State, all_states: bool, table: Tensor | None
    ) -> tuple[Tensor, list[State], list[State]]:
        """One layer, with its draws; returns as ``dispatch.layer``."""
        indices = range(self.num_layers * self.num_directions)[self._of(layer)]
        states = [tuple(part[index] for part in initial) for index in indices]
        weights = [drop_weights(self._weights(index), self.weight_dropout, self.training) for index in indices]
        noise = [
            draw_noise(ragged, self._state_sizes, self.recurrent_dropout, self.zoneout, self.training, states[0][0])
            for _ in indices
        ]
        again = self.recompute and torch.is_grad_enabled() and not torch.compiler.is_exporting()
        run = run_layer if again else dispatch.layer
        return run(self.backend, self.cell, ragged, states, weights, noise, all_states, self.precision, table)

    def _initial_state(self, ragged: Ragged, hx: Tensor | State | None, like: Tensor) -> State:
        """Initial states (D*num_layers, N, H) in the order of the packed rows, in the dtype of `like`."""
        shapes = tuple((self.num_directions * self.num_layers, ragged.num_rows, size) for size in self._state_sizes)
        if hx is None:
            return tuple(like.new_zeros(shape) for shape in shapes)
        states = checks.check_state(hx, self.cell.state_names, shapes, like)
        return tuple(part.index_select(1, ragged.sorted_indices) for part in states)

    def _of(self, layer: int) -> slice:
        """The places of a layer's directions in a state."""
        return slice(layer * self.num_directions, (layer + 1) * self.num_directions)

    def weights_of(self, layer: int, direction: int = 0) -> dict[str, Tensor]:
        """The weights of one layer and direction by their names without a suffix."""
        return self._weights(layer * self.num_directions + direction)

    def _weights(self, index: int) -> dict[str, Tensor]:
        """Weights of the layer and direction ``index = layer * D + direction`` by their names without a suffix."""
        return {name: getattr(self, full) for name, full in self._weight_names[index].items()}

    def _make_weights(self, device: torch.device | str | None, dtype: torch.dtype | None) -> None:
        self._state_sizes = self.cell.state_sizes(self.hidden_size, self.proj_size)
        self._weight_names: list[dict[str, str]] = []
        for layer in range(self.num_layers):
            width = self.input_size if layer == 0 else self.output_size
            for suffix in ("", "_reverse")[: self.num_directions]:
                shapes = self.cell.parameter_shapes(width, self.hidden_size, self.proj_size, self.bias)
                names = {name: f"{name}_l{layer}{suffix}" for name in shapes}
                self._weight_names.append(names)
                for name, full in names.items():
                    empty = torch.empty(shapes[name], device=device, dtype=dtype)
                    self.register_parameter(full, nn.Parameter(empty))

    def _check_projection(self) -> None:
        size = self.proj_size
        if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size < self.hidden_size:
            raise RecipeError(
                f"`proj_size` must be an integer from 0 (none) to less than `hidden_size` = {self.hidden_size}. "
                f"Received: {size!r}."
            )
        if size:
            self.cell.check_takes("proj_size", size)
