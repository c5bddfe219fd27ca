"""The simple baselines: right by hand, honest about noise, and side by side with a trained run."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest

from ostinato.baselines import Baselines
from ostinato.baselines import measure as measuring
from ostinato.baselines.conclusion import conclude
from ostinato.baselines.counting import NgramCounts, resampled
from ostinato.baselines.found import Entry
from ostinato.baselines.paired import Gap, paired_gap
from ostinato.data.dataset import Examples
from ostinato.data.places import Places
from ostinato.data.sequences import Sequences
from ostinato.errors import RunError
from ostinato.metrics.resampling import Sums, ratio
from ostinato.recipe import build_recipe
from ostinato.run import load
from ostinato.tasks import baselines as registry
from ostinato.tasks.classification.baselines import MostFrequent
from ostinato.tasks.classification.baselines_nearest import NearestWarped
from ostinato.tasks.classification.spec import Classification
from ostinato.tasks.language_model.baselines import KneserNey
from ostinato.tasks.next_step.baselines import frames_before
from ostinato.tasks.prepare import prepare
from ostinato.training.progress import Observer
from ostinato.training.train import train_recipe

if TYPE_CHECKING:
    from tests.unit.evaluation.conftest import Trained


def _rows(*rows: list[int]) -> Sequences:
    return Sequences.from_lengths(
        np.asarray([x for row in rows for x in row], dtype=np.int32), np.asarray([len(row) for row in rows])
    )


def test_ngrams_are_counted_and_those_of_one_row_alone_left_out() -> None:
    counts = NgramCounts(order=2)
    found = counts.fit(_rows([1, 2, 1, 2], [1, 2], [], [2, 3])).toarray()
    assert counts.num_columns == 4  # 1, 2, 3, and "1 2"; "2 1" and "2 3" stand in one row each
    assert found.tolist() == [[2, 2, 0, 2], [1, 1, 0, 1], [0, 0, 0, 0], [0, 1, 1, 0]]
    assert counts.transform(_rows([3, 1, 2, 9], [7])).toarray().tolist() == [[1, 1, 1, 1], [0, 0, 0, 0]]


def test_ngrams_do_not_reach_across_rows() -> None:
    counts = NgramCounts(order=3, min_rows=1)
    counts.fit(_rows([1, 2], [3, 4]))
    assert [len(keys) for keys in counts.keys] == [4, 2, 0]


class _Text:
    """As much of a text's features as an n-gram model reads."""

    class text:  # noqa: N801
        vocab_size = 5

        class recipe:  # noqa: N801
            unit = "words"


def _text(*tokens: int) -> Examples:
    return Examples(_rows(list(tokens)), None, Places(), np.zeros(1, dtype=np.int64))


def _kneser_ney(tokens: list[int]) -> KneserNey:
    baseline = KneserNey()
    baseline.fit(_text(*tokens), _Text())  # type: ignore[arg-type]
    return baseline


@pytest.mark.parametrize("context", [[], [1], [4, 2], [1, 2, 3], [3, 3, 3]])
def test_kneser_ney_gives_probabilities_that_sum_to_one(context: list[int]) -> None:
    random = np.random.default_rng(1)
    baseline = _kneser_ney([1 + int(x) for x in random.integers(0, 4, 400) * random.integers(0, 2, 400)])
    chances = [np.exp(-baseline._ngrams.nll(np.asarray([*context, word]))[-1]) for word in range(5)]
    assert sum(chances) == pytest.approx(1.0, abs=1e-12)
    assert min(chances) > 0


def test_kneser_ney_learns_a_pattern_and_prefers_the_order_that_helps() -> None:
    baseline = _kneser_ney([1, 2, 3, 4] * 100)
    assert float(baseline.answer(_text(1, 2, 3, 4, 1, 2, 3, 4)).mean()) < 0.1
    assert len(baseline._ngrams.tables) >= 2
    assert float(baseline.answer(_text(1, 3, 1, 3)).mean()) > 1.0


def test_a_warped_row_is_nearest_to_what_it_was_made_of() -> None:
    steps = np.linspace(0, 6.28, 40)
    rows = np.stack([np.sin(steps), np.sin(2 * steps), np.cos(steps)])[:, :, None]
    baseline = NearestWarped()
    baseline._steps, baseline._rows, baseline._targets = 40, rows, np.asarray([0, 1, 2])
    late = np.roll(rows[1], 3, axis=0)
    assert baseline._nearest(late[None]).tolist() == [1]
    straight = ((rows - rows[0]) ** 2).sum(axis=(1, 2))
    warped = baseline._distances(rows[0])
    assert warped[0] == 0
    assert (warped <= straight + 1e-12).all()


def test_rows_are_stretched_to_one_length() -> None:
    rows = Sequences.from_lengths(np.asarray([[0.0], [1.0], [5.0]]), np.asarray([2, 1]))
    assert resampled(rows, 3)[:, :, 0].tolist() == [[0.0, 0.5, 1.0], [5.0, 5.0, 5.0]]


