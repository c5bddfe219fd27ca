"""The small model for long-range tasks: recurrent layers over ids or numbers, and a linear head."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ostinato.errors import RecipeError
from ostinato.layers.encoder import initialise
from ostinato.longrange.task import Batch, Task
from ostinato.nn import Pooling, build
from ostinato.probes.subject import Subject
from ostinato.types import Ragged


@dataclass(frozen=True)
class ModelSettings:
    """Sizes and initial weights.

    Args:
        cell: any registered cell.
        hidden_size: H, >= 1.
        num_layers: >= 1.
        bidirectional: only for tasks with one answer a sequence.
        pooling: what the head reads of a whole sequence: `last`, `mean`, `max`, `attention`, side by side. A mean or
            maximum over all steps shortens the way back to each of them: with it, adding is no test of memory.
        recurrent_init: `default`, `orthogonal` or `identity`.
        forget_bias: of the gate that keeps the state; not together with `chrono`.
        chrono: the longest time constant that gates start with, in steps.
        stride: above 1, another layer of the same cell reads every so many steps of these layers, so that its way
            through time is that much shorter: a hierarchy of time scales (El Hihi and Bengio, NIPS 1995), here as in
            the pyramid of Chan et al. 2016, arXiv:1508.01211. Only for tasks with one answer a sequence.
        upper_size: units of that layer; none: `hidden_size`.
    """

    cell: str = "lstm"
    hidden_size: int = 64
    num_layers: int = 1
    bidirectional: bool = False
    pooling: tuple[str, ...] = ("last",)
    recurrent_init: str = "default"
    forget_bias: float | None = None
    chrono: int | None = None
    stride: int = 1
    upper_size: int | None = None

    def __post_init__(self) -> None:
        if self.stride < 1:
            raise RecipeError(f"`stride` must be a positive integer. Received: {self.stride}.")
        if self.forget_bias is not None and self.chrono is not None:
            raise RecipeError(
                "`chrono` and `forget_bias` set the same biases: give one of them. "
                f"Received: {self.chrono} and {self.forget_bias:g}."
            )


class SequenceModel(nn.Module):
    """Recurrent layers, pooling where the whole sequence has one answer, and a linear head.

    Ids are read one-hot. Draws, in this order, from torch's global generator: layers, their recurrent weights, head.

    Args:
        task: what is read and what is answered.
        settings: sizes and initial weights.

    Raises:
        RecipeError: for settings that describe no model, or two directions where each step has an answer: the reverse
            one would read the answer.

    Shapes: (sum L,) ids or (sum L, I) floats to (N, outputs), or with an answer a step to (sum L, outputs).
    """

    def __init__(self, task: Task, settings: ModelSettings) -> None:
        super().__init__()
        if settings.bidirectional and task.per_step:
            raise RecipeError(f"`bidirectional` must be False for the task {task.name}. Received: True.")
        if settings.stride > 1 and task.per_step:
            raise RecipeError(f"`stride` must be 1 for the task {task.name}. Received: {settings.stride}.")
        self.task = task
        self.layers = build(
            settings.cell,
            task.num_inputs,
            settings.hidden_size,
            num_layers=settings.num_layers,
            bidirectional=settings.bidirectional,
        )
        self.stride, self.upper = settings.stride, None
        if settings.stride > 1:
            size = settings.upper_size or settings.hidden_size
            self.upper = build(settings.cell, self.layers.output_size, size, bidirectional=settings.bidirectional)
        stacks = [self.layers] if self.upper is None else [self.layers, self.upper]
        for stack in stacks:
            initialise(stack, settings)
        width = stacks[-1].output_size
        self.pooling = None if task.per_step else Pooling(settings.pooling, width, settings.bidirectional)
        self.head = nn.Linear(width if self.pooling is None else self.pooling.output_size, task.num_outputs)

    def forward(self, inputs: Ragged) -> Tensor:
        """The answers of a batch."""
        return self.answers(self.layers.forward_tokens(inputs)[0] if self.task.tokens else self.layers(inputs)[0])

    def answers(self, output: Ragged) -> Tensor:
        """The strided layer, if there is one, and the head, applied to the output of the layers, (sum L, D*H)."""
        if self.upper is not None:
            output, _ = self.upper(strided(output, self.stride, self.layers.bidirectional))
        answers: Tensor = self.head(output.values if self.pooling is None else self.pooling(output))
        return answers

    def subject(self, batch: Batch) -> Subject:
        """This model reading a batch, for `ostinato.diagnostics`: the loss of a row is its one, or its last step's."""
        inputs = batch.inputs
        if self.task.tokens:
            inputs = inputs.with_values(F.one_hot(inputs.values, self.task.num_inputs).to(self.head.weight.dtype))

        ends = batch.inputs.with_values(batch.targets).select_last() if self.task.per_step else batch.targets

        def loss(output: Ragged) -> Tensor:
            answers = self.answers(output)
            if self.task.per_step:
                answers = output.with_values(answers).select_last()
            if self.task.metric == "mse":
                return (answers.squeeze(-1) - ends).square()
            return F.cross_entropy(answers, ends, reduction="none")

        return Subject((self.layers,), inputs, loss, self.task.per_step)


def strided(output: Ragged, stride: int, bidirectional: bool) -> Ragged:
    """The state after each group of `stride` steps, the last group of a row being what is left of it.

    Forward features are taken at a group's last step, those of the reverse direction (the second half) at its first,
    where each has read all of the group.
    """
    counts = (output.lengths + stride - 1) // stride
    rows = torch.repeat_interleave(torch.arange(len(counts)), counts)
    groups = torch.arange(len(rows)) - (counts.cumsum(0) - counts)[rows]
    begins = output.lengths.cumsum(0) - output.lengths
    first = begins[rows] + groups * stride
    last = torch.minimum(first + stride, (begins + output.lengths)[rows]) - 1
    values = output.row_major()
    if bidirectional:
        ahead, back = values.chunk(2, dim=1)
        picked = torch.cat([ahead[last.to(values.device)], back[first.to(values.device)]], dim=1)
    else:
        picked = values[last.to(values.device)]
    return Ragged.from_rows(picked, counts.cumsum(0) - counts, counts)


def make_model(task: Task, settings: ModelSettings, seed: int) -> SequenceModel:
    """A fresh model, a function of the seed alone; torch's global generator is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return SequenceModel(task, settings)
