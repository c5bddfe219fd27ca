"""Where messages go, and how they look. NO_COLOR and non-terminals are honoured by rich."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

from rich.text import Text

from ostinato.errors import OstinatoError
from ostinato.terminal import Terminal, without_controls
from ostinato.wording import command

stdout = Terminal(highlight=False, soft_wrap=True)
stderr = Terminal(stderr=True, highlight=False, soft_wrap=True)


def fail(error: OstinatoError, hint: str | None) -> NoReturn:
    """Print the message and a hint, and exit with 1."""
    _say("error:", "bold red", error.message)
    if hint:
        _say("hint:", "bold cyan", hint)
    sys.exit(1)


def _say(label: str, style: str, text: str) -> None:
    """A label and what it is about. On a terminal no word is cut, but for commands, which are pasted as printed."""
    for number, line in enumerate(text.split("\n")):
        shown = Text(f"{label} {line}" if number == 0 else line)
        if number == 0:
            shown.stylize(style, 0, len(label))
        stderr.print(shown, soft_wrap=not stderr.is_terminal or "ostinato " in line)


@contextmanager
def saying_how_to_resume() -> Iterator[None]:
    """After Ctrl-C during training, say how to resume, then re-raise."""
    try:
        yield
    except KeyboardInterrupt as interrupt:
        if interrupt.args:
            from ostinato.cli.typed import as_called
            from ostinato.training.run_folder import kept_so_far

            if kept := kept_so_far(Path(interrupt.args[0])):
                stderr.print(f"kept in {interrupt.args[0]}: {kept}", markup=False)
            again = as_called(command("train", "--resume", interrupt.args[0]))
            stderr.print(f"interrupted; resume with: {again}", markup=False)
        raise


def note(text: str) -> None:
    """A remark on stderr."""
    stderr.print(text, style="dim", markup=False, soft_wrap=not stderr.is_terminal or "ostinato " in text)


def warn(text: str, hint: str) -> None:
    """What should be known before figures are believed, and what mends it."""
    from ostinato.cli.typed import as_called

    _say("warning:", "bold yellow", text)
    _say("hint:", "bold cyan", as_called(hint))


def print_json(value: Any) -> None:
    """One line of JSON on stdout; JSON has no NaN and no infinities, which are null."""
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    except ValueError:
        text = json.dumps(_finite(value), ensure_ascii=False, allow_nan=False)
    print_text(text)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def print_text(text: str, end: str = "\n") -> None:
    """Plain text on stdout: as it is into a file or a pipe, on a terminal with control characters written out."""
    sys.stdout.write((without_controls(text) if sys.stdout.isatty() else text) + end)
    sys.stdout.flush()


def format_figure(value: float | None) -> str:
    """Counts with separators, other numbers with four digits, undefined ones as a dash."""
    if value is None:
        return "–"
    return f"{value:,}" if isinstance(value, int) else f"{value:.4f}"


def show_results(
    folder: Path, results: dict[str, Any], page: str, show: Callable[[dict[str, Any]], None], *, json: bool
) -> None:
    """Results of several runs: as JSON with their folder, or by `show`, then the path of the page."""
    if json:
        print_json({"folder": str(folder), **results})
        return
    show(results)
    note(f"page: {folder / page}")
