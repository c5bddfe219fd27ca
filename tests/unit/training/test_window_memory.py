"""A window that does not fit into memory is refused before training, and what fits is named."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch

from ostinato.bptt import memory
from ostinato.bptt.truncated import TruncatedBPTT
from ostinato.data.streams import Tapes
from ostinato.errors import RecipeError
from ostinato.recipe import BpttRecipe, build_recipe
from ostinato.tasks.language_model.model import LanguageModel
from ostinato.tasks.language_model.recipe import LanguageModelRecipe
from ostinato.training.progress import Observer
from ostinato.training.train import train_recipe


def _training(bptt: BpttRecipe, recompute: bool = False) -> TruncatedBPTT:
    model = LanguageModel(LanguageModelRecipe(hidden_size=16, embedding_dim=8, hidden_dropout=0.2), 20)
    values = torch.from_numpy(np.random.default_rng(0).integers(0, 20, 100_001))

    def step(window, states):  # type: ignore[no-untyped-def]
        return model.nll(window.take(values.numpy()), window.take(values.numpy(), 1), states)

    return TruncatedBPTT(
        lambda _: Tapes.of_text(100_001, 1), bptt, step, model.encoder.zero_states, recompute=recompute
    )


def test_what_fits_is_named_and_does_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "free_bytes", lambda _: 20_000_000)
    before = torch.get_rng_state()
    with pytest.raises(RecipeError, match=r"`training.bptt` of 100,000 steps in 1 streams needs about") as error:
        memory.check_memory(_training(BpttRecipe(window=100_000)), torch.device("cpu"))
    fits = int(re.findall(r"up to ([\d,]+) steps", str(error.value.hint))[0].replace(",", ""))
    memory.check_memory(_training(BpttRecipe(window=fits)), torch.device("cpu"))
    with pytest.raises(RecipeError):
        memory.check_memory(_training(BpttRecipe(window=fits + fits // 5)), torch.device("cpu"))
    with pytest.raises(RecipeError):
        memory.check_memory(_training(BpttRecipe(window=10, backprop=fits * 2)), torch.device("cpu"))
    memory.check_memory(_training(BpttRecipe(window=100_000), recompute=True), torch.device("cpu"))
    torch.manual_seed(0)
    training = _training(BpttRecipe(window=1000))
    before = torch.get_rng_state()
    memory.check_memory(training, torch.device("cpu"))
    assert torch.equal(before, torch.get_rng_state())


def test_a_step_costs_what_is_kept_for_it() -> None:
    training = _training(BpttRecipe(window=1000))
    costs = [memory._kept_bytes(training, count) for count in (100, 200, 300)]
    assert costs[2] - costs[1] == pytest.approx(costs[1] - costs[0], rel=0.05)
    assert (costs[1] - costs[0]) / 100 > 4 * (4 * 16 + 20)  # at least the gates and the scores


def test_training_refuses_before_anything_is_written(
    book: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "free_bytes", lambda _: 1_000_000)
    recipe = build_recipe({"data": {"train": str(book)}, "training": {"bptt": "full", "batch_size": 1}})
    with pytest.raises(RecipeError, match=r"and 0\.0 GB are free"):
        train_recipe(recipe, tmp_path / "run", Observer())
    assert not (tmp_path / "run").exists()


def test_free_memory_is_found_on_linux() -> None:
    assert memory.free_bytes(torch.device("cpu")) is None or memory.free_bytes(torch.device("cpu")) > 0
