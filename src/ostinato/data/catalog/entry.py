"""What the catalogue says of a data set."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class DataSet:
    """One entry of the catalogue.

    Args:
        splits: for each split, the files or folders that may hold it, relative to a data folder, the first found wins;
            `FILE#PART` is one table of a file that holds several.
        url: where the original is.
        checksum: `algorithm:hex` of the download.
        unpack: turns the downloaded file into the first name of each split in a folder; none, and not packaged: to be
            fetched by hand.
        packaged: the file in this package that holds it.
        convert: writes a split's file out in a form that a reader knows; once, into the cache.
        converted: the file that `convert` makes in its folder, which is then read.
    """

    name: str
    title: str
    description: str
    licence: str
    citation: str
    splits: Mapping[str, tuple[str, ...]]
    url: str
    checksum: str = ""
    unpack: Callable[[Path, Path], None] | None = None
    packaged: str | None = None
    convert: Callable[[Path, Path], None] | None = None
    converted: str = ""

    @property
    def first_file(self) -> str:
        """What its first split is looked for as first."""
        return next(iter(self.splits.values()))[0]
