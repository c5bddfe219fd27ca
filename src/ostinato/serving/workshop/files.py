"""Files that were dropped on the page, kept beside the runs."""

from __future__ import annotations

import re
import shutil
import time
from pathlib import Path
from threading import Lock

from ostinato.serving.refused import RefusedError
from ostinato.storage.files import checksum, unused

PART_BYTES = 4 << 20
"""A file comes in parts of at most so many bytes."""
MOST_BYTES = 4 << 30
_SPARE_BYTES = 256 << 20
"""What must be left on the disk."""
_STALE_S = 86_400
_LONGEST_NAME = 100
_UNSAFE = re.compile(r"[^\w.+-]+")


class Files:
    """The files of a folder that is made when the first one comes.

    Args:
        folder: of nothing else.
        most_bytes: a larger file is refused.
    """

    def __init__(self, folder: Path, most_bytes: int = MOST_BYTES) -> None:
        self.folder, self.most_bytes = folder, most_bytes
        self._lock = Lock()
        for partial in folder.glob(".*.partial"):
            if time.time() - partial.stat().st_mtime > _STALE_S:
                partial.unlink(missing_ok=True)

    def find(self, name: str) -> Path:
        """Raises `RefusedError` for the name of no file that is here."""
        path = self.folder / name
        if name != safe_name(name) or not path.is_file():
            raise RefusedError(
                404,
                f"the name of a file that was dropped was expected. Received: {name[:80]!r}.",
                hint="drop the file on the page again",
            )
        return path

    def begin(self, name: str, num_bytes: int) -> str:
        """A file is to come; the name that it gets.

        Raises:
            RefusedError: for one that is too large for this server, or for the disk.
        """
        if num_bytes > self.most_bytes:
            raise RefusedError(
                413,
                f"a file of at most {self.most_bytes:,} bytes was expected. Received: {num_bytes:,}.",
                hint="train on it where it lies: ostinato train FILE",
            )
        with self._lock:
            self.folder.mkdir(parents=True, exist_ok=True)
            free = shutil.disk_usage(self.folder).free - _SPARE_BYTES
            if num_bytes > free:
                raise RefusedError(
                    507,
                    f"a file of at most {max(free, 0):,} bytes was expected, which the disk of `{self.folder}` has "
                    f"left. Received: {num_bytes:,}.",
                    hint="free some space, or train on it where it lies: ostinato train FILE",
                )
            path = self.folder / safe_name(name)
            while path.exists() or _partial(path).exists():
                path = unused(path) if path.exists() else unused(path.with_name(f"{path.stem}-2{path.suffix}"))
            _partial(path).touch()
        return path.name

    def part(self, name: str, at: int, data: bytes, num_bytes: int) -> str | None:
        """The next part of a file, from byte `at` on; once it is whole, the name of the file. A file that was here
        before is not kept twice.

        Raises:
            RefusedError: for a part that is not the next one, or of a file that was not announced.
        """
        path = self.folder / name
        partial = _partial(path)
        with self._lock:
            if name != safe_name(name) or not partial.is_file():
                raise RefusedError(404, f"a file that was announced was expected. Received: {name[:80]!r}.")
            there = partial.stat().st_size
            if at != there or at + len(data) > num_bytes:
                raise RefusedError(
                    409, f"the part from byte {there} on, of {num_bytes}, was expected. Received: from {at} on."
                )
            with partial.open("ab") as out:
                out.write(data)
            if at + len(data) < num_bytes:
                return None
            known = self._same(partial, path.suffix)
            if known is not None:
                partial.unlink()
                return known
            partial.rename(path)
            return name

    def _same(self, partial: Path, suffix: str) -> str | None:
        size, sum_ = partial.stat().st_size, ""
        for path in sorted(self.folder.iterdir()):
            if path.is_file() and path.suffix == suffix and path.stat().st_size == size:
                sum_ = sum_ or checksum(partial)
                if checksum(path) == sum_:
                    return path.name
        return None


def safe_name(name: str) -> str:
    """A name that is one in any folder.

    Example:
        >>> safe_name("../../My  films (1).csv"), safe_name("...")
        ('My_films_1_.csv', 'file')
    """
    last = re.split(r"[/\\]", name)[-1]
    plain = _UNSAFE.sub("_", last).lstrip("._-") or "file"
    if len(plain) <= _LONGEST_NAME:
        return plain
    suffix = "".join(Path(plain).suffixes[-2:])[-20:]
    return plain[: _LONGEST_NAME - len(suffix)] + suffix


def _partial(path: Path) -> Path:
    return path.with_name(f".{path.name}.partial")
