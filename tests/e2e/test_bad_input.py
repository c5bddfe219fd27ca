"""Every kind of bad input: one clear message, exit code 1, no traceback, nothing written, nothing damaged."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.conftest import Cli, Result

TINY = ("--set", "model.embedding_dim=4", "--set", "model.hidden_size=4", "--set", "training.epochs=1",
        "--set", "training.num_threads=1")  # fmt: skip

GOOD_ROWS = [json.dumps({"text": f"number {i} is a good film", "label": ["neg", "pos"][i % 2]}) for i in range(40)]


def _refused(result: Result, *said: str) -> None:
    assert result.code == 1, result
    assert result.out == ""
    assert "Traceback" not in result.err
    assert result.err.count("error:") == 1
    for text in said:
        assert text in result.err


def _train(cli: Cli, path: object, *more: object) -> Result:
    return cli("train", path, "--input", "text", "--target", "label", "--out", "run", *TINY, *more)


@pytest.fixture
def rows(tmp_path: Path) -> list[str]:
    """40 good JSON lines of two classes."""
    return list(GOOD_ROWS)


def _write(tmp_path: Path, lines: list[str], name: str = "rows.jsonl") -> Path:
    path = tmp_path / name
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small classifier's and a small language model's run directory, made once."""
    import ostinato
    from ostinato.data.catalog import find
    from ostinato.training.progress import Observer

    folder = tmp_path_factory.mktemp("runs")
    data = _write(folder, GOOD_ROWS)
    book = folder / "book.txt"
    book.write_text(find("mysterious-island", "train").read_text(encoding="utf-8")[:20_000], encoding="utf-8")
    settings = {"model.embedding_dim": 4, "model.hidden_size": 4, "training.epochs": 1, "training.num_threads": 1}
    silent = Observer()
    ostinato.train(data, input="text", target="label", settings=settings, out=folder / "run", observer=silent)
    ostinato.train(book, settings=settings, out=folder / "writer", observer=silent)
    return folder


@pytest.fixture
def trained(runs: Path, rows: list[str], tmp_path: Path) -> Path:
    """A copy of the classifier's run directory, and the rows it was trained on."""
    _write(tmp_path, rows)
    return Path(shutil.copytree(runs / "run", tmp_path / "run"))


@pytest.fixture
def writer(runs: Path, tmp_path: Path) -> Path:
    """A copy of the language model's run directory."""
    return Path(shutil.copytree(runs / "writer", tmp_path / "writer"))


def test_missing_file(cli: Cli, tmp_path: Path, rows: list[str]) -> None:
    _write(tmp_path, rows, "reviews.jsonl")
    _refused(_train(cli, "review.jsonl"), "no such file or folder: `review.jsonl`", "did you mean reviews.jsonl?")


def test_missing_column(cli: Cli, polarity: Path, tmp_path: Path) -> None:
    result = cli("train", polarity, "--input", "txt", "--target", "label", "--out", "run")
    _refused(result, "has no column `txt`. Columns: text, label.", "did you mean text?")
    assert not (tmp_path / "run").exists()


def test_a_session_that_is_not_there(cli: Cli, polarity: Path) -> None:
    result = cli("train", polarity, "--input", "text", "--set", "data.session=who")
    _refused(result, "has no column `who`. Columns: text, label.")


def test_no_input_column_named(cli: Cli, polarity: Path) -> None:
    _refused(cli("train", polarity), "`data.input` is not set", "text: ", "--input text --target label")


