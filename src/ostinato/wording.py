"""Words of messages."""

from __future__ import annotations


def with_article(noun: str) -> str:
    """A noun with its article.

    Example:
        >>> with_article("classifier"), with_article("ordinal regression")
        ('a classifier', 'an ordinal regression')
    """
    return f"{'an' if noun[0] in 'aeio' else 'a'} {noun}"
