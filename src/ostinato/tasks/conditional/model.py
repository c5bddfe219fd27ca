"""One-to-many: what is given is one value a row (a name, numbers, a picture), and a sequence is written for it."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from ostinato.layers.covariates import NO_EXTRA, Extra, RowCovariates
from ostinato.layers.frame_decoder import make_decoder
from ostinato.layers.frames import Frames
from ostinato.layers.inputs import width_of
from ostinato.layers.writer import SequenceWriter
from ostinato.tasks.conditional.recipe import ConditionalRecipe, ConditionedDecoderRecipe
from ostinato.types import Ragged, State


class Conditional(SequenceWriter):
    """``p(y_t | y_<t, x)`` for a fixed x: v = [inputs(x); covariates(extra)] sets the decoder's first state, is read by
    it at every step, or both, as `recipe.decoder.condition` says.

    state: h_0 = tanh(W v + b) of each layer (an LSTM's c_0 without tanh), each with a W of its own, as an image sets
    out the caption in Mao et al. 2015, arXiv:1412.6632, and Vinyals et al. 2015, arXiv:1411.4555 (there, one step reads
    it) · input: [e(y_{t-1}); v] at each step, from zeros, as in Graves 2013, arXiv:1308.0850, section 5.1 · both.

    Args:
        recipe: the model's part of a recipe.
        inputs: the layer that reads the value given (`layers.inputs`), whatever its form.
        written: V of the tokens that are written, or what its frames are.
        counts: (V,), how often training data held each token; needed for `normalize_embeddings`.
        covariates: what reads further columns.

    Example:
        >>> from ostinato.layers.inputs import Vectors
        >>> model = Conditional(ConditionalRecipe(hidden_size=8), Vectors(3), 10)
        >>> model.begin(Ragged.from_rows(torch.rand(2, 3), starts=[0, 1], lengths=[1, 1])).num_rows
        2
    """

    def __init__(
        self,
        recipe: ConditionalRecipe,
        inputs: nn.Module,
        written: int | Frames,
        counts: Tensor | None = None,
        *,
        covariates: RowCovariates | None = None,
    ) -> None:
        super().__init__()
        self.options: ConditionedDecoderRecipe = recipe.decoder
        self.inputs, self.covariates = inputs, covariates
        size = width_of(inputs) + (covariates.output_size if covariates else 0)
        how = recipe.decoder.condition
        self.decoder = make_decoder(recipe, written, counts, fed_size=0 if how == "state" else size)
        self.bridge = nn.ModuleList()
        if how != "input":
            sizes = [part.shape[2] for state in self.decoder.zero_states(1) for part in state]
            self.bridge.extend(nn.Linear(size, wanted) for wanted in sizes)

    @property
    def parts(self) -> dict[str, str]:
        """What the network is made of, in words, by name."""
        found = {"inputs": f"reads what is given, as {width_of(self.inputs):,} numbers"}
        if self.covariates is not None:
            found["covariates"] = (
                f"reads {', '.join(self.covariates.names)}, as {self.covariates.output_size:,} numbers"
            )
        if len(self.bridge):
            found["bridge"] = "from there to the first states"
        read = "" if self.options.condition == "state" else ", reads what is given at each step"
        return {**found, "decoder": f"{self.size}, {self.decoder.about}{read}"}

    def given(self, inputs: Ragged, extra: Extra = NO_EXTRA) -> tuple[list[State], Ragged | None, Tensor | None]:
        """As `SequenceWriter.given`; nothing is attended to."""
        vector = cast("Ragged", self.inputs(inputs)).select_first()
        if self.covariates is not None:
            vector = torch.cat([vector, self.covariates(extra)], dim=1)
        fed = None if self.options.condition == "state" else vector
        states = self.decoder.zero_states(len(vector))
        if not len(self.bridge):
            return states, None, fed
        made = iter(self.bridge)
        return [_state([next(made)(vector) for _ in state]) for state in states], None, fed


def _state(parts: list[Tensor]) -> State:
    """The parts of a layer's state, (N, H) each, as (1, N, H); the first, which is its output, within -1..1."""
    return tuple(part.unsqueeze(0) for part in (torch.tanh(parts[0]), *parts[1:]))
