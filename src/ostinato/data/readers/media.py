"""A folder or an archive of media files: one row a file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

import numpy as np
import polars as pl

from ostinato.data.io.blocks import Block
from ostinato.data.readers.base import Claim, Source
from ostinato.errors import DataError
from ostinato.media.files import kind_of_file
from ostinato.storage.unpack import is_archive, unpacked
from ostinato.wording import listed

_ROWS = 256
"""Files of a block: what is decoded at a time."""
_SEPARATOR = "_"


class MediaSource(Source):
    """One row a file of sound, video, music or pictures, by its path.

    Columns: `path`, which a feature reads; `label`, the subfolder's name, where there are some; `name`, the file's
    name without its suffix; `part1`, `part2`, …: the name split at `_`, or the names that `data.names` gives the parts.
    All files must be of one kind: the most frequent one is taken. A folder that holds everything in an archive is
    passed over.
    """

    format = "media"
    of_folders = True
    of_archives = True
    options = ("names",)
    usual_input = "path"
    usual_target = "label"

    @classmethod
    def claim(cls, path: Path) -> Claim | None:
        """A file of sound, video or pictures, or a folder of such files."""
        if path.is_dir():
            return Claim.SUFFIX if _holds_media(path) else None
        return Claim.NAME if kind_of_file(path.name) not in (None, "notes") else None

    def kind_of(self, column: str) -> str | None:
        """By the files' suffixes."""
        return kind_of_file(self._files()[0][1]) if column == "path" else None

    def _files(self) -> list[tuple[str, str]]:
        """Each file as a cell, and its path within the folder or archive, by that path."""
        if self.path.is_file() and not is_archive(self.path):
            return [(str(self.path), self.path.name)]
        root = unpacked(self.path) if self.path.is_file() else self.path
        inside = sorted(
            file.relative_to(root).as_posix()
            for file in root.rglob("*")
            if file.is_file() and not any(part.startswith(".") for part in file.relative_to(root).parts)
        )
        if self.part is not None:
            inside = [name for name in inside if PurePosixPath(name).is_relative_to(self.part)]
        kinds = Counter(kind for name in inside if (kind := kind_of_file(name)))
        if not kinds:
            raise DataError(f"`{self.path}` holds no file of sound, video, music or pictures.")
        kind = kinds.most_common(1)[0][0]
        if others := [name for name in inside if kind_of_file(name) != kind]:
            self.note(f"{self.path}: left out, since not {kind}: {listed(others)}")
        inside = [name for name in inside if kind_of_file(name) == kind]
        start = _common(inside) if self.path.is_file() else 0
        mark = "#" if self.path.is_file() else "/"
        files = [(f"{self.path}{mark}{name}", name[start:]) for name in inside]
        loose = [name for _, name in files if "/" not in name]
        if loose and len(loose) < len(files):
            self.note(f"{self.path}: left out, since not in a class folder: {listed(loose)}")
            files = [file for file in files if "/" in file[1]]
        return files

    def _read_columns(self) -> list[str]:
        files = self._files()
        label = ["label"] if "/" in files[0][1] else []
        parts = list(self.names) or [f"part{n + 1}" for n in range(max(len(_parts(name)) for _, name in files))]
        doubled = sorted({"path", *label, "name"} & set(parts))
        if doubled or len(set(parts)) < len(parts):
            raise DataError(
                f"`data.names` must differ from each other, and from path, label, name. Received: {', '.join(parts)}."
            )
        return ["path", *label, "name", *parts]

    def _read_blocks(self, columns: Sequence[str]) -> Iterator[Block]:
        names = self.columns()
        parts = [name for name in names if name not in ("path", "label", "name")]
        rows: list[dict[str, str | None]] = []
        for cell, inside in self._files():
            split = _parts(inside)
            if self.names and len(split) != len(self.names):
                reason = f"its name has {len(split)} parts at `{_SEPARATOR}`, `data.names` has {len(self.names)}"
                self.bad_rows.add(cell, 1, reason, inside)
                continue
            filled: list[str | None] = [*split, *[None] * (len(parts) - len(split))]
            stem = PurePosixPath(inside).stem
            rows.append(
                {"path": cell, "label": inside.split("/")[0], "name": stem, **dict(zip(parts, filled, strict=True))}
            )
            if len(rows) == _ROWS:
                yield _block(rows, columns)
                rows = []
        if rows:
            yield _block(rows, columns)


def _block(rows: list[dict[str, str | None]], columns: Sequence[str]) -> Block:
    frame = pl.DataFrame(
        {name: [row[name] for row in rows] for name in columns}, schema=dict.fromkeys(columns, pl.String)
    )
    files = tuple(str(row["path"]) for row in rows)
    return Block(frame, files, np.ones(len(rows), dtype=np.int64))


def _parts(inside: str) -> list[str]:
    return PurePosixPath(inside).stem.split(_SEPARATOR)


def _common(inside: list[str]) -> int:
    """How many characters of each path are folders that hold everything."""
    start = 0
    while True:
        heads = {name[start:].partition("/")[0] if "/" in name[start:] else None for name in inside}
        if len(heads) != 1 or None in heads:
            return start
        start += len(str(heads.pop())) + 1


def _holds_media(folder: Path) -> bool:
    """Whether files of sound, video or pictures are in a folder, or in its subfolders."""
    for place in (folder, *(sub for sub in folder.iterdir() if sub.is_dir())):
        if any(kind_of_file(file.name) not in (None, "notes") for file in place.iterdir() if file.is_file()):
            return True
    return False
