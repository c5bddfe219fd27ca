"""The Python API: train, load, predict, evaluate, generate, resume."""

from __future__ import annotations

from pathlib import Path

import pytest

import ostinato
from ostinato.errors import RecipeError, RunError
from ostinato.recipe import name_of
from ostinato.training.progress import Observer

SETTINGS = {"model.embedding_dim": 6, "model.hidden_size": 6, "training.epochs": 1, "training.num_threads": 1}


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> ostinato.Run:
    data = Path(__file__).parents[1] / "data" / "polarity.csv"
    out = tmp_path_factory.mktemp("classifier") / "run"
    return ostinato.train(data, input="text", target="label", settings=SETTINGS, out=out, observer=Observer())


@pytest.fixture(scope="module")
def writer(tmp_path_factory: pytest.TempPathFactory) -> ostinato.Run:
    out = tmp_path_factory.mktemp("writer")
    (out / "text.txt").write_text("the cat sat on the mat and the dog sat on the log. " * 200)
    settings = {**SETTINGS, "training.bptt": 20, "training.learning_rate": 0.01}
    return ostinato.train(out / "text.txt", settings=settings, out=out / "run", observer=Observer())


def test_predictions_come_in_the_order_of_the_texts(classifier: ostinato.Run) -> None:
    texts = ["a", "a very long and winding sentence about a film and its director", "short one"]
    together = classifier.predict(texts)
    assert [classifier.predict(text)[0].label for text in texts] == [p.label for p in together]
    for prediction in together:
        assert prediction.probabilities is not None
        assert prediction.label == max(prediction.probabilities, key=lambda name: prediction.probabilities[name])  # type: ignore[index]
        assert sum(prediction.probabilities.values()) == pytest.approx(1.0)
    assert classifier.predict([]) == []


def test_a_loaded_run_is_the_same_run(classifier: ostinato.Run, writer: ostinato.Run) -> None:
    again = ostinato.load(classifier.folder)
    assert again.predict(["some film"]) == classifier.predict(["some film"])
    assert again.recipe == classifier.recipe
    assert ostinato.load(writer.folder).generate("the", seed=3) == writer.generate("the", seed=3)


def test_evaluation_on_the_validation_rows_agrees_with_training(classifier: ostinato.Run, tmp_path: Path) -> None:
    from ostinato.data.dataset import Examples
    from ostinato.tasks.prepare import prepare

    validation = prepare(classifier.recipe).validation
    assert isinstance(validation, Examples)
    lines = Path(str(classifier.recipe.data.train)).read_text().splitlines()
    chosen = [lines[int(validation.location(i).rsplit(":", 1)[1]) - 1] for i in range(len(validation))]
    (tmp_path / "validation.csv").write_text("\n".join([lines[0], *chosen]) + "\n")
    metrics = classifier.evaluate(tmp_path / "validation.csv")
    for key in ("accuracy", "auc", "log_loss"):
        assert metrics[key] == pytest.approx(classifier.summary["validation"][key], rel=1e-5)


def test_pieces_of_a_stream_make_up_the_text(writer: ostinato.Run) -> None:
    pieces = list(writer.stream("the cat", max_new_tokens=40, seed=5))
    assert 1 < len(pieces) < 40  # the first token alone, then several at a time
    assert "the cat" + "".join(pieces) == writer.generate("the cat", max_new_tokens=40, seed=5)


def test_temperature_zero_needs_no_luck(writer: ostinato.Run) -> None:
    texts = {writer.generate("the", max_new_tokens=30, temperature=0.0, seed=seed) for seed in range(3)}
    assert len(texts) == 1


def test_an_empty_prompt_begins_by_itself(writer: ostinato.Run) -> None:
    assert len(writer.generate(max_new_tokens=10)) == 10


def test_each_kind_says_what_it_can_not_do(classifier: ostinato.Run, writer: ostinato.Run) -> None:
    with pytest.raises(RunError, match="is a classifier; it writes nothing"):
        classifier.stream("x")
    with pytest.raises(RunError, match="it has no target to predict"):
        writer.predict(["x"])
    with pytest.raises(RunError, match="no data to evaluate on"):
        classifier.evaluate()


def test_resuming_an_ended_run_with_more_epochs(classifier: ostinato.Run) -> None:
    longer = ostinato.resume(classifier.folder, ["training.epochs=2"], observer=Observer())
    assert longer.summary["epochs"] == 2


def test_names_of_runs() -> None:
    assert name_of("data/reviews.csv.xz") == "reviews"
    assert name_of("imdb:train") == "imdb"
    assert name_of("folder/of/texts") == "texts"
    with pytest.raises(RecipeError, match="can't name a run"):
        name_of(".hidden")


def test_the_package_offers_its_names_without_importing_torch_first() -> None:
    assert set(ostinato.__all__) == {
        *("AsyncClient", "Client", "Prediction", "Ragged", "Recipe", "Run", "load", "nn", "resume", "train")
    }
    with pytest.raises(AttributeError, match="has no attribute 'trian'"):
        _ = ostinato.trian  # type: ignore[attr-defined]
