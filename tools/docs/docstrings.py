"""How docstrings of the package become Markdown: examples are code, and :math: is mathematics."""

from __future__ import annotations

import re
from typing import Any

import griffe

_MATH = re.compile(r":math:`([^`]+)`")
_EXAMPLE = re.compile(r"^(\s*)Example:$", re.MULTILINE)


class Docstrings(griffe.Extension):
    """Rewrites every docstring before it is parsed."""

    def on_instance(self, *, obj: griffe.Object, **_: Any) -> None:
        """Called for each module, class, function and attribute once it was read, before its members are."""
        if obj.docstring:
            obj.docstring.value = as_markdown(obj.docstring.value)
        own_names = obj.name.startswith("__")  # the language's, which need no reference
        inside = obj.is_attribute and "class-attribute" not in obj.labels and "instance-attribute" in obj.labels
        if own_names or (inside and not obj.docstring):
            obj.public = False


def as_markdown(text: str) -> str:
    """The docstring as the Google style with Markdown has it."""
    text = _EXAMPLE.sub(r"\1Examples:", _MATH.sub(r"$\1$", text))
    lines: list[str] = []
    inside = False
    for line in text.split("\n"):
        begins = line.startswith(">>> ")
        if begins and not inside:
            lines += ["", "```python"]
        if inside and not line.strip():
            lines.append("```")
        inside = (inside or begins) and bool(line.strip())
        lines.append(line)
    return "\n".join([*lines, "```"] if inside else lines)
