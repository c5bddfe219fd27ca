"""Known data sets: origin, licence, citation, checksum. `NAME:SPLIT` in a recipe or on the command line names one.

A data set is looked for in the folder that `OSTINATO_DATA` names, then in the package, then in the cache
(`OSTINATO_CACHE`, default ~/.cache/ostinato); if it is nowhere, it is downloaded from its original site and checked.
"""

from __future__ import annotations

import hashlib
import http.client
import os
import shutil
import tempfile
import urllib.error
import urllib.request
from collections.abc import Callable
from importlib import resources
from pathlib import Path

from ostinato.data.catalog.entries import CATALOG
from ostinato.data.catalog.entry import DataSet
from ostinato.errors import DataError
from ostinato.wording import meant

__all__ = ["CATALOG", "DataSet", "cache_folder", "download", "find", "locate", "lookup", "resolve_path", "verify"]

_TIMEOUT_S = 60


def resolve_path(reference: str, say: Callable[[str], None] = lambda _: None) -> Path:
    """The file or folder that `reference` means: a path, or `NAME[:SPLIT]` of the catalogue (split `train` by default).
    A run that was named after a data set does not hide it.

    Args:
        reference: what a recipe or a user says.
        say: called with a line before a download begins.

    Raises:
        DataError: for a name that is nearly one of the catalogue's; a path that does not exist is returned as it is.
    """
    path = Path(reference)
    name, _, split = reference.partition(":")
    if path.exists() and not (name in CATALOG and any(path.glob("*.yaml"))):
        return path
    if name in CATALOG:
        return find(name, split or "train", say)
    near = meant(name, CATALOG)
    if near and len(path.parts) == 1 and not path.suffix:
        raise DataError(
            f"there is no file, folder or data set `{reference}`. Data sets: {', '.join(CATALOG)}.",
            instead=(reference, f"{near[1]}{':' + split if split else ''}"),
        )
    return path


def find(name: str, split: str, say: Callable[[str], None] = lambda _: None) -> Path:
    """Where a split of a data set lies on this machine; downloaded if need be.

    Raises `DataError` for an unknown name or split, or a download that fails or does not match its checksum.
    """
    entry = lookup(name)
    if split not in entry.splits:
        raise DataError(f"data set `{name}` has no split `{split}`. Splits: {', '.join(entry.splits)}.")
    here = locate(entry, split)
    if here is not None:
        return _converted(entry, split, here, say)
    say(f"downloading {entry.title} from {entry.url}")
    download(entry)
    here = locate(entry, split)
    if here is None:
        raise DataError(f"the download of `{name}` holds no split `{split}`.")
    return _converted(entry, split, here, say)


def _converted(entry: DataSet, split: str, path: Path, say: Callable[[str], None]) -> Path:
    """What is read of a split's file: itself, or what it is converted to, which appears whole or not at all."""
    if entry.convert is None:
        return path
    folder = cache_folder() / f"{entry.name}-{split}"
    if not folder.exists():
        say(f"writing {entry.title} out into {folder}")
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".convert-") as temporary:
            whole = Path(temporary) / "whole"
            whole.mkdir()
            entry.convert(path, whole)
            whole.rename(folder)
    return folder / entry.converted


def lookup(name: str) -> DataSet:
    """The entry called `name`; `DataError` with the nearest name if there is none."""
    if name not in CATALOG:
        raise DataError(
            f"the catalogue has no data set `{name}`. It has: {', '.join(CATALOG)}.",
            instead=meant(name, CATALOG),
        )
    return CATALOG[name]


def locate(entry: DataSet, split: str) -> Path | None:
    """Where a split lies already, or nothing."""
    folders = [Path(os.environ["OSTINATO_DATA"])] if os.environ.get("OSTINATO_DATA") else []
    for folder in [*folders, cache_folder()]:
        for candidate in entry.splits[split]:
            if (folder / candidate.partition("#")[0]).exists():
                return folder / candidate
    if entry.packaged:
        return Path(str(resources.files("ostinato.data") / "books" / entry.packaged))
    return None


def cache_folder() -> Path:
    """Where downloads go."""
    return Path(os.environ.get("OSTINATO_CACHE") or Path.home() / ".cache" / "ostinato")


def download(entry: DataSet) -> Path:
    """Fetch, check and unpack into the cache; each file appears whole or not at all. Returns the folder.

    Raises:
        DataError: if the data set comes with the package, can't be fetched, or is not the expected one.
    """
    if entry.packaged:
        raise DataError(f"`{entry.name}` comes with the package; there is nothing to download.")
    if entry.unpack is None:
        raise DataError(
            f"`{entry.name}` is not on this machine, and can't be downloaded by a command.",
            hint=f"fetch it from {entry.url}, and let OSTINATO_DATA name the folder that holds "
            f"{entry.first_file.partition('#')[0]}",
        )
    target = cache_folder() / Path(entry.first_file).parent
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".download-") as temporary:
        archive, unpacked = Path(temporary) / "archive", Path(temporary) / "unpacked"
        unpacked.mkdir()
        try:
            with urllib.request.urlopen(entry.url, timeout=_TIMEOUT_S) as response, archive.open("wb") as out:
                shutil.copyfileobj(response, out)
        except (urllib.error.URLError, http.client.HTTPException, OSError) as error:
            raise DataError(
                f"can't download `{entry.name}` from {entry.url}: {getattr(error, 'reason', error)}.",
                hint=f"fetch it elsewhere, and let OSTINATO_DATA name the folder that holds {entry.first_file}",
            ) from error
        verify(archive, entry.checksum, entry.name)
        entry.unpack(archive, unpacked)
        target.mkdir(exist_ok=True)
        for path in sorted(unpacked.iterdir()):
            path.replace(target / path.name)
    return target


def verify(path: Path, checksum: str, name: str) -> None:
    """Raise `DataError` unless the file's checksum (`algorithm:hex`) is the expected one."""
    algorithm, _, expected = checksum.partition(":")
    with path.open("rb") as stream:
        found = hashlib.file_digest(stream, algorithm).hexdigest()
    if found != expected:
        raise DataError(f"`{name}`: the file is not the expected one ({algorithm} {found}, expected {expected}).")
