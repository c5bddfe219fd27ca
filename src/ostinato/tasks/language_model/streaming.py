"""A language model in sessions: what each token cost, what is likely next, and text drawn from where it stands."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from ostinato.arrays import Array, Ids
from ostinato.data.dataset import Features
from ostinato.data.vocabulary import END_ID, UNK_ID
from ostinato.errors import RecipeError, RowError, RunError
from ostinato.heads.sampling import Sampling, next_token
from ostinato.nn.rowwise import rowwise
from ostinato.recipe import Recipe
from ostinato.tasks.encoder_streaming import EncoderStreaming, first_answer
from ostinato.tasks.generation import USUAL_LENGTH, GenerateOptions, OpenRun
from ostinato.tasks.intervened import read_changed, write_changed
from ostinato.tasks.intervening import edits_of, later
from ostinato.tasks.language_model.model import LanguageModel
from ostinato.tasks.language_model.stream import BANNED
from ostinato.tasks.signature import TensorSpec, float_name
from ostinato.tasks.streaming import Answer, Read, Reading, Steps, Writing, WritingModel, Written

_LIKELY = 10
_WRITTEN_AT_ONCE = 64
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
        self._token = lru_cache(4096)(self._decoded)  # of this model: one for all would keep every model

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
        return super().encode(given)

    def _encoded(self, given: Any) -> Steps:
        unseen = self.features.text.unseen(given)
        if unseen:
            shown = ", ".join(repr(token) for token in unseen[:10])
            raise RowError(f"the text holds what the model never saw: {shown}.", hint="leave it out")
        steps = super()._encoded(given)
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
            nothing = own.new_zeros(1, 0, self._layers.output_size)
            return self._answers([Reading(piece.cut(0, 1), state, "each")], ids.unsqueeze(1), nothing, own)[0]

    def answer(self, batch: Sequence[Reading], hidden: list[Tensor], own: Tensor) -> tuple[list[list[Answer]], Tensor]:
        if all(len(one.steps) == 1 for one in batch):  # as most sessions read
            ids = torch.from_numpy(np.array([one.steps.values for one in batch], dtype=np.int64)).t()
            return self._answers_to_one(batch, ids, own), self._after(own, ids, torch.cat(hidden))
        kept, answers = own.clone(), [list[Answer]() for _ in batch]
        alike: dict[int, list[int]] = {}
        for row, one in enumerate(batch):
            alike.setdefault(len(one.steps), []).append(row)
        for length, rows in alike.items():
            if not length:
                continue
            some = [batch[row] for row in rows]
            ids = torch.from_numpy(np.stack([one.steps.values for one in some], axis=1).astype(np.int64))  # (L, n)
            read = torch.stack([hidden[row] for row in rows])  # (n, L, P)
            for row, said in zip(rows, self._answers(some, ids, read, own[rows]), strict=True):
                answers[row] = said
            kept[rows] = self._after(own[rows], ids, read[:, -1])
        return answers, kept

    def _answers(self, some: list[Reading], ids: Tensor, hidden: Tensor, own: Tensor) -> list[list[Answer]]:
        """-ln p of each token asked for, of rows that read as many.

        Args:
            some: n of them.
            ids: (L, n).
            hidden: (n, L, P), after each; what is after the last is not read.
            own: (n, size), what was kept.
        """
        length = len(ids)
        first = [first_answer(one, length) for one in some]
        asked = [(row, step) for row, start in enumerate(first) for step in range(start, length)]
        if not asked:
            return [[] for _ in some]
        rows, steps = (torch.tensor(part) for part in zip(*asked, strict=True))
        before = own[:, self._places["hidden"]].unsqueeze(1)
        read = torch.cat([before, hidden[:, : length - 1]], dim=1)[rows, steps]
        costs = self._nll(read, self._contexts(own, ids)[steps, rows], ids[steps, rows]).tolist()
        begun, tokens = own[:, self._places["begun"]].flatten().tolist(), ids[steps, rows].tolist()
        answers: list[list[Answer]] = [[] for _ in some]
        for (row, step), token, cost in zip(asked, tokens, costs, strict=True):
            answers[row].append({"token": self._token(token), "nll": cost if begun[row] or step else None})
        return answers

    def _answers_to_one(self, some: Sequence[Reading], ids: Tensor, own: Tensor) -> list[list[Answer]]:
        """As `_answers` of one step each, ids (1, n)."""
        if all(one.answers == "none" for one in some):
            return [[] for _ in some]
        costs = self._nll(own[:, self._places["hidden"]], self._contexts(own, ids)[0], ids[0]).tolist()
        told = zip(ids[0].tolist(), own[:, self._places["begun"]].flatten().tolist(), costs, strict=True)
        each = [[{"token": self._token(token), "nll": cost if begun else None}] for token, begun, cost in told]
        return [said if one.answers != "none" else [] for said, one in zip(each, some, strict=True)]

    def _nll(self, read: Tensor, contexts: Tensor, ids: Tensor) -> Tensor:
        """(M,), some at a time."""
        size = max(1, _SCORES_AT_ONCE // self._model.output.out_features)
        if ids.shape[0] > size:
            halves = [torch.split(part, size) for part in (read, contexts, ids)]
            return torch.cat([self._nll(*part) for part in zip(*halves, strict=True)])
        return -self._scores(read, contexts).log_softmax(-1).gather(1, ids.unsqueeze(1))[:, 0]

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
        """(L + 1, n, order): before the first of `ids` (L, n), and after each."""
        ngrams = self._model.ngrams
        if ngrams is None:
            return torch.zeros(len(ids) + 1, ids.shape[1], 0)
        history = own[:, self._places["ngrams.tokens"]] if self._order > 1 else own.new_zeros(len(own), 1)
        earlier = torch.cat([history.new_zeros(len(own), 1), history[:, :-1]], dim=1)[:, : self._order - 1]
        read = torch.cat([history[:, -1:].long().t(), ids])
        return ngrams.contexts_of(read, earlier.unsqueeze(0))[0].view(len(ids) + 1, ids.shape[1], -1)

    def _after(self, own: Tensor, ids: Tensor, hidden: Tensor) -> Tensor:
        """What is kept (n, size) after `ids` (L, n), the last layer's output then being (n, P)."""
        kept = own.clone()
        kept[:, self._places["hidden"]] = hidden
        kept[:, self._places["begun"]] = 1.0
        if self._order > 1:
            tokens = self._places["ngrams.tokens"]
            kept[:, tokens] = torch.cat([own[:, tokens], ids.t().to(own)], dim=1)[:, 1 - self._order :]
        if self._interval:
            kept[:, self._places["position"]] += len(ids)
        return kept

    # ---- what comes next --------------------------------------------------------------------------------------------
    @torch.inference_mode()
    def peek(self, state: Array) -> Answer:
        """The likeliest next tokens, with their probabilities."""
        if not self.named(state)["begun"][0]:
            return {"next": []}
        shares = self._next([state])[0].softmax(-1)
        found = shares.topk(min(_LIKELY, len(shares)))
        pairs = zip(found.indices.tolist(), found.values.tolist(), strict=True)
        return {"next": [{"token": self._token(token), "probability": share} for token, share in pairs]}

    def _next(self, states: Sequence[Array]) -> Tensor:
        """(n, V): the scores of the token after each of so many states."""
        own = torch.cat([self._own(state) for state in states])
        contexts = self._contexts(own, torch.zeros(0, len(own), dtype=torch.long))[0]
        return self._scores(own[:, self._places["hidden"]], contexts)

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
            scores = self._next([states[row] for row in going])
            if scores.isnan().any():
                raise RunError("the model's scores are not numbers.")
            scores[:, list(BANNED)] = -torch.inf
            for row, one in zip(going, scores, strict=True):
                token = next_token(one.unsqueeze(0), uniforms[row][number : number + 1], sampling[row])
                drawn[row].append(int(token))
            pieces = [Reading(_steps(drawn[row][-1:]), states[row], "none") for row in going]
            for row, after in zip(going, self.read(pieces), strict=True):
                states[row] = after.state
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
        """(1, size): what is kept beside the layers' states."""
        own = torch.from_numpy(state[self._layers.state_size :].copy()).unsqueeze(0)
        if not own[0, self._places["begun"]]:
            raise RecipeError("there is nothing to go on from: the session has read no token.")
        return own

    def _decoded(self, token: int) -> str:
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


