"""A tagger in sessions: an answer for each step as it comes, or `delay` steps later."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from ostinato.arrays import Array
from ostinato.data.dataset import Features
from ostinato.heads.classes import Softmax
from ostinato.kernels.native_stream import Tokens
from ostinato.layers.encoder import RecurrentEncoder
from ostinato.layers.inputs import width_of
from ostinato.nn.rowwise import rowwise
from ostinato.recipe import Recipe
from ostinato.tasks.encoder_streaming import EncoderStreaming, first_answer
from ostinato.tasks.signature import TensorSpec, float_name
from ostinato.tasks.streaming import Answer, Reading, no_stream
from ostinato.tasks.tagging.model import Tagger

_OUTPUTS = {"crf": "a chain is decoded from its end", "ctc": "its labels are aligned over the whole row"}


class TaggerStreaming(EncoderStreaming):
    """`{"tag", "probability"}`, or `{"values"}`, of each step. With a delay of d steps an answer is that of the step d
    before, so that the first d steps have none; `finish` gives the last d.

    Raises:
        RunError: for a model that needs a whole row, with the reason.
    """

    def __init__(self, model: nn.Module, features: Features, recipe: Recipe) -> None:
        if type(model) is not Tagger:
            raise no_stream("it reads its own answers")
        if model.recipe.output in _OUTPUTS:
            raise no_stream(_OUTPUTS[model.recipe.output], "train one step by step: --set model.output=softmax")
        self._delay, dtype = model.recipe.delay, float_name(model)
        own = [TensorSpec("hidden", dtype, (model.encoder.output_size,)), TensorSpec("read", dtype, (1,))]
        super().__init__(model, features, recipe, model.encoder, own)
        self._model, self._read = model, rowwise(nn.Sequential(model.hidden, model.output))

    def _tokens(self, encoder: RecurrentEncoder) -> Tokens | None:
        """Blank steps are no tokens."""
        return None if self._delay else super()._tokens(encoder)

    def _vectors(self, values: Array) -> Tensor:
        given = super()._vectors(values)
        if given.is_floating_point() or not self._delay:
            return given
        return cast("Tensor", self._embedding(given.unsqueeze(1))[:, 0])

    def answer(self, batch: Sequence[Reading], hidden: list[Tensor], own: Tensor) -> tuple[list[list[Answer]], Tensor]:
        kept, wanted = own.clone(), list[Tensor]()
        for row, (one, read) in enumerate(zip(batch, hidden, strict=True)):
            owed = max(self._delay - int(kept[row, -1]), 0)
            answered = read[owed:]
            wanted.append(answered[first_answer(one, len(answered)) :])
            if len(read):
                kept[row, :-1] = read[-1]
                kept[row, -1] = min(float(kept[row, -1]) + len(read), self._delay + 1)
        said = iter(self._said(torch.cat(wanted)))
        return [[next(said) for _ in range(len(part))] for part in wanted], kept

    @torch.inference_mode()
    def peek(self, state: Array) -> Answer:
        """The last answer."""
        own = torch.from_numpy(state[self._layers.state_size :].copy())
        return self._said(own[:-1].unsqueeze(0))[0] if own[-1] > self._delay else {}

    @torch.inference_mode()
    def finish(self, state: Array) -> list[Answer]:
        own = torch.from_numpy(state[self._layers.state_size :].copy())
        read = int(own[-1])
        if not self._delay or not read:
            return []
        layers = torch.from_numpy(state[: self._layers.state_size].copy()).unsqueeze(0)
        blank = torch.zeros(self._delay, width_of(self._embedding), dtype=layers.dtype)
        (hidden,), _ = self._layers.run([blank], layers)
        return self._said(hidden[max(self._delay - read, 0) :])

    def _said(self, hidden: Tensor) -> list[Answer]:
        if not len(hidden):
            return []
        outputs, head, target = self._read(hidden), self._model.head, self.features.sequence_target
        decoded = list(target.decode(np.asarray(head.point(outputs).numpy())))
        if self._model.kind != "tags":
            return [{"values": one} for one in decoded]
        if type(head) is not Softmax:
            return [{"tag": tag} for tag in decoded]
        sure = outputs.softmax(1).amax(1).tolist()
        return [{"tag": tag, "probability": share} for tag, share in zip(decoded, sure, strict=True)]
