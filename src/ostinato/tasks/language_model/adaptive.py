"""A language model that goes on learning from the text it reads: dynamic evaluation, and a continuous cache."""

from __future__ import annotations

import copy
import math

import torch
from torch import Tensor, nn

from ostinato.arrays import Ids
from ostinato.errors import RecipeError, RunError
from ostinato.tasks.adaptation import Adaptation
from ostinato.tasks.generation import OpenRun
from ostinato.tasks.language_model.evaluation import window_nll
from ostinato.tasks.language_model.model import LanguageModel
from ostinato.wording import option


class NeuralCache:
    r"""What was read lately, and the state in which it came: a distribution over the next token.

    Of the last N tokens :math:`x_{i+1}` and the last layer's outputs :math:`h_i` before them

    .. math::
        p_c(w) \propto \sum_{i} [x_{i+1} = w] \exp(\theta \, h_t \cdot h_i) \qquad
        p = (1 - \lambda) \, p_m + \lambda \, p_c

    where p_m is the model's; before anything was read p = p_m. Source: Grave, Joulin and Usunier 2017,
    arXiv:1612.04426, with linear interpolation.

    Args:
        size: N, at least 1.
        theta: at least 0.
        share: λ, in (0, 1).
    """

    def __init__(self, size: int, theta: float, share: float) -> None:
        self.size, self.theta, self.share = size, theta, share
        self.clear()

    def clear(self) -> None:
        """Forget everything."""
        self._keys = self._tokens = self._last = torch.empty(0)

    def mix(self, logits: Tensor, hidden: Tensor, tokens: Tensor) -> Tensor:
        """ln p of the token after each of `tokens`, (M, V), which are then remembered.

        Args:
            logits: (M, V), of the model.
            hidden: (M, P), the last layer's outputs after `tokens`.
            tokens: (M,), one after the other, going on where the last call ended.
        """
        before = len(self._keys)
        keys, words = self._pairs(hidden, tokens)
        seen = torch.arange(len(tokens), device=keys.device) + before + len(self._last)  # pairs before each next token
        place = torch.arange(len(keys), device=keys.device)
        apart = (place >= seen.unsqueeze(1)) | (place < seen.unsqueeze(1) - self.size)
        scores = (self.theta * hidden.detach().to(keys) @ keys.t()).masked_fill(apart, -torch.inf)
        weights = scores.softmax(1).nan_to_num(0.0)  # (M, K); nothing seen yet: no weight
        cached = torch.zeros_like(logits, dtype=keys.dtype).scatter_add_(1, words.expand_as(weights), weights)
        own = logits.log_softmax(1)
        mixed = torch.logaddexp(own + math.log1p(-self.share), cached.log().to(own) + math.log(self.share))
        self._keep(keys, words, hidden)
        return torch.where(seen.unsqueeze(1) > 0, mixed, own)

    def remember(self, hidden: Tensor, tokens: Tensor) -> None:
        """Remember `tokens` (M,) without a distribution; `hidden` (M, P), as for `mix`."""
        self._keep(*self._pairs(hidden, tokens), hidden)

    def _pairs(self, hidden: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """What is remembered and the pairs of `tokens`: outputs (K, P), and the token after each, (K,)."""
        outputs = torch.cat([self._last.to(hidden), hidden[:-1]]) if len(self._last) else hidden[:-1]
        words = tokens[len(tokens) - len(outputs) :]
        if not len(self._keys):
            return outputs.detach(), words
        return torch.cat([self._keys, outputs.detach()]), torch.cat([self._tokens, words])

    def _keep(self, keys: Tensor, words: Tensor, hidden: Tensor) -> None:
        self._keys, self._tokens, self._last = keys[-self.size :], words[-self.size :], hidden[-1:].detach()


class DynamicEvaluation:
    r"""Weights that follow the text: after a segment was scored, one step on its mean loss, and a part of the way back.

    .. math::
        \theta \leftarrow \theta + \lambda (\theta_{trained} - \theta) - \eta \, g / (\sqrt{v} + \epsilon)

    where g is the gradient of the segment's mean loss and v the mean of its square. Source: Krause, Kahembwe, Murray
    and Renals 2018, arXiv:1709.07432, "RMS"; deviations: v is that of the text read so far (Adam's, without momentum)
    in place of the training data's, and the way back is the same share of every weight.

    Args:
        model: whose weights follow.
        rate: η, at least 0.
        decay: λ, in [0, 1).
    """

    SEGMENT = 20
    """Tokens of a segment."""

    def __init__(self, model: nn.Module, rate: float, decay: float) -> None:
        self.decay = decay
        self._weights = [weight for weight in model.parameters() if weight.requires_grad]
        self._trained = [weight.detach().clone() for weight in self._weights]
        self._optimiser = torch.optim.Adam(self._weights, lr=rate, betas=(0.0, 0.999))

    def update(self, loss: Tensor) -> None:
        """One step; `loss` is a mean of tokens.

        Raises:
            RunError: if the loss is no number.
        """
        if not bool(loss.isfinite()):
            rate = self._optimiser.param_groups[0]["lr"]
            raise RunError(
                f"dynamic evaluation at a rate of {rate:g} lost its way: the loss is {loss.item():g}.",
                hint=option("--dynamic", f"{rate / 10:g}"),
            )
        self._optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        with torch.no_grad():
            for weight, trained in zip(self._weights, self._trained, strict=True):
                weight.lerp_(trained, self.decay)
        self._optimiser.step()


def adapting(model: LanguageModel, how: Adaptation) -> LanguageModel:
    """A copy of a model that adapts to what it reads; the model itself stays as it is. Counts of n-grams are shared."""
    found = copy.deepcopy(model, {id(model.ngrams): model.ngrams})
    if how.dynamic:
        found.dynamic = DynamicEvaluation(found, how.dynamic, how.dynamic_decay)
    if how.cache:
        found.cache = NeuralCache(how.cache, how.cache_theta, how.cache_lambda)
    return found


def learn_from(run: OpenRun, prompt: Ids) -> None:
    """Have a run's model follow a prompt, by dynamic evaluation, before it goes on from there.

    Raises:
        RecipeError: for a prompt of which nothing can be learnt.
    """
    if len(prompt) < 2:
        raise RecipeError("`dynamic` learns from the prompt, which must have at least 2 tokens. Received: none or one.")
    for _ in window_nll(run.model, prompt, run.features, run.device, run.recipe.training.bptt):
        pass
    if run.model.cache is not None:
        run.model.cache.clear()
