"""Formats as trees: literals, fields, and lists of what may be absent; read, written, and turned into patterns."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ostinato.data.times.fields import DIGITS, FIELDS, Written, place_in
from ostinato.errors import RecipeError

_TOKEN = re.compile(r"%([-^#:B0-9]{0,2})([A-Za-z])|(\[)|(\])|([^%\[\]]+|%)")
_SAME = {"B": ("b", "B"), "A": ("a", "B"), "P": ("p", "#"), "e": ("d", "-")}
"""Letters of strptime that are another one, written otherwise."""


@dataclass(frozen=True)
class Field:
    letter: str
    flag: str = ""


Node = "str | Field | list[Node]"
"""A literal, a field, or what may be absent."""


def unreadable(format: str, expected: str) -> RecipeError:
    return RecipeError(
        f"`data.time_format` must be a format of strptime, {expected}. Received: {format!r}.",
        hint="to have it found: --set data.time_format=null; for example: --set 'data.time_format=%d/%m/%Y %H:%M'",
    )


def parsed(format: str) -> list[object]:
    """The nodes of a format."""
    stack: list[list[object]] = [[]]
    place = 0
    while place < len(format):
        found = _TOKEN.match(format, place)
        if found is None:
            raise unreadable(format, "with fields that are known")
        place = found.end()
        flag, letter, opens, closes, literal = found.groups()
        if letter:
            stack[-1] += _field_nodes(letter, flag, format)
        elif opens:
            stack.append([])
        elif closes:
            if len(stack) == 1 or not (list(flat(stack[-1])) or place_in("".join(map(str, stack[-1])))):
                raise unreadable(format, "with a field, or a place (Europe/Berlin), between each pair of brackets")
            inner = stack.pop()
            stack[-1].append(inner)
        elif literal == "%":
            raise unreadable(format, "with fields that are known")
        else:
            stack[-1].append(literal)
    if len(stack) > 1:
        raise unreadable(format, "each [ closed by a ]")
    return stack[0]


def _field_nodes(letter: str, flag: str, format: str) -> list[object]:
    if letter == "T":
        return parsed("%H:%M:%S")
    if letter == "F":
        return parsed("%Y-%m-%d")
    name, usual = _SAME.get(letter, (letter, flag))
    if name not in FIELDS:
        raise unreadable(format, f"with fields that are known: {', '.join('%' + one for one in FIELDS)}")
    return [Field(name, usual)]


def flat(nodes: Iterable[object], *, optional: bool = True) -> Iterable[Field]:
    for node in nodes:
        if isinstance(node, Field):
            yield node
        elif isinstance(node, list) and optional:
            yield from flat(node)


def regex(nodes: Sequence[object], dated: bool) -> str:
    made = ""
    for number, node in enumerate(nodes):
        if isinstance(node, str):
            made += r"\s+".join(re.escape(part) for part in re.split(r"\s+", node))
        elif isinstance(node, Field):
            beside = [nodes[i] for i in (number - 1, number + 1) if 0 <= i < len(nodes)]
            tight = node.letter in "mdHIMSV" and any(_is_digits(one) for one in beside)
            looks = FIELDS[node.letter]
            if node.letter == "H" and not dated:
                looks = r"\d{1,4}"
            elif tight or node.letter in "MS":
                looks = r"\d{2}"
            made += f"(?P<{node.letter}>{looks})"
        elif isinstance(node, list):
            made += f"(?:{regex(node, dated)})?"
    return made


def _is_digits(node: object) -> bool:
    return isinstance(node, Field) and node.letter in DIGITS


def written(nodes: Sequence[object], of: Written, dated: bool) -> str:
    made = ""
    for node in nodes:
        if isinstance(node, str):
            made += node
        elif isinstance(node, Field):
            made += of.text(node.letter, node.flag, dated)
        elif isinstance(node, list) and any(of.number(one.letter, dated) for one in flat(node) if one.letter in DIGITS):
            made += written(node, of, dated)
    return made


def spelt(nodes: Sequence[object]) -> str:
    made = ""
    for node in nodes:
        if isinstance(node, Field):
            plain = {"B": "%B", "#": "%P"}.get(node.flag, "") if node.letter in "bp" else ""
            made += plain or f"%{node.flag}{node.letter}"
        else:
            made += f"[{spelt(node)}]" if isinstance(node, list) else str(node)
    return made
