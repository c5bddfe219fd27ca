"""Words of messages."""

from __future__ import annotations

from collections.abc import Sequence


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
