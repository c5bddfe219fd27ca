"""Models of tokens that are unit vectors: what they refuse, and that they learn, write and load."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from ostinato.errors import RecipeError
from ostinato.recipe import build_recipe
from ostinato.run import load
from ostinato.tasks.language_model.model import LanguageModel
from ostinato.tasks.language_model.recipe import LanguageModelRecipe
from ostinato.training.progress import Observer
from ostinato.training.train import train_recipe


def test_one_hot_saves_the_embedding_and_widens_the_first_layer() -> None:
    learned = LanguageModel(LanguageModelRecipe(hidden_size=8, embedding_dim=4), vocab_size=50)
    hot = LanguageModel(LanguageModelRecipe(hidden_size=8, embedding="one_hot"), vocab_size=50)
    sizes = [sum(p.numel() for p in model.parameters()) for model in (learned, hot)]
    assert sizes[1] - sizes[0] == 4 * 8 * (50 - 4) - 50 * 4
    ids = torch.randint(0, 50, (7, 2))
    torch.testing.assert_close(hot(ids)[0], hot.scores(hot.encoder.run(hot.encoder.embedding(ids))[0]))


@pytest.mark.parametrize("key", ["normalize_embeddings", "tie_embeddings"])
def test_what_needs_learned_embeddings_is_refused(key: str) -> None:
    with pytest.raises(RecipeError, match=f"`model.{key}` needs learned embeddings"):
        build_recipe({"model": {"embedding": "one_hot", key: True}})
    with pytest.raises(RecipeError, match=r"`training.adversarial` needs learned embeddings"):
        build_recipe({"model": {"embedding": "one_hot"}, "training": {"adversarial": 1.0}})


def test_a_large_vocabulary_is_refused() -> None:
    with pytest.raises(RecipeError, match=r"takes up to 4,096 tokens. Received: 5,000"):
        LanguageModel(LanguageModelRecipe(embedding="one_hot"), vocab_size=5000)


def test_a_run_is_trained_loaded_and_writes(tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text("to be or not to be, that is the question. " * 30, encoding="utf-8")
    model = {"embedding": "one_hot", "hidden_size": 8}
    training = {"epochs": 1, "bptt": 20, "batch_size": 4, "num_threads": 1}
    recipe = build_recipe({"data": {"train": str(tmp_path / "text.txt")}, "model": model, "training": training})
    train_recipe(recipe, tmp_path / "run", Observer())
    run = load(tmp_path / "run")
    assert len(run.generate("to be", max_new_tokens=10)) == 15
    assert "one-hot" in run.report().read_text(encoding="utf-8")
