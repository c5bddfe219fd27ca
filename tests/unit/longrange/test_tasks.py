"""Every task: what its rows hold, that nothing but the seed decides, and what its baseline says."""

from __future__ import annotations

import gzip
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from ostinato.data.readers.idx import read_idx
from ostinato.errors import DataError, RecipeError
from ostinato.longrange import IGNORE, TASKS, Batch, Task, find
from ostinato.longrange.images import PERMUTATION_SEED, SequentialMnist
from ostinato.longrange.tracking import generated

ENDLESS = [name for name in TASKS if not name.endswith("mnist")]


def row_pairs(batch: Batch, task: Task) -> list[tuple[list[float], list[int]]]:
    """Inputs and targets of each row."""
    inputs = [row.tolist() for row in batch.inputs.split_rows()]
    if not task.per_step:
        return list(zip(inputs, batch.targets.tolist(), strict=True))
    return list(
        zip(inputs, (row.tolist() for row in batch.inputs.with_values(batch.targets).split_rows()), strict=True)
    )


@pytest.mark.parametrize("name", ENDLESS)
def test_a_batch_is_a_function_of_its_arguments_alone(name: str) -> None:
    task = find(name)
    arguments = {"length": 30, "num_rows": 4, "index": 7, "seed": 3}
    first, again = task.batch(**arguments), task.batch(**arguments)
    assert torch.equal(first.inputs.values, again.inputs.values)
    assert torch.equal(first.targets, again.targets)
    others = [{"index": 8}, {"seed": 4}, {"split": "validation"}, {"split": "test"}]
    for other in others:
        assert not torch.equal(task.batch(**(arguments | other)).inputs.values, first.inputs.values)


@pytest.mark.parametrize("name", ENDLESS)
def test_rows_of_unequal_length_are_of_the_lengths_asked_for(name: str) -> None:
    task = find(name)
    batch = task.batch(24, 300, 0, shortest=20)
    assert sorted(set(batch.inputs.lengths.tolist())) == [task.num_steps(length) for length in range(20, 25)]
    assert len(batch.targets) == (len(batch.inputs.values) if task.per_step else 300)
    assert int(batch.inputs.values.max()) < task.num_inputs if task.tokens else True


@pytest.mark.parametrize("shortest", [None, 2])
def test_adding_marks_one_value_a_half_and_asks_for_their_sum(shortest: int | None) -> None:
    task = find("adding")
    for steps, target in row_pairs(task.batch(11, 200, 0, shortest=shortest), task):
        marked = [place for place, (_, mark) in enumerate(steps) if mark]
        assert len(marked) == 2
        assert marked[0] < len(steps) // 2 <= marked[1]
        assert target == pytest.approx(sum(steps[place][0] for place in marked), abs=1e-6)


def test_adding_costs_a_sixth_without_memory() -> None:
    task = find("adding")
    targets = task.batch(10, 20_000, 0).targets
    assert float((targets - 1).square().mean()) == pytest.approx(task.baseline(10), abs=0.005)


def test_copy_memory_row_by_row() -> None:
    task = find("copy")
    for inputs, targets in row_pairs(task.batch(9, 50, 0, shortest=1), task):
        delay = len(inputs) - 20
        symbols = inputs[:10]
        assert set(symbols) <= set(range(1, 9))
        assert inputs[10:] == [0] * (delay - 1) + [9] + [0] * 10
        assert targets == [0] * (delay + 10) + symbols


def test_copy_memory_costs_what_the_paper_says_without_memory() -> None:
    """Certain of the blanks, and a guess among eight symbols."""
    task = find("copy")
    batch = task.batch(30, 20, 0)
    logits = torch.full((len(batch.targets), 9), -1e9)
    recalled = batch.inputs.times_index() >= 40
    logits[~recalled, 0] = 0.0
    logits[recalled, 1:] = 0.0
    assert float(task.loss(logits, batch.targets)) == pytest.approx(10 * math.log(8) / 50)
    assert float(task.loss(logits, batch.targets)) == pytest.approx(task.baseline(30))


def test_only_symbols_count_towards_the_accuracy_of_copying() -> None:
    task = find("copy")
    batch = task.batch(30, 20, 0)
    assert task.score(F.one_hot(batch.targets, 9).float(), batch.targets) == 1.0
    assert task.score(F.one_hot(torch.zeros_like(batch.targets), 9).float(), batch.targets) == 0.0


def test_selective_copying_says_the_symbols_in_their_order() -> None:
    task = find("selective-copy")
    for inputs, targets in row_pairs(task.batch(40, 50, 0, shortest=16), task):
        symbols = [one for one in inputs[:-16] if one]
        assert len(symbols) == 16
        assert inputs[-16:] == [1] * 16
        assert targets == [IGNORE] * (len(inputs) - 16) + [one - 2 for one in symbols]


def test_delayed_recall_asks_for_the_first_symbol() -> None:
    task = find("recall")
    for inputs, target in row_pairs(task.batch(12, 50, 0, shortest=2), task):
        assert inputs[0] == target
        assert inputs[-1] == 16
        assert all(8 <= one < 16 for one in inputs[1:-1])


