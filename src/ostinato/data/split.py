"""Which rows are for training and which are held out."""

from __future__ import annotations

import numpy as np
import polars as pl

from ostinato.arrays import Offsets
from ostinato.data.rejects import counted
from ostinato.errors import DataError, RecipeError

_ENOUGH = 3
"""Rows of a class of which one is held out in any case."""


def split_rows(
    count: int,
    fraction: float,
    seed: int,
    groups: pl.Series | None = None,
    strata: pl.Series | None = None,
    *,
    each: bool = False,
) -> tuple[Offsets, Offsets]:
    """Row numbers of the training and the validation part: a seeded shuffle, the last `fraction` of it held out.

    With `groups` (a value a row) whole groups are shuffled and held out until they make up `fraction` of the rows: rows
    that share a value are never on both sides. A row without a value is a group of its own.

    With `strata` (a class a row) the share is drawn from each class alike: of a class of R rows, `fraction` R rounded,
    whole groups until they make up as many. A group whose rows are of several classes counts as the first row's. With
    `each`, at least one row or group is held out of every class that has three; where none would be, classes make no
    difference.
    """
    held_out = round(count * fraction)
    if held_out == 0 or held_out == count:
        raise DataError(
            f"{counted(count, 'row')} can't be split: `data.validation` = {fraction} leaves {held_out} for validation.",
            hint="half of them: --set data.validation=0.5; better are more rows, or a file (`data.validation`)",
        )
    random = np.random.default_rng(seed)
    if strata is not None and (found := _split_alike(random, fraction, strata, groups, each)):
        return found
    if groups is None:
        order = random.permutation(count).astype(np.int64)
        return order[: count - held_out], order[count - held_out :]
    group_of, sizes = _numbered(groups)
    shuffled = random.permutation(len(sizes))
    place = np.empty(len(sizes), dtype=np.int64)
    place[shuffled] = np.arange(len(sizes))
    first_held_out = int(np.searchsorted(np.cumsum(sizes[shuffled]), count - held_out, side="left")) + 1
    if first_held_out >= len(sizes):
        raise DataError(
            f"the rows form {len(sizes)} groups by `data.group`: too few to hold out a share of {fraction}.",
            hint="rows of a group on both sides: --set data.group=null; a file of its own is `data.validation`",
        )
    order = random.permutation(count).astype(np.int64)
    is_held_out = (place[group_of] >= first_held_out)[order]
    return order[~is_held_out], order[is_held_out]


def _split_alike(
    random: np.random.Generator, fraction: float, strata: pl.Series, groups: pl.Series | None, each: bool
) -> tuple[Offsets, Offsets] | None:
    """As `split_rows`, class by class; None where no class is large enough and `each` allows for it."""
    count = len(strata)
    order = random.permutation(count).astype(np.int64)
    group_of, sizes = _numbered(groups) if groups is not None else (np.arange(count), np.ones(count, dtype=np.int64))
    class_of = _class_of_groups(strata, group_of, len(sizes))
    shuffled = random.permutation(len(sizes))
    held_out = np.zeros(len(sizes), dtype=np.bool_)
    for one in np.unique(class_of).tolist():
        own = shuffled[class_of[shuffled] == one]
        before = np.cumsum(sizes[own]) - sizes[own]
        held_out[own] = before < round(float(sizes[own].sum()) * fraction)
        held_out[own[: int(each and len(own) >= _ENOUGH)]] = True
    if not held_out.any() and each:
        return None
    if not held_out.any() or held_out.all():
        raise DataError(
            f"no class has enough rows to hold out a share of {fraction}.",
            hint="regardless of class: --set data.stratify=false; a larger share: --set data.validation=0.3",
        )
    is_held_out = held_out[group_of][order]
    return order[~is_held_out], order[is_held_out]


def _class_of_groups(strata: pl.Series, group_of: Offsets, num_groups: int) -> Offsets:
    """The class of each group's first row, as a number."""
    _, first = np.unique(group_of, return_index=True)
    codes = strata.cast(pl.String).fill_null("").rank("dense").to_numpy().astype(np.int64)
    return codes[first[:num_groups]]


def split_fold(
    count: int,
    fold: int,
    num_folds: int,
    seed: int,
    groups: pl.Series | None = None,
    strata: pl.Series | None = None,
) -> tuple[Offsets, Offsets]:
    """Row numbers of the training and the validation part of one of `num_folds` parts, which are the same for every
    `fold` of one seed: each row is held out exactly once. Groups as in `split_rows`, dealt out the largest first;
    with `strata` those of one size class by class, so that each fold gets its share of every class.

    Raises:
        RecipeError: if there is no such fold.
        DataError: if there are fewer rows or groups than folds.
    """
    if num_folds < 2 or fold > num_folds:
        raise RecipeError(
            f"`data.fold` must be [fold, number of folds], the first at most the second, which is at least 2. "
            f"Received: [{fold}, {num_folds}]."
        )
    group_of, sizes = _numbered(groups) if groups is not None else (np.arange(count), np.ones(count, dtype=np.int64))
    if len(sizes) < num_folds:
        raise DataError(f"{len(sizes)} rows or groups can't be held out in {num_folds} folds.")
    shuffled = np.random.default_rng(seed).permutation(len(sizes))
    fold_of = np.empty(len(sizes), dtype=np.int64)
    filled = np.zeros(num_folds, dtype=np.int64)
    ranks = np.zeros(len(sizes), dtype=np.int64) if strata is None else _class_of_groups(strata, group_of, len(sizes))
    for group in shuffled[np.lexsort((ranks[shuffled], -sizes[shuffled]))].tolist():
        fold_of[group] = int(filled.argmin())
        filled[fold_of[group]] += sizes[group]
    held_out = fold_of[group_of] == fold - 1
    return np.flatnonzero(~held_out), np.flatnonzero(held_out)


def _numbered(groups: pl.Series) -> tuple[Offsets, Offsets]:
    """The number of each row's group, and the size of each group; a row without a value is a group of its own."""
    codes = groups.rank("dense").to_numpy().astype(np.float64)
    alone = np.isnan(codes)
    codes[alone] = len(groups) + 1 + np.arange(int(alone.sum()))
    _, group_of, sizes = np.unique(codes, return_inverse=True, return_counts=True)
    return group_of, sizes
