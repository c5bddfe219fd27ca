"""The folders that an assistant may look into, and nothing beside them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path

from ostinato.errors import DataError
from ostinato.wording import meant

_MOST_LISTED = 200


class Folders:
    """Files of data.

    Args:
        folders: where they lie, in any depth.
        max_bytes: of a file, or of all files of a folder.
    """

    def __init__(self, folders: Sequence[Path], max_bytes: int) -> None:
        self.folders, self.max_bytes = [folder.resolve() for folder in folders], max_bytes

    def files(self) -> list[dict[str, object]]:
        """The first of them, by the name that `find` takes, with their bytes."""
        there = itertools.islice(self._files(), _MOST_LISTED)
        return [{"data": str(path.relative_to(folder)), "bytes": path.stat().st_size} for folder, path in there]

    def find(self, given: str) -> Path:
        """A file or folder of data; `FILE#MEMBER` names one in an archive.

        Raises:
            DataError: for what is not in these folders, or is too large.
        """
        name, _, member = given.partition("#")
        found = next((path for folder in self.folders if (path := folder / name).exists()), None)
        where = None if found is None else found.resolve()
        if where is None or not any(where.is_relative_to(folder) for folder in self.folders):
            there = [str(one["data"]) for one in self.files()]
            raise DataError(
                f"`data` must be a file of {', '.join(map(str, self.folders))}. Received: {given[:200]!r}, which is "
                "not there.",
                instead=meant(name, there) if where is None else None,
            )
        size = where.stat().st_size if where.is_file() else sum(self._sizes(where))
        if size > self.max_bytes:
            raise DataError(
                f"`data` must be of at most {self.max_bytes:,} bytes. Received: {given[:200]!r}, {size:,} bytes.",
                hint="the person who started `ostinato mcp` may raise --max-data-mb",
            )
        return Path(f"{where}#{member}") if member else where

    def _files(self) -> Iterator[tuple[Path, Path]]:
        for folder in self.folders:
            for path in sorted(folder.rglob("*")):
                is_hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
                if not is_hidden and path.is_file() and path.resolve().is_relative_to(folder):
                    yield folder, path

    def _sizes(self, folder: Path) -> Iterator[int]:
        """Of files in a folder.

        Raises:
            DataError: for one that leads elsewhere.
        """
        for path in folder.rglob("*"):
            if not path.resolve().is_relative_to(folder):
                raise DataError(f"`data` must be a folder whose files lie in it. Received: {path.name}, a link.")
            if path.is_file():
                yield path.stat().st_size
