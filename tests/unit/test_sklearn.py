"""Estimators of scikit-learn: its own checks, and inside what people put estimators into."""

from __future__ import annotations

import gc
import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

pytest.importorskip("sklearn")
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.estimator_checks import check_regressors_train, parametrize_with_checks

import ostinato
from ostinato.data import prepare
from ostinato.data.split import split_rows
from ostinato.errors import DataError, RecipeError, RunError
from ostinato.recipe import build_recipe
from ostinato.sklearn import SequenceClassifier, SequenceForecaster, SequenceRegressor, SequenceTagger
from ostinato.sklearn.base import repeats
from ostinato.training.progress import Observer

pytestmark = pytest.mark.filterwarnings("ignore")
SMALL: dict[str, Any] = {"cell": "gru", "hidden_size": 8, "learning_rate": 0.05, "options": {"training.num_threads": 1}}
TEXTS, MOODS = ["a good film", "bad", "good, very good", "a bad film"] * 8, ["pos", "neg", "pos", "neg"] * 8
_SHUFFLED = "rows are read in an order that is drawn from their number: repeated rows make other batches"
_STEPS = "y holds a class for each step of each row, the check's a value a row"
_OF_ROWS = """check_all_zero_sample_weights_error check_dict_unchanged check_dont_overwrite_parameters
    check_dtype_object
    check_estimators_dtypes check_estimators_fit_returns_self check_estimators_nan_inf
    check_estimators_overwrite_params check_estimators_pickle check_f_contiguous_array_estimator
    check_fit2d_1feature check_fit2d_predict1d check_fit_check_is_fitted check_fit_idempotent check_fit_score_takes_y
    check_methods_sample_order_invariance check_methods_subset_invariance check_n_features_in
    check_n_features_in_after_fitting check_pipeline_consistency check_positive_only_tag_during_fit
    check_readonly_memmap_input check_sample_weights_list check_sample_weights_not_an_array
    check_sample_weights_not_overwritten check_sample_weights_pandas_series check_sample_weights_shape
    check_sample_weight_equivalence_on_dense_data"""
EXCLUDED = {
    "SequenceClassifier": {"check_sample_weight_equivalence_on_dense_data": _SHUFFLED},
    "SequenceRegressor": {
        "check_sample_weight_equivalence_on_dense_data": _SHUFFLED,
        "check_regressors_train": "one epoch is too few; it passes with more (test_a_regressor_learns)",
    },
    "SequenceTagger": dict.fromkeys(_OF_ROWS.split(), _STEPS),
}


@pytest.fixture(autouse=True)
def _no_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
    monkeypatch.chdir(tmp_path)
    torch.set_num_threads(1)


@parametrize_with_checks(
    [
        SequenceClassifier(**SMALL, epochs=3, batch_size=16),
        SequenceRegressor(**SMALL, epochs=1),
        SequenceForecaster(**SMALL, epochs=1),
        SequenceTagger(**SMALL, epochs=1),
    ],
    expected_failed_checks=lambda estimator: EXCLUDED.get(type(estimator).__name__, {}),
    xfail_strict=True,
)
def test_checks_of_scikit_learn(estimator: Any, check: Any) -> None:
    check(estimator)


def test_a_regressor_learns() -> None:
    check_regressors_train("SequenceRegressor", SequenceRegressor(**SMALL, epochs=20, batch_size=16))


def _classifier(**options: Any) -> SequenceClassifier:
    return SequenceClassifier(**{**SMALL, "epochs": 4, "batch_size": 8, **options})


