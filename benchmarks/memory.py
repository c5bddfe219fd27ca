"""Memory and speed of one forward and backward pass through one sequence of a language model, by its length.

    python benchmarks/memory.py [--lengths 1000,10000,30000,100000,300000,1000000] [--limit-gb 16] [--report FILE.md]

LSTM 128, embedding 32, 80 characters, one row. `full`: backpropagation through all steps at once; `recompute`: the same
gradients, activations computed again; `truncated`: windows of 256 steps, the state carried on (its norm is that of the
sum of the windows' mean gradients); `end`: the same windows with one loss, at the end of the sequence. All are
`ostinato.bptt.truncated.TruncatedBPTT`. Each in a process of its own; the peak is that of the pass, above what the
process held before. A full pass that would not fit in the limit is not started: its estimate is printed.
"""

from __future__ import annotations

import argparse
import json
import platform
import resource
import subprocess
import sys
import time
from pathlib import Path

WINDOW, HIDDEN, EMBEDDING, VOCABULARY = 256, 128, 32, 80
WAYS = ("full", "recompute", "truncated", "end")


def run_one(way: str, length: int) -> dict[str, float]:
    import numpy as np
    import torch
    from torch.nn import functional as F

    from ostinato.bptt.truncated import TruncatedBPTT
    from ostinato.data.streams import Tapes
    from ostinato.recipe import BpttRecipe
    from ostinato.tasks.language_model.model import LanguageModel
    from ostinato.tasks.language_model.recipe import LanguageModelRecipe

    torch.manual_seed(0)
    recipe = LanguageModelRecipe(hidden_size=HIDDEN, embedding_dim=EMBEDDING, recompute=way == "recompute")
    model = LanguageModel(recipe, VOCABULARY)
    ids = torch.randint(0, VOCABULARY, (length + 1,)).numpy()

    def every(window, states):
        return model.nll(window.take(ids), window.take(ids, 1), states)

    def last(window, states):
        hidden, states = model.encoder(window.take(ids), states)
        ended = torch.from_numpy(window.pieces.ends)
        target = window.take(ids, 1).select_last()[ended]
        return F.cross_entropy(model.scores(hidden.select_last()[ended]), target, reduction="sum"), states

    def one_pass(ids: np.ndarray) -> None:
        model.zero_grad()
        tapes = Tapes.of_text(len(ids), 1)
        training = TruncatedBPTT(
            lambda _: tapes,
            BpttRecipe(window=WINDOW if way in ("truncated", "end") else tapes.length),
            last if way == "end" else every,
            model.encoder.zero_states,
            "end" if way == "end" else "step",
            recompute=model.recompute,
        )
        for span in training.batches(0):
            training.backward(span)

    one_pass(ids[:600])  # code, buffers, gradients
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.perf_counter()
    one_pass(ids)
    took = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    norm = float(torch.cat([p.grad.flatten() for p in model.parameters()]).norm())
    return {"peak_mb": (peak - before) / 1024, "tokens_per_s": length / took, "gradient_norm": norm}


def measure(way: str, length: int, limit_gb: float) -> str:
    per_token = 4 * (6 * HIDDEN + 4 * HIDDEN + 3 * VOCABULARY + 2 * HIDDEN)  # activations, their gradients, scores
    if way == "full" and per_token * length > limit_gb * 1e9:
        return f"would need about {per_token * length / 1e9:.0f} GB"
    command = [sys.executable, __file__, "--one", way, "--lengths", str(length)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        return f"failed: {done.stderr.strip().splitlines()[-1] if done.stderr.strip() else done.returncode}"
    found = json.loads(done.stdout)
    return f"{found['peak_mb']:,.0f} MB, {found['tokens_per_s'] / 1e3:,.0f}k/s, {found['gradient_norm']:.6g}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lengths", default="1000,10000,30000,100000,300000,1000000")
    parser.add_argument("--limit-gb", type=float, default=16.0)
    parser.add_argument("--report", type=Path)
    parser.add_argument("--one", choices=WAYS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    lengths = [int(length) for length in arguments.lengths.split(",")]
    if arguments.one:
        print(json.dumps(run_one(arguments.one, lengths[0])))
        return
    lines = [
        f"{platform.machine()}: peak memory of the pass, tokens a second, norm of the gradient; seed 0",
        "",
        "| steps | " + " | ".join(WAYS) + " |",
        "|---" * (1 + len(WAYS)) + "|",
    ]
    print("\n".join(lines), flush=True)
    for length in lengths:
        lines.append(f"| {length:,} | " + " | ".join(measure(way, length, arguments.limit_gb) for way in WAYS) + " |")
        print(lines[-1], flush=True)
    if arguments.report:
        arguments.report.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
