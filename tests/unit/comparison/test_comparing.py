"""Several models on the same data: sizes that match, what is clear, and a real comparison from the command line."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import ttest_ind, tukey_hsd
from tests.conftest import Cli
from torch import nn

import ostinato
from ostinato.comparison import compare
from ostinato.comparison.comparing import _command
from ostinato.comparison.plan import count_parameters, flops_per_step, plan
from ostinato.errors import RecipeError, RunError
from ostinato.nn import Embedding
from ostinato.recipe import Recipe, build_recipe
from ostinato.report.comparison import Contender, Scored, behind, sentence, summarise, write_page
from ostinato.training.progress import Observer


def _recipe(folder: Path, **model: Any) -> Recipe:
    path = folder / "text.txt"
    path.write_text("the cat sat on the mat and the dog sat on the log. " * 60)
    return build_recipe(
        {
            "name": "tiny",
            "data": {"train": str(path)},
            "model": {"embedding_dim": 5, "hidden_size": 24, **model},
            "training": {"epochs": 2, "bptt": 20, "batch_size": 4, "num_threads": 1, "learning_rate": 0.01},
        }
    )


def test_hidden_sizes_bring_every_cell_to_the_parameters_of_the_first(tmp_path: Path) -> None:
    variants = plan(_recipe(tmp_path), ["lstm", "gru", "rnn"], {}, "parameters", Observer())
    assert [variant.name for variant in variants] == ["lstm", "gru", "elman"]
    first = variants[0]
    assert first.recipe.model.hidden_size == 24
    for variant in variants[1:]:
        assert abs(variant.num_parameters - first.num_parameters) < 0.05 * first.num_parameters
    sizes = [variant.recipe.model.hidden_size for variant in variants]
    assert sizes[0] < sizes[1] < sizes[2]
    same = plan(_recipe(tmp_path), ["lstm", "gru"], {}, "none", Observer())
    assert [variant.recipe.model.hidden_size for variant in same] == [24, 24]


def test_values_of_any_key_are_varied_with_every_cell(tmp_path: Path) -> None:
    vary = {"model.embedding_dim": [4, 8], "model.tie_embeddings": [True]}
    variants = plan(_recipe(tmp_path), ["gru", "lstm"], vary, "none", Observer())
    assert [variant.name for variant in variants] == [
        "gru embedding_dim=4 tie_embeddings=True",
        "lstm embedding_dim=4 tie_embeddings=True",
        "gru embedding_dim=8 tie_embeddings=True",
        "lstm embedding_dim=8 tie_embeddings=True",
    ]
    assert [variant.recipe.model.embedding_dim for variant in variants] == [4, 4, 8, 8]


def test_a_cell_without_a_keeping_gate_goes_without_its_bias(tmp_path: Path) -> None:
    said: list[str] = []

    class _Noting(Observer):
        def note(self, text: str) -> None:
            said.append(text)

    variants = plan(_recipe(tmp_path, forget_bias=1.0), ["lstm", "elman"], {}, "none", _Noting())
    assert [variant.recipe.model.forget_bias for variant in variants] == [1.0, None]
    assert "model.forget_bias does not apply to elman as it is: left out" in said


def test_flops_are_those_of_the_matrices_that_a_step_meets() -> None:
    table = Embedding(50, 4)
    model = nn.ModuleDict({"embedding": table, "output": nn.Linear(4, 50)})
    assert flops_per_step(model) == 2 * 200
    model["output"].weight = table.weight  # tied: the table is multiplied with as the output
    assert flops_per_step(model) == 2 * 200
    assert count_parameters(model) == 200 + 50
    layer = ostinato.nn.LSTM(3, 5)
    assert flops_per_step(layer) == 2 * 4 * 5 * (3 + 5)


def _contender(name: str, qualities: list[float], cpu_s: float = 10.0) -> Contender:
    runs = tuple(Scored(seed, quality, 2.0, 1, 5.0, cpu_s, 10**8, 1000, {}) for seed, quality in enumerate(qualities))
    return Contender(name, "gru", 8, 100, 200, runs)


def test_only_what_the_seeds_bear_out_is_called_clear() -> None:
    good, near, far = (
        _contender("a", [1.0, 1.1, 0.9]),
        _contender("b", [1.1, 1.2, 1.0]),
        _contender("c", [2.0, 2.1, 1.9]),
    )
    alone = ttest_ind([1.0, 1.1, 0.9], [1.1, 1.2, 1.0], equal_var=False).pvalue
    assert behind([good, near]) == [pytest.approx(1.1 * alone)]
    assert behind([good, far]) < [0.05]
    assert behind([_contender("d", [1.0]), far]) == [None]
    said = sentence("loss", "parameters", [good, near, far])
    assert said == (
        "At equal numbers of parameters, a has the best loss (1 ± 0.1); b (1.1 ± 0.1) lies within the spread of the "
        "seeds; c (2 ± 0.1) is clearly behind."
    )
    results = summarise("x", "accuracy", "time", [good, near, far])
    assert [row["name"] for row in results["variants"]] == ["c", "b", "a"]
    assert results["variants"][0]["training_flops"] == 3 * 200 * 1000
    assert results["variants"][2]["behind"] == pytest.approx(1.0)
    said = sentence("loss", "time", [good, _contender("d", [2.0, 2.1, 1.9], cpu_s=5.0)], "2 minutes of processor time")
    assert said == (
        "In 2 minutes of processor time each, a has the best loss (1 ± 0.1); d (2 ± 0.1) is clearly behind."
    )  # and not that d takes half of it
    single = sentence("loss", "none", [_contender("a", [1.0]), _contender("b", [2.0])])
    assert single.endswith("one seed each, so the spread is unknown.")


def test_many_models_are_many_chances_and_that_is_corrected() -> None:
    rows = [[1.0, 1.1, 0.9], [1.3, 1.5, 1.4], [1.2, 1.0, 1.4], [1.35, 1.2, 1.4]]
    best, *others = (_contender(str(number), row) for number, row in enumerate(rows))
    single = [float(ttest_ind(rows[0], row, equal_var=False).pvalue) for row in rows[1:]]
    found = behind([best, *others])
    among_all = tukey_hsd(*rows, equal_var=False).pvalue[0, 1:].tolist()
    assert found == pytest.approx([min(1.0, max(1.1 * p, 3 * q)) for p, q in zip(among_all, single, strict=True)])
    assert single[2] < 0.05 < (found[2] or 0.0)
    draw = np.random.default_rng(0)
    wrong = 0
    for _ in range(15):
        equal = [_contender(str(number), list(draw.normal(size=5))) for number in range(8)]
        wrong += min(p or 1.0 for p in behind(sorted(equal, key=lambda each: each.mean))) < 0.05
    assert wrong <= 2  # 1 expected; without a correction 5 and more


def test_the_page_says_which_differences_are_clear(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    contenders = [_contender("a", [1.0, 1.1, 0.9]), _contender("b", [1.1, 1.2, 1.0]), _contender("c", [2.0, 2.1, 1.9])]
    write_page(tmp_path / "page.html", summarise("x", "loss", "none", contenders), Recipe())
    page = (tmp_path / "page.html").read_text()
    assert re.findall(r"<td>(\w[\w ]*)</td>", page) == ["best", "no", "yes"]
    assert "Trained on" not in page
    assert 'class="plot"' in page, "without curves there is the one plot"
    assert page.count("<svg") == 1
    single = [_contender("a", [1.0]), _contender("b", [2.0])]
    write_page(tmp_path / "page.html", summarise("x", "loss", "none", single), Recipe())
    assert re.findall(r"<td>(\w[\w ]*)</td>", (tmp_path / "page.html").read_text()) == ["best", "one seed"]


def test_a_comparison_runs_is_written_and_is_not_run_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = _recipe(tmp_path)
    found = compare(recipe, cells=["elman", "gru"], num_seeds=1, out=tmp_path / "out", observer=Observer())
    rows = found.results["variants"]
    assert {row["name"] for row in rows} == {"elman", "gru"}
    for row in rows:
        assert row["peak_bytes"] > 50 << 20
        assert row["cpu_s"] > row["runs"][0]["seconds"] * 0.5
        assert row["runs"][0]["steps"] == 2 * int(0.9 * 51 * 60)
    run = ostinato.load(tmp_path / "out" / "gru" / "seed-0")
    assert run.summary["validation"]["loss"] == next(row["mean"] for row in rows if row["name"] == "gru")
    page = (tmp_path / "out" / "comparison.html").read_text()
    assert "compared" in page
    assert "perplexity" in page, "the task's own figures"
    assert page.count('<svg class="plot"') == 2, "quality and curves"
    assert re.search(r"Trained on: machine .*torch", page)
    assert str(tmp_path) not in page
    assert [len(row["runs"][0]["curve"]) for row in rows] == [2, 2]
    monkeypatch.setattr("ostinato.comparison.child._measured", _never)
    again = compare(recipe, cells=["elman", "gru"], num_seeds=1, out=tmp_path / "out", observer=Observer())
    assert again.results == found.results
    other = recipe.model_copy(update={"training": recipe.training.model_copy(update={"epochs": 3})})
    with pytest.raises(RunError, match="holds a run of another recipe"):
        compare(other, cells=["elman", "gru"], num_seeds=1, out=tmp_path / "out", observer=Observer())


def test_equal_time_is_processor_time_and_the_page_says_so(tmp_path: Path) -> None:
    found = compare(
        _recipe(tmp_path), cells=["elman", "gru"], num_seeds=1, match="time", minutes=0.02, out=tmp_path / "out",
        observer=Observer(),
    )  # fmt: skip
    for cell in ("elman", "gru"):
        run = ostinato.load(tmp_path / "out" / cell / "seed-0")
        assert run.recipe.training.clock == "processor"
        assert run.summary["ended"] == "training.max_minutes = 0.02 reached"
        assert not (run.folder / "baselines.json").exists()
    assert found.results["sentence"].startswith("In 0.02 minutes of processor time each, ")
    page = (tmp_path / "out" / "comparison.html").read_text()
    assert "Each model trained for 0.02 minutes of processor time" in page


def test_a_comparison_can_be_asked_for_again() -> None:
    asked = (["gru", "lstm"], {"model.embedding_dim": [8, 16], "model.bias": [True]}, 2, "none", None)
    assert _command("my recipe.yaml", *asked, ["training.epochs=2"]) == (
        "ostinato compare --recipe 'my recipe.yaml' --seeds 2 --match none --cells gru,lstm "
        "--vary model.embedding_dim=8,16 --vary model.bias=true --set training.epochs=2"
    )
    assert str(_command("r.yaml", [], {}, 1, "time", 2.0, {"training.epochs": 2})).endswith(
        "--match time --minutes 2 --set training.epochs=2"
    )
    assert _command(Recipe(), *asked, []) is None


def _never(*_: object) -> None:
    raise AssertionError("a run that has ended was run again")


def test_a_run_that_fails_says_why(tmp_path: Path) -> None:
    recipe = _recipe(tmp_path)
    training = recipe.training.model_copy(update={"learning_rate": 1e38, "clip": "none"})
    with pytest.raises(RunError, match="a run of the comparison failed"):
        compare(
            recipe.model_copy(update={"training": training}),
            cells=["elman", "gru"],
            num_seeds=1,
            out=tmp_path / "out",
            observer=Observer(),
        )


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda r: compare(r, cells=["gru"]), "a comparison needs at least two models"),
        (lambda r: compare(r, cells=["gru", "gruu"]), "no cell is called `gruu`"),
        (lambda r: compare(r, cells=["gru", "lstm"], num_seeds=0), "`num_seeds` must be at least 1"),
        (lambda r: compare(r, cells=["gru", "lstm"], match="time"), "needs a positive number of minutes"),
        (lambda r: compare(r, cells=["gru", "lstm"], minutes=3), "`minutes` only applies with match: time"),
    ],
)
def test_what_can_not_be_compared(call: Callable[[Recipe], object], said: str, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=said):
        call(_recipe(tmp_path))


def test_from_the_command_line(cli: Cli, tmp_path: Path) -> None:
    from ostinato.recipe import dump_recipe

    (tmp_path / "r.yaml").write_text(dump_recipe(_recipe(tmp_path)))
    (tmp_path / "yaml.py").write_text("raise SystemExit('a file of the working directory was executed')")
    made = cli("compare", "--recipe", "r.yaml", "--vary", "model.embedding_dim=3,6", "--seeds", 1, "--json")
    assert made.code == 0, made.err
    names = [row["name"] for row in json.loads(made.out)["variants"]]
    assert sorted(names) == ["embedding_dim=3", "embedding_dim=6"]
    assert (tmp_path / "runs" / "tiny-comparison" / "comparison.html").is_file()
    assert "`--match` must be parameters" in cli("compare", "--recipe", "r.yaml", "--match", "size").err
    assert "`--vary` needs key=value,value" in cli("compare", "--recipe", "r.yaml", "--vary", "model.cell").err