def test_the_frame_before_the_first_is_silence() -> None:
    rows = Sequences.from_lengths(np.asarray([[1, 0], [0, 1], [1, 1], [0, 0]]), np.asarray([3, 1]))
    assert frames_before(rows).tolist() == [[False, False], [True, False], [False, True], [False, False]]


def test_a_gap_within_noise_is_called_noise_and_a_clear_one_is_not() -> None:
    random = np.random.default_rng(3)
    first = random.random(200)

    def verdict(second: np.ndarray, count: int = 200, *, lower_is_better: bool = False) -> str:
        sums = [Sums(np.stack([one[:count], np.ones(count)], axis=1), {"x": ratio(0, 1)}) for one in (first, second)]
        return paired_gap(*sums, "x", lower_is_better=lower_is_better).verdict

    assert verdict(first + random.normal(0, 0.1, 200)) == "noise"
    assert verdict(first - 0.01) == "better"
    assert verdict(first - 0.01, lower_is_better=True) == "worse"
    assert verdict(first - 0.01, 7) == "unknown"


@pytest.mark.parametrize(
    ("gap", "says"),
    [
        (
            Gap(-0.02, -0.03, -0.01),
            "5.5 MB: the baseline is ahead by 1.0 to 3.0 points (95 % interval, paired over 2,000 rows)",
        ),
        (
            Gap(0.02, 0.01, 0.03),
            "recurrence is better here, at 100 times the training time, ahead by 1.0 to 3.0 ",
        ),
        (
            Gap(0.0, -0.01, 0.01),
            "no benefit of recurrence is shown here, the difference is within noise, −1.0 to +1.0 ",
        ),
        (Gap(-0.02, None, None), "not enough data to say which is better (2,000 rows)"),
    ],
)
def test_the_sentence_says_what_was_found(gap: Gap, says: str) -> None:
    own = Entry("this model", "", {"accuracy": 0.873}, 1200.0, 5_500_000, 1.0, 10)
    baseline = Entry("NB-SVM", "", {"accuracy": 0.897}, 12.0, 3_000_000, 1.0, 10, gap=gap)
    weak = Entry("most frequent", "", {"accuracy": 0.5}, 0.0, 16, 1.0, 10, gap=Gap(0.4, 0.3, 0.5))
    found = conclude(Baselines("accuracy", False, "rows", "one row", 2000, 10, 60.0, own, [weak, baseline], [], 5, ""))
    assert says in found
    assert "89.7 % accuracy in 12 s and 3.0 MB" in found
    assert "2,000 rows" in found


@pytest.mark.parametrize("kind", ["two", "four", "labels", "number", "characters", "words", "documents"])
def test_every_kind_of_run_has_baselines(trained: Callable[[str], Trained], kind: str) -> None:
    run, prepared = trained(kind)
    found = registry.compare_with_baselines(
        run.spec, run.model, prepared, run.device, run.summary, 60.0, lambda _: None
    )
    assert len(found.baselines) >= 2
    assert found.figure in found.own.metrics
    for baseline in found.baselines:
        assert baseline.num_bytes > 0
        assert baseline.latency_ms > 0
        assert np.isfinite(baseline.metrics[found.figure])
    json.dumps(found.to_dict(), allow_nan=False)
    if kind in ("characters", "words", "documents"):
        bits = {baseline.name: baseline.metrics[found.figure] for baseline in found.baselines}
        assert bits["n-grams with back-off"] < bits["frequencies alone"]


def test_the_model_s_own_figures_are_those_of_its_evaluation(trained: Callable[[str], Trained]) -> None:
    for kind, figure in (("four", "accuracy"), ("characters", "bits_per_character"), ("number", "rmse")):
        run, prepared = trained(kind)
        found = registry.compare_with_baselines(
            run.spec, run.model, prepared, run.device, run.summary, 0.0, lambda _: None
        )
        assert found.own.metrics[figure] == pytest.approx(run.summary["validation"][figure], rel=1e-5)


def test_what_the_budget_does_not_reach_is_named(trained: Callable[[str], Trained]) -> None:
    run, prepared = trained("two")
    found = registry.compare_with_baselines(run.spec, run.model, prepared, run.device, run.summary, 0.0, lambda _: None)
    assert [baseline.name for baseline in found.baselines] == ["most frequent"]
    assert "NB-SVM: the budget was spent" in found.passed_over


def test_without_scikit_learn_its_baselines_are_passed_over(
    trained: Callable[[str], Trained], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measuring, "find_spec", lambda name: None)
    run, prepared = trained("two")
    found = registry.compare_with_baselines(
        run.spec, run.model, prepared, run.device, run.summary, 60.0, lambda _: None
    )
    assert any("pip install 'ostinato[baselines]'" in reason for reason in found.passed_over)


