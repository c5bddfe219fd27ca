"""Archives of files, unpacked into a temporary folder once a process: .zip, .tar, and .tar compressed.

Only plain files are taken. Members that would lead out of the folder, are encrypted, or packed in a way that Python
does not know, and archives that grow beyond reason are refused; a folder goes when the process ends, and those that a
killed process left go when the next archive is unpacked.
"""

from __future__ import annotations

import atexit
import lzma
import os
import shutil
import stat
import tarfile
import tempfile
import threading
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO

from ostinato.errors import DataError

ARCHIVES = (".zip", ".tar", ".tgz", ".tbz2", ".txz", ".tar.gz", ".tar.bz2", ".tar.xz")
"""How the names of archives end."""
MOST_MEMBERS = 1_000_000
MOST_BYTES = 64 << 30
"""What an archive may hold, unpacked."""
FREE_BYTES = 256 << 20
MOST_GROWTH = 100
"""How many times its own size what is packed may have, once it is larger than `FREE_BYTES`: texts have 5 to 20."""
LIBRARY_ERRORS = (
    tarfile.TarError,
    zipfile.BadZipFile,
    lzma.LZMAError,
    zlib.error,
    OSError,
    EOFError,
    ValueError,
    RuntimeError,  # an encrypted member
    NotImplementedError,  # packed in a way that zipfile does not know
)
"""What Python's libraries raise for archives that are damaged or foreign."""
Open = Callable[[], IO[bytes]]
_PREFIX = "ostinato-"
_PIECE = 1 << 20
_FOREIGN = ("__MACOSX", "Thumbs.db", "desktop.ini")
_unpacked: dict[tuple[str, int, int], Path] = {}
_lock = threading.Lock()


def is_archive(path: Path) -> bool:
    """Whether a path is named as an archive."""
    return path.name.lower().endswith(ARCHIVES)


def unpacked(archive: Path) -> Path:
    """The folder an archive is unpacked into, once a process.

    Raises:
        DataError: if it is damaged, encrypted, points outside the folder, or holds more than can be unpacked.
    """
    status = archive.stat()
    key = (str(archive.resolve()), status.st_mtime_ns, status.st_size)
    with _lock:
        if key not in _unpacked:
            _unpacked[key] = _unpack(archive)
        return _unpacked[key]


def require_growth(num_bytes: int, path: Path) -> None:
    """Raise `DataError` where a packed file has grown to so many bytes that it must be made to fill memory or disk."""
    if num_bytes > FREE_BYTES and num_bytes > MOST_GROWTH * path.stat().st_size:
        raise DataError(
            f"`{path}` grows to more than {MOST_GROWTH} times its size when unpacked, which is implausible for data.",
            hint="unpack it yourself if it is meant so, and name what is in it: then it is read piece by piece",
        )


def _unpack(archive: Path) -> Path:
    folder = own_folder()
    whole = False
    try:
        with _naming(archive):
            total = 0
            for number, (name, open_member) in enumerate(_members(archive)):
                if number >= MOST_MEMBERS:
                    raise DataError(f"`{archive}` holds more than {MOST_MEMBERS:,} files.")
                with _naming(archive, name):
                    total = _write(archive, folder / name, open_member, total)
        whole = True
    finally:
        if not whole:
            shutil.rmtree(folder, ignore_errors=True)
    atexit.register(remove_own, folder, os.getpid())
    return folder


def _write(archive: Path, path: Path, open_member: Open, total: int) -> int:
    """Write one member; the bytes written so far."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open_member() as stream, path.open("wb") as out:
        while piece := stream.read(_PIECE):
            total += len(piece)
            if total > MOST_BYTES:
                raise DataError(f"`{archive}` holds more than {MOST_BYTES >> 30} GB.", hint="unpack it yourself")
            require_growth(total, archive)
            out.write(piece)
    return total


def _members(archive: Path) -> Iterator[tuple[str, Open]]:
    """The names of its files, and what opens each."""
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as opened:
            require_growth(sum(info.file_size for info in opened.infolist()), archive)
            for info in opened.infolist():
                if not info.is_dir() and not stat.S_ISLNK(info.external_attr >> 16) and _wanted(archive, info.filename):
                    yield info.filename, partial(opened.open, info)
    else:
        with tarfile.open(archive) as tar:
            for member in tar:
                if member.isfile() and _wanted(archive, member.name):
                    yield member.name, partial(_of_tar, tar, member)


def _of_tar(tar: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes]:
    stream = tar.extractfile(member)
    if stream is None:
        raise tarfile.ReadError("no plain file")
    return stream


def _wanted(archive: Path, name: str) -> bool:
    """Whether a member is data, not something that systems leave. Raises `DataError` where it leads elsewhere."""
    parts = PurePosixPath(name.replace("\\", "/")).parts
    if name.startswith(("/", "\\")) or ".." in parts or (parts and parts[0].endswith(":")):
        raise DataError(f"can't unpack `{archive}`: its member `{name}` points outside the folder.")
    return bool(parts) and not any(part.startswith(".") or part in _FOREIGN for part in parts if part != ".")


@contextmanager
def _naming(archive: Path, member: str = "") -> Iterator[None]:
    """What the libraries raise, with the archive and the member."""
    try:
        yield
    except DataError:
        raise
    except LIBRARY_ERRORS as error:
        said = str(error).rstrip(".") or type(error).__name__
        where = f"`{member}` of `{archive}`" if member else f"`{archive}`"
        encrypted = "encrypted" in said or "password" in said
        raise DataError(
            f"can't unpack {where}: {'it is encrypted' if encrypted else said[:300]}.",
            hint="unpack it yourself, and name what is in it",
        ) from error


def own_folder() -> Path:
    """A temporary folder of this process; those of processes that are no more are removed."""
    _sweep()
    return Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-"))


def remove_own(folder: Path, process: int) -> None:
    """Remove a folder of a process, unless in a fork of it."""
    if os.getpid() == process:
        shutil.rmtree(folder, ignore_errors=True)


def _sweep() -> None:
    """Remove what processes left that are no more."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*-*"):
        number = folder.name.removeprefix(_PREFIX).partition("-")[0]
        if number.isdecimal() and folder.is_dir() and not _lives(int(number)):
            shutil.rmtree(folder, ignore_errors=True)


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True
