"""What peepholes, layer norm, dropout and zoneout cost, forward and backward, over the plain layer.

    python benchmarks/regularisers.py [--rounds 7] [--report FILE.md]

One LSTM or GRU layer of 128 units and inputs, 32 rows of L/4 … L = 256 steps, two threads, float32. Each ratio is the
time of the variant over that of the plain layer in the same round, a median of rounds. The last column runs the same
variant as a plain loop of torch operations (`backend="reference"`).
"""

from __future__ import annotations

import argparse
import platform
import statistics
import time
from pathlib import Path
from typing import Any

import torch

from ostinato import nn
from ostinato.kernels import dispatch, native
from ostinato.types import Ragged

VARIANTS: tuple[tuple[str, str, dict[str, Any], dict[str, Any]], ...] = (
    ("LSTM", "plain", {}, {}),
    ("LSTM", "all states", {}, {"return_all_states": True}),
    ("LSTM", "weight dropout", {"weight_dropout": 0.5}, {}),
    ("LSTM", "recurrent dropout", {"recurrent_dropout": 0.3}, {}),
    ("LSTM", "zoneout", {"zoneout": 0.1}, {}),
    ("LSTM", "peepholes", {"peepholes": True}, {}),
    ("LSTM", "layer norm", {"layer_norm": True}, {}),
    ("LSTM", "recompute", {"recompute": True}, {}),
    ("GRU", "plain", {}, {}),
    ("GRU", "reset before", {"reset_after": False}, {}),
    ("GRU", "recurrent dropout", {"recurrent_dropout": 0.3}, {}),
    ("GRU", "zoneout", {"zoneout": 0.1}, {}),
    ("GRU", "layer norm", {"layer_norm": True}, {}),
)


def one(layer: nn.RecurrentStack, batch: Ragged, call: dict[str, Any]) -> float:
    began = time.perf_counter()
    layer.zero_grad()
    output, *_ = layer(batch.with_values(batch.values.detach().requires_grad_()), **call)
    output.values.sum().backward()
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--report", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(2)
    torch.manual_seed(0)
    lengths = torch.randint(64, 257, (32,))
    lengths[0] = 256
    batch = Ragged.from_padded(torch.randn(256, 32, 128), lengths, batch_first=False)
    lines = [
        f"{platform.machine()}, 2 threads, target {native.target()}, torch {torch.__version__}, "
        f"{arguments.rounds} rounds",
        "",
        "| layer | ms | times the plain layer | the same as a loop in torch, ms |",
        "|---|---|---|---|",
    ]
    layers = [(getattr(nn, kind)(128, 128, **options), call) for kind, _, options, call in VARIANTS]
    for layer, call in layers:
        with dispatch.record() as ran:
            one(layer, batch, call)
        if set(ran) != {"native"}:
            raise SystemExit(f"{layer} ran with {ran}")
    times = [[one(layer, batch, call) for layer, call in layers] for _ in range(arguments.rounds)]
    for index, (kind, name, options, call) in enumerate(VARIANTS):
        plain = next(i for i, variant in enumerate(VARIANTS) if variant[:2] == (kind, "plain"))
        slow = getattr(nn, kind)(128, 128, backend="reference", **options)
        one(slow, batch, call)
        reference = min(one(slow, batch, call) for _ in range(2))
        lines.append(
            f"| {kind} {name} | {statistics.median(row[index] for row in times) * 1e3:.1f} | "
            f"{statistics.median(row[index] / row[plain] for row in times):.2f} | {reference * 1e3:.0f} |"
        )
    print("\n".join(lines))
    if arguments.report:
        arguments.report.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