@pytest.mark.parametrize("content", [b"", b"\n \n", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("name", ["rows.csv", "rows.jsonl", "rows.txt"])
def test_empty_file(cli: Cli, tmp_path: Path, content: bytes, name: str) -> None:
    (tmp_path / name).write_bytes(content)
    arguments = () if name.endswith(".txt") else ("--input", "text", "--target", "label")
    _refused(cli("train", name, *arguments), f"`{name}` is empty.")


def test_one_class_only(cli: Cli, tmp_path: Path, rows: list[str]) -> None:
    _refused(_train(cli, _write(tmp_path, rows[::2])), "column `label` holds one class only", "`neg`")
    assert not (tmp_path / "run").exists()


def test_label_that_training_never_showed(cli: Cli, tmp_path: Path, rows: list[str], trained: Path) -> None:
    other = _write(tmp_path, [*rows[:3], json.dumps({"text": "so so", "label": "mixed"})], "other.jsonl")
    result = cli("train", "rows.jsonl", "--input", "text", "--target", "label", "--out", "run2", *TINY,
                 "--set", "data.validation=other.jsonl")  # fmt: skip
    _refused(
        result, "the validation data holds `mixed` in column `label` (other.jsonl:4)", "training classes: neg, pos"
    )
    assert not (tmp_path / "run2").exists()
    _refused(cli("evaluate", "run", other), "holds `mixed` in column `label`")


def test_nothing_left_after_cleaning(cli: Cli, tmp_path: Path, rows: list[str], trained: Path) -> None:
    path = _write(tmp_path, [*rows, json.dumps({"text": "<br /> ...", "label": "pos"})])
    result = cli("train", path, "--input", "text", "--target", "label", "--out", "run2", *TINY)
    _refused(result, "rows.jsonl:41: nothing is left of the text after cleaning", "data.on_bad_row=skip")
    _refused(cli("predict", "run", "..."), "row 1, '...', can't be used: nothing is left of it after cleaning")


def test_a_row_of_two_million_characters(cli: Cli, tmp_path: Path, rows: list[str]) -> None:
    path = _write(tmp_path, [*rows, json.dumps({"text": "a film " * 300_000, "label": "pos"})])
    _refused(_train(cli, path), "rows.jsonl:41: more than 1,000,000 characters", "--set data.max_characters=2100000")
    skipped = _train(cli, path, "--set", "data.on_bad_row=skip")
    assert skipped.code == 0, skipped.err
    assert "set aside in rejected.jsonl: 1 row\n" in skipped.err
    assert json.loads((tmp_path / "run/rejected.jsonl").read_text())["line"] == 41


def test_broken_json_on_line_17(cli: Cli, tmp_path: Path, rows: list[str]) -> None:
    rows[16] = '{"text": "a film", "label": '
    _refused(_train(cli, _write(tmp_path, rows)), "1 row can't be used", "rows.jsonl:17: invalid JSON")
    assert not (tmp_path / "run").exists()


def test_all_bad_rows_are_listed_the_first_twenty(cli: Cli, tmp_path: Path, rows: list[str]) -> None:
    result = _train(cli, _write(tmp_path, [*rows, *["{"] * 25]))
    _refused(result, "25 rows can't be used", "rows.jsonl:60:", "… and 5 more")
    assert "rows.jsonl:61:" not in result.err


def test_a_nul_byte(cli: Cli, tmp_path: Path, rows: list[str]) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes("\n".join(rows).encode().replace(b"number 4 ", b"number\x004 "))
    _refused(_train(cli, path), "rows.jsonl:5: holds a NUL byte")


def test_mixed_types(cli: Cli, tmp_path: Path, rows: list[str]) -> None:
    mixed = [row.replace('"neg"', "0").replace('"pos"', "1") for row in rows]
    result = _train(cli, _write(tmp_path, [*mixed, json.dumps({"text": "a film", "label": "good"})]))
    _refused(result, "column `label` mixes types: 40 numbers (such as 0) and 1 text (such as 'good')", "class")
    as_numbers = _train(cli, "rows.jsonl", "--set", "features.target.kind=number")
    _refused(as_numbers, "rows.jsonl:41: not a number: 'good'")


@pytest.mark.parametrize("name", ["missing", "."])
def test_a_folder_that_is_no_run(cli: Cli, tmp_path: Path, name: str) -> None:
    for command in ("evaluate", "predict", "generate", "report"):
        result = cli(command, name, *(["x"] if command == "predict" else []))
        _refused(result, "no run directory" if name == "missing" else "is not an Ostinato run")
    _refused(cli("train", "--resume", name), "no run directory" if name == "missing" else "is not an Ostinato run")


@pytest.mark.parametrize("name", ["features.json", "recipe.yaml"])
@pytest.mark.parametrize("content", ["", "{", "[]", '{"format": 99}', "\x00"])
def test_a_damaged_run(cli: Cli, trained: Path, name: str, content: str) -> None:
    (trained / name).write_text(content)
    _refused(cli("predict", "run", "a film"), name)


def test_a_truncated_model(cli: Cli, trained: Path) -> None:
    model = trained / "model.safetensors"
    model.write_bytes(model.read_bytes()[:-100])
    _refused(cli("predict", "run", "a film"), "model.safetensors` is damaged")


def test_another_runs_model(cli: Cli, trained: Path, writer: Path) -> None:
    (trained / "model.safetensors").write_bytes((writer / "model.safetensors").read_bytes())
    _refused(cli("predict", "run", "a film"), "does not fit the recipe's model")


def test_unknown_key_in_a_recipe(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("model:\n  hiden_size: 3\n")
    _refused(cli("train", "--recipe", "mine.yaml"), "unknown key `model.hiden_size`", "did you mean hidden_size?")
    (tmp_path / "mine.yaml").write_text("model: [1\n")
    _refused(cli("train", "--recipe", "mine.yaml"), "is not a YAML file")
    _refused(cli("train", "--recipe", "imbd"), "no recipe file `imbd`", "did you mean imdb")


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("training.epochs=three", "`training.epochs` must be an integer. Received: 'three'."),
        ("training.epochs=true", "`training.epochs`"),
        ("model.hidden_size=-3", "`model.hidden_size` must be a positive integer. Received: -3."),
        ("model.pooling=[middle]", "`model.pooling` must be one of"),
        ("model.cell=lsmt", "`cell` must be one of"),
        ("training.device=tpu", "`training.device`"),
        ("epochs", "`--set` needs key=value. Received: 'epochs'."),
        ("training.epoch=3", "did you mean epochs?"),
    ],
)
def test_set_of_a_wrong_type_or_name(cli: Cli, polarity: Path, tmp_path: Path, setting: str, said: str) -> None:
    _refused(_train(cli, polarity, "--set", setting), said)
    assert not (tmp_path / "run").exists()


def test_a_prompt_with_characters_the_model_never_saw(cli: Cli, writer: Path) -> None:
    _refused(cli("generate", "writer", "--prompt", "日本 island"), "2 characters the model never saw: '日', '本'")


def test_generating_with_impossible_options(cli: Cli, writer: Path, trained: Path) -> None:
    _refused(cli("generate", "writer", "--temperature", -1), "`temperature` must be at least 0")
    _refused(cli("generate", "writer", "--max-new-tokens", 0), "`max_new_tokens` must be a positive integer")
    _refused(cli("generate", "run"), "is a classifier; it writes nothing")
    _refused(cli("predict", "writer", "a film"), "is a language model")


def test_an_existing_folder_is_not_written_into(cli: Cli, polarity: Path, trained: Path) -> None:
    before = {path: path.read_bytes() for path in trained.rglob("*") if path.is_file()}
    _refused(_train(cli, polarity), "`run` already exists.", "--resume run")
    assert before == {path: path.read_bytes() for path in trained.rglob("*") if path.is_file()}


def test_a_disk_that_fills_while_a_checkpoint_is_written(tmp_path: Path, polarity: Path) -> None:
    """A real refusal of the operating system: no file may grow beyond what the second checkpoint needs."""
    command = [sys.executable, "-c", "from ostinato.cli import main; main()"]
    settings = ("--set", "training.epochs=1", "--set", "training.num_threads=1", "--set", "model.embedding_dim=64")
    first = subprocess.run(
        [*command, "train", str(polarity), "--input", "text", "--target", "label", "--out", "run", *settings],
        cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert first.returncode == 0, first.stderr
    run = tmp_path / "run"
    before = {path: path.read_bytes() for path in (run / "checkpoint").rglob("*") if path.is_file()}
    limited = (
        "import resource, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (900_000, 900_000));"
        "from ostinato.cli import main; main()"
    )
    second = subprocess.run(
        [sys.executable, "-c", limited, "train", "--resume", "run", "--set", "training.epochs=2"],
        cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert second.returncode == 1, second.stderr
    assert "the disk is full" in second.stderr
    assert "Traceback" not in second.stderr
    for path, content in before.items():
        assert path.read_bytes() == content
    assert not list((run / "checkpoint").glob(".*"))


@pytest.mark.skipif(os.name != "posix", reason="sends a signal")
def test_ctrl_c_leaves_a_run_that_resumes(tmp_path: Path, book: Path) -> None:
    command = [sys.executable, "-c", "from ostinato.cli import main; main()", "train"]
    process = subprocess.Popen(
        [*command, str(book), "--out", "run", "--set", "training.epochs=1000", "--set", "training.num_threads=1"],
        cwd=tmp_path, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    log = tmp_path / "run" / "log.jsonl"
    for _ in range(600):
        if log.exists() and log.stat().st_size:
            break
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "interrupted; resume with: ostinato train --resume run" in err
    assert "Traceback" not in err
    newest = max((tmp_path / "run/checkpoint").iterdir())
    steps = json.loads((newest / "state.json").read_text())["position"]["step"]
    done = subprocess.run(
        [*command, "--resume", "run", "--set", "training.max_minutes=0.001"],
        cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert f"resuming after step {steps:,}" in done.stderr


def test_debug_shows_the_traceback(cli: Cli) -> None:
    from ostinato.errors import DataError

    with pytest.raises(DataError):
        cli("train", "missing.txt", "--debug")


def test_usage_errors_exit_with_2(cli: Cli) -> None:
    assert cli("train", "--nonsense").code == 2
    assert cli("nonsense").code == 2
    assert cli("generate").code == 2


@pytest.mark.parametrize(
    "command", [("evaluate", "run", "rows.jsonl"), ("predict", "run", "--file", "rows.jsonl"),
                ("diagnose", "run", "--data", "rows.jsonl", "--rows", "8"), ("verify", "run", "--data", "rows.jsonl")]
)  # fmt: skip
def test_a_run_reads_on_without_bad_rows_where_it_is_told_to(
    cli: Cli, trained: Path, rows: list[str], tmp_path: Path, command: tuple[str, ...]
) -> None:
    _write(tmp_path, [*rows, '{"text": null, "label": "neg"}', "{"])
    _refused(cli(*command), "rows.jsonl:41", "rows.jsonl:42", "--set data.on_bad_row=skip")
    told = cli(*command, "--set", "data.on_bad_row=skip")
    assert told.code == 0, told.err
    assert "left out, since they can't be used: 2 rows:\n  rows.jsonl:41: no value in column `text`" in told.err


def test_a_run_keeps_the_rest_of_its_recipe(cli: Cli, trained: Path) -> None:
    result = cli("evaluate", "run", "rows.jsonl", "--set", "model.hidden_size=8")
    _refused(
        result, "an existing run keeps its recipe. Received: model.hidden_size=8.", "only options for reading files"
    )


def test_predict_takes_rows_from_one_place(cli: Cli, trained: Path) -> None:
    both = cli("predict", "run", "a film", "--file", "rows.jsonl")
    _refused(both, "give rows either in `--file` or on the command line, not both. Received: rows.jsonl and 'a film'.")
    _refused(cli("predict", "run", "a film", "--set", "data.on_bad_row=skip"), "`--set` says how `--file` is read.")
