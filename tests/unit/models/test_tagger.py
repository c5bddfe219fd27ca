"""Taggers: outputs for each step, delays, columns side by side, words and their characters."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from ostinato.data.batching import Batch
from ostinato.data.dataset import Features
from ostinato.data.features import TagsFeature, TokensFeature
from ostinato.data.features.category import CategoryFeature
from ostinato.data.vocabulary import UNK_ID
from ostinato.errors import RecipeError, ShapeError
from ostinato.layers.inputs import embed_ids
from ostinato.layers.words import UnknownWords, distinct_spellings
from ostinato.recipe import TrainingRecipe
from ostinato.recipe.kinds import CategoryRecipe, TagsRecipe, TokensRecipe
from ostinato.tasks.tagging.feedback import build_any_tagger
from ostinato.tasks.tagging.model import Tagger, delayed
from ostinato.tasks.tagging.recipe import TaggingRecipe
from ostinato.types import Ragged

LENGTHS = [4, 1, 0, 3]
STARTS = [0, 4, 5, 5]


def _ids(high: int = 9, seed: int = 0) -> Ragged:
    generator = torch.Generator().manual_seed(seed)
    return Ragged.from_rows(torch.randint(3, high, (8,), generator=generator), STARTS, LENGTHS)


def _tagger(num_outputs: int = 4, kind: str = "tags", **options: Any) -> Tagger:
    torch.manual_seed(0)
    recipe = TaggingRecipe(hidden_size=6, embedding_dim=5, **options)
    return Tagger(recipe, embed_ids(9, recipe), num_outputs, kind)


def _batch(inputs: Ragged, targets: Ragged) -> Batch:
    return Batch(inputs, targets, np.arange(inputs.num_rows))


@pytest.mark.parametrize("output", ["softmax", "crf"])
def test_the_loss_is_a_mean_over_steps(output: str) -> None:
    model = _tagger(output=output)
    inputs, tags = _ids(), _ids(7, seed=1)
    tags = tags.with_values(tags.values - 3)
    total, count = model.head.total(model(inputs), tags)
    assert count == 8
    torch.testing.assert_close(model.loss(_batch(inputs, tags), TrainingRecipe()), total / 8)
    answers = model.head.decode(model(inputs))
    assert answers.values.shape == (8,)
    assert answers.lengths.tolist() == LENGTHS


@pytest.mark.parametrize("output", ["softmax", "crf"])
def test_steps_of_unknown_tags_count_nothing(output: str) -> None:
    model = _tagger(output=output)
    inputs = _ids()
    none = inputs.with_values(torch.full((8,), -1))
    total, count = model.head.total(model(inputs), none)
    assert (pytest.approx(float(total.detach()), abs=1e-5), count) == (0.0, 0)
    assert float(model.loss(_batch(inputs, none), TrainingRecipe()).detach()) == pytest.approx(0, abs=1e-5)


def test_softmax_of_negative_tags_is_the_mean_over_the_others() -> None:
    model = _tagger()
    inputs = _ids()
    tags = torch.tensor([0, -1, 2, -3, 1, 0, 3, 1])
    logits = model(inputs)
    known = tags >= 0
    expected = torch.nn.functional.cross_entropy(logits.values[known], tags[known], label_smoothing=0.1)
    loss = model.loss(_batch(inputs, inputs.with_values(tags)), TrainingRecipe(label_smoothing=0.1))
    torch.testing.assert_close(loss, expected)


def test_notes_and_numbers() -> None:
    inputs = _ids()
    notes = inputs.with_values((torch.arange(24).reshape(8, 3) % 2).to(torch.uint8))
    model = _tagger(3, "notes")
    logits = model(inputs).values
    expected = torch.nn.functional.binary_cross_entropy_with_logits(logits, notes.values.float(), reduction="none")
    torch.testing.assert_close(model.loss(_batch(inputs, notes), TrainingRecipe()), expected.sum(1).mean())
    assert model.head.decode(model(inputs)).values.dtype == torch.uint8
    numbers = inputs.with_values(torch.randn(8, 2))
    model = _tagger(2, "series")
    found = model.loss(_batch(inputs, numbers), TrainingRecipe())
    torch.testing.assert_close(found, (model(inputs).values - numbers.values).square().mean())


def test_ctc_has_a_blank_and_takes_fewer_labels_than_steps() -> None:
    model = _tagger(4, output="ctc")
    inputs = Ragged.from_rows(torch.tensor([3, 4, 5, 6, 7]), [0, 3], [3, 2])
    labels = Ragged.from_rows(torch.tensor([1, 2, 0]), [0, 2], [2, 1])
    assert model(inputs).values.shape == (5, 5)
    loss = model.loss(_batch(inputs, labels), TrainingRecipe())
    loss.backward()  # type: ignore[no-untyped-call]
    assert float(loss.detach()) > 0
    assert model.output.weight.grad is not None


def test_targets_of_other_lengths_are_refused() -> None:
    model = _tagger()
    with pytest.raises(ShapeError, match="as long as its inputs"):
        model.head.total(model(_ids()), Ragged.from_rows(torch.zeros(8).long(), [0, 4, 5, 5], [3, 2, 0, 3]))


@pytest.mark.parametrize("delay", [1, 2, 7])
def test_a_delayed_answer_is_that_of_a_longer_row_some_steps_later(delay: int) -> None:
    model = _tagger(delay=delay).eval()
    inputs = _ids()
    answers = model(inputs)
    assert answers.lengths.tolist() == LENGTHS
    for row, found in zip(inputs.split_rows(), answers.split_rows(), strict=True):
        vectors = torch.cat([model.encoder.embedding(row), torch.zeros(delay, 5)])
        longer = Ragged.from_rows(vectors, [0], [len(vectors)])
        expected = model.output(model.encoder.run(longer)[0].values[delay:])
        torch.testing.assert_close(found, expected)


def test_delayed_rows_keep_their_order() -> None:
    vectors = Ragged.from_rows(torch.arange(8.0).unsqueeze(1), STARTS, LENGTHS)
    longer, answers = delayed(vectors, 2)
    rows = [row.flatten().tolist() for row in longer.split_rows()]
    assert rows == [[0, 1, 2, 3, 0, 0], [4, 0, 0], [0, 0], [5, 6, 7, 0, 0]]
    steps = vectors.with_values(longer.times_index()[answers] - 2)
    assert [row.tolist() for row in steps.split_rows()] == [[0, 1, 2, 3], [0], [], [0, 1, 2]]


def _accuracy_ahead(delay: int) -> float:
    """How well a forward network names the symbol two steps ahead, after some training."""
    torch.manual_seed(1)
    recipe = TaggingRecipe(hidden_size=16, embedding_dim=8, delay=delay)  # type: ignore[arg-type]
    model = Tagger(recipe, embed_ids(7, recipe), 4)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.03)
    generator = torch.Generator().manual_seed(2)

    def batch() -> Batch:
        symbols = torch.randint(4, (32, 6), generator=generator)
        ahead = torch.cat([symbols[:, 2:], torch.zeros(32, 2).long()], dim=1)
        return _batch(Ragged.from_padded(symbols + 3), Ragged.from_padded(ahead))

    for _ in range(60):
        optimizer.zero_grad()
        model.loss(batch(), TrainingRecipe()).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    test = batch()
    right = model.head.decode(model(test.inputs)).values == test.sequence_targets.values
    return float(right.float().mean())


def test_a_forward_network_sees_ahead_only_with_a_delay() -> None:
    assert _accuracy_ahead(2) > 0.95
    assert _accuracy_ahead(0) < 0.75  # two of six steps are always zero, the others are a guess among four


def _features(**extra: Any) -> Features:
    words = np.asarray(["The", "cat", "sat", "the"], dtype=object)
    tokens = TokensFeature.fit(TokensRecipe(characters=True, max_word_length=4), words)
    tags = TagsFeature.fit(TagsRecipe(), np.asarray(["D", "N", "V"], dtype=object))
    return Features(tokens, tags, extra=extra)


def _spelled(features: Features, rows: list[list[str]]) -> Ragged:
    import polars as pl

    encoded = features.input.encode(pl.Series(rows))
    return Ragged.from_rows(encoded.values, encoded.offsets[:-1], encoded.lengths)


def test_words_are_their_vector_and_their_spelling() -> None:
    features = _features()
    recipe = TaggingRecipe(embedding_dim=3, hidden_size=4, characters={"hidden_size": 2})  # type: ignore[arg-type]
    layer = build_any_tagger(recipe, features).encoder.embedding  # type: ignore[union-attr]
    batch = _spelled(features, [["The", "the", "dog"], [], ["cat", "the"]])
    vectors = layer(batch)  # type: ignore[operator]
    assert vectors.values.shape == (5, 3 + 4)
    [[upper, lower, _], _, [_, again]] = [row.tolist() for row in vectors.split_rows()]
    assert upper[:3] == lower[:3]
    assert upper[3:] != lower[3:]
    assert again == lower
    alone = layer(_spelled(features, [["the"]]))  # type: ignore[operator]
    torch.testing.assert_close(alone.values[0], torch.tensor(lower))


def test_spellings_get_gradients_from_all_their_places() -> None:
    features = _features()
    recipe = TaggingRecipe(embedding_dim=3, hidden_size=4, characters={"hidden_size": 2})  # type: ignore[arg-type]
    model = build_any_tagger(recipe, features)
    batch = _spelled(features, [["cat", "sat"], ["cat"]])
    targets = batch.with_values(torch.tensor([1, 1, 2]))
    model.loss(_batch(batch, targets), TrainingRecipe()).backward()  # type: ignore[operator]
    gradient = model.encoder.embedding.characters.weight.grad  # type: ignore[union-attr]
    letters = features.input.characters.tokens  # type: ignore[attr-defined]
    used = {letters[int(k)] for k in gradient.abs().sum(1).nonzero().flatten()}  # type: ignore[union-attr, operator]
    assert used == set("cats")


def test_distinct_spellings_of_nothing() -> None:
    spelled, place = distinct_spellings(torch.zeros(0, 4, dtype=torch.int32))
    assert (spelled.num_rows, len(place)) == (0, 0)


def test_rare_words_are_read_as_unknown_while_training() -> None:
    counts = torch.tensor([0, 7, 0, 1, 10_000])
    layer = UnknownWords(counts, 1.0)
    ids = Ragged.from_rows(torch.tensor([3, 4] * 500), [0], [1000])
    torch.manual_seed(0)
    read = layer(ids).values
    assert 0.4 < float((read[::2] == UNK_ID).float().mean()) < 0.6  # a / (a + 1)
    assert float((read[1::2] == UNK_ID).float().mean()) < 0.02
    assert torch.equal(layer.eval()(ids).values, ids.values)
    spelled = Ragged.from_rows(torch.tensor([[3, 8, 9]] * 100), [0], [100])
    changed = layer.train()(spelled).values
    assert set(changed[:, 0].tolist()) == {UNK_ID, 3}
    assert torch.equal(changed[:, 1:], spelled.values[:, 1:])


def test_further_columns_stand_beside_each_step() -> None:
    kind = CategoryFeature.fit(CategoryRecipe(), np.asarray(["a", "b"]))
    pos = TokensFeature.fit(TokensRecipe(), np.asarray(["X", "Y"], dtype=object))
    features = _features(genre=kind, pos=pos)
    model = build_any_tagger(TaggingRecipe(embedding_dim=3, hidden_size=4), features).eval()
    rows = [["The", "cat"], ["sat", "sat", "the"]]
    batch = _spelled(features, rows)
    extra = {
        "genre": Ragged.from_rows(torch.tensor([3, 4]), [0, 1], [1, 1]),
        "pos": Ragged.from_rows(torch.tensor([3, 4, 3, 3, 4]), [0, 2], [2, 3]),
    }
    together = model(batch, extra).split_rows()
    alone = model(
        _spelled(features, rows[1:]),
        {
            "genre": Ragged.from_rows(torch.tensor([4]), [0], [1]),
            "pos": Ragged.from_rows(torch.tensor([3, 3, 4]), [0], [3]),
        },
    )
    torch.testing.assert_close(alone.values, together[1])
    with pytest.raises(ShapeError, match="`pos` must have as many steps"):
        model(batch, {**extra, "pos": extra["genre"]})


def test_a_tagger_needs_a_sequence_as_target() -> None:
    features = Features(_features().input, CategoryFeature.fit(CategoryRecipe(), np.asarray(["a", "b"])))
    with pytest.raises(RecipeError, match="a value for each step"):
        build_any_tagger(TaggingRecipe(), features)
