"""Where a data set is looked for, and what a download has to survive."""

from __future__ import annotations

import dataclasses
import hashlib
import http.client
import io
import json
import tarfile
from pathlib import Path

import pytest

from ostinato.data import catalog
from ostinato.data.catalog import CATALOG, DataSet, download, find, locate, lookup, resolve_path
from ostinato.errors import DataError

REVIEWS = {
    "train/pos/0_9.txt": "good <br /> film",
    "train/pos/1_10.txt": "café",
    "train/neg/0_2.txt": "bad",
    "train/unsup/0_0.txt": "unknown",
    "test/pos/0_7.txt": "fine",
    "test/neg/0_1.txt": "poor",
    "README": "read me",
    "train/urls_pos.txt": "http://x",
}


def _archive(path: Path) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        for name, text in REVIEWS.items():
            member = tarfile.TarInfo(f"aclImdb/{name}")
            member.size = len(text.encode())
            tar.addfile(member, io.BytesIO(text.encode()))
    return path


@pytest.fixture
def imdb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DataSet:
    """The catalogue's imdb, its original a small archive of the same shape on this disk."""
    archive = _archive(tmp_path / "aclImdb.tar.gz")
    checksum = "md5:" + hashlib.md5(archive.read_bytes(), usedforsecurity=False).hexdigest()
    entry = dataclasses.replace(CATALOG["imdb"], url=archive.as_uri(), checksum=checksum)
    monkeypatch.setitem(CATALOG, "imdb", entry)
    monkeypatch.setenv("OSTINATO_CACHE", str(tmp_path / "cache"))
    return entry


def test_download_check_and_unpack(imdb: DataSet, tmp_path: Path) -> None:
    said: list[str] = []
    path = find("imdb", "train", said.append)
    assert said == [f"downloading {imdb.title} from {imdb.url}"]
    assert path == tmp_path / "cache/imdb/train.jsonl"
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert rows == [
        {"id": "0_9", "label": 1, "rating": 9, "text": "good <br /> film"},
        {"id": "1_10", "label": 1, "rating": 10, "text": "café"},
        {"id": "0_2", "label": 0, "rating": 2, "text": "bad"},
    ]
    assert json.loads(find("imdb", "unsup").read_text()) == {"id": 0, "text": "unknown"}
    assert len(find("imdb", "test", said.append).read_text().splitlines()) == 2
    assert len(said) == 1  # the second time nothing is fetched
    assert [p.name for p in (tmp_path / "cache").iterdir()] == ["imdb"]


