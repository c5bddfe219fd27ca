"""One step at a time, batch 1, one core: ours against ONNX Runtime and torch's cells; and text, character by character.

    python benchmarks/streaming.py [--rounds 5] [--sizes 64,128,256,512,1024] [--run RUN] [--report FILE.md]

An LSTM with as many inputs as units. First all three give the same numbers, then they are timed in turn; a ratio is a
median of pairs. `loop`: the steps of a sequence inside the native loop; `step`: one call from Python a step, as the
rivals are called; `ORT loop`: a whole sequence in one call of ONNX Runtime. `of read`: weight bytes a second of the
loop, as a share of what plainly
reading as many bytes reaches in the same run. Needs onnx and onnxruntime.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from onnx import TensorProto, helper, numpy_helper

import ostinato
import ostinato.nn
from ostinato.kernels import native
from ostinato.kernels.native_layer import core
from ostinato.tasks.language_model.model import LanguageModel
from ostinato.tasks.language_model.recipe import LanguageModelRecipe
from ostinato.tasks.language_model.stream import Sampling, TokenStream
from ostinato.tasks.prepare import prepare

VOCABULARY = 80


def onnx_session(layer: torch.nn.LSTM) -> onnxruntime.InferenceSession:
    """The layer as one ONNX operator, whose gates are in the order i, o, f, g."""
    size = layer.hidden_size

    def order(tensor: torch.Tensor) -> np.ndarray:
        i, f, g, o = tensor.detach().chunk(4)
        return torch.cat([i, o, f, g]).numpy()

    bias = np.concatenate([order(layer.bias_ih_l0), order(layer.bias_hh_l0)])
    weights = {"W": order(layer.weight_ih_l0)[None], "R": order(layer.weight_hh_l0)[None], "B": bias[None]}
    shapes = {"X": ["L", 1, layer.input_size], "h": [1, 1, size], "c": [1, 1, size]}
    node = helper.make_node("LSTM", ["X", "W", "R", "B", "", "h", "c"], ["Y", "h_n", "c_n"], hidden_size=size)
    graph = helper.make_graph(
        [node],
        "lstm",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in shapes.items()],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in ("Y", "h_n", "c_n")],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)])
    model.ir_version = 8
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


class Steps:
    """One layer of `size` units and inputs, run by everyone over the same sequence."""

    def __init__(self, size: int, num_steps: int) -> None:
        torch.manual_seed(0)
        self.num_steps = num_steps
        self.x = torch.randn(num_steps, 1, size) * 0.5
        theirs = torch.nn.LSTM(size, size).eval()
        ours = ostinato.nn.LSTM(size, size).eval()
        ours.load_state_dict(theirs.state_dict())
        self.cell = torch.nn.LSTMCell(size, size).eval()
        self.cell.load_state_dict({name.removesuffix("_l0"): value for name, value in theirs.state_dict().items()})
        self.session = onnx_session(theirs)
        self.full, self.int8 = ostinato.nn.Stream(ours), ostinato.nn.Stream(ours, precision="int8")
        self.zeros = np.zeros((1, 1, size), dtype=np.float32)

    def loop(self) -> torch.Tensor:
        self.full.reset()
        return self.full.run(self.x)

    def loop_int8(self) -> torch.Tensor:
        self.int8.reset()
        return self.int8.run(self.x)

    def step(self) -> torch.Tensor:
        self.full.reset()
        for each in self.x:
            last = self.full.step(each)
        return last

    @torch.inference_mode()
    def torch_cell(self) -> torch.Tensor:
        h = c = torch.zeros(1, self.x.shape[2])
        for each in self.x:
            h, c = self.cell(each, (h, c))
        return h

    def ort_step(self) -> torch.Tensor:
        h = c = self.zeros
        x = self.x.numpy()
        for t in range(self.num_steps):
            _, h, c = self.session.run(None, {"X": x[t : t + 1], "h": h, "c": c})
        return torch.from_numpy(h[0])

    def ort_loop(self) -> torch.Tensor:
        return torch.from_numpy(
            self.session.run(None, {"X": self.x.numpy(), "h": self.zeros, "c": self.zeros})[0][:, 0]
        )

    def check(self) -> None:
        truth = self.ort_loop()
        for name, found in (
            ("loop", self.loop()),
            ("step", self.step()),
            ("torch", self.torch_cell()),
            ("ort", self.ort_step()),
        ):
            error = float((found - (truth if found.dim() == 3 else truth[-1])).abs().max())
            if not error < 1e-5:
                raise SystemExit(f"{name} differs from ONNX Runtime by {error:.1e}")


def seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def read_rate(num_bytes: int, rounds: int) -> float:
    """Bytes a second of reading a buffer over and over."""
    values = torch.ones(max(num_bytes // 4 // 64 * 64, 64))
    repeats = max(2, 200_000_000 // num_bytes)
    core.read(values, 2)
    times = [seconds(lambda: core.read(values, repeats)) for _ in range(rounds)]
    return repeats * values.numel() * 4 / statistics.median(times)


def measure_steps(sizes: list[int], rounds: int) -> list[str]:
    lines = [
        "| units | ours: loop µs | step µs | int8 loop µs | ORT step µs | ORT loop µs | torch cell µs | "
        "ORT step / loop | ORT step / int8 loop | ORT loop / loop | torch / loop | loop GB/s | of read | int8 error |",
        "|---" * 14 + "|",
    ]
    for size in sizes:
        run = Steps(size, {64: 2000, 128: 2000, 256: 1000, 512: 400, 1024: 100}.get(size, 200))
        run.check()
        works = (run.loop, run.step, run.loop_int8, run.ort_step, run.ort_loop, run.torch_cell)
        times = [[seconds(work) / run.num_steps for work in works] for _ in range(rounds)]
        loop, step, int8, ort, ort_loop, cell = (statistics.median(column) for column in zip(*times, strict=True))
        ratios = [statistics.median(t[a] / t[b] for t in times) for a, b in ((3, 0), (3, 2), (4, 0), (5, 0))]
        num_bytes = 4 * 2 * size * size * 4
        rate, exact = num_bytes / loop, run.loop()
        error = float((run.loop_int8() - exact).norm() / exact.norm())
        lines.append(
            f"| {size} | "
            + " | ".join(f"{one * 1e6:.1f}" for one in (loop, step, int8, ort, ort_loop, cell))
            + " | "
            + " | ".join(f"{one:.1f}" for one in ratios)
            + f" | {rate / 1e9:.0f} | {rate / read_rate(num_bytes, rounds):.0%} | {error:.2%} |"
        )
    return lines


def measure_text(rounds: int) -> list[str]:
    torch.manual_seed(0)
    recipe = LanguageModelRecipe(cell="lstm", embedding_dim=64, hidden_size=512)
    model = LanguageModel(recipe, VOCABULARY).eval()
    lines = [
        "| LSTM 512, 80 characters, sampling at temperature 0.8, top-k 20, top-p 0.9 | characters/s |",
        "|---|---|",
    ]
    rates = {}
    for precision in ("full", "int8"):
        for num_rows in (1, 64):
            stream = TokenStream(model, num_rows, precision)
            assert stream.native
            generator, ids = torch.Generator().manual_seed(0), torch.full((num_rows,), 5)
            count = 4000 // num_rows
            stream.draw(ids, 10, generator, Sampling(0.8, 20, 0.9))
            took = statistics.median(
                seconds(lambda s=stream, n=count, i=ids, g=generator: s.draw(i, n, g, Sampling(0.8, 20, 0.9)))
                for _ in range(rounds)
            )
            rates[precision, num_rows] = count * num_rows / took
            lines.append(
                f"| {num_rows} session{'s' * (num_rows > 1)}, {precision} | {rates[precision, num_rows]:,.0f} |"
            )
    for precision in ("full", "int8"):
        lines.append(f"| 64 sessions / one, {precision} | {rates[precision, 64] / rates[precision, 1]:.1f}× |")
    return lines


def measure_loss(folder: Path) -> list[str]:
    """What int8 costs a trained language model, on its own validation text."""
    run = ostinato.load(folder)
    text = torch.from_numpy(np.asarray(prepare(run.recipe).validation).astype("int64"))[:50_000].unsqueeze(1)
    lines = ["", "| trained model, validation text (the first 50,000 tokens) | nats a token |", "|---|---|"]
    for precision in ("full", "int8"):
        scores = TokenStream(run.model, 1, precision).read(text[:-1])
        nats = torch.nn.functional.cross_entropy(scores[:, 0], text[1:, 0])
        lines.append(f"| {run.recipe.name}, {precision} | {float(nats):.4f} |")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--sizes", default="64,128,256,512,1024")
    parser.add_argument("--run", type=Path, help="a trained language model, to measure what int8 costs it")
    parser.add_argument("--report", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    lines = [
        f"{platform.machine()}, one core, target {native.target()}, torch {torch.__version__}, "
        f"onnxruntime {onnxruntime.__version__}, {arguments.rounds} rounds, seed 0",
        "",
        *measure_steps([int(size) for size in arguments.sizes.split(",")], arguments.rounds),
        "",
        *measure_text(arguments.rounds),
        *(measure_loss(arguments.run) if arguments.run else []),
    ]
    print("\n".join(lines))
    if arguments.report:
        arguments.report.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