def changed_chunks(run: OpenRun, prompt: Ids, options: GenerateOptions) -> Iterator[Ids]:
    """What is written after a prompt with units or gates changed, by the random numbers of what is written untouched;
    mistakes are raised at once.

    Args:
        run: of a language model.
        prompt: encoded, as `encode_prompt` does.
        options: with `intervene`.

    Raises:
        RecipeError: for options out of range, or that don't apply.
    """
    for name in ("cache", "dynamic", "precision"):
        if options.given(name):
            raise RecipeError(
                f"`{options.shown(name)}` does not apply with `{options.shown('intervene')}`: leave it out."
            )
    count = USUAL_LENGTH if options.max_new_tokens is None else options.max_new_tokens
    sampling = Sampling(options.temperature, options.top_k, options.top_p)
    model, edits = LanguageModelStreaming(run.model, run.features, run.recipe), edits_of(options.intervene)
    begun = Steps(prompt[1:] if run.features.documents else prompt)
    _uniforms(Writing(np.zeros(0), count))

    def chunks() -> Iterator[Ids]:
        read = read_changed(model, Reading(begun, model.zero(), "none"), edits)
        how = Writing(read.state, count, sampling.temperature, sampling.top_k, sampling.top_p, options.seed)
        for written in write_changed(model, how, later(edits, len(begun)), _WRITTEN_AT_ONCE):
            yield cast("Ids", written.steps.values)

    return chunks()


def _steps(tokens: list[int]) -> Steps:
    return Steps(np.asarray(tokens, dtype=np.int32))


def _uniforms(one: Writing) -> Tensor:
    """(max_new_tokens,), the next ones of the seed's sequence."""
    if one.max_new_tokens < 1:
        raise RecipeError(f"`max_new_tokens` must be a positive integer. Received: {one.max_new_tokens}.")
    generator = torch.Generator().manual_seed(one.seed)
    found = torch.rand(one.drawn + one.max_new_tokens, dtype=torch.float64, generator=generator)
    return found[one.drawn :]
