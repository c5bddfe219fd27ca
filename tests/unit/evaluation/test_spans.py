"""Spans as conlleval has them. Expected figures were worked out by the rules of conlleval.pl by hand."""

from __future__ import annotations

import pytest

from ostinato.tasks.tagging.entity_spans import Span, are_span_tags, span_scores, spans_of


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ("O O O", []),
        ("B-A I-A O", [("A", 0, 2)]),
        ("B-A B-A", [("A", 0, 1), ("A", 1, 2)]),
        ("I-A I-A O I-A", [("A", 0, 2), ("A", 3, 4)]),  # IOB1: I- after O begins a span
        ("I-A B-A I-A", [("A", 0, 1), ("A", 1, 3)]),
        ("B-A I-B I-B", [("A", 0, 1), ("B", 1, 3)]),  # another type begins a span
        ("I-A I-B", [("A", 0, 1), ("B", 1, 2)]),
        ("O B-A", [("A", 1, 2)]),
        ("B-A", [("A", 0, 1)]),
        ("B-A I-A E-A O S-A", [("A", 0, 3), ("A", 4, 5)]),
        ("S-A S-A B-A E-A", [("A", 0, 1), ("A", 1, 2), ("A", 2, 4)]),
        ("E-A E-A", [("A", 0, 1), ("A", 1, 2)]),
        ("B-A-B I-A-B", [("A-B", 0, 2)]),
        ("B-A I-A L-A O U-A U-B", [("A", 0, 3), ("A", 4, 5), ("B", 5, 6)]),  # BILOU
        ("B-A M-A E-A S-A O", [("A", 0, 3), ("A", 3, 4)]),  # BMES
        ("B-A M-A E-A W-A W-A", [("A", 0, 3), ("A", 3, 4), ("A", 4, 5)]),  # BMEWO
        ("B_A I_A O", [("A", 0, 2)]),
        ("B I O B B", [("span", 0, 2), ("span", 3, 4), ("span", 4, 5)]),  # without types
        ("B M E S", [("span", 0, 3), ("span", 3, 4)]),  # words of unbroken text
        ("", []),
    ],
)
def test_spans(tags: str, expected: list[tuple[str, int, int]]) -> None:
    assert spans_of(tags.split()) == [Span(*one) for one in expected]


def test_scores_count_whole_spans() -> None:
    """conlleval on this: 5 phrases true, 4 found, 1 right: precision 25 %, recall 20 %."""
    truth = [["B-NP", "I-NP", "B-VP", "O", "B-PP"], ["B-NP", "B-NP"]]
    given = [["B-NP", "I-NP", "B-VP", "I-VP", "I-NP"], ["B-NP", "I-NP"]]
    found = span_scores(truth, given)
    assert found["num_spans"] == 5
    assert found["precision"] == pytest.approx(1 / 4)
    assert found["recall"] == pytest.approx(1 / 5)
    by_type = {row["name"]: row for row in found["per_span"]}
    assert by_type["NP"]["support"] == 3
    assert by_type["NP"]["precision"] == pytest.approx(1 / 3)
    assert by_type["VP"]["f1"] == 0
    assert by_type["PP"]["recall"] == 0


def test_a_span_that_is_cut_in_two_is_wrong_twice() -> None:
    found = span_scores([["B-A", "I-A"]], [["B-A", "B-A"]])
    assert (found["precision"], found["recall"], found["f1"]) == (0, 0, 0)


def test_nothing_there_and_nothing_said() -> None:
    found = span_scores([["O", "O"]], [["O", "O"]])
    assert (found["precision"], found["recall"], found["f1"], found["per_span"]) == (0, 0, 0, [])


def test_sentences_are_apart() -> None:
    found = span_scores([["B-A"], ["I-A"]], [["B-A"], ["I-A"]])
    assert found["num_spans"] == 2
    assert found["f1"] == 1


def test_which_tags_are_spans() -> None:
    assert are_span_tags(("B-NP", "I-NP", "O"))
    assert are_span_tags(("I-NP", "O"))
    assert are_span_tags(("B-NP", "I-NP", "L-NP", "O", "U-NP"))
    assert are_span_tags(("O", "U-NP"))
    assert are_span_tags(("B-NP", "M-NP", "E-NP", "S-NP"))
    assert are_span_tags(("B", "I", "O"))
    assert not are_span_tags(("H", "E", "L"))
    assert not are_span_tags(("B", "S"))
    assert not are_span_tags(("NOUN", "O"))
    assert not are_span_tags(("O", "S-NP"))
    assert not are_span_tags(("B-NP", "X"))
    assert not are_span_tags(())
