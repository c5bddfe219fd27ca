"""Recurrent layers, forward and backward, against torch.nn on the same data: first equal, then timed in turn.

    python benchmarks/kernels.py [--rounds 7] [--only ragged|dense|bf16] [--cells LSTM,GRU,RNN] [--report FILE.md]

Ragged lengths are uniform in L/4 … L (seed 0), torch.nn gets them packed. Every ratio is a median of pairs.
`of GEMM` is the arithmetic of the layer (forward, and twice as much backward) over time, as a share of what a large
float32 matrix product reaches in the same run. `bf16`: our products in bfloat16, from 256 units on,
against torch's float32.
"""

from __future__ import annotations

import argparse
import math
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

import ostinato.nn
from ostinato.kernels import dispatch, native
from ostinato.types import Ragged

SHAPES = (
    (32, 256, 64, 20),
    (32, 256, 128, 128),
    (32, 256, 256, 256),
    (8, 128, 256, 256),
    (64, 100, 512, 256),
    (16, 1000, 128, 128),
)
GATES = {"RNN": 1, "GRU": 3, "LSTM": 4}


@dataclass(frozen=True)
class Case:
    cell: str
    bidirectional: bool
    ragged: bool
    batch: int
    steps: int
    hidden: int
    inputs: int
    precision: str = "full"

    def __str__(self) -> str:
        return (
            f"{self.cell:4s} {'bi ' if self.bidirectional else 'uni'} {'ragged' if self.ragged else 'dense '} "
            f"B{self.batch} L{self.steps} H{self.hidden} I{self.inputs}"
            + (f" {self.precision}" if self.precision != "full" else "")
        )


@dataclass(frozen=True)
class Result:
    case: Case
    ours_s: float
    theirs_s: float
    ratio: float
    spread: tuple[float, float]
    share: float


def run(case: Case, rounds: int, peak: float) -> Result:
    torch.manual_seed(0)
    low = case.steps // 4 if case.ragged else case.steps
    lengths = torch.randint(low, case.steps + 1, (case.batch,)).sort(descending=True).values
    lengths[0] = case.steps
    theirs = getattr(torch.nn, case.cell)(case.inputs, case.hidden, bidirectional=case.bidirectional)
    ours = getattr(ostinato.nn, case.cell)(
        case.inputs, case.hidden, bidirectional=case.bidirectional, precision=case.precision
    )
    ours.load_state_dict(theirs.state_dict())
    x = torch.randn(case.steps, case.batch, case.inputs)
    weight = torch.randn(case.steps, case.batch, case.hidden * (1 + case.bidirectional))
    x_theirs = x.clone().requires_grad_()
    batch = Ragged.from_padded(x, lengths, batch_first=False)
    values = batch.values.clone().requires_grad_()
    ours_weight = Ragged.from_padded(weight, lengths, batch_first=False).values
    theirs_weight = Ragged.from_padded(weight, lengths, batch_first=False).to_padded(batch_first=False)[0]

    def run_ours() -> torch.Tensor:
        ours.zero_grad()
        values.grad = None
        output = ours(batch.with_values(values))[0].values
        output.backward(ours_weight)
        return output

    def run_theirs() -> torch.Tensor:
        theirs.zero_grad()
        x_theirs.grad = None
        if case.ragged:
            output = pad_packed_sequence(theirs(pack_padded_sequence(x_theirs, lengths))[0])[0]
        else:
            output = theirs(x_theirs)[0]
        output.backward(theirs_weight)
        return output

    check(case, run_ours, run_theirs, batch, ours, theirs, values, x_theirs)
    pairs = []
    for _ in range(rounds):
        pairs.append((seconds(run_ours), seconds(run_theirs)))
    ratios = [theirs_s / ours_s for ours_s, theirs_s in pairs]
    ours_s, theirs_s = (statistics.median(column) for column in zip(*pairs, strict=True))
    flops = (
        3
        * 2
        * int(lengths.sum())
        * GATES[case.cell]
        * case.hidden
        * (case.inputs + case.hidden)
        * (1 + case.bidirectional)
    )
    return Result(case, ours_s, theirs_s, statistics.median(ratios), (min(ratios), max(ratios)), flops / ours_s / peak)