def test_a_wrong_checksum_leaves_nothing(imdb: DataSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(CATALOG, "imdb", dataclasses.replace(imdb, checksum="sha256:" + "0" * 64))
    with pytest.raises(DataError, match=r"`imdb`: the file is not the expected one \(sha256 [0-9a-f]{64}, expected 0"):
        find("imdb", "train")
    assert list((tmp_path / "cache").iterdir()) == []


def test_no_network_says_where_to_put_the_file(imdb: DataSet, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    gone = dataclasses.replace(imdb, url=(tmp_path / "gone.tar.gz").as_uri())
    with pytest.raises(DataError) as caught:
        download(gone)
    assert caught.value.message.startswith(f"can't download `imdb` from {gone.url}: ")
    assert caught.value.hint == "fetch it elsewhere, and let OSTINATO_DATA name the folder that holds imdb/train.jsonl"

    def cut_off(*_: object, **__: object) -> None:
        raise http.client.IncompleteRead(b"")

    monkeypatch.setattr(catalog.urllib.request, "urlopen", cut_off)  # type: ignore[attr-defined]
    with pytest.raises(DataError, match="can't download `imdb`"):
        download(imdb)


def test_a_download_fills_up_a_folder_that_is_there(imdb: DataSet, tmp_path: Path) -> None:
    (tmp_path / "cache/imdb").mkdir(parents=True)
    (tmp_path / "cache/imdb/train.jsonl").write_text("mine")
    assert len(find("imdb", "test").read_text().splitlines()) == 2
    assert find("imdb", "train").read_text() != "mine"


def test_the_named_folder_comes_first_then_the_cache(
    imdb: DataSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    find("imdb", "train")
    folder = tmp_path / "mine"
    (folder / "imdb").mkdir(parents=True)
    (folder / "imdb/train.jsonl.xz").write_bytes(b"x")
    monkeypatch.setenv("OSTINATO_DATA", str(folder))
    assert find("imdb", "train") == folder / "imdb/train.jsonl.xz"
    assert find("imdb", "test") == tmp_path / "cache/imdb/test.jsonl"


def test_packaged_text_needs_nothing() -> None:
    path = find("mysterious-island", "train")
    assert hashlib.sha256(path.read_bytes()).hexdigest() == CATALOG["mysterious-island"].checksum.split(":")[1]
    with pytest.raises(DataError, match="comes with the package"):
        download(CATALOG["mysterious-island"])
    assert locate(CATALOG["imdb"], "train") is None


def test_a_text_downloaded_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "source").write_text("First Citizen")
    checksum = "sha256:" + hashlib.sha256(b"First Citizen").hexdigest()
    entry = dataclasses.replace(CATALOG["tiny-shakespeare"], url=(tmp_path / "source").as_uri(), checksum=checksum)
    monkeypatch.setenv("OSTINATO_CACHE", str(tmp_path / "cache"))
    assert download(entry) == tmp_path / "cache/tiny_shakespeare"
    assert (tmp_path / "cache/tiny_shakespeare/input.txt").read_text() == "First Citizen"


def test_unknown_names_and_splits() -> None:
    with pytest.raises(DataError) as caught:
        lookup("imbd")
    assert caught.value.message.startswith("the catalogue has no data set `imbd`. It has: imdb, ")
    assert caught.value.hint == "did you mean imdb?"
    with pytest.raises(DataError, match=r"data set `imdb` has no split `dev`\. Splits: train, test, unsup\."):
        find("imdb", "dev")


def test_references(imdb: DataSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert resolve_path("imdb:test") == tmp_path / "cache/imdb/test.jsonl"
    assert resolve_path("imdb") == tmp_path / "cache/imdb/train.jsonl"
    assert resolve_path("some/file.csv") == Path("some/file.csv")
    with pytest.raises(DataError) as caught:
        resolve_path("imbd:test")
    assert caught.value.message.startswith("there is no file, folder or data set `imbd:test`.")
    assert caught.value.hint == "did you mean imdb:test?"
    (tmp_path / "imdb").mkdir()  # a folder of that name is what is meant
    assert resolve_path("imdb") == Path("imdb")
    (tmp_path / "imdb/recipe.yaml").write_text("name: imdb")  # but not a run of that name
    assert resolve_path("imdb") == tmp_path / "cache/imdb/train.jsonl"


@pytest.mark.parametrize("name", CATALOG)
def test_every_entry_says_where_it_is_from(name: str) -> None:
    entry = CATALOG[name]
    assert entry.name == name
    assert all([entry.title, entry.description, entry.licence, entry.citation, entry.url.startswith("http")])
    assert bool(entry.checksum) == bool(entry.unpack or entry.packaged)
    if entry.checksum:
        algorithm, _, digest = entry.checksum.partition(":")
        assert len(digest) == 2 * hashlib.new(algorithm, usedforsecurity=False).digest_size
    assert not (entry.unpack and entry.packaged)


def test_a_set_that_nobody_can_download(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("OSTINATO_DATA", str(tmp_path))
    monkeypatch.setenv("OSTINATO_CACHE", str(tmp_path / "cache"))
    with pytest.raises(DataError, match="`jsb` is not on this machine, and can't be downloaded") as caught:
        find("jsb", "train")
    assert caught.value.hint is not None
    assert "let OSTINATO_DATA name the folder that holds poly_music/JSB_Chorales.npz" in caught.value.hint
    (tmp_path / "poly_music").mkdir()
    (tmp_path / "poly_music" / "JSB_Chorales.npz").write_bytes(b"")
    assert find("jsb", "validation") == tmp_path / "poly_music" / "JSB_Chorales.npz#valid"
