"""Where libraries end: whatever one raises while a file is read becomes a `DataError` that names the file."""

from __future__ import annotations

import lzma
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from ostinato.errors import DataError, OstinatoError

LIBRARY_ERRORS = (
    pl.exceptions.PolarsError,
    pl.exceptions.PanicException,
    zipfile.BadZipFile,
    tarfile.TarError,
    lzma.LZMAError,
    zlib.error,
    struct.error,
    EOFError,
    OSError,
    ArithmeticError,
    LookupError,
    MemoryError,
    RuntimeError,  # RecursionError, NotImplementedError, and what zipfile says of encrypted members
    TypeError,
    ValueError,
)
"""What polars, NumPy, h5py, fastexcel and Python's own library raise for damaged or hostile files."""
_LONGEST = 300


@contextmanager
def reading(name: str, format: str, alias: Callable[[str], str] = str) -> Iterator[None]:
    """A stretch of code in which a file is read.

    Args:
        name: the file, as messages say it.
        format: of the reader.
        alias: how messages name files.

    Raises:
        DataError: in place of what a library raises. Errors of our own pass.
    """
    try:
        yield
    except DataError as error:
        if alias is str:
            raise
        named = error.instead and (alias(error.instead[0]), alias(error.instead[1]))
        raise DataError(alias(error.message), hint=error.hint and alias(error.hint), instead=named) from error
    except OstinatoError:
        raise
    except LIBRARY_ERRORS as error:
        said = (str(error).splitlines() or [""])[0].strip().rstrip(".")[:_LONGEST] or type(error).__name__
        raise DataError(f"`{name}` can't be read as {format}: {alias(said)}.") from error


@dataclass(frozen=True)
class Alias:
    """How messages name files of an archive: `folder`, which it is unpacked into, as `ARCHIVE#MEMBER`."""

    folder: Path
    archive: Path

    def __call__(self, text: str) -> str:
        """The text with other names of files."""
        return text.replace(f"{self.folder}/", f"{self.archive}#").replace(str(self.folder), str(self.archive))
