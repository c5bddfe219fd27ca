"""Many-to-many, delayed: the source is read whole, then the target is written."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from ostinato.errors import RecipeError
from ostinato.layers.covariates import NO_EXTRA, Extra, RowCovariates
from ostinato.layers.decoder import Decoder
from ostinato.layers.encoder import RecurrentEncoder
from ostinato.layers.frame_decoder import make_decoder
from ostinato.layers.frames import Frames
from ostinato.layers.inputs import Vectors
from ostinato.layers.writer import SequenceWriter
from ostinato.nn.attention import Source
from ostinato.recipe.parts import AttentionDecoderRecipe
from ostinato.tasks.seq2seq.recipe import SequenceToSequenceRecipe
from ostinato.tasks.sketch import without_numbers
from ostinato.types import Ragged, State

_LINEAR_HINT = "what fits any sizes: --set model.decoder.bridge=linear"


class Bridge(nn.Module):
    """From the encoder's final states to the decoder's first ones, layer by layer, the top ones together.

    linear: h_0 = tanh(W [h_forward; h_backward] + b), of every tensor of the state (an LSTM's c without tanh), each
    with a W of its own, after Bahdanau, Cho, Bengio 2015, arXiv:1409.0473, section A.2.2 · sum: h_forward + h_backward
    · copy: [h_forward; h_backward], the states as they are, so the decoder has D times the encoder's units.

    Args:
        recipe: the model's part of a recipe.
        encoder: whose final states it reads.
        decoder: whose first states it makes.

    Raises:
        RecipeError: for sizes or numbers of layers that don't fit.
    """

    def __init__(self, recipe: SequenceToSequenceRecipe, encoder: RecurrentEncoder, decoder: Decoder) -> None:
        super().__init__()
        self.bridge = recipe.decoder.bridge
        found = [[part.shape[0] * part.shape[2] for part in state] for state in encoder.zero_states(1)]
        wanted = [[part.shape[2] for part in state] for state in decoder.zero_states(1)]
        self.num_layers = len(wanted)
        if self.bridge != "linear":
            self._check(found, wanted, 2 if recipe.bidirectional else 1)
        self.linears = nn.ModuleList()
        if self.bridge == "linear":
            for layer, sizes in enumerate(wanted):
                below = found[self._source(layer, len(found))]
                self.linears.extend(nn.Linear(a, b) for a, b in zip(below, sizes, strict=True))

    def forward(self, states: list[State]) -> list[State]:
        """Final states (D, N, H) of the encoder's layers to first states (1, N, H) of the decoder's."""
        made: list[State] = []
        for layer in range(self.num_layers):
            parts = states[self._source(layer, len(states))]
            if self.bridge == "sum":
                made.append(tuple(part.sum(dim=0, keepdim=True) for part in parts))
                continue
            flat = [part.transpose(0, 1).flatten(1) for part in parts]  # (N, D * H)
            if self.bridge == "linear":
                own = self.linears[layer * len(parts) : (layer + 1) * len(parts)]
                flat = [linear(part) for linear, part in zip(own, flat, strict=True)]
                flat[0] = torch.tanh(flat[0])
            made.append(tuple(part.unsqueeze(0) for part in flat))
        return made

    def _source(self, layer: int, num_below: int) -> int:
        return max(0, num_below - self.num_layers + layer)

    def _check(self, found: list[list[int]], wanted: list[list[int]], directions: int) -> None:
        if len(found) != len(wanted):
            raise RecipeError(
                f"`model.decoder.bridge: {self.bridge}` gives each layer its own state, so encoder and decoder must "
                f"have as many layers. Received: {len(found)} and {len(wanted)}.",
                hint=_LINEAR_HINT,
            )
        given = found[0][0] // (directions if self.bridge == "sum" else 1)
        if given != wanted[0][0]:
            does = "adds up" if self.bridge == "sum" else "lays side by side"
            raise RecipeError(
                f"`model.decoder.bridge: {self.bridge}` {does} the states of {directions} direction(s), {given} units, "
                f"so the decoder's layers must have as many. Received: {wanted[0][0]}.",
                hint=f"a decoder as wide: --set model.decoder.hidden_size={given}; {_LINEAR_HINT}",
            )


class Seq2Seq(SequenceWriter):
    """encoder → bridge → decoder, which attends to the encoder's outputs; each of its steps reads further columns.

    Args:
        recipe: the model's part of a recipe.
        inputs: the layer that reads the source (`layers.inputs`).
        written: V of the tokens that are written, or what its frames are.
        counts: (V,), how often training data held each token; needed for `normalize_embeddings`.
        covariates: what reads further columns, each as one vector a row.

    Example:
        >>> from ostinato.layers.inputs import embed_ids
        >>> model = Seq2Seq(SequenceToSequenceRecipe(hidden_size=8), embed_ids(20, SequenceToSequenceRecipe()), 10)
        >>> model.begin(Ragged.from_rows(torch.tensor([4, 7, 7]), starts=[0, 1], lengths=[1, 2])).num_rows
        2
    """

    def __init__(
        self,
        recipe: SequenceToSequenceRecipe,
        inputs: nn.Module,
        written: int | Frames,
        counts: Tensor | None = None,
        *,
        covariates: RowCovariates | None = None,
    ) -> None:
        super().__init__()
        self.options: AttentionDecoderRecipe = recipe.decoder
        self.covariates = covariates
        self.encoder = RecurrentEncoder(recipe, inputs=inputs)
        fed_size = covariates.output_size if covariates else 0
        self.decoder = make_decoder(recipe, written, counts, memory_size=self.encoder.output_size, fed_size=fed_size)
        self.bridge = Bridge(recipe, self.encoder, self.decoder)

    @property
    def parts(self) -> dict[str, str]:
        """What follows the encoder, in words, by name."""
        options = self.options
        attention = {
            "none": "no attention",
            "bahdanau": "additive attention (Bahdanau)",
            "luong": f"{options.score} attention (Luong)",
        }[options.attention]
        found = {"bridge": f"{options.bridge}: final states to first ones"}
        if self.covariates is not None:
            names, size = ", ".join(self.covariates.names), self.covariates.output_size
            found["covariates"] = f"each step reads {names}, as {size:,} numbers"
        return {**found, "decoder": f"{self.size}, {attention}, {self.decoder.about}"}

    def given(self, inputs: Ragged, extra: Extra = NO_EXTRA) -> tuple[list[State], Ragged | None, Tensor | None]:
        """As `SequenceWriter.given`."""
        memory, states = self.read(inputs)
        return states, memory, self.fed(extra)

    def read(self, inputs: Ragged) -> tuple[Ragged, list[State]]:
        """The source: the encoder's outputs (sum S, D*H), and the decoder's first states."""
        memory, states = self.encoder(inputs)
        return self.source(inputs, cast("Ragged", memory)), self.bridge(states)

    def source(self, inputs: Ragged, memory: Ragged) -> Ragged:
        """What the decoder attends to, with the tokens it was made of where it knows translations."""
        if getattr(self.decoder, "lexicon", None) is None:
            return memory
        layout = (memory.batch_sizes, memory.sorted_indices, memory.unsorted_indices, memory.lengths)
        return Source(memory.values, *layout, ids=inputs.values)

    def fed(self, extra: Extra = NO_EXTRA) -> Tensor | None:
        """What each step of the decoder reads of further columns, (N, F)."""
        return None if self.covariates is None else cast("Tensor", self.covariates(extra))


def check_bridge(recipe: SequenceToSequenceRecipe) -> None:
    """Raise `RecipeError` where the encoder's final states are none that the decoder can begin in."""
    with torch.device("meta"):
        Seq2Seq(without_numbers(recipe), Vectors(1), Frames(1))
