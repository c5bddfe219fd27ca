"""Where rows come from."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from ostinato.recipe.base import Columns, Component, Needs, PositiveInt, Seed
from ostinato.recipe.dialect import Dialect
from ostinato.recipe.forecast import TimeSeriesRecipe


class RowsRecipe(Component):
    """Where rows come from, which columns matter, and what happens to rows that can't be read."""

    needs: ClassVar[Needs] = {
        **dict.fromkeys(
            ("group", "stratify", "split_seed"),
            (
                "a `validation` that is a share of the rows",
                lambda data: data.fold or isinstance(data.validation, float),
            ),
        ),
        "validation_where": ("a `validation` that is a file", lambda data: isinstance(data.validation, str)),
        "test_where": ("`test`", lambda data: data.test is not None),
    }
    train: str | None = Field(
        None, description="a file, a folder (one subfolder per class), or catalogue name, `imdb:train`"
    )
    validation: Annotated[float, Field(gt=0.0, lt=1.0)] | str = Field(
        0.1, description="share of the training rows (last share of a text), or a file or catalogue name"
    )
    test: str | None = Field(None, description="what `ostinato evaluate RUN` scores when no file is given")
    format: str = Field("auto", description="auto: by the name of the file; or any registered reader")
    names: tuple[str, ...] = Field(
        (), description="columns made of the parts between `_` in the names of media files, in order"
    )
    input: str | None = Field(
        None, description="the column that holds the sequence; of a wide or long table: `first:last`, or `a,b,c`"
    )
    session: Columns = Field(
        None, description="long tables: the column, or [columns], whose value all rows (steps) of one series share"
    )
    time: Columns = None
    extra: tuple[str, ...] = Field((), description="covariates: further columns that are read with the input")
    target: str | None = Field(None, description="the column to predict; none for a language model")
    on_bad_row: Literal["stop", "skip"] = Field("stop", description="skip: set bad rows aside in rejected.jsonl")
    max_characters: PositiveInt = Field(1_000_000, description="a longer row is a bad row; a text file has no limit")
    group: str | None = Field(
        None, description="a column: rows that share its value are never split between training and validation"
    )
    stratify: Literal["auto", "each"] | bool = Field(
        "auto",
        description="true: the validation share is drawn from each class of the target alike; each: and holds at least "
        "one row of every class that has three; auto: each where the target is classes, else false",
    )
    where: str | None = Field(None, description="which rows of `train` are taken, as SQL: `speaker <> 'theo'`")
    validation_where: str | None = Field(None, description="which rows of the validation file are taken, as SQL")
    test_where: str | None = Field(None, description="which rows of `test` are taken, as SQL")
    fold: tuple[PositiveInt, PositiveInt] | None = Field(
        None, description="[3, 10]: validation is the third of ten parts of the rows, in place of the share"
    )
    distinct: bool = Field(
        False, description="rows equal in `input` to an earlier one are left out, before anything is split"
    )
    split_seed: Seed = Field(1, description="seed of the train/validation split")


class DataRecipe(TimeSeriesRecipe, Dialect, RowsRecipe):
    """The data: rows, or series in time."""

    needs: ClassVar[Needs] = RowsRecipe.needs
    time: Columns = Field(
        None,
        description="long tables: the column that orders the rows of a session; forecasting: that of time "
        "stamps, none: found by name or content, if there is one; [Date, Time]: several, read as one",
    )