def test_texts_as_ostinato_trains_them() -> None:
    model = _classifier().fit(TEXTS, MOODS)
    assert model.classes_.tolist() == ["neg", "pos"]
    assert model.score(TEXTS, MOODS) == 1
    settings = {
        **{f"model.{key}": SMALL[key] for key in ("cell", "hidden_size")},
        **SMALL["options"],
        "training.learning_rate": 0.05,
        "training.epochs": 4,
        "training.batch_size": 8,
    }
    table = {"text": TEXTS, "mood": MOODS}
    run = ostinato.train(table, input="text", target="mood", settings=settings, observer=Observer(), report=False)
    wanted = [one.probabilities for one in run.predict(["good", "bad"])]
    found = model.predict_proba(["good", "bad"])
    assert found.tolist() == [pytest.approx([one["neg"], one["pos"]]) for one in wanted if one]
    for X in (np.asarray(TEXTS), pl.Series("other", TEXTS), pl.DataFrame({"words": TEXTS})):
        assert (model.predict(X) == model.predict(TEXTS)).all()


def test_the_folder_of_a_run_goes_with_it() -> None:
    model = _classifier(epochs=1).fit(TEXTS, MOODS)
    folder = model.run_.folder
    assert (folder / "recipe.yaml").is_file()
    model.fit(TEXTS, MOODS)
    gc.collect()
    assert not folder.exists()


def test_ragged_rows_frames_and_columns() -> None:
    random = np.random.default_rng(0)
    rows = [random.normal(size=length) + sign for length, sign in zip([3, 5, 4, 6] * 8, [2, -2] * 16, strict=True)]
    signs = [1, -1] * 16
    assert _classifier().fit(rows, signs).score(rows, signs) == 1
    frames = np.stack([np.stack([row[:3], -row[:3]], axis=1) for row in rows])
    model = _classifier().fit(frames, signs)
    assert model.score(frames, signs) == 1
    with pytest.raises(ValueError, match="has 1 channel, other rows have 2"):
        model.predict(frames[:, :, :1])
    table = pl.DataFrame({"text": ["a", "b"] * 16, "more": [float(sign) for sign in signs], "id": range(32)})
    model = _classifier(input="text", extra=("more",), epochs=1).fit(table, signs)
    assert model.run_.recipe.data.extra == ("more",)
    assert model.feature_names_in_.tolist() == table.columns
    with pytest.raises(DataError, match="which column holds the sequences must be said") as caught:
        _classifier().fit(table, signs)
    assert str(caught.value.hint).startswith("input='text'")
    with pytest.raises(ValueError, match="feature names should match"):
        model.predict(table.drop("id"))


def test_panels_of_sktime() -> None:
    pandas = pytest.importorskip("pandas")
    rows = [np.asarray([1.0, 2.0, 1.5]), np.asarray([-1.0, -2.0])] * 16
    nested = pandas.DataFrame({"a": [pandas.Series(row) for row in rows], "b": [pandas.Series(-row) for row in rows]})
    frames = [pandas.DataFrame({"a": row, "b": -row}) for row in rows]
    panel = pandas.concat(frames, keys=range(len(frames)))
    signs = [1, -1] * 16
    models = [_classifier(epochs=1).fit(X, signs) for X in (nested, frames, panel)]
    found = [model.predict_proba(X) for model, X in zip(models, (nested, frames, panel), strict=True)]
    assert (found[0] == found[1]).all()
    assert (found[0] == found[2]).all()


def test_inside_of_others() -> None:
    lower = FunctionTransformer(lambda texts: [text.lower() for text in texts])
    assert make_pipeline(lower, _classifier()).fit(TEXTS, MOODS).score(TEXTS, MOODS) == 1
    assert len(cross_val_score(_classifier(epochs=1), TEXTS, MOODS, cv=2)) == 2
    calibrated = CalibratedClassifierCV(_classifier(), cv=2).fit(TEXTS, MOODS)
    assert calibrated.predict_proba(["good"]).shape == (1, 2)
    assert calibrated.score(TEXTS, MOODS) == 1


def test_a_search_in_two_processes() -> None:
    search = GridSearchCV(_classifier(epochs=1), {"hidden_size": [4, 8]}, cv=2, n_jobs=2).fit(TEXTS, MOODS)
    assert search.best_params_["hidden_size"] in (4, 8)
    assert search.best_estimator_.run_.recipe.model.hidden_size == search.best_params_["hidden_size"]


