"""A folder of text files, or of one subfolder a class (as aclImdb unpacks)."""

from __future__ import annotations

import codecs
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import polars as pl

from ostinato.data.io.blocks import Block
from ostinato.data.readers.base import Claim, Source
from ostinato.errors import DataError
from ostinato.storage import decompress
from ostinato.storage.decompress import open_binary
from ostinato.storage.encodings import detect_encoding, mark_of, shown, transcoded

_UNLABELLED = "unsup"


class FolderSource(Source):
    """One row a .txt file: column `text`, and `label`, the subfolder's name, where there are subfolders."""

    format = "folder"
    of_files = False
    of_folders = True
    usual_input = "text"
    usual_target = "label"

    @classmethod
    def claim(cls, path: Path) -> Claim | None:
        """Any folder that no other reader takes."""
        return Claim.LAST if path.is_dir() else None

    def _classes(self) -> list[Path]:
        """The subfolders that hold text files."""
        folders = sorted(p for p in self.path.iterdir() if p.is_dir() and not p.name.startswith("."))
        for folder in folders:
            if folder.name == _UNLABELLED:
                self.note(f"{folder}: unlabelled texts, left out")
        return [p for p in folders if p.name != _UNLABELLED and _texts(p)]

    def _read_columns(self) -> list[str]:
        classes = self._classes()
        top = _texts(self.path)
        if not classes and not top:
            raise self._no_texts()
        if classes and top:
            self.note(f"{self.path}: {len(top)} .txt files next to the class folders, left out")
        return ["text", "label"] if classes else ["text"]

    def _no_texts(self) -> DataError:
        """A level too high is the usual mistake: name the folder below."""
        inner = [p for p in sorted(self.path.iterdir()) if p.is_dir() and any(_texts(q) for q in p.iterdir())]
        train = [p for p in inner if p.name == "train"] or inner
        below = (str(self.path), str(train[0])) if train else None
        return DataError(f"`{self.path}` holds no .txt files, nor do its subfolders.", instead=below)

    def _read_blocks(self, columns: Sequence[str]) -> Iterator[Block]:
        """The files by class, then by name."""
        classes = self._classes()
        files = [(f, c.name) for c in classes for f in _texts(c)] or [(f, "") for f in _texts(self.path)]
        rows: list[tuple[str, str, str]] = []
        num_bytes = 0
        latin: list[Path] = []
        for path, label in files:
            text = self._read(path, latin)
            if text is None:
                continue
            rows.append((text, label, str(path)))
            num_bytes += len(text)
            if num_bytes >= decompress.BLOCK_BYTES:
                yield _block(rows, columns)
                rows, num_bytes = [], 0
        if rows:
            yield _block(rows, columns)
        if latin:
            self.note(f"{self.path}: {len(latin)} files are not UTF-8, read as Latin-1 (the first: {latin[0]})")

    def _read(self, path: Path, latin: list[Path]) -> str | None:
        with open_binary(path) as stream:
            raw = stream.read()
        encoding = mark_of(raw) or (detect_encoding(raw, path) if self.encoding == "auto" else self.encoding)
        if shown(encoding) == "Latin-1" and self.encoding == "auto":
            latin.append(path)
        raw = b"".join(transcoded([raw], encoding, path)).removeprefix(codecs.BOM_UTF8)
        try:
            return raw.decode("utf-8").replace("\r\n", "\n")
        except UnicodeDecodeError:
            hint = "if the files are Latin-1: --set data.encoding=latin-1"
            self.bad_rows.add(str(path), 1, f"not valid {shown(encoding)}", raw[:200].decode("utf-8", "replace"), hint)
            return None


def _block(rows: list[tuple[str, str, str]], columns: Sequence[str]) -> Block:
    texts, labels, files = zip(*rows, strict=True)
    frame = pl.DataFrame({"text": texts, "label": labels}, schema={"text": pl.String, "label": pl.String})
    return Block(frame.select(columns), files, np.ones(len(rows), dtype=np.int64))


def _texts(folder: Path) -> list[Path]:
    """The visible .txt files of a folder, by name; none if it is no folder."""
    if not folder.is_dir():
        return []
    return sorted(
        p for p in folder.iterdir() if p.suffix.lower() == ".txt" and p.is_file() and not p.name.startswith(".")
    )
