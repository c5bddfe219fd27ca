"""Rows of numbers as drawings: within their frame, short of points, one line a channel."""

from __future__ import annotations

import re

import numpy as np

from ostinato.report.sparkline import sparkline


def _points(svg: str) -> list[list[tuple[float, float]]]:
    found = re.findall(r'points="([^"]*)"', svg)
    return [[(float(p.split(",")[0]), float(p.split(",")[1])) for p in line.split()] for line in found]


def test_a_line_goes_from_the_least_value_at_the_bottom_to_the_greatest_at_the_top() -> None:
    [line] = _points(sparkline(np.asarray([[1.0], [3.0], [2.0]])))
    assert line == [(3.0, 53.0), (180.0, 3.0), (357.0, 28.0)]


def test_many_steps_and_channels_are_thinned() -> None:
    lines = _points(sparkline(np.random.default_rng(0).standard_normal((5000, 9))))
    assert len(lines) == 4
    assert all(len(line) == 360 for line in lines)
    assert all(0 <= x <= 360 and 0 <= y <= 56 for line in lines for x, y in line)


def test_one_step_and_constant_rows_are_drawn() -> None:
    assert _points(sparkline(np.asarray([[2.0]]))) == [[(3.0, 53.0)]]
    assert {y for _, y in _points(sparkline(np.full((4, 1), 7.0)))[0]} == {53.0}
