"""The table of all options."""

from __future__ import annotations

from typer.testing import CliRunner

from ostinato.cli.app import app


def test_every_option_with_what_it_needs() -> None:
    found = CliRunner().invoke(app, ["recipe", "options"])
    assert found.exit_code == 0, found.output
    rows = dict(line.split(" | ", 1) for line in found.stdout.splitlines()[2:])
    assert rows["| `training.clip_history`"].startswith("`100` | ")
    assert rows["| `training.clip_history`"].endswith(" | `clip: adaptive` |")
    assert rows["| `model.decoder.bridge` (seq2seq)"].startswith("`linear` | ")
    assert rows["| `model.hidden_size`"].startswith("`128` | ")
    assert rows["| `model.output` (forecasting)"].startswith("`mse` | ")
    pooling = next(key for key in rows if key.startswith("| `model.pooling` (classification, conditional, "))
    assert rows[pooling].endswith("that is a sequence |")
    assert rows["| `data.on_gap`"].endswith("a column of time stamps |")
    assert rows["| `features.input.num_mels` (audio)"].startswith("`40` | log_mel, mfcc: filters | ")
    assert "| `features.target.unseen` (tags)" in rows
