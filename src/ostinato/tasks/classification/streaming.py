"""A classifier in sessions: the running answer, its pooling kept as running sums."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor, nn

from ostinato.arrays import Array
from ostinato.data.dataset import Features
from ostinato.heads.build import RowHead
from ostinato.heads.classes import Deciding, Softmax
from ostinato.metrics.prediction import Prediction
from ostinato.nn.pooling import AttentionPooling
from ostinato.nn.rowwise import rowwise
from ostinato.recipe import Recipe
from ostinato.tasks.classification.blended import Blended
from ostinato.tasks.classification.ensemble import Ensemble
from ostinato.tasks.classification.evaluation import decided
from ostinato.tasks.classification.model import Classifier
from ostinato.tasks.encoder_streaming import EncoderStreaming, first_answer
from ostinato.tasks.intervening import Edit
from ostinato.tasks.signature import TensorSpec, float_name
from ostinato.tasks.streaming import Answer, Read, Reading, Steps, StreamingModel, no_stream


class ClassifierStreaming(EncoderStreaming):
    """After every step what the model would answer if the row ended there; nothing before the first one.

    Raises:
        RunError: for a model that needs a whole row, with the reason.
    """

    def __init__(self, model: Classifier, features: Features, recipe: Recipe) -> None:
        if model.convolution is not None or model.kernels is not None:
            raise no_stream(
                "its convolutions read ahead",
                "train one without: --set model.convolution.channels=[] --set model.random_kernels=0",
            )
        refuse_ngrams(model)
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
        said = iter(self.said(self._read(torch.cat(pooled)).float()))
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
        return self.said(self._read(torch.from_numpy(pooled).unsqueeze(0)).float())[0]

    def said(self, outputs: Tensor) -> list[Answer]:
        """What outputs (M, K) mean."""
        return meant(outputs, self._model.head, self.features)


class _Member(ClassifierStreaming):
    """One of several networks: its answers are outputs, which are averaged before they mean anything."""

    def said(self, outputs: Tensor) -> list[Answer]:
        return [{"outputs": one} for one in outputs]


class EnsembleStreaming(StreamingModel):
    """Several networks that answer as one, their states side by side.

    Raises:
        RunError: for members that need a whole row, with the reason.
    """

    def __init__(self, model: Ensemble, features: Features, recipe: Recipe) -> None:
        refuse_ngrams(model)
        if model.kernels is not None:
            raise no_stream("its convolutions read ahead", "train one without: --set model.random_kernels=0")
        answering = model.classifiers[: model.num_answering]
        self._members: list[ClassifierStreaming] = [_Member(one, features, recipe) for one in answering]
        self._head, self.features, self.dtype = model.head, features, self._members[0].dtype
        self.states = tuple(
            replace(spec, name=f"members.{number}.{spec.name}")
            for number, member in enumerate(self._members)
            for spec in member.states
        )
        self._size = self._members[0].state_size

    def zero(self) -> Array:
        return np.concatenate([member.zero() for member in self._members])

    def encode(self, given: Any) -> Steps:
        return self._members[0].encode(given)

    def changed(self, edits: Sequence[Edit]) -> Self:
        """Of the first network, whose states are shown."""
        found = copy.copy(self)
        found._members = [self._members[0].changed(edits), *self._members[1:]]
        return found

    def read(self, batch: Sequence[Reading]) -> list[Read]:
        found = [
            member.read([one._replace(state=one.state[self._of(number)]) for one in batch])
            for number, member in enumerate(self._members)
        ]
        return [
            Read(
                np.concatenate([one.state for one in several]),
                [self._said(answers) for answers in zip(*(one.answers for one in several), strict=True)],
            )
            for several in zip(*found, strict=True)
        ]

    def peek(self, state: Array) -> Answer:
        answers = [member.peek(state[self._of(number)]) for number, member in enumerate(self._members)]
        return self._said(answers) if all(answers) else {}

    def _of(self, member: int) -> slice:
        return slice(member * self._size, (member + 1) * self._size)

    @torch.inference_mode()
    def _said(self, answers: Sequence[Answer]) -> Answer:
        """Of one step, by itself: what is vectorised rounds by the place of a value."""
        outputs = torch.stack([one["outputs"] for one in answers]).unsqueeze(1)
        return meant(self._head.mixture(outputs), self._head, self.features)[0]


def meant(outputs: Tensor, head: RowHead, features: Features) -> list[Answer]:
    """What outputs (M, K) mean; row by row, where what is vectorised rounds by the place of a value."""
    if type(head) is Softmax or not len(outputs):  # along a row
        answers = head.answers(outputs).numpy()
    else:
        answers = torch.cat([head.answers(row.unsqueeze(0)) for row in outputs]).numpy()
    found = [Prediction(**features.row_target.said(answer)) for answer in answers]
    if isinstance(head, Deciding) and found:
        found = decided(found, answers, head.decisions, features)
    return [one.to_dict() for one in found]


def refuse_ngrams(model: Blended) -> None:
    """Raises `RunError` for a model whose linear score is of a whole row."""
    if model.ngrams is not None:
        raise no_stream("it counts each n-gram of a row once", "train one without: --set model.ngrams=0")


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
