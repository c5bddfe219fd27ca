"""Words of messages."""

from __future__ import annotations

import difflib
import json
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence


def with_article(noun: str) -> str:
    """A noun with its article.

    Example:
        >>> with_article("classifier"), with_article("ordinal regression")
        ('a classifier', 'an ordinal regression')
    """
    return f"{'an' if noun[0] in 'aeio' else 'a'} {noun}"


def listed(names: Sequence[str], most: int = 5) -> str:
    """Names between commas, the first few of many.

    Example:
        >>> listed(["a.txt", "b.txt", "c.txt"], most=2)
        'a.txt, b.txt and 1 more'
    """
    shown = ", ".join(names[:most])
    return f"{shown} and {len(names) - most:,} more" if len(names) > most else shown


def meant(name: str, names: Iterable[str], cutoff: float = 0.6) -> tuple[str, str] | None:
    """A name that there is none of, and the one of `names` most like it: what an error takes as `instead`.

    Example:
        >>> meant("Lstm", ["gru", "lstm"]), meant("transformer", ["gru", "lstm"])
        (('Lstm', 'lstm'), None)
    """
    known = list(names)
    near = difflib.get_close_matches(name, known, n=1, cutoff=cutoff)
    near = near or difflib.get_close_matches(name.lower(), known, n=1, cutoff=cutoff)
    return (name, near[0]) if near else None


def command(*words: object) -> str:
    """A command of the command line that can be pasted.

    Example:
        >>> command("evaluate", "my runs/one", "test.csv")
        "ostinato evaluate 'my runs/one' test.csv"
    """
    return f"ostinato {shlex.join(map(str, words))}"


def option(name: str, value: object) -> str:
    """An option and its value that can be pasted after a command."""
    return f"{name} {shlex.quote(str(value))}"


def setting(key: str, value: object) -> str:
    """An option of a recipe that can be pasted after a command.

    Example:
        >>> setting("data.series", ["store", "item, new"])
        '--set \\'data.series=[store, "item, new"]\\''
    """
    if isinstance(value, list | tuple):
        parts = [one if not isinstance(one, str) or _PLAIN.fullmatch(one) else json.dumps(one) for one in value]
        value = f"[{', '.join(map(str, parts))}]"
    return option("--set", f"{key}={value}")


_PLAIN = re.compile(r"[\w./-][\w ./-]*")
A_FILE = (
    "a sample to try it on: ostinato data sample reviews.csv; then: --set data.train=reviews.csv --set data.input=text "
    "--set data.target=label"
)
"""What to say where a recipe names no data."""


def set_options(settings: Mapping[str, object]) -> list[str]:
    """The words of a command that set keys of a recipe.

    Example:
        >>> set_options({"training.steps": 900, "training.max_minutes": 4.0})
        ['--set', 'training.steps=900', '--set', 'training.max_minutes=4']
    """
    shown = {key: f"{value:g}" if isinstance(value, float) else value for key, value in settings.items()}
    return [word for key, value in shown.items() for word in ("--set", f"{key}={value}")]