def check(case, run_ours, run_theirs, batch, ours, theirs, values, x_theirs) -> None:  # type: ignore[no-untyped-def]
    with dispatch.record() as ran:
        mine = run_ours()
    if set(ran) != {"native"}:
        raise SystemExit(f"{case}: ran with {ran}, not with the native core")
    truth = run_theirs()
    pairs = [("output", batch.with_values(mine).to_padded(batch_first=False)[0], truth)]
    pairs.append(("input", batch.with_values(values.grad).to_padded(batch_first=False)[0], x_theirs.grad))
    pairs += [(n, p.grad, q.grad) for (n, p), q in zip(ours.named_parameters(), theirs.parameters(), strict=True)]
    bound = 1e-4 if case.precision == "full" else 3e-2  # bfloat16 has 8 bits
    for name, found, expected in pairs:
        error = float((found - expected).detach().abs().max() / expected.detach().abs().max().clamp(min=1e-12))
        if not error < bound:
            raise SystemExit(f"{case}: {name} differs from torch.nn by {error:.1e} of its largest value")


def seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def measure_peak() -> float:
    a, b = torch.randn(2048, 2048), torch.randn(2048, 2048)
    times = [seconds(lambda: a @ b) for _ in range(12)]
    return 2 * 2048**3 / statistics.median(times[2:])


def geometric_mean(results: list[Result]) -> float:
    return math.exp(statistics.fmean(math.log(r.ratio) for r in results))


KINDS = ("ragged", "dense", "bf16")


def kind_of(case: Case) -> str:
    return "bf16" if case.precision == "bf16" else "ragged" if case.ragged else "dense"


def cases(cells: list[str], only: str | None) -> list[Case]:
    found = []
    for kind in KINDS:
        if only not in (None, kind) or (kind == "bf16" and not native.has_bf16()):
            continue
        for cell in cells:
            for bidirectional in (False, True):
                for shape in SHAPES:
                    if kind != "bf16" or shape[2] >= 256:
                        precision = "bf16" if kind == "bf16" else "full"
                        found.append(Case(cell, bidirectional, kind == "ragged", *shape, precision))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--only", choices=("ragged", "dense", "bf16"))
    parser.add_argument("--cells", default="RNN,LSTM,GRU")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--report", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    peak = measure_peak()
    lines = [
        f"{platform.machine()}, {arguments.threads} threads, target {native.target()}, torch {torch.__version__}, "
        f"GEMM {peak / 1e9:.0f} GFLOP/s",
        "",
        "| layer | ours ms | torch.nn ms | ratio | min … max | of GEMM |",
        "|---|---|---|---|---|---|",
    ]
    print("\n".join(lines), flush=True)
    results = []
    for case in cases(arguments.cells.split(","), arguments.only):
        r = run(case, arguments.rounds, peak)
        results.append(r)
        line = (
            f"| {r.case} | {r.ours_s * 1e3:.1f} | {r.theirs_s * 1e3:.1f} | {r.ratio:.2f} | "
            f"{r.spread[0]:.2f} … {r.spread[1]:.2f} | {r.share:.0%} |"
        )
        print(line, flush=True)
        lines.append(line)
    lines.append("")
    for kind in KINDS:
        for cells in (("RNN", "LSTM", "GRU"), ("LSTM",), ("RNN", "GRU")):
            part = [r for r in results if kind_of(r.case) == kind and r.case.cell in cells]
            if part:
                worst = min(part, key=lambda r: r.ratio)
                lines.append(
                    f"{kind} {'+'.join(cells)}: geometric mean {geometric_mean(part):.2f}, "
                    f"worst {worst.ratio:.2f} ({worst.case})"
                )
                print(lines[-1])
    if arguments.report:
        arguments.report.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
