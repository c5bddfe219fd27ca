"""The weights of a stack of recurrent layers, and what code written for ``torch.nn`` asks of it besides calling it."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ostinato.cells import Cell
from ostinato.nn import checks
from ostinato.types import State


class RecurrentWeights(nn.Module):
    """Weights by torch.nn's names, and the attributes and methods of ``torch.nn.RNNBase``; private ones are read-only.

    ``RecurrentStack`` says what the attributes mean.
    """

    cell: Cell
    input_size: int
    hidden_size: int
    num_layers: int
    bias: bool
    batch_first: bool
    dropout: float
    bidirectional: bool
    proj_size: int
    recurrent_dropout: float
    weight_dropout: float
    zoneout: tuple[float, ...]
    precision: str

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

    def flatten_parameters(self) -> None:
        """Does nothing; it is here so that code written for ``torch.nn`` runs unchanged."""

    @property
    def mode(self) -> str:
        """LSTM, GRU, RNN_TANH or RNN_RELU; of a cell that torch.nn lacks, its name."""
        return (self.cell.torch_name or self.cell.name).upper()

    @property
    def _all_weights(self) -> list[list[str]]:
        return [list(names.values()) for names in self._weight_names]

    @property
    def _flat_weights_names(self) -> list[str]:
        return [name for names in self._all_weights for name in names]

    @property
    def _flat_weights(self) -> list[Tensor]:
        return [getattr(self, name) for name in self._flat_weights_names]

    def get_expected_hidden_size(self, input: Tensor, batch_sizes: Tensor | None) -> tuple[int, int, int]:
        """Shape of h_0 for a batched input: (D*num_layers, N, H), H the size of the projection where there is one."""
        return self._expected_shapes(input, batch_sizes)[0]

    def get_expected_cell_size(self, input: Tensor, batch_sizes: Tensor | None) -> tuple[int, int, int]:
        """Shape of the last tensor of the initial state, an LSTM's c_0: (D*num_layers, N, H)."""
        return self._expected_shapes(input, batch_sizes)[-1]

    def check_input(self, input: Tensor, batch_sizes: Tensor | None) -> None:
        """Raise a ShapeError unless ``input`` fits; ``batch_sizes``: of a PackedSequence's data, (sum L, I)."""
        checks.check_features(input, self.input_size, "input_size", *self._numbers())
        checks.check_axes(input, (2,) if batch_sizes is not None else (2, 3))

    def check_forward_args(self, input: Tensor, hidden: Tensor | State, batch_sizes: Tensor | None) -> None:
        """Raise a ShapeError unless the input and the initial state fit."""
        self.check_input(input, batch_sizes)
        checks.check_state(hidden, self.cell.state_names, tuple(self._expected_shapes(input, batch_sizes)), input)

    def permute_hidden(self, hx: Tensor | State, permutation: Tensor | None) -> Tensor | State:
        """The rows of a state, (D*num_layers, N, H) each, in the order of ``permutation``."""
        if permutation is None:
            return hx
        if isinstance(hx, Tensor):
            return hx.index_select(1, permutation)
        return tuple(part.index_select(1, permutation) for part in hx)

    def _expected_shapes(self, input: Tensor, batch_sizes: Tensor | None) -> list[tuple[int, int, int]]:
        num_rows = int(batch_sizes[0]) if batch_sizes is not None else input.shape[0 if self.batch_first else 1]
        return [(self.num_directions * self.num_layers, num_rows, size) for size in self._state_sizes]

    def weights_of(self, layer: int, direction: int = 0) -> dict[str, Tensor]:
        """The weights of one layer and direction by their names without a suffix."""
        names = self._weight_names[layer * self.num_directions + direction]
        return {name: getattr(self, full) for name, full in names.items()}

    def _numbers(self) -> tuple[torch.dtype, torch.device]:
        """Of the weights; none is asked for that a parametrisation would compute."""
        known: Tensor | None = next((each for each in self._parameters.values() if each is not None), None)
        weight = next(iter(self.weights_of(0).values())) if known is None else known
        return weight.dtype, weight.device

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
