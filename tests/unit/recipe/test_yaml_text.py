"""YAML of recipes: small files that stand for large ones, and what has no end, are refused."""

from __future__ import annotations

import pytest
import yaml

from ostinato.recipe.yaml_text import dump_yaml, parse_yaml

BOMB = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{chr(98 + n)}: &{chr(98 + n)} [{', '.join([f'*{chr(97 + n)}'] * 10)}]\n" for n in range(7)
)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (BOMB, "more than 100,000 values"),
        ("a: &a [*a]", "alias within itself"),
        ("&a {b: *a}", "alias within itself"),
        ("[" * 60 + "]" * 60, "50 levels deep"),
        ("[" * 3000, "50 levels deep"),
        ("9" * 5000, "4300 digits"),
        ("2020-99-99", "month"),
        ("a: 1\na: 2", "occurs twice"),
    ],
)
def test_refused(text: str, reason: str) -> None:
    with pytest.raises(yaml.YAMLError, match=reason):
        parse_yaml(text)


def test_an_alias_may_be_used() -> None:
    assert parse_yaml("a: &x [1, 2]\nb: *x\n") == {"a": [1, 2], "b": [1, 2]}


def test_line_breaks_of_unicode() -> None:
    assert parse_yaml(dump_yaml({"a": "b\x85c\u2028d"})) == {"a": "b\x85c\u2028d"}
