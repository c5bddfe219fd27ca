"""A language model read and continued token by token, for many texts at once."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor

from ostinato.data.vocabulary import PAD_ID, UNK_ID
from ostinato.errors import RunError
from ostinato.heads.sampling import Sampling, next_token
from ostinato.kernels.native_stream import Tokens
from ostinato.nn import RecurrentStack
from ostinato.nn.stream import core_stream
from ostinato.tasks.language_model.model import LanguageModel
from ostinato.types import State

BANNED = (PAD_ID, UNK_ID)


class TokenStream:
    """A language model in evaluation, its state kept from call to call. `<pad>` and `<unk>` are never drawn.

    Where its layers run natively, embedding, layers, output and sampling are one loop in the core, which returns to
    Python only at the end of a call; with `model.ngrams` or a cache, after every token that is drawn. Elsewhere the
    model runs step by step. The numbers that choose come from the same generator either way, so that the same seed
    writes the same text, up to rounding.

    Args:
        model: its weights are taken as they are now.
        num_rows: N, texts at once; with a cache one.
        precision: `full`, or `int8` as `nn.Stream` has it.

    Raises:
        BackendError: if `int8` can't run.
    """

    def __init__(self, model: LanguageModel, num_rows: int = 1, precision: str = "full") -> None:
        self.model, self.num_rows = model, num_rows
        self._states: list[State] | None = None
        self._history = None if model.ngrams is None else model.ngrams.zero_state(num_rows)
        with torch.no_grad():
            weight, bias = model.projection()
            tokens = Tokens(model.encoder.token_embedding.vectors(), weight, bias, BANNED)
            self._core = core_stream(
                cast("list[RecurrentStack]", list(model.encoder.layers)), num_rows, precision, tokens
            )
        self._whole = self._core is not None and self._history is None and model.cache is None
        """Whether the core does all there is to do for a token."""

    @property
    def native(self) -> bool:
        """Whether the native core runs it."""
        return self._core is not None

    def reset(self) -> None:
        """Every text starts over, from zero states."""
        self._states = None
        if self.model.ngrams is not None:
            self._history = self.model.ngrams.zero_state(self.num_rows)
        if self._core is not None:
            zeros = [tuple(torch.zeros_like(part) for part in state) for state in self._core.states()]
            self._core.set_states(zeros)

    def read(self, ids: Tensor) -> Tensor:
        """Tokens (L, N) -> scores (L, N, V) of the token after each."""
        ids = ids.long()
        if self._core is None or not self._whole:
            return self._step(ids)
        scores = torch.empty(*ids.shape, self._core.vocab_size, dtype=self._core.dtype)
        self._core.run_tokens(ids.contiguous(), None, scores)
        return scores

    def skip(self, ids: Tensor) -> None:
        """Read tokens (L, N) without scores."""
        if len(ids):
            hidden, _ = self._read(ids.long())
            if self.model.cache is not None:
                self.model.cache.remember(hidden[:, 0], ids[:, 0].long())

    def draw(
        self, ids: Tensor, count: int, generator: torch.Generator, sampling: Sampling, end: int | None = None
    ) -> Tensor:
        """Reads `ids` (N,), then draws `count` tokens a row, each read before the next: (L', N).

        The last ones drawn are not read yet: pass them as `ids` to continue.

        Args:
            ids: (N,).
            count: L.
            generator: on the CPU; gives one number in [0, 1) for each token.
            sampling: how to draw.
            end: the token that ends a row; L' < L once every row has ended, and a row that ended repeats it.

        Raises:
            RunError: if the model's scores are not numbers.
        """
        uniforms = torch.rand(count, self.num_rows, dtype=torch.float64, generator=generator)
        ids = ids.long()
        if self._core is None or not self._whole:
            return self._draw(ids, uniforms, sampling, end)
        try:
            return self._core.draw(
                ids.contiguous(),
                uniforms,
                temperature=sampling.temperature,
                top_k=sampling.top_k,
                top_p=sampling.top_p,
                end=end,
            )
        except ArithmeticError as error:
            raise _not_numbers() from error

    def _draw(self, ids: Tensor, uniforms: Tensor, sampling: Sampling, end: int | None) -> Tensor:
        drawn: list[Tensor] = []
        for each in uniforms:
            scores = self._step(ids.unsqueeze(0))[0]
            if scores.isnan().any():
                raise _not_numbers()
            scores[:, list(BANNED)] = -torch.inf
            after = next_token(scores, each, sampling).cpu()
            ids = after if end is None or not drawn else torch.where(drawn[-1] == end, end, after)
            drawn.append(ids)
            if end is not None and bool((ids == end).all()):
                break
        return torch.stack(drawn)

    @torch.no_grad()
    def _step(self, ids: Tensor) -> Tensor:
        """Scores (L, N, V) after each of `ids`."""
        hidden, contexts = self._read(ids)
        known = None
        if self.model.ngrams is not None and contexts is not None:
            known = self.model.ngrams(contexts).view(*ids.shape, -1)
        scores = self.model.scores(hidden, known)
        if self.model.cache is None:
            return scores
        return self.model.cache.mix(scores[:, 0], hidden[:, 0], ids[:, 0].to(hidden.device)).unsqueeze(1)

    @torch.no_grad()
    def _read(self, ids: Tensor) -> tuple[Tensor, Tensor | None]:
        """The last layer's output (L, N, P) after each of `ids`, and the n-grams' contexts there, (L * N, order)."""
        self.model.eval()
        ids, contexts = ids.to(self.model.encoder.device), None
        if self._core is None:
            hidden, self._states = self.model.encoder(ids, self._states)
        else:
            hidden = torch.empty(*ids.shape, self._core.output_size, dtype=self._core.dtype)
            self._core.run_tokens(ids.contiguous(), hidden)
        if self.model.ngrams is not None and self._history is not None:
            contexts, self._history = self.model.ngrams.contexts_of(ids, self._history)
        return hidden, contexts


def _not_numbers() -> RunError:
    return RunError("the model's scores are not numbers.", hint="its weights hold NaN or infinity: train it again")
