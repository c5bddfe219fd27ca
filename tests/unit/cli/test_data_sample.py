"""`ostinato data sample`: files that come with the package."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.conftest import Cli


@pytest.mark.parametrize(("name", "rows"), [("names.csv", 4064), ("reviews.csv", 2000), ("sensors.csv", 672)])
def test_a_sample_is_written_once(cli: Cli, tmp_path: Path, name: str, rows: int) -> None:
    result = cli("data", "sample", name)
    assert (result.code, result.err) == (0, f"wrote {name}, {rows:,} rows\n")
    described = cli("data", "describe", name)
    assert f"{rows:,} rows" in described.out
    assert "can't be used" not in described.err
    assert cli("data", "sample", name).code == 0
    (tmp_path / name).write_text("mine")
    refused = cli("data", "sample", name)
    assert refused.code == 1
    assert f"`{name}` already exists, with other content." in refused.err
    assert (tmp_path / name).read_text() == "mine"


def test_samples_say_what_they_are(cli: Cli) -> None:
    listed = cli("data", "sample").out
    for name in ("names.csv", "reviews.csv", "sensors.csv", "CC BY 4.0", "MIT"):
        assert name in listed
    unknown = cli("data", "sample", "reviews")
    assert unknown.code == 1
    assert "names.csv, reviews.csv, sensors.csv" in unknown.err
