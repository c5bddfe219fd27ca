"""How a table of text is written: separator, quotes, numbers, header, encoding. Each part is found, or said."""

from __future__ import annotations

import codecs
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, field_validator

from ostinato.recipe.base import Component

SEPARATORS = {"comma": ",", "semicolon": ";", "tab": "\t", "pipe": "|"}
"""Separators by their names."""
BLANKS = "blanks"
"""As a separator: any number of blanks."""


def codec(name: str) -> str:
    """The name of a codec of texts, or "auto". Raises `ValueError` for any other."""
    try:
        if name == "auto" or codecs.lookup(name)._is_text_encoding:
            return name
    except LookupError:
        pass
    raise ValueError(f"must be auto or a codec of Python, such as utf-8, latin-1, cp1251. Received: {name!r}.")


def _texts(value: Any) -> Any:
    """A list of texts; a single one is a list of one, and a number is taken as text."""
    listed = value if isinstance(value, list | tuple) else (value,)
    if any(isinstance(one, bool) or not isinstance(one, str | int | float) for one in listed):
        raise ValueError(f"must be a list of strings. Received: {value!r}.")
    return tuple(map(str, listed))


def _names(value: Any) -> Any:
    return value if isinstance(value, bool) else _texts(value)


class Dialect(Component):
    """How a table of text is written; "auto": found by the content of its beginning. Part of `data`."""

    separator: str = Field(
        "auto", min_length=1, description="CSV, TSV: comma, semicolon, tab, pipe, blanks, or the characters themselves"
    )
    quote: str = Field(
        "auto", description="CSV, TSV: the character around cells; none: a quote is an ordinary character"
    )
    decimal: Literal["auto", ".", ","] = Field("auto", description="CSV, TSV: before the fraction of a number")
    thousands: str = Field("auto", description="CSV, TSV: between the thousands of a number; none: nothing is")
    comment: str = Field("auto", description="CSV, TSV: how comment lines begin; none: there are none")
    header: Annotated[bool | tuple[str, ...], BeforeValidator(_names)] = Field(
        (), description="CSV, TSV: names of the columns; true: the first line has them; false: none are there"
    )
    encoding: Annotated[str, AfterValidator(codec)] = Field(
        "auto", description="auto: UTF-8, UTF-16 with a byte-order mark, or Latin-1; or any codec of Python: cp1251"
    )
    null_values: Annotated[tuple[str, ...], BeforeValidator(_texts)] = Field(
        (), description="CSV, TSV: cells that hold no value, in addition to empty ones: [-999, n/a]"
    )

    @field_validator("separator")
    @classmethod
    def _separator(cls, value: str) -> str:
        value = value.replace("\\t", "\t")
        return SEPARATORS.get(value, value)

    @field_validator("quote", "thousands")
    @classmethod
    def _one_character(cls, value: str) -> str:
        if value not in ("auto", "none") and len(value) != 1:
            raise ValueError(f"must be auto, none or one character. Received: {value!r}.")
        return value

    def given(self) -> dict[str, Any]:
        """What is said, by name."""
        return {name: value for name in Dialect.model_fields if (value := getattr(self, name)) not in ("auto", ())}

    @staticmethod
    def of(data: Dialect) -> Dialect:
        """The dialect that a section `data` names."""
        return Dialect(**{name: getattr(data, name) for name in Dialect.model_fields})
