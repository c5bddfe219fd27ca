"""Forward and backward of a recurrent layer over a ragged batch: Ostinato against ``torch.nn`` fed a PackedSequence.

A correctness gate comes first: outputs and every gradient must agree with a float64 ``torch.nn`` before anything is
timed. Then both are timed in turn, and the table shows the median of the rounds and their spread (lowest to highest).

    python benchmarks/ragged_layers.py [--threads 2] [--rounds 5]
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

import ostinato.nn
from ostinato.types import Ragged

KINDS = ("LSTM", "GRU", "RNN")


@dataclass(frozen=True)
class Case:
    """One batch: N rows, the longest of L steps, the shortest of ``shortest * L``, I features, H hidden."""

    label: str
    num_rows: int
    num_steps: int
    shortest: float
    input_size: int
    hidden_size: int
    bidirectional: bool = False


CASES = (
    Case("short sentences", 32, 30, 0.1, 100, 128),
    Case("bucketed texts", 32, 200, 0.8, 128, 128),
    Case("unsorted texts", 32, 200, 0.1, 128, 128),
    Case("texts, two directions", 32, 100, 0.3, 100, 100, bidirectional=True),
    Case("long series", 16, 400, 0.5, 16, 64),
)


def make_batch(case: Case) -> Ragged:
    """A batch with uniformly drawn lengths and standard normal values, the same for every run."""
    generator = torch.Generator().manual_seed(0)
    low = max(1, int(case.shortest * case.num_steps))
    lengths = torch.randint(low, case.num_steps + 1, (case.num_rows,), generator=generator)
    lengths[0] = case.num_steps
    values = torch.randn(int(lengths.sum()), case.input_size, generator=generator)
    return Ragged.from_offsets(values, torch.cat([lengths.new_zeros(1), lengths.cumsum(0)]))


def layers(kind: str, case: Case) -> tuple[torch.nn.Module, torch.nn.Module]:
    """Ours and torch's layer with the same weights."""
    torch.manual_seed(1)
    theirs = getattr(torch.nn, kind)(case.input_size, case.hidden_size, bidirectional=case.bidirectional)
    ours = getattr(ostinato.nn, kind)(case.input_size, case.hidden_size, bidirectional=case.bidirectional)
    ours.load_state_dict(theirs.state_dict())
    return ours, theirs


def train_step(layer: torch.nn.Module, batch: Ragged, grad: Tensor) -> Callable[[], list[Tensor]]:
    """Forward and backward, returning the output and every gradient."""
    values = batch.values.detach().clone().requires_grad_()
    packed = batch.with_values(values).to_packed()
    source: Ragged | PackedSequence = packed if isinstance(layer, torch.nn.RNNBase) else batch.with_values(values)

    def run() -> list[Tensor]:
        layer.zero_grad()
        values.grad = None
        output, _ = layer(source)
        result = output.data if isinstance(output, PackedSequence) else output.values
        result.backward(grad)
        return [result.detach(), values.grad, *(weight.grad for weight in layer.parameters())]

    return run


def check(kind: str, case: Case, batch: Ragged, grad: Tensor) -> float:
    """Largest relative difference between ours and float64 torch.nn; exits if it is more than rounding explains."""
    ours, theirs = layers(kind, case)
    truth = train_step(theirs.double(), batch.with_values(batch.values.double()), grad.double())()
    found = train_step(ours, batch, grad)()
    worst = max(
        float((a.double() - b).abs().max() / b.abs().max().clamp(min=1e-12)) for a, b in zip(found, truth, strict=True)
    )
    if worst > 1e-4:
        raise SystemExit(f"{kind} on {case.label}: differs from float64 torch.nn by {worst:.1e}, not timed")
    return worst


def milliseconds(run: Callable[[], object]) -> float:
    """Wall time of one call."""
    start = time.perf_counter()
    run()
    return (time.perf_counter() - start) * 1e3


def spread(times: list[float]) -> str:
    """Median, and the lowest and highest."""
    return f"{statistics.median(times):7.1f} ({min(times):.1f} to {max(times):.1f})"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    print(f"torch {torch.__version__}, {arguments.threads} threads, {arguments.rounds} rounds; ms a training step")
    print(f"{'layer':5} {'batch':22} {'steps':>6} {'error':>7}  {'ostinato':26} {'torch.nn packed':26} ratio")
    for case in CASES:
        batch = make_batch(case)
        grad = torch.randn(len(batch.values), case.hidden_size * (2 if case.bidirectional else 1))
        for kind in KINDS:
            error = check(kind, case, batch, grad)
            ours, theirs = (train_step(layer, batch, grad) for layer in layers(kind, case))
            ours()
            theirs()
            rounds = [(milliseconds(ours), milliseconds(theirs)) for _ in range(arguments.rounds)]
            fast, slow = ([pair[side] for pair in rounds] for side in (0, 1))
            ratio = statistics.median(slow) / statistics.median(fast)
            print(
                f"{kind:5} {case.label:22} {len(batch.values):6d} {error:7.0e}  {spread(fast):26} {spread(slow):26} "
                f"{ratio:4.1f}x",
                flush=True,
            )


if __name__ == "__main__":
    main()