@pytest.mark.parametrize(("name", "order"), [("parity", 2), ("mod5", 5)])
def test_cyclic_groups_are_running_sums(name: str, order: int) -> None:
    task = find(name)
    for inputs, targets in row_pairs(task.batch(40, 20, 0, shortest=1), task):
        assert targets == (np.cumsum(inputs) % order).tolist()


@pytest.mark.parametrize(("name", "order", "commutes"), [("parity", 2, True), ("s3", 6, False), ("a5", 60, False)])
def test_tables_are_those_of_groups(name: str, order: int, commutes: bool) -> None:
    table = find(name).table
    everything = np.arange(order)
    assert table.shape == (order, order)
    assert (table[0] == everything).all()
    assert (table[:, 0] == everything).all()
    for line in (*table, *table.T):
        assert sorted(line) == everything.tolist()
    assert (table[table[:, :, None], everything] == table[everything[:, None, None], table]).all()  # (ab)c = a(bc)
    assert bool((table == table.T).all()) == commutes


def test_products_of_permutations_go_from_left_to_right() -> None:
    table = generated((1, 0, 2), (1, 2, 0))  # 1: swap the first two, 2: turn
    assert table[1, 2] != table[2, 1]
    assert table[1, 1] == 0
    assert table[table[2, 2], 2] == 0


def test_lengths_that_do_not_exist_are_refused() -> None:
    with pytest.raises(RecipeError, match=r"`length` must be at least 16 for the task selective-copy. Received: 15"):
        find("selective-copy").batch(15, 2, 0)
    with pytest.raises(RecipeError, match=r"`length` must be 784 for the task permuted-mnist. Received: 100"):
        find("permuted-mnist").batch(100, 2, 0)
    with pytest.raises(RecipeError, match=r"`tasks` must be among adding, .* Received: 'parrity'") as caught:
        find("parrity")
    assert caught.value.hint == "did you mean parity?"


def _write_idx(path: Path, values: np.ndarray) -> None:
    header = bytes([0, 0, 8, values.ndim]) + np.array(values.shape, ">u4").tobytes()
    path.write_bytes(gzip.compress(header + values.tobytes(), 1))


@pytest.fixture
def mnist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Four files of the right form: image n is filled with n % 200, its first pixel with 255; its label is n % 10."""
    folder = tmp_path / "mnist"
    folder.mkdir()
    for split, count in (("train", 60_000), ("t10k", 60)):
        images = np.tile((np.arange(count) % 200).astype(np.uint8)[:, None, None], (1, 28, 28))
        images[:, 0, 0] = 255
        _write_idx(folder / f"{split}-images-idx3-ubyte.gz", images)
        _write_idx(folder / f"{split}-labels-idx1-ubyte.gz", (np.arange(count) % 10).astype(np.uint8))
    monkeypatch.setenv("OSTINATO_DATA", str(tmp_path))
    return folder


def test_images_are_read_pixel_by_pixel_in_epochs(mnist: Path) -> None:
    task = SequentialMnist(permuted=True)
    batch = task.batch(784, 5, 0, seed=1)
    pixels = batch.inputs.split_rows()
    brightest = int(np.flatnonzero(np.random.default_rng(PERMUTATION_SEED).permutation(784) == 0)[0])
    for row, label in zip(pixels, batch.targets.tolist(), strict=True):
        assert row.shape == (784, 1)
        assert row[:, 0].argmax() == brightest
        assert round((float(row[1, 0]) * 0.3081 + 0.1307) * 255) % 10 == label
    assert torch.equal(task.batch(784, 5, 0, seed=1).targets, batch.targets)
    assert not torch.equal(task.batch(784, 5, 11_000, seed=1).inputs.values, batch.inputs.values)  # the next epoch
    assert task.batch(784, 5, 3, split="validation").targets.tolist() == [5, 6, 7, 8, 9]
    assert task.batch(784, 50, 1, split="test").targets.tolist() == list(range(10))
    assert SequentialMnist(permuted=False).batch(784, 2, 0).inputs.split_rows()[0][:, 0].argmax() == 0


def test_files_that_are_not_there_or_damaged_are_named(
    mnist: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = mnist / "t10k-labels-idx1-ubyte.gz"
    content = gzip.decompress(good.read_bytes())
    for bad, message in (
        (gzip.compress(content[:-1]), "is cut off: 1 bytes are missing"),
        (gzip.compress(content[:6]), "is cut off: 2 bytes are missing"),
        (gzip.compress(b"\x00\x00\x0d\x01" + content[4:]), "holds values of type 0x0D; only unsigned bytes"),
        (b"no gzip at all", "can't read `.*t10k-labels"),
    ):
        good.write_bytes(bad)
        with pytest.raises(DataError, match=message):
            read_idx(good)
    monkeypatch.setenv("OSTINATO_DATA", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("OSTINATO_CACHE", str(tmp_path / "cache"))
    with pytest.raises(DataError, match="`mnist` is not on this machine") as caught:
        SequentialMnist(permuted=False).batch(784, 2, 0)
    assert caught.value.hint is not None
    assert "let OSTINATO_DATA name the folder that holds mnist/train-images-idx3-ubyte.gz" in caught.value.hint
