"""The pieces a report is put together from."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest
import torch

from ostinato.recipe import TrainingRecipe, build_recipe
from ostinato.report import plots
from ostinato.report.confusion import confusion_table
from ostinato.report.data import shown_token, token_counts
from ostinato.report.head import curves, duration, network_name, smoothed
from ostinato.report.page import figure, number, percent, plain, ticks
from ostinato.report.svg import BLUE, drawable, drawing, inline_svg, logarithmic, sample, thin, varies, whole
from ostinato.tasks.language_model.report import passage, unigram_bits
from ostinato.tasks.registry import task_named


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ({"cell": "lstm"}, "an LSTM"),
        ({"cell": "gru", "bidirectional": True}, "a bidirectional GRU"),
        ({"cell": "gru"}, "a GRU"),
        ({"cell": "elman"}, "an Elman network"),
        ({"cell": "lstm", "num_layers": 2, "bidirectional": True}, "a two-layer bidirectional LSTM"),
        ({"cell": "gru", "num_layers": 8}, "an 8-layer GRU"),
    ],
)
def test_network_name(model, name):
    assert network_name(build_recipe({"data": {"train": "x.csv"}, "model": model})) == name


@pytest.mark.parametrize(
    ("seconds", "said"), [(4.2, "4 s"), (59.6, "1 min 00 s"), (187, "3 min 07 s"), (7500, "2 h 05 min")]
)
def test_duration(seconds, said):
    assert duration(seconds) == said


def test_numbers_as_they_are_written():
    assert (percent(0.1234), percent(None), percent(0.5, 0)) == ("12.3 %", "–", "50 %")
    assert (figure(0.12345), figure(1234.5), figure(-0.003), figure(None)) == ("0.123", "1,234", "−0.003", "–")
    assert (figure(0.0), figure(0.000012345)) == ("0.000", "1.23e−05")
    assert (plain(10.0), plain(-2.0), plain(2.5)) == ("10", "−2", "2.500")
    assert (number(12345), number(None)) == ("12,345", "–")


def test_ticks_become_code_and_everything_is_escaped():
    assert ticks("target: `<b>` & `x`") == "target: <code>&lt;b&gt;</code> &amp; <code>x</code>"
    assert ticks("a lone ` and <b>") == "a lone ` and &lt;b&gt;"


def test_smoothing_has_no_bias_at_the_start():
    assert smoothed(np.full(500, 3.0)) == pytest.approx(3.0)
    assert smoothed(np.array([5.0, 1.0])).tolist() == [5.0, 1.0]


def test_thinning_keeps_extremes_and_order():
    values = np.random.default_rng(0).normal(size=5000)
    x, y = thin(np.arange(5000.0), values, 100)
    assert len(x) <= 200
    assert (np.diff(x) > 0).all()
    assert (y.min(), y.max()) == (values.min(), values.max())
    assert (values[x.astype(int)] == y).all()
    assert thin(np.arange(5.0), np.arange(5.0), 100)[0].tolist() == [0, 1, 2, 3, 4]
    assert sample(np.arange(5000.0), values, 10)[0][[0, -1]].tolist() == [0, 4999]


def test_svg_ids_are_the_plots_own():
    raw = """<?xml version="1.0"?><!DOCTYPE svg PUBLIC "x" "http://www.w3.org/x.dtd">
    <svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 3 4" width="3pt"><metadata>http://purl.org</metadata>
    <g id="axes_1"><path id="p1" d="M 1.23456 7.98765"/><use xlink:href="#p1"/><g clip-path="url(#p1)"/></g></svg>"""
    assert inline_svg(raw, "loss", 'a "b"') == (
        '<svg class="plot" role="img" aria-label="a &#34;b&#34;" viewBox="0 0 3 4"><g><path id="loss-p1" '
        'd="M 1.23 7.98"/><use href="#loss-p1"/><g clip-path="url(#loss-p1)"/></g></svg>'
    )


def test_plots_take_the_pages_colours():
    with drawing("x", "y") as plot:
        plot.axes.plot([1, 2], color=BLUE)
    assert "var(--blue)" in plot.svg
    assert "var(--ink)" in plot.svg
    assert BLUE not in plot.svg
    assert "http" not in plot.svg


def test_a_large_confusion_matrix_keeps_the_most_frequent_classes():
    counts = np.diag(np.arange(20))
    counts[19, 18] = 19
    table = confusion_table(counts.tolist(), tuple(map(str, range(20))))
    assert table["columns"] == [str(i) for i in range(8, 20)]
    assert table["num_left_out"] == 8
    assert table["rows"][-1]["cells"][-2] == {"count": 19, "share": 0.5, "right": False}
    assert table["rows"][-1]["cells"][-1] == {"count": 19, "share": 0.5, "right": True}


def test_unigram_bits_by_hand():
    train, validation = np.array([3, 3, 4], dtype=np.int32), np.array([3, 4], dtype=np.int32)
    # counts plus one: 1, 1, 1, 3, 2 of 8
    assert unigram_bits(train, validation, 5) == pytest.approx(-(math.log2(3 / 8) + math.log2(2 / 8)) / 2)
    assert token_counts(train, 5).tolist() == [0, 0, 0, 2, 1]


def test_unit_of_the_loss():
    assert task_named("language_model").loss_unit(build_recipe({})) == (1 / math.log(2), "bits per character")
    number = build_recipe({"features": {"target": {"kind": "number"}}})
    series = build_recipe({"features": {"target": {"kind": "series"}}})
    assert task_named("classification").loss_unit(number)[1] == "standardised squared error"
    assert task_named("tagging").loss_unit(series)[1] == "standardised squared error"
    assert task_named("classification").loss_unit(build_recipe({})) == (1.0, "nats")


def test_tokens_as_readers_can_see_them(trained):
    feature = trained("characters").run.features.input
    shown = {token: shown_token(feature, i) for i, token in enumerate(feature.vocabulary.tokens)}
    assert (shown[" "], shown["\n"], shown["\x1b"], shown["\u202e"]) == ("␣", "↵", "U+001B", "U+202E")
    assert (shown["<end>"], shown["<unk>"], shown["<"]) == ("∎", "<unk>", "<")
    subwords = trained("subwords").run.features.input
    shown = {shown_token(subwords, i) for i in range(subwords.vocab_size)}
    assert {"<unk>", "␣", "↵"} <= shown
    assert any(token.startswith("␣") and len(token) > 2 for token in shown)


def test_passage_gives_the_probabilities_of_a_straight_reading(trained):
    run, prepared = trained("characters")
    found = passage(run.model, prepared.validation.sequences.values, run.features, run.device)
    assert len(found["columns"]) == 160
    with torch.inference_mode():
        logits, _ = run.model(torch.from_numpy(prepared.validation.sequences.values.astype(np.int64)).unsqueeze(1))
    ids = prepared.validation.sequences.values.tolist()
    probabilities = logits[:, 0].softmax(-1)
    given = [c["probability"] for c in found["columns"]]
    told = [float(probabilities[i - 1, ids[i]]) for i in range(1, len(ids))]
    # The passage begins after at most 512 tokens of context: find it, then all must agree.
    text = [c["token"] for c in found["columns"]]
    names = [shown_token(run.features.input, i) for i in ids]
    starts = [i for i in range(1, len(ids) - 159) if names[i : i + 160] == text]
    assert any(np.allclose(given, told[s - 1 : s + 159], atol=1e-3) for s in starts)
    for column in found["columns"]:
        chances = [guess["probability"] for guess in column["likeliest"]]
        assert len(chances) == 4
        assert chances == sorted(chances, reverse=True)


@pytest.mark.parametrize("length", [2, 3, 40])
def test_a_passage_of_a_very_short_text(length, trained):
    run, prepared = trained("characters")
    found = passage(run.model, prepared.validation.sequences.values[:length], run.features, run.device)
    assert 1 <= len(found["columns"]) <= length - 1


def test_a_single_step_has_one_tick() -> None:
    with drawing("one", "one", "step", "F1", x_ticks=whole) as plot:
        plot.axes.plot([7.0], [0.5])
    assert [tick for tick in plot.axes.get_xticks() if 6.5 < tick < 7.5] == [7.0]


@pytest.mark.parametrize("ends", [(1e-40, 1.0), (1e-9, 1.0), (0.3, 30.0), (0.21, 0.4), (1.0, 1.0001), (1.0, 1e6)])
def test_ticks_of_a_logarithmic_axis_never_crowd(ends: tuple[float, float]) -> None:
    with drawing("log", "log", y_ticks=logarithmic) as plot:
        plot.axes.plot([1, 2], ends)
    low, high = plot.axes.get_ylim()
    shown = [tick for tick in plot.axes.get_yticks() if low <= tick <= high]
    assert 2 <= len(shown) <= 7


@pytest.mark.parametrize(("name", "count"), [("", 11), ("line ", 12), ("a rather long name ", 3)])
def test_a_legend_stands_above_what_is_drawn(name: str, count: int) -> None:
    with drawing("legend", "legend") as plot:
        for number in range(count):
            plot.axes.plot([0, 1], [0, 1], label=f"{name}{number}")
    legend = plot.axes.get_legend()
    assert legend is not None
    assert plot.axes.get_window_extent().width > 0.8 * plot.axes.figure.bbox.width
    assert legend.get_window_extent().y0 >= plot.axes.get_window_extent().y1
    assert legend.get_window_extent().x1 <= plot.axes.figure.bbox.x1


def test_names_of_the_data_stand_on_axes_where_every_font_has_them() -> None:
    assert drawable("Temp. (°C)") == "Temp. (°C)"
    assert [drawable(name) for name in ("気温", "a\nb", "x" * 31, "")] == ["", "", "", ""]
    with drawing("x", "y", drawable('a <b> & "c"')) as plot:
        plot.axes.plot([1, 2])
    assert "a &lt;b&gt; &amp; " in plot.svg
    assert "<b>" not in plot.svg


def test_what_never_changes_is_not_drawn() -> None:
    assert not varies(np.full(5, 2.0), np.ones(1))
    assert varies(np.full(5, 2.0), np.arange(2.0))
    at, one = np.asarray([4.0]), np.asarray([0.5])
    assert plots.error_by_length(at, one, one, "word") is None


def test_lengths_are_whole_numbers() -> None:
    drawn = str(plots.lengths(np.asarray([4.0, 5, 6, 7, 8, 9]), 6.0, 9.0, "words"))
    assert set(re.findall(r">([\d.]+)</text>", drawn)) >= {"4", "6", "8"}
    assert "4.5" not in re.findall(r">([\d.]+)</text>", drawn)


@pytest.mark.parametrize("constant", [True, False])
def test_a_learning_rate_that_never_changed_is_said_and_not_drawn(constant: bool) -> None:
    rates = [0.002] * 9 if constant else [0.002 - 1e-4 * k for k in range(9)]
    steps = [
        {"step": k + 1, "loss": 1.0, "gradient_norm": 1.0, "clipped": False, "learning_rate": rate}
        for k, rate in enumerate(rates)
    ]
    found = curves(steps, [], TrainingRecipe(), (1.0, "nats"))
    assert found is not None
    assert (found["rate"] is None) == constant
    assert found["constant_rate"] == "0.002"
