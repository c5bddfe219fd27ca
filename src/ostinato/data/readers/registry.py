"""Which reader a path needs: `open_source` picks one by suffix or by name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ostinato.data.readers.archives import TsSource, UcrSource
from ostinato.data.readers.arff import ArffSource
from ostinato.data.readers.base import Claim, Source, suffix_of
from ostinato.data.readers.boundary import Alias
from ostinato.data.readers.conll import ConllSource, ConlluSource
from ostinato.data.readers.content import REFUSED, Found, look
from ostinato.data.readers.delimited import DelimitedSource, TabSource
from ostinato.data.readers.excel import ExcelSource
from ostinato.data.readers.fasta import FastaSource, FastqSource
from ostinato.data.readers.folder import FolderSource
from ostinato.data.readers.idx import IdxSource
from ostinato.data.readers.inside import holds_media, member_of
from ostinato.data.readers.json_list import JsonSource
from ostinato.data.readers.jsonl import JsonLinesSource
from ostinato.data.readers.lines import LinesSource
from ostinato.data.readers.media import MediaSource
from ostinato.data.readers.panels import Hdf5Source, PanelSource
from ostinato.data.readers.parallel import PairsSource, ParallelSource, siblings
from ostinato.data.readers.parquet import ParquetSource
from ostinato.data.readers.pianoroll import MidiSource, PianoRollSource
from ostinato.data.readers.tables import TablesSource
from ostinato.data.readers.text import TextSource
from ostinato.data.readers.tsf import TsfSource
from ostinato.data.rejects import BadRows
from ostinato.errors import DataError, RecipeError
from ostinato.plugins import Registry
from ostinato.recipe.dialect import Dialect
from ostinato.storage.unpack import is_archive, unpacked
from ostinato.wording import listed, meant

__all__ = ["READERS", "Source", "detect_format", "open_source"]


def _is_reader(thing: Any) -> bool:
    return isinstance(thing, type) and issubclass(thing, Source)


READERS: Registry[type[Source]] = Registry("ostinato.readers", "reader", _is_reader, lambda reader: str(reader.format))
"""Every reader by its format; those of other packages come from the entry points `ostinato.readers`."""

for _reader in (
    DelimitedSource,
    TabSource,
    JsonLinesSource,
    JsonSource,
    ParquetSource,
    TextSource,
    FolderSource,
    ConllSource,
    ConlluSource,
    FastaSource,
    FastqSource,
    PianoRollSource,
    MidiSource,
    UcrSource,
    TsSource,
    ArffSource,
    TsfSource,
    ExcelSource,
    PanelSource,
    Hdf5Source,
    ParallelSource,
    PairsSource,
    MediaSource,
    LinesSource,
    TablesSource,
    IdxSource,
):
    READERS.add(_reader.format, _reader)


def open_source(
    path: Path,
    bad_rows: BadRows,
    *,
    format: str = "auto",
    dialect: Dialect | None = None,
    names: tuple[str, ...] = (),
    target: str | None = None,
) -> Source:
    """The reader for `path`; `FILE#PART` reads one table of a file that holds several.

    `dialect` says how a table of text is written, `names` what the parts of media files' names are called, `target` the
    column to predict: where it is the suffix of a file beside this one, the two are read line by line.

    Raises:
        RecipeError: if no reader has the format.
        DataError: if the path does not exist, or its format is not known.
    """
    if format != "auto" and format not in READERS:
        raise RecipeError(
            f"`data.format` must be one of auto, {', '.join(READERS)}. Received: {format!r}.",
            instead=meant(format, READERS),
        )
    place = _place_of(path)
    if format == "auto" and place.part and "+" in place.part and is_archive(place.path):
        format = detect_format(Path(place.part))  # members that belong together are read where they are
    found = Found(format, "") if format != "auto" else _detect(place.path, target, of_archive=place.alias is not str)
    reader = READERS[found.format]
    if reader.of_archives and place.alias is not str:
        place = _Place(place.given, place.part, place.given)
    elif not (reader.of_folders if place.path.is_dir() else reader.of_files):
        what = "a folder" if place.path.is_dir() else "a file"
        raise DataError(f"`{place.alias(str(place.path))}` is {what}; `data.format` says {found.format}.")
    part = place.part if place.alias is str else None
    source = reader(place.path, bad_rows, dialect or Dialect(), part=part, names=names, alias=place.alias)
    if found.reason:
        source.otherwise = found.otherwise
        otherwise = f"; {found.otherwise}" if found.otherwise else ""
        source.note(f"{place.path}: read as {found.format} ({found.reason}){otherwise}")
    if place.aside:
        source.note(f"{place.path}: read alone; left out: {listed(place.aside)}")
    return source


class _Place(NamedTuple):
    """The place of data: a path, a part of it, the path that was given, how messages name what an archive holds."""

    path: Path
    part: str | None
    given: Path
    alias: Callable[[str], str] = str
    aside: Sequence[str] = ()


def _place_of(path: Path) -> _Place:
    """What `PATH` or `PATH#PART` means; an archive is unpacked, unless several of its members are named.

    Raises `DataError` if there is no such file, or the archive can't be unpacked.
    """
    part: str | None = None
    if not path.exists() and "#" in str(path):
        name, _, part = str(path).partition("#")
        path = Path(name)
    if not path.exists():
        if not path.parent.is_dir():
            raise DataError(f"no such file or folder: `{path}`; there is no folder `{path.parent}` either.")
        if path.is_symlink():
            raise DataError(f"`{path}` is a link to `{path.readlink()}`, which leads to no file or folder.")
        near = meant(path.name, [one.name for one in path.parent.iterdir()])
        found = near and (str(path), str(path.parent / near[1]))
        raise DataError(f"no such file or folder: `{path}`.", instead=found)
    if not (path.is_file() or path.is_dir()):
        raise DataError(f"`{path}` is neither a file nor a folder: data are read more than once.", hint="write a file")
    if path.is_dir() or not is_archive(path) or (part and "+" in part):
        return _Place(path, part, path)
    inside, aside = member_of(path, part)
    return _Place(inside, part, path, Alias(unpacked(path), path), aside)


def detect_format(path: Path) -> str:
    """The format of the reader that claims a path most surely, or that its content shows.

    Raises `DataError` if it can't be inferred.
    """
    return _detect(path, None).format


def _detect(path: Path, target: str | None, *, of_archive: bool = False) -> Found:
    """The format, and what in the file shows it where its name does not."""
    if of_archive and path.is_dir() and holds_media(path):
        return Found(MediaSource.format, "")
    claims = {format: claim for format, reader in READERS.items() if (claim := reader.claim(path)) is not None}
    format = max(claims, key=lambda format: claims[format]) if claims else ""
    if not path.is_file() or (claims and claims[format] > Claim.LAST):
        return _known(format, path)
    if target is not None and target in siblings(path):
        return Found(ParallelSource.format, "")
    shown = look(path)
    return shown if shown is not None and shown.format in READERS else _known(format, path)


def _known(format: str, path: Path) -> Found:
    if format:
        return Found(format, "")
    remedy = next((hint for ends, hint in REFUSED.items() if suffix_of(path) in ends), None)
    if remedy:
        raise DataError(f"`{path}`: {suffix_of(path)} files are not supported.", hint=remedy)
    suffixes = sorted({suffix for reader in READERS.values() for suffix in reader.suffixes})
    raise DataError(
        f"can't tell the format of `{path}` from its name or its first lines. "
        f"Known: {', '.join(suffixes)} (also with .gz, .bz2, .xz).",
        hint="if it is plain text: --set data.format=text; all formats: ostinato recipe options",
    )
