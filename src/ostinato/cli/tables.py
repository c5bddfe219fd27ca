"""Tables on stdout: full width in a pipe, fitted to a terminal, no word broken."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.measure import Measurement
from rich.segment import Segment, Segments
from rich.table import Column, Table

from ostinato.cli.console import format_figure, stdout
from ostinato.metrics.names import METRIC_NAMES

_LONGEST_WORD = 32
"""Longer ones, such as paths, may be broken where the table would not fit."""
_GAP = 2


def table(*headings: str) -> Table:
    """A table with left-aligned headings."""
    made = Table(box=None, pad_edge=False, padding=_padding(_GAP), header_style="bold")
    for heading in headings:
        made.add_column(heading, overflow="fold")
    return made


def print_table(made: Table, console: Console = stdout) -> None:
    """Print a table. On a narrow terminal, cells wrap between words, the widest columns first; a table whose longest
    words don't fit is wider than the terminal."""
    measured = [_measured(column, console) for column in made.columns]
    widths, gaps, gap = [most for _, most in measured], len(measured) - 1, _GAP
    if console.is_terminal:
        least = [min(word, _LONGEST_WORD) for word, _ in measured]
        gap = _GAP if sum(least) + _GAP * gaps <= console.width else 1
        widths = _fitted(widths, least, console.width - gap * gaps)
    for column, width in zip(made.columns, widths, strict=True):
        column.width = width
    made.padding = _padding(gap)
    made.width = sum(widths) + gap * gaps
    lines = console.render_lines(made, console.options.update(max_width=made.width, markup=False))
    console.print(Segments(segment for line in lines for segment in _without_blanks(line)))


def _without_blanks(line: list[Segment]) -> list[Segment]:
    """A line without trailing blanks."""
    kept = list(line)
    while kept and not kept[-1].text.strip():
        kept.pop()
    return [*kept[:-1], *(Segment(last.text.rstrip(), last.style) for last in kept[-1:]), Segment.line()]


def _padding(gap: int) -> tuple[int, int, int, int]:
    return (0, gap, 0, 0)


def print_metrics(metrics: dict[str, Any]) -> None:
    """Metrics as a table on stdout; for classes, each class below."""
    limits = metrics.get("intervals", {})
    shown = table("metric", "value", *(["95 % interval"] if limits else []))
    for key, name in METRIC_NAMES.items():
        if key in metrics:
            spans = key == "f1" and "per_span" in metrics
            spread = " to ".join(format_figure(one) for one in limits.get(key, ()))
            shown.add_row("F1 of spans" if spans else name, format_figure(metrics[key]), *([spread] if limits else []))
    print_table(shown)
    for noun in ("span", "class"):
        if f"per_{noun}" not in metrics:
            continue
        stdout.print()
        classes = table(noun, "precision", "recall", "F1", "examples")
        for row in metrics[f"per_{noun}"]:
            figures = [format_figure(row[key]) for key in ("precision", "recall", "f1")]
            classes.add_row(row["name"], *figures, f"{row['support']:,}")
        print_table(classes)


def _measured(column: Column, console: Console) -> tuple[int, int]:
    """The width of the longest word of a column, and of its longest line."""
    options = console.options.update(max_width=1 << 20, markup=False)
    cells = [Measurement.get(console, options, cell) for cell in (column.header, *column.cells)]
    most = max(cell.maximum for cell in cells)
    return most if column.no_wrap else max(cell.minimum for cell in cells), most


def _fitted(widths: list[int], least: list[int], room: int) -> list[int]:
    """Widths that fit into `room`, but none below its least."""
    fitted = list(widths)
    while sum(fitted) > room:
        spare = [width - bound for width, bound in zip(fitted, least, strict=True)]
        if max(spare) <= 0:
            break
        fitted[spare.index(max(spare))] -= 1
    return fitted