def test_pickled_cloned_and_gone_on_with() -> None:
    model = _classifier().partial_fit(TEXTS, MOODS, classes=["neg", "pos"])
    again = pickle.loads(pickle.dumps(model))
    assert (again.predict_proba(TEXTS) == model.predict_proba(TEXTS)).all()
    before = model.predict_proba(TEXTS)
    for one in (model, again):
        one.partial_fit(TEXTS[:8], MOODS[:8])
    assert (again.predict_proba(TEXTS) == model.predict_proba(TEXTS)).all()
    assert (before != model.predict_proba(TEXTS)).any()
    with pytest.raises(DataError, match="classes of the first rows were expected"):
        model.partial_fit(["good"], ["so so"])
    with pytest.raises(DataError, match="the first rows must hold each class"):
        _classifier().partial_fit(TEXTS, MOODS, classes=["neg", "pos", "so so"])
    copy = clone(model)
    assert copy.get_params() == model.get_params()
    with pytest.raises(NotFittedError):
        copy.predict(TEXTS)


def test_epochs_of_partial_fit_are_epochs() -> None:
    whole = SequenceRegressor(**SMALL, epochs=2)
    X, y = np.random.default_rng(0).normal(size=(40, 3)), np.arange(40.0)
    table = {"x": X, "y": y}
    held_out = {"data.validation": pl.DataFrame({"sequence": X.tolist(), "target": y}), "training.keep": "last"}
    whole.set_params(options={**SMALL["options"], **held_out}).fit(X, y)
    some = SequenceRegressor(**SMALL).partial_fit(X, y).partial_fit(X, y)
    assert some.predict(X) == pytest.approx(whole.predict(X))
    assert len(table["x"]) == len(some.predict(X))


def test_partial_fit_refuses_what_would_end_it() -> None:
    X, y = np.random.default_rng(0).normal(size=(20, 3)), np.arange(20.0)
    for options in ({"max_steps": 3}, {"minutes": 1.0}, {"options": {"training.schedule": "cosine"}}):
        with pytest.raises(RecipeError, match="only `fit` can have it"):
            SequenceRegressor(**{**SMALL, **options}).partial_fit(X, y)
    recipe = {"training": {"schedule": "cosine", "steps": 1}}
    model = SequenceRegressor(**SMALL, recipe=recipe).partial_fit(X, y)
    before = model.predict(X)
    assert (model.partial_fit(X, y).predict(X) != before).any()
    assert (model.run_.recipe.training.schedule, model.run_.recipe.training.steps) == ("constant", None)


def test_columns_of_lists_that_are_named_stay_apart() -> None:
    pandas = pytest.importorskip("pandas")
    lists = pl.DataFrame({"a": [[0.0, 1.0], [2.0]] * 8, "b": [[1.0, 1.0], [3.0]] * 8})
    model = _classifier(epochs=1, input="a").fit(lists, [0, 1] * 8)
    assert model.run_.recipe.data.input == "a"
    assert (model.predict_proba(lists) == model.predict_proba(lists.select("a", b=pl.lit("c")))).all()
    for input in ("a", None):
        model = _classifier(epochs=1, input=input, extra=("b",)).fit(lists, [0, 1] * 8)
        assert (model.run_.recipe.data.input, model.run_.recipe.data.extra) == ("a", ("b",))
    with pytest.raises(DataError, match="Received: a, b, id") as caught:
        _classifier().fit(lists.with_columns(id=1), [0, 1] * 8)
    assert str(caught.value.hint).startswith("input='a'")
    named = pandas.DataFrame({"text": TEXTS}, index=pandas.Index(range(32), name="id"))
    assert _classifier(epochs=1).fit(named, MOODS).predict(named).shape == (32,)


