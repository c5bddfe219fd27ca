"""What is left unused, on texts and models where it is known."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ostinato.tasks.language_model.model import LanguageModel
from ostinato.tasks.language_model.recipe import LanguageModelRecipe
from ostinato.tasks.language_model.unused import unused_context


def _model(vocab_size: int) -> LanguageModel:
    torch.manual_seed(0)
    return LanguageModel(LanguageModelRecipe(embedding_dim=4, hidden_size=6, cell="gru"), vocab_size).eval()


@pytest.mark.parametrize("restart", [None, 3])
def test_the_loss_is_that_of_the_model_as_it_was_trained(restart: int | None) -> None:
    model, values = _model(6), np.random.default_rng(0).integers(0, 6, 60).astype(np.int32)
    found = unused_context(model, values, 10, restart=restart)
    ids = torch.from_numpy(values.astype(np.int64))
    nll = []
    with torch.no_grad():
        for place in range(9, 59):
            begin = 0 if restart is None else place - place % restart
            logits, _ = model(ids[begin : place + 1, None])
            nll.append(-float(logits[-1, 0].log_softmax(0)[ids[place + 1]]))
    assert found.num_tokens == 50
    assert found.loss == pytest.approx(float(np.mean(nll)), rel=1e-5)


def test_a_model_that_knows_nothing_leaves_the_lag_unused_that_tells_all() -> None:
    random = np.random.default_rng(0)
    letters = list(random.integers(0, 4, 7))
    while len(letters) < 6000:
        letters.append(letters[-7] if random.random() < 0.7 else int(random.integers(0, 4)))
    model = _model(4)
    with torch.no_grad():
        model.output.weight.zero_()
        model.output.bias.zero_()
    found = unused_context(model, np.array(letters, dtype=np.int32), 30)
    assert found.stands_out(0, 0.005, 8.0) == 7
    p = np.array([0.7 + 0.3 / 4, *[0.3 / 4] * 3])
    gain = 0.5 * 4 * float(((p - 0.25) ** 2).sum()) / (0.25 * 0.75)  # the test's own measure, of sixteen pairs
    assert found.gain[6] == pytest.approx(gain * 0.25, rel=0.1)
    noise = unused_context(model, random.integers(0, 4, 6000).astype(np.int32), 30)
    assert noise.stands_out(0, 0.0, 8.0) is None
