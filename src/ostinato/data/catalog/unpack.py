"""From a data set's original archive to the files that the catalogue names."""

from __future__ import annotations

import json
import re
import shutil
import tarfile
from pathlib import Path


def unpack_imdb(archive: Path, folder: Path) -> None:
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


def unpack_nothing(download: Path, folder: Path) -> None:
    """tiny-shakespeare is one text as it is."""
    shutil.copyfile(download, folder / "input.txt")
