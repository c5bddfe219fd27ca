"""A language model in sessions: what each token cost, what is likely next, and text drawn from where it stands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ostinato.arrays import Array
from ostinato.data.dataset import Features
from ostinato.data.vocabulary import END_ID, UNK_ID
from ostinato.errors import RecipeError, RowError, RunError
from ostinato.heads.sampling import Sampling, next_token
from ostinato.nn.rowwise import rowwise
from ostinato.recipe import Recipe
from ostinato.tasks.language_model.model import LanguageModel
from ostinato.tasks.language_model.stream import BANNED
from ostinato.tasks.signature import TensorSpec, float_name
from ostinato.tasks.streaming import (
    Answer,
    EncoderStreaming,
    Read,
    Reading,
    Steps,
    Writing,
    WritingModel,
    Written,
    first_answer,
)

_LIKELY = 10
_SCORES_AT_ONCE = 1 << 24


class LanguageModelStreaming(EncoderStreaming, WritingModel):
    """Reads text in pieces, `{"token", "nll"}` of each token in nats, and writes from any state.

    `nll` is -ln p(token | all before it); the first token of a text that begins with nothing has none. A model of
    documents begins after the `<end>` of a document, as in training; one trained with states that begin anew at an
    interval does so here, too.
    """

    def __init__(self, model: LanguageModel, features: Features, recipe: Recipe) -> None:
        dtype, own = float_name(model), [("hidden", model.encoder.output_size), ("begun", 1)]
        bptt = recipe.training.bptt
        self._interval = bptt.state_reset_interval if bptt else None
        self._order = 0 if model.ngrams is None else model.ngrams.order
        own += [("position", 1)] if self._interval else []
        own += [("ngrams.tokens", self._order - 1)] if self._order > 1 else []
        super().__init__(
            model, features, recipe, model.encoder, [TensorSpec(name, dtype, (size,)) for name, size in own]
        )
        self._model = rowwise(model)
        self._places = dict(self._ranges(own))

    @staticmethod
    def _ranges(own: list[tuple[str, int]]) -> list[tuple[str, slice]]:
        ends = np.cumsum([size for _, size in own]).tolist()
        return [(name, slice(end - size, end)) for (name, size), end in zip(own, ends, strict=True)]

    def zero(self) -> Array:
        nothing = super().zero()
        if not self.features.documents:
            return nothing
        return super().read([Reading(Steps(np.asarray([END_ID], dtype=np.int32)), nothing, "none")])[0].state

    def encode(self, given: Any) -> Steps:
        if not isinstance(given, str) or not given:
            raise RowError(f"a step must be a text that is not empty. Received: {given!r:.60}.")
        unseen = self.features.text.unseen(given)
        if unseen:
            shown = ", ".join(repr(token) for token in unseen[:10])
            raise RowError(f"the text holds what the model never saw: {shown}.", hint="leave it out")
        steps = super().encode(given)
        if UNK_ID in steps.values:
            raise RowError(f"the text {given!r:.60} holds tokens that the model never saw.", hint="leave them out")
        return steps

    def read(self, batch: Sequence[Reading]) -> list[Read]:
        """Piece by piece, where states begin anew."""
        if not self._interval:
            return super().read(batch)
        states, done = [one.state for one in batch], [0] * len(batch)
        answers: list[list[Answer]] = [[] for _ in batch]
        while rows := [row for row, one in enumerate(batch) if done[row] < len(one.steps)]:
            pieces, crossed = [], dict[int, list[Answer]]()
            for row in rows:
                state, left = self._begun_anew(states[row])
                piece = batch[row].steps.cut(done[row], done[row] + left)
                if state is not states[row]:  # the token after a state is still told by that one
                    crossed[row] = self._first_answer(piece, batch[row], states[row])
                pieces.append(Reading(piece, state, batch[row].answers))
                done[row] += len(piece)
            for row, after in zip(rows, super().read(pieces), strict=True):
                said, first = after.answers, crossed.get(row, [])
                if first and len(said) == len(pieces[rows.index(row)].steps):
                    said = [*first, *said[1:]]
                states[row] = after.state
                answers[row] = [*answers[row], *said] if batch[row].answers == "each" else said
        return [Read(state, said) for state, said in zip(states, answers, strict=True)]

    def _begun_anew(self, state: Array) -> tuple[Array, int]:
        """The state that the next token is read in, and how many are read before it begins anew."""
        interval, position = int(self._interval or 0), int(self.named(state)["position"][0])
        if position < interval:
            return state, interval - position
        kept = {name: part for name, part in self.named(state).items() if name in ("hidden", "begun")}
        zeros = self.named(np.zeros_like(state))
        return self.joined({**zeros, **kept}), interval

    def _first_answer(self, piece: Steps, one: Reading, state: Array) -> list[Answer]:
        if one.answers == "none":
            return []
        ids = torch.from_numpy(piece.values[:1].astype(np.int64))
        with torch.inference_mode():
            own = self._own(state)
            return self._answers(Reading(piece.cut(0, 1), state, "each"), ids, own[:0].view(0, 0), own)

    def answer(self, batch: Sequence[Reading], hidden: list[Tensor], own: Tensor) -> tuple[list[list[Answer]], Tensor]:
        kept = own.clone()
        answers: list[list[Answer]] = []
        for row, one in enumerate(batch):
            ids = torch.from_numpy(one.steps.values.astype(np.int64))
            answers.append(self._answers(one, ids, hidden[row], kept[row]) if len(ids) else [])
            if len(ids):
                self._keep(kept[row], ids, hidden[row])
        return answers, kept

    def _answers(self, one: Reading, ids: Tensor, hidden: Tensor, own: Tensor) -> list[Answer]:
        """-ln p of each token asked for."""
        if one.answers == "none":
            return []
        before = own[self._places["hidden"]].unsqueeze(0)
        read = torch.cat([before, hidden[:-1]]) if len(ids) > 1 else before
        contexts = self._contexts(own, ids)[:-1]
        first = first_answer(one, len(ids))
        nll = self._nll(read[first:], contexts[first:], ids[first:])
        begun = bool(own[self._places["begun"]])
        tokens = [self._token(token) for token in ids[first:].tolist()]
        known = [begun or first + place > 0 for place in range(len(tokens))]
        return [
            {"token": token, "nll": cost if there else None}
            for token, cost, there in zip(tokens, nll.tolist(), known, strict=True)
        ]

    def _nll(self, read: Tensor, contexts: Tensor, ids: Tensor) -> Tensor:
        """(L,), some at a time."""
        size = max(1, _SCORES_AT_ONCE // self._model.output.out_features)
        parts = [
            -self._scores(read[at : at + size], contexts[at : at + size])
            .log_softmax(-1)
            .gather(1, ids[at : at + size].unsqueeze(1))[:, 0]
            for at in range(0, len(ids), size)
        ]
        return torch.cat(parts)

    def _scores(self, read: Tensor, contexts: Tensor) -> Tensor:
        """(M, V) from the last layer's output, and the contexts that end there."""
        if self._model.ngrams is None:
            return self._model.scores(read)
        known = self._model.ngrams(contexts)
        if not self._model.mixes:
            return self._model.scores(read, known)
        # the gate's sigmoid is vectorised over rows, and rounds by where a row stands: one by one
        return torch.cat([self._model.scores(read[row : row + 1], known[row : row + 1]) for row in range(len(read))])

    def _contexts(self, own: Tensor, ids: Tensor) -> Tensor:
        """(L + 1, order): before the first of `ids`, and after each."""
        ngrams = self._model.ngrams
        if ngrams is None:
            return torch.zeros(len(ids) + 1, 0)
        history = own[self._places["ngrams.tokens"]] if self._order > 1 else own[:0]
        last, before = history[-1:].long(), torch.cat([history.new_zeros(1), history[:-1]])[: self._order - 1]
        if self._order == 1:
            last = ids.new_zeros(1)
        read = torch.cat([last, ids]).unsqueeze(1)
        return ngrams.contexts_of(read, before.view(1, 1, -1))[0]

    def _keep(self, own: Tensor, ids: Tensor, hidden: Tensor) -> None:
        """What is known after `ids`, in place."""
        own[self._places["hidden"]] = hidden[-1]
        own[self._places["begun"]] = 1.0
        if self._order > 1:
            tokens = self._places["ngrams.tokens"]
            own[tokens] = torch.cat([own[tokens], ids.to(own)])[1 - self._order :]
        if self._interval:
            position = self._places["position"]
            own[position] += len(ids)

    # ---- what comes next --------------------------------------------------------------------------------------------
    @torch.inference_mode()
    def peek(self, state: Array) -> Answer:
        """The likeliest next tokens, with their probabilities."""
        own = torch.from_numpy(state[-sum(part.stop - part.start for part in self._places.values()) :])
        if not own[self._places["begun"]]:
            return {"next": []}
        shares = self._next(own).softmax(-1)
        found = shares.topk(min(_LIKELY, len(shares)))
        pairs = zip(found.indices.tolist(), found.values.tolist(), strict=True)
        return {"next": [{"token": self._token(token), "probability": share} for token, share in pairs]}

    def _next(self, own: Tensor) -> Tensor:
        """(V,)."""
        ids = torch.zeros(0, dtype=torch.long)
        return self._scores(own[self._places["hidden"]].unsqueeze(0), self._contexts(own, ids))[0]

    @torch.inference_mode()
    def write(self, batch: Sequence[Writing]) -> list[Written]:
        """Tokens drawn one after the other, each read before the next; the same seed writes what `generate` does."""
        sampling = [Sampling(one.temperature, one.top_k, one.top_p) for one in batch]
        uniforms = [_uniforms(one) for one in batch]
        states, drawn = [one.state for one in batch], [list[int]() for _ in batch]
        going = list(range(len(batch)))
        for number in range(max((one.max_new_tokens for one in batch), default=0)):
            going = [row for row in going if number < batch[row].max_new_tokens and END_ID not in drawn[row]]
            if not going:
                break
            for row in going:
                scores = self._next(self._own(states[row]))
                if scores.isnan().any():
                    raise RunError("the model's scores are not numbers.")
                scores[list(BANNED)] = -torch.inf
                token = next_token(scores.unsqueeze(0), uniforms[row][number : number + 1], sampling[row])
                drawn[row].append(int(token))
            pieces = [Reading(_steps(drawn[row][-1:]), states[row], "none") for row in going]
            for row, one in zip(going, self.read(pieces), strict=True):
                states[row] = one.state
        return [
            Written(
                states[row],
                _steps(drawn[row]),
                self._texts(drawn[row]),
                batch[row].drawn + len(drawn[row]),
                END_ID in drawn[row],
            )
            for row in range(len(batch))
        ]

    def _own(self, state: Array) -> Tensor:
        own = torch.from_numpy(state[self._layers.state_size :])
        if not own[self._places["begun"]]:
            raise RecipeError("there is nothing to go on from: the session has read no token.")
        return own

    def _token(self, token: int) -> str:
        return "<end>" if token == END_ID else self.features.text.decode(np.asarray([token], dtype=np.int32))

    def _texts(self, tokens: list[int]) -> list[str]:
        """What each token adds to the text; nothing where a character is not whole yet."""
        between = " " if self.features.text.recipe.unit == "words" else ""
        pieces, held = list[str](), list[int]()
        for token in tokens:
            held.append(token)
            text = self.features.text.decode(np.asarray(held, dtype=np.int32))
            whole = not text.endswith("\ufffd")
            pieces.append(between + text if whole and text else "")
            held = [] if whole else held
        return pieces


def _steps(tokens: list[int]) -> Steps:
    return Steps(np.asarray(tokens, dtype=np.int32))


def _uniforms(one: Writing) -> Tensor:
    """(max_new_tokens,), the next ones of the seed's sequence."""
    if one.max_new_tokens < 1:
        raise RecipeError(f"`max_new_tokens` must be a positive integer. Received: {one.max_new_tokens}.")
    generator = torch.Generator().manual_seed(one.seed)
    found = torch.rand(one.drawn + one.max_new_tokens, dtype=torch.float64, generator=generator)
    return found[one.drawn :]
