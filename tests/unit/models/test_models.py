"""The models: shapes, what dropout and ties do, and that a classifier's answer does not depend on its neighbours."""

from __future__ import annotations

import math

import pytest
import torch

from ostinato import cells
from ostinato.bptt.truncated import detach
from ostinato.errors import RecipeError
from ostinato.tasks.classification.model import Classifier
from ostinato.tasks.classification.recipe import ClassificationRecipe
from ostinato.tasks.language_model.model import LanguageModel
from ostinato.tasks.language_model.recipe import LanguageModelRecipe
from ostinato.types import Ragged


def _rows(*rows: list[int]) -> Ragged:
    flat = torch.tensor([token for row in rows for token in row])
    lengths = torch.tensor([len(row) for row in rows])
    return Ragged.from_rows(flat, lengths.cumsum(0) - lengths, lengths)


@pytest.mark.parametrize("cell", cells.names())
@pytest.mark.parametrize("pooling", [("last",), ("mean", "max"), ("attention",)])
def test_a_row_is_scored_the_same_alone_and_in_company(cell: str, pooling: tuple[str, ...]) -> None:
    torch.manual_seed(0)
    recipe = ClassificationRecipe(
        cell=cell, embedding_dim=5, hidden_size=7, num_layers=2, bidirectional=True, pooling=pooling, head_size=3
    )
    model = Classifier(recipe, vocab_size=20, num_outputs=4).double().eval()
    together = model(_rows([4, 5], [6, 7, 8, 9, 10], [11]))
    alone = torch.cat([model(_rows([4, 5])), model(_rows([6, 7, 8, 9, 10])), model(_rows([11]))])
    assert together.shape == (3, 4)
    torch.testing.assert_close(together, alone)


def test_every_dropout_acts_in_training_and_only_there() -> None:
    names = ("word", "embedding", "input", "hidden", "recurrent", "weight", "head")
    for name in (f"{each}_dropout" for each in names):
        torch.manual_seed(0)
        model = Classifier(ClassificationRecipe(embedding_dim=16, hidden_size=16, **{name: 0.5}), 20, 1)
        batch = _rows([4, 5, 6, 7, 8, 9], [10, 11, 12, 13, 14, 15])
        assert not torch.equal(model(batch), model(batch)), name
        model.eval()
        assert torch.equal(model(batch), model(batch)), name


@pytest.mark.parametrize(
    ("cell", "zoneout", "found"),
    [
        ("lstm", (), (0.0, 0.0)),
        ("lstm", (0.2,), (0.2, 0.2)),
        ("lstm_layer_norm", (0.2, 0.3), (0.2, 0.3)),
        ("gru", (0.2,), (0.2,)),
    ],
)
def test_zoneout_comes_from_the_recipe_one_for_all_or_one_each(cell, zoneout, found) -> None:
    torch.manual_seed(0)
    recipe = ClassificationRecipe(cell=cell, hidden_size=4, num_layers=2, zoneout=zoneout)
    model = Classifier(recipe, 20, 1)
    assert [layer.zoneout for layer in model.encoder.layers] == [found] * 2
    batch = _rows([4, 5, 6, 7], [8, 9])
    assert torch.equal(model(batch), model(batch)) == (not zoneout)
    with pytest.raises(RecipeError, match="one for each tensor of the state: h"):
        Classifier(ClassificationRecipe(cell="gru", zoneout=(0.1, 0.2)), 20, 1)


def test_tied_embeddings_share_one_weight_also_through_a_bridge() -> None:
    for hidden_size in (8, 12):
        recipe = LanguageModelRecipe(embedding_dim=8, hidden_size=hidden_size, tie_embeddings=True)
        model = LanguageModel(recipe, vocab_size=20)
        assert model.output.weight is model.encoder.embedding.weight
        logits, _ = model(torch.randint(20, (6, 2)))
        assert logits.shape == (6, 2, 20)


def test_forget_bias_is_set_once_and_needs_a_forget_gate() -> None:
    model = LanguageModel(LanguageModelRecipe(hidden_size=4, forget_bias=1.5), vocab_size=9)
    weights = dict(model.named_parameters())
    total = weights["encoder.layers.0.bias_ih_l0"] + weights["encoder.layers.0.bias_hh_l0"]
    assert total[4:8].tolist() == [1.5] * 4
    with pytest.raises(RecipeError, match="it has no gate that keeps the state"):
        LanguageModel(LanguageModelRecipe(cell="elman", forget_bias=1.0), vocab_size=9)


def test_an_unknown_cell_is_named_with_the_nearest() -> None:
    with pytest.raises(RecipeError) as caught:
        Classifier(ClassificationRecipe(cell="lstmm"), 9, 1)
    assert "Received: 'lstmm'" in str(caught.value)
    assert "did you mean lstm?" in str(caught.value)


def test_windows_with_carried_state_are_the_whole_text() -> None:
    torch.manual_seed(0)
    model = LanguageModel(LanguageModelRecipe(hidden_size=6, num_layers=2), vocab_size=9).double().eval()
    text, targets = torch.randint(9, (30, 3)), torch.randint(9, (30, 3))
    whole, _ = model.nll(text, targets)
    parts, states = torch.zeros((), dtype=torch.float64), None
    for start in range(0, 30, 7):
        nll, states = model.nll(text[start : start + 7], targets[start : start + 7], states)
        states = detach(states)
        parts = parts + nll
    torch.testing.assert_close(parts, whole)


def test_an_untrained_model_costs_about_the_log_of_the_vocabulary() -> None:
    torch.manual_seed(0)
    model = LanguageModel(LanguageModelRecipe(hidden_size=16), vocab_size=50)
    nll, _ = model.nll(torch.randint(50, (40, 8)), torch.randint(50, (40, 8)))
    assert float(nll.detach()) / 320 == pytest.approx(math.log(50), abs=0.1)
