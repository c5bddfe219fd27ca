"""What reaches a terminal: what data and models hold is shown, never obeyed."""

from __future__ import annotations

import re
from collections.abc import Iterable

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def without_controls(text: str) -> str:
    r"""`text` with control characters written out: escape sequences would colour, move or rename a terminal.

    Line breaks and tabs stay.

    Example:
        >>> print(without_controls("a\x1b[31mb"))
        a\x1b[31mb
    """
    return _CONTROLS.sub(lambda found: f"\\x{ord(found[0]):02x}", text)


class Terminal(Console):
    """A console of rich's that writes out control characters in what it is given to print."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Segments as rich makes them; its own controls (the progress bar's) pass."""
        for text, style, control in super().render(renderable, options):
            yield Segment(text if control else without_controls(text), style, control)