def test_rows_as_vectors_for_others() -> None:
    model = _classifier(options={**SMALL["options"], "model.members": 2}).fit(TEXTS, MOODS)
    vectors = model.set_output(transform="pandas").transform(TEXTS)
    assert vectors.columns.tolist() == [f"sequenceclassifier{place}" for place in range(len(vectors.columns))]
    assert (vectors.to_numpy() == model.run_.vectors(TEXTS)).all()
    first, second = model.run_.model.classifiers
    assert first.pooling.output_size + second.pooling.output_size == len(vectors.columns)
    alone = _classifier()
    found = make_pipeline(alone, LogisticRegression()).fit(TEXTS, MOODS)
    assert found.score(TEXTS, MOODS) == 1
    outputs = alone.transform(TEXTS) @ alone.run_.model.output.weight.detach().numpy().T
    logits = outputs[:, 0] + alone.run_.model.output.bias.item()
    assert ((logits > 0) == (alone.predict(TEXTS) == "pos")).all()
    tagger = SequenceTagger(**SMALL, epochs=1).fit([["a", "b"]] * 9, [["x", "y"]] * 9)
    with pytest.raises(RunError, match="makes no one vector of a row"):
        tagger.run_.vectors([["a"]])


def test_weights_repeat_rows() -> None:
    weights = np.asarray([2, 0, 1] * 10)
    X, y = np.random.default_rng(1).normal(size=(30, 3)), np.tile([0, 1, 2], 10)
    weighted = _classifier(epochs=1).fit(X, y % 3 == 0, sample_weight=weights)
    times = np.repeat(np.arange(30), weights)
    table = pl.DataFrame({"sequence": X[times].tolist(), "target": (y[times] % 3 == 0).astype(str), "copy": times})
    recipe = weighted.run_.recipe.model_dump(mode="json")
    recipe["data"] |= {"train": None, "group": "copy"}
    run = ostinato.train(table, recipe=build_recipe(recipe), observer=Observer(), report=False)
    wanted = [[(one.probabilities or {})[name] for name in ("False", "True")] for one in run.predict(X.tolist())]
    assert weighted.predict_proba(X).tolist() == wanted
    shares = np.random.default_rng(0).uniform(size=1000)
    assert abs(repeats(shares) - shares * 1000 / shares.sum()).max() <= 1
    assert repeats(np.asarray([0.001, 0.0, 0.001, 5.5])).tolist() == [1, 0, 1, 4]


def test_a_row_that_weighs_more_is_on_one_side_of_the_split(monkeypatch: pytest.MonkeyPatch) -> None:
    parts: list[Any] = []

    def seen(*given: Any, **options: Any) -> Any:
        parts[:] = split_rows(*given, **options)
        return tuple(parts)

    monkeypatch.setattr(prepare, "split_rows", seen)
    X, y = np.arange(60.0).reshape(30, 2), np.tile([0, 1], 15)
    tags = [[one, one] for one in y]
    for model, target in ((_classifier(), y), (SequenceRegressor(**SMALL), y), (SequenceTagger(**SMALL), tags)):
        model.set_params(epochs=1, validation_fraction=0.4).fit(X, target, sample_weight=np.full(30, 3))
        rows = pl.read_parquet(model.run_.folder / "table.in-memory.parquet")["sequence"].list.first()
        training, held_out = ({*rows[part].to_list()} for part in parts)
        assert len(training) + len(held_out) == 30
        assert not training & held_out


def test_a_class_without_weight() -> None:
    with pytest.raises(DataError, match="at least two classes with a `sample_weight` above zero were expected"):
        _classifier().fit(TEXTS, MOODS, sample_weight=np.asarray([1.0, 0.0] * 16))


