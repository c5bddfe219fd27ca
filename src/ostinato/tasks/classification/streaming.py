"""A classifier in sessions: the running answer, its pooling kept as running sums."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ostinato.arrays import Array
from ostinato.data.dataset import Features
from ostinato.heads.classes import Deciding, Softmax
from ostinato.metrics.prediction import Prediction
from ostinato.nn.pooling import AttentionPooling
from ostinato.nn.rowwise import rowwise
from ostinato.recipe import Recipe
from ostinato.tasks.classification.evaluation import decided
from ostinato.tasks.classification.model import Classifier
from ostinato.tasks.signature import TensorSpec, float_name
from ostinato.tasks.streaming import Answer, EncoderStreaming, Reading, first_answer, no_stream


class ClassifierStreaming(EncoderStreaming):
    """After every step what the model would answer if the row ended there; nothing before the first one.

    Raises:
        RunError: for a model that needs a whole row, with the reason.
    """

    def __init__(self, model: nn.Module, features: Features, recipe: Recipe) -> None:
        if not isinstance(model, Classifier):
            raise no_stream("several networks answer as one", "train one: --set model.members=1")
        if model.convolution is not None or model.kernels is not None:
            raise no_stream(
                "its convolutions read ahead",
                "train one without: --set model.convolution.channels=[] --set model.random_kernels=0",
            )
        if model.ngrams is not None:
            raise no_stream("it counts each n-gram of a row once", "train one without: --set model.ngrams=0")
        size, dtype = model.encoder.output_size, float_name(model)
        self._modes: list[_Mode] = [_MODES[mode](size, model.pooling.attention) for mode in model.pooling.modes]
        own = [
            TensorSpec(f"pooling.{mode}", dtype, (one.size,))
            for mode, one in zip(model.pooling.modes, self._modes, strict=True)
        ]
        super().__init__(model, features, recipe, model.encoder, [*own, TensorSpec("read", dtype, (1,))])
        self._model, self._read = model, rowwise(nn.Sequential(model.hidden, model.output))

    def answer(self, batch: Sequence[Reading], hidden: list[Tensor], own: Tensor) -> tuple[list[list[Answer]], Tensor]:
        kept, pooled = own.clone(), list[Tensor]()
        for row, (one, read) in enumerate(zip(batch, hidden, strict=True)):
            pooled.append(self._absorb(read, kept[row], first_answer(one, len(read))))
        said = iter(self._said(torch.cat(pooled)))
        return [[next(said) for _ in range(len(part))] for part in pooled], kept

    def _absorb(self, read: Tensor, own: Tensor, first: int) -> Tensor:
        """(L, P) pooled up to each step from `first` on, (L - first, F); `own` is what was pooled before, and, in
        place, after."""
        begun, pooled = float(own[-1]), list[Array]()
        for mode, part in zip(self._modes, self._parts_of(own), strict=True):
            found, after = mode.absorb(read.numpy(), part.numpy(), begun, first)
            pooled.append(found)
            part.copy_(torch.from_numpy(after))
        own[-1] += len(read)
        return torch.from_numpy(np.concatenate(pooled, axis=1))

    def _parts_of(self, own: Tensor) -> Iterator[Tensor]:
        at = 0
        for mode in self._modes:
            yield own[at : at + mode.size]
            at += mode.size

    @torch.inference_mode()
    def peek(self, state: Array) -> Answer:
        own = torch.from_numpy(state[self._layers.state_size :].copy())
        if not own[-1]:
            return {}
        parts = zip(self._modes, self._parts_of(own), strict=True)
        pooled = np.concatenate([mode.pooled(part.numpy(), float(own[-1])) for mode, part in parts])
        return self._said(torch.from_numpy(pooled).unsqueeze(0))[0]

    def _said(self, pooled: Tensor) -> list[Answer]:
        """Row by row, where what is vectorised rounds by the place of a value."""
        head = self._model.head
        outputs = self._read(pooled).float()
        if type(head) is Softmax or not len(outputs):  # along a row
            answers = head.answers(outputs).numpy()
        else:
            answers = torch.cat([head.answers(row.unsqueeze(0)) for row in outputs]).numpy()
        found = [Prediction(**self.features.row_target.said(answer)) for answer in answers]
        if isinstance(head, Deciding) and found:
            found = decided(found, answers, head.decisions, self.features)
        return [one.to_dict() for one in found]


class _Mode:
    """A pooling, step by step: what it keeps has `size` numbers. Sums are made in the order of the steps, so that it
    does not matter how these are cut into pieces."""

    def __init__(self, width: int, attention: AttentionPooling | None) -> None:
        self.width, self.size = width, width

    def absorb(self, read: Array, before: Array, begun: float, first: int) -> tuple[Array, Array]:
        """(L, P) to what is pooled up to each step from `first` on, (L - first, P), and what is kept after the last."""
        if not len(read):
            return read, before
        kept = self.walk(read, before, begun)
        pooled = [self.pooled(kept[step], begun + step + 1) for step in range(first, len(read))]
        return np.stack(pooled) if pooled else read[:0], kept[-1]

    def walk(self, read: Array, before: Array, begun: float) -> Array:
        """What is kept after each step, (L, size)."""
        return read

    def pooled(self, kept: Array, count: float) -> Array:
        """(P,) of what is kept after `count` steps."""
        return kept


class _Mean(_Mode):
    def walk(self, read: Array, before: Array, begun: float) -> Array:
        return np.cumsum(np.concatenate([before[None], read]), axis=0, dtype=read.dtype)[1:]

    def pooled(self, kept: Array, count: float) -> Array:
        found: Array = kept / kept.dtype.type(count)
        return found


class _Max(_Mode):
    def walk(self, read: Array, before: Array, begun: float) -> Array:
        first = before[None] if begun else read[:1]
        found: Array = np.maximum.accumulate(np.concatenate([first, read]), axis=0)
        return found[1:]


class _Attention(_Mode):
    """Weighted sum, sum of weights, both divided by exp of the largest score, which comes last."""

    def __init__(self, width: int, attention: AttentionPooling | None) -> None:
        super().__init__(width, attention)
        self.size = width + 2
        pool: Any = attention
        self._key, self._query = rowwise(pool.key), rowwise(pool.query)

    def walk(self, read: Array, before: Array, begun: float) -> Array:
        with torch.inference_mode():
            keys = torch.stack([torch.tanh(key) for key in self._key(torch.from_numpy(read))])
            scores = self._query(keys).numpy()[:, 0]
        kept, found = before, []
        for step, score in zip(read, scores, strict=True):
            largest = score if not begun else max(kept[-1], score)
            fade = np.exp(kept[-1] - largest) if begun else kept.dtype.type(0)
            weight, begun = np.exp(score - largest), 1.0
            kept = np.concatenate([kept[:-2] * fade + weight * step, [kept[-2] * fade + weight, largest]])
            kept = kept.astype(read.dtype)
            found.append(kept)
        return np.stack(found)

    def pooled(self, kept: Array, count: float) -> Array:
        found: Array = kept[:-2] / kept[-2]
        return found


_MODES: dict[str, type[_Mode]] = {"last": _Mode, "mean": _Mean, "max": _Max, "attention": _Attention}
