"""`ostinato` with models that write frames, from a table to a drawn curve, tune, sound and picture."""

from __future__ import annotations

import json
import wave
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from ostinato.cli.app import app
from ostinato.media.midi import read_midi

SMALL = [
    f"--set={key}={value}"
    for key, value in {
        "model.hidden_size": 6,
        "training.epochs": 1,
        "training.num_threads": 1,
        "training.baselines_seconds": 0,
    }.items()
]


def _run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(one) for one in arguments])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table of curves, tunes and sounds of two kinds, and a run of each."""
    pytest.importorskip("soundfile")
    folder = tmp_path_factory.mktemp("frames")
    draw = np.random.default_rng(0)
    rows = []
    for k in range(40):
        length = int(draw.integers(4, 8))
        with wave.open(str(folder / f"{k}.wav"), "wb") as out:
            out.setnchannels(1)
            out.setsampwidth(2)
            out.setframerate(8000)
            out.writeframes(draw.integers(-9000, 9000, 200 + 80 * length).astype("<i2").tobytes())
        curve = draw.normal(size=(length, 2)).round(3).tolist()
        tune = [[60, 64][: int(n)] for n in draw.integers(0, 3, length)]
        rows.append({"kind": ("up", "down")[k % 2], "curve": curve, "tune": tune, "sound": f"{k}.wav"})
    (folder / "t.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    sound = ("--set=features.target.kind=audio", "--set=features.target.sample_rate=8000")
    for name, said in (("curve", ()), ("tune", ()), ("sound", sound)):
        told = ("--input", "kind", "--target", name, *SMALL, *said, "--out", folder / name)
        done = _run("train", folder / "t.jsonl", *told)
        assert done.exit_code == 0, done.output
    return folder


def test_a_curve_is_shown_and_saved(folder: Path, tmp_path: Path) -> None:
    shown = _run("generate", folder / "curve", "--condition", "up", "-n", 2, "--seed", 3)
    assert shown.exit_code == 0, shown.output
    assert shown.stdout.count(" steps\n") == 2
    assert "▁" in shown.stdout
    assert "█" in shown.stdout
    saved = _run(
        "generate", folder / "curve", "--condition", "kind=up", "-n", 2, "--seed", 3, "--out", tmp_path / "c.csv"
    )
    assert saved.exit_code == 0, saved.output
    as_json = json.loads(_run("generate", folder / "curve", "--condition", "up", "-n", 2, "--seed", 3, "--json").stdout)
    assert as_json["condition"] == "up"
    for number, sequence in enumerate(as_json["sequences"], start=1):
        table = np.genfromtxt(tmp_path / f"c-{number}.csv", delimiter=",", names=True)
        assert table.dtype.names == ("value_1", "value_2")
        np.testing.assert_allclose(
            np.stack([table["value_1"], table["value_2"]], -1).reshape(-1, 2), sequence, rtol=1e-6
        )
    one = _run("generate", folder / "curve", "--condition", "up", "--max-new-tokens", 3, "--out", tmp_path / "c.json")
    assert one.exit_code == 0, one.output
    assert len(json.loads((tmp_path / "c.json").read_text())) <= 3


def test_a_tune_is_midi_and_a_sound_is_heard(folder: Path, tmp_path: Path) -> None:
    tune = _run("generate", folder / "tune", "--condition", "up", "--seed", 1, "--json")
    assert tune.exit_code == 0, tune.output
    found = json.loads(tune.stdout)
    assert Path(found["midi"]).is_file()
    if any(found["frames"]):
        heard = read_midi(Path(found["midi"]), 4)
        assert [sorted(frame) for frame in heard[: len(found["frames"])]] == found["frames"][: len(heard)]
    sound = _run("generate", folder / "sound", "--condition", "up", "--max-new-tokens", 12, "--out", tmp_path / "s.wav")
    assert sound.exit_code == 0, sound.output
    with wave.open(str(tmp_path / "s.wav")) as heard_again:
        assert heard_again.getframerate() == 8000
        assert heard_again.getnframes() > 0


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("curve", (), "writes for a given kind. Received: nothing"),
        ("curve", ("--condition", "upp"), "`kind` must be one of down, up"),
        ("curve", ("--condition", "up", "--top-k", 3), "`--top-k` does not apply to a model that writes frames"),
        ("curve", ("--condition", "up", "--prompt", "[1]"), "`--prompt` does not apply"),
        ("curve", ("--condition", "up", "--out", "c.wav"), "numbers are written to .csv or .json. Received: c.wav"),
        ("curve", ("--condition", "up", "--out", "nowhere/c.csv"), "there is no folder `nowhere`"),
        ("sound", ("--condition", "up", "--out", "s.txt"), ".txt"),
    ],
)
def test_what_is_typed_wrong_is_told(folder: Path, name: str, arguments: tuple[object, ...], message: str) -> None:
    done = _run("generate", folder / name, *arguments)
    assert done.exit_code != 0
    assert message in " ".join((done.output + done.stderr + str(done.exception)).split())


def test_it_is_evaluated_predicted_and_reported(folder: Path) -> None:
    figures = json.loads(_run("evaluate", folder / "curve", folder / "t.jsonl", "--json").stdout)
    assert {"nats_per_frame", "mse", "mae", "r2", "num_frames"} <= set(figures)
    assert "accuracy" in json.loads(_run("evaluate", folder / "tune", folder / "t.jsonl", "--json").stdout)
    said = json.loads(_run("predict", folder / "curve", "down", "--json").stdout)
    assert all(len(frame) == 2 for frame in said["values"])
    page = (folder / "curve" / "report.html").read_text()
    for part in ("Writes <code>curve</code>, frame by frame, for a given <code>kind</code>.", "Drawn for each kind"):
        assert part in page


def test_a_series_alone_goes_on_from_its_prompt(folder: Path, tmp_path: Path) -> None:
    done = _run("train", folder / "t.jsonl", "--input", "curve", *SMALL, "--out", tmp_path / "alone")
    assert done.exit_code == 0, done.output
    prompt = [[0.5, 0.25], [1.0, -1.0]]
    gone_on = _run("generate", tmp_path / "alone", "--prompt", json.dumps(prompt), "--max-new-tokens", 4, "--json")
    assert gone_on.exit_code == 0, gone_on.output
    sequence = json.loads(gone_on.stdout)["sequences"][0]
    assert len(sequence) == 6
    np.testing.assert_allclose(sequence[:2], prompt, atol=1e-5)
    broken = _run("generate", tmp_path / "alone", "--prompt", "[[1, ")
    assert broken.exit_code != 0
    assert "the prompt is not a JSON list of frames" in broken.output + broken.stderr + str(broken.exception)
    assert "Expected and true" in (tmp_path / "alone" / "report.html").read_text()