def test_the_end_of_a_fork_leaves_the_run() -> None:
    model = _classifier(epochs=1).fit(TEXTS, MOODS)
    folder = model.run_.folder
    assert folder.name.startswith(f"ostinato-{os.getpid()}-")
    child = os.fork()
    if child == 0:
        del model
        gc.collect()
        os._exit(0)
    os.waitpid(child, 0)
    assert (folder / "recipe.yaml").is_file()
    assert pickle.loads(pickle.dumps(model)).run_.folder != folder
    shutil.rmtree(folder)
    with pytest.raises(RunError, match="the folder of the run is gone"):
        pickle.dumps(model)


def test_taggers() -> None:
    X = [["the", "dog", "runs"], ["a", "dog"], ["runs", "the", "dog"]] * 10
    y = [[1, 2, 3], [1, 2], [3, 1, 2]] * 10
    model = SequenceTagger(**SMALL, epochs=6, batch_size=8).fit(X, y)
    assert model.classes_.tolist() == [1, 2, 3]
    assert [row.tolist() for row in model.predict(X[:2])] == [[1, 2, 3], [1, 2]]
    assert model.score(X, y) == model.score(X, y, sample_weight=np.ones(30)) == 1
    again = pickle.loads(pickle.dumps(model))
    assert again.score(X, y) == 1
    with pytest.raises(DataError, match="y must hold a list of classes for each row"):
        model.fit(X, [1] * 30)
    with pytest.raises(DataError, match="X and y must have as many rows"):
        model.fit(X, y[1:])
    with pytest.raises(NotFittedError):
        clone(model).predict(X)


def test_forecasters() -> None:
    waves = [np.sin(np.arange(60 + row) / 4 + row) for row in range(6)]
    model = SequenceForecaster(3, **SMALL, epochs=6).fit([wave[:-3] for wave in waves])
    assert model.score([wave[:-3] for wave in waves], [wave[-3:] for wave in waves]) > 0.5
    channels = np.stack([np.stack([wave[:60], -wave[:60]], axis=1) for wave in waves])
    assert SequenceForecaster(2, lookback=8, **SMALL, epochs=1).fit(channels).predict(channels[:4]).shape == (4, 2, 2)
    days = pl.date_range(pl.date(2024, 1, 1), pl.date(2024, 3, 31), eager=True)
    table = pl.DataFrame({"day": days, "y": np.sin(np.arange(len(days)) / 4)})
    model = SequenceForecaster(2, time="day", lookback=8, **SMALL, epochs=1).fit(table)
    assert model.predict(table).shape == (1, 2)
    with pytest.raises(RunError, match="reads series, not rows of a table"):
        model.run_.vectors(table)
    with pytest.raises(DataError, match=r"`shop` must be a column of X. Received: day, y"):
        SequenceForecaster(2, time="day", series="shop").fit(table)
    with pytest.raises(DataError, match=r"at least one step were expected. Received: none in row 2"):
        SequenceForecaster(2, **SMALL).fit([[1.0, 2.0], []])


def test_parameters_and_what_is_wrong_with_them() -> None:
    model = _classifier(epochs=1, recipe={"model": {"num_layers": 2}}, random_state=np.random.RandomState(0))
    model.set_params(options={"model.pooling": ["mean"]}).fit(TEXTS, MOODS)
    assert (model.run_.recipe.model.num_layers, model.run_.recipe.training.epochs) == (2, 1)
    with pytest.raises(RecipeError, match="`options` must be a mapping"):
        _classifier(options=["model.pooling=mean"]).fit(TEXTS, MOODS)
    with pytest.raises(RecipeError, match="hidden_size"):
        _classifier(hidden_size=-1).fit(TEXTS, MOODS)
    with pytest.raises(DataError, match="at least two classes were expected"):
        _classifier().fit(TEXTS, ["pos"] * 32)
    with pytest.raises(ValueError, match="X and y must have as many rows"):
        _classifier().fit(TEXTS, MOODS[1:])
    with pytest.raises(DataError, match="at least 2 rows were expected"):
        _classifier().fit(["a"], ["pos"])


def test_importing_the_package_loads_no_scikit_learn() -> None:
    code = "import sys, ostinato; print('sklearn' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"