def test_a_baseline_is_a_class_that_its_task_names(
    trained: Callable[[str], Trained], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Classification, "baselines", lambda *_: [MostFrequent])
    run, prepared = trained("two")
    found = registry.compare_with_baselines(
        run.spec, run.model, prepared, run.device, run.summary, 60.0, lambda _: None
    )
    assert [baseline.name for baseline in found.baselines] == ["most frequent"]
    monkeypatch.setattr(Classification, "comparison", lambda *_: None)
    with pytest.raises(RunError, match="no baselines yet for a classifier"):
        registry.compare_with_baselines(run.spec, run.model, prepared, run.device, run.summary, 1.0, lambda _: None)


def _train(frame: pl.DataFrame, path: Path, **recipe: Any) -> Any:
    frame.write_parquet(path / "rows.parquet")
    data = {"train": str(path / "rows.parquet"), "validation": 0.4, "input": "x", "target": "y"}
    model = {"hidden_size": 4, "embedding_dim": 4, **recipe.pop("model", {})}
    training = {"epochs": 1, "num_threads": 1}
    train_recipe(build_recipe({"data": data, "model": model, "training": training, **recipe}), path / "run", Observer())
    run = load(path / "run")
    prepared = prepare(run.recipe)
    return registry.compare_with_baselines(run.spec, run.model, prepared, run.device, run.summary, 60.0, lambda _: None)


def test_series_have_neighbours_and_statistics(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    x = [(np.sin(np.arange(12 + i % 3) * (1 + i % 2)) + random.normal(0, 0.05, 12 + i % 3)).tolist() for i in range(60)]
    y = ["slow" if i % 2 == 0 else "fast" for i in range(60)]
    found = _train(pl.DataFrame({"x": x, "y": y}), tmp_path, model={"embedding_dim": 64})  # nothing is embedded
    accuracy = {baseline.name: baseline.metrics["accuracy"] for baseline in found.baselines}
    assert accuracy["1-nearest neighbour, Euclidean"] > 0.9
    assert accuracy["1-nearest neighbour, warped (DTW)"] > 0.9
    assert accuracy["linear on summary statistics"] > 0.9
    assert accuracy["most frequent"] < 0.7


def test_tags_are_looked_up(tmp_path: Path) -> None:
    words = [["the", "dog", "runs"], ["a", "cat", "sleeps"], ["the", "cat", "runs"], ["a", "dog", "sleeps"]] * 10
    tags = [["DET", "NOUN", "VERB"]] * 40
    features = {"target": {"kind": "tags"}}
    found = _train(pl.DataFrame({"x": words, "y": tags}), tmp_path, features=features, model={"task": "tagging"})
    accuracy = {baseline.name: baseline.metrics["accuracy"] for baseline in found.baselines}
    assert accuracy["most frequent tag of each token"] == 1.0
    assert accuracy["logistic regression on a window"] > 0.9
    assert accuracy["most frequent tag"] == pytest.approx(1 / 3)


def test_numbers_and_notes_of_each_step_have_a_mean_and_a_window(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    x = [random.normal(size=4 + n % 4).round(3).tolist() for n in range(60)]
    moved = [[0.5, *(2 * value for value in row[:-1])] for row in x]  # what came a step before, twice
    model = {"task": "tagging", "embedding_dim": 64}  # nothing is embedded
    bass = [[[48] if value > 0 else [] for value in row] for row in x]
    for folder, y, kind, figure in (("numbers", moved, "series", "mse"), ("notes", bass, "notes", "accuracy")):
        (tmp_path / folder).mkdir()
        features = {"target": {"kind": kind}}
        found = _train(pl.DataFrame({"x": x, "y": y}), tmp_path / folder, features=features, model=model)
        mean, window = (
            next(baseline.metrics[figure] for baseline in found.baselines if baseline.name == name)
            for name in ("mean", "ridge regression on a window")
        )
        assert window < mean / 10 if figure == "mse" else window > mean + 0.2, (mean, window)


def test_pairs_are_copied_and_looked_up(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    x = ["".join("abcd"[i] for i in random.integers(0, 4, 2 + n % 4)) for n in range(80)]
    y = [text.translate(str.maketrans("abcd", "bcda")) for text in x]
    features = {"input": {"unit": "characters"}, "target": {"kind": "text", "unit": "characters"}}
    found = _train(pl.DataFrame({"x": x, "y": y}), tmp_path, features=features, model={"task": "seq2seq"})
    rates = {baseline.name: baseline.metrics["token_error_rate"] for baseline in found.baselines}
    assert rates["token by token"] == 0.0
    assert rates["copy"] > 0.5
    assert rates["most frequent answer"] > 0.5


def test_the_command_writes_the_file_and_the_report(
    trained: Callable[[str], Trained], cli: Callable[..., Any], tmp_path: Path
) -> None:
    folder = trained("two").run.folder
    shown = cli("baselines", folder, "--budget", 30)
    assert shown.code == 0, shown.err
    assert "NB-SVM" in shown.out
    assert "recurren" in shown.out
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert "Is recurrence worth it here?" in page
    assert json.loads(cli("baselines", folder, "--budget", 0, "--json").out)["figure"] == "accuracy"
    (folder / "baselines.json").write_text("{}", encoding="utf-8")
    assert "ostinato baselines" in cli("report", folder).err
    (folder / "baselines.json").unlink()
