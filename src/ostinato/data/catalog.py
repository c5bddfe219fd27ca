"""Known data sets: origin, licence, citation, checksum. `NAME:SPLIT` in a recipe or on the command line names one.

A data set is looked for in the folder that `OSTINATO_DATA` names, then in the package, then in the cache
(`OSTINATO_CACHE`, default ~/.cache/ostinato); if it is nowhere, it is downloaded from its original site and checked.
"""

from __future__ import annotations

import difflib
import hashlib
import http.client
import json
import os
import re
import shutil
import tarfile
import tempfile
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from ostinato.errors import DataError

_TIMEOUT_S = 60


@dataclass(frozen=True)
class DataSet:
    """One entry of the catalogue.

    Args:
        splits: for each split, the file names that may hold it, relative to a data folder, the first found wins.
        url: where the original is.
        checksum: `algorithm:hex` of the download.
        unpack: turns the downloaded file into the first name of each split in a folder.
        packaged: the file in this package that holds it.
    """

    name: str
    title: str
    description: str
    licence: str
    citation: str
    splits: Mapping[str, tuple[str, ...]]
    url: str
    checksum: str
    unpack: Callable[[Path, Path], None] | None = None
    packaged: str | None = None


def _unpack_imdb(archive: Path, folder: Path) -> None:
    """aclImdb_v1.tar.gz to one JSONL file a split, rows ordered by class, then by number."""
    rows: dict[str, list[tuple[int, int, dict[str, object]]]] = {"train": [], "test": [], "unsup": []}
    pattern = re.compile(r"aclImdb/(train|test)/(pos|neg|unsup)/(\d+)_(\d+)\.txt$")
    with tarfile.open(archive) as tar:
        for member in tar:
            match = pattern.match(member.name)
            stream = tar.extractfile(member) if match else None
            if match is None or stream is None:
                continue
            split, folder_name, number, rating = match.groups()
            text = stream.read().decode("utf-8")
            if folder_name == "unsup":
                rows["unsup"].append((0, int(number), {"id": int(number), "text": text}))
            else:
                row = {
                    "id": f"{number}_{rating}",
                    "label": int(folder_name == "pos"),
                    "rating": int(rating),
                    "text": text,
                }
                rows[split].append((int(folder_name == "neg"), int(number), row))
    for split, found in rows.items():
        with (folder / f"{split}.jsonl").open("w", encoding="utf-8") as out:
            for _, _, row in sorted(found, key=lambda item: item[:2]):
                out.write(json.dumps(row, ensure_ascii=False) + "\n")


def _unpack_nothing(download: Path, folder: Path) -> None:
    """tiny-shakespeare is one text as it is."""
    shutil.copyfile(download, folder / "input.txt")


CATALOG: dict[str, DataSet] = {
    entry.name: entry
    for entry in (
        DataSet(
            name="imdb",
            title="Large Movie Review Dataset v1.0",
            description="25,000 + 25,000 reviews labelled 1 (positive) or 0, and 50,000 unlabelled ones",
            licence="none stated; the authors ask to be cited; texts are IMDb users'",
            citation="Maas, Daly, Pham, Huang, Ng, Potts: Learning Word Vectors for Sentiment Analysis. ACL 2011.",
            splits={
                "train": ("imdb/train.jsonl", "imdb/train.jsonl.xz"),
                "test": ("imdb/test.jsonl", "imdb/test.jsonl.xz", "imdb/test-a.jsonl.xz"),
                "unsup": ("imdb/unsup.jsonl", "imdb/unsup.jsonl.xz"),
            },
            url="https://ai.stanford.edu/~amaas/data/sentiment/aclImdb_v1.tar.gz",
            checksum="md5:7c2ac02c03563afcf9b574c7e56c153a",
            unpack=_unpack_imdb,
        ),
        DataSet(
            name="mysterious-island",
            title="Jules Verne: The Mysterious Island",
            description="1,112,262 characters of one novel, in English",
            licence="public domain (Project Gutenberg EBook 1268, its header and footer removed)",
            citation="Jules Verne: The Mysterious Island (1875), translated by W. H. G. Kingston.",
            splits={"train": ("mysterious-island.txt",)},
            url="https://www.gutenberg.org/ebooks/1268",
            checksum="sha256:dd58ca1db31abfa3acbc592d8feb70e082167ed0c406a030535ee8bbd464445e",
            packaged="mysterious-island.txt",
        ),
        DataSet(
            name="tiny-shakespeare",
            title="tiny-shakespeare",
            description="1,115,394 characters of Shakespeare's plays",
            licence="public domain text; the collection is MIT (karpathy/char-rnn)",
            citation="Karpathy: The Unreasonable Effectiveness of Recurrent Neural Networks (2015).",
            splits={"train": ("tiny_shakespeare/input.txt",)},
            url="https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt",
            checksum="sha256:86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed",
            unpack=_unpack_nothing,
        ),
    )
}


def resolve_path(reference: str, say: Callable[[str], None] = lambda _: None) -> Path:
    """The file or folder that `reference` means: a path, or `NAME[:SPLIT]` of the catalogue (split `train` by default).

    Args:
        reference: what a recipe or a user says.
        say: called with a line before a download begins.

    Raises:
        DataError: for a name that is nearly one of the catalogue's; a path that does not exist is returned as it is.
    """
    path = Path(reference)
    name, _, split = reference.partition(":")
    if path.exists():
        return path
    if name in CATALOG:
        return find(name, split or "train", say)
    near = difflib.get_close_matches(name, CATALOG, n=1)
    if near and len(path.parts) == 1 and not path.suffix:
        raise DataError(
            f"there is no file, folder or data set `{reference}`. Data sets: {', '.join(CATALOG)}.",
            hint=f"did you mean {near[0]}{':' + split if split else ''}?",
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
        return here
    say(f"downloading {entry.title} from {entry.url}")
    download(entry)
    here = locate(entry, split)
    if here is None:
        raise DataError(f"the download of `{name}` holds no split `{split}`.")
    return here


def lookup(name: str) -> DataSet:
    """The entry called `name`; `DataError` with the nearest name if there is none."""
    if name not in CATALOG:
        near = difflib.get_close_matches(name, CATALOG, n=1)
        raise DataError(
            f"the catalogue has no data set `{name}`. It has: {', '.join(CATALOG)}.",
            hint=f"did you mean {near[0]}?" if near else None,
        )
    return CATALOG[name]


def locate(entry: DataSet, split: str) -> Path | None:
    """Where a split lies already, or nothing."""
    folders = [Path(os.environ["OSTINATO_DATA"])] if os.environ.get("OSTINATO_DATA") else []
    for folder in [*folders, cache_folder()]:
        for candidate in entry.splits[split]:
            if (folder / candidate).is_file():
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
    if entry.unpack is None:
        raise DataError(f"`{entry.name}` comes with the package; there is nothing to download.")
    target = cache_folder() / Path(next(iter(entry.splits.values()))[0]).parent
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
                hint="fetch it elsewhere, and let OSTINATO_DATA name the folder that holds "
                + next(iter(entry.splits.values()))[0],
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
