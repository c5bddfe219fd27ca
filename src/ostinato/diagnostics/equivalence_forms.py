"""The ways to run one model over the same rows, which must all give the same numbers."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import cast

import numpy as np
import torch
from torch import Tensor

from ostinato.diagnostics.equivalence_cases import WholeCase
from ostinato.nn import RecurrentStack, Stream
from ostinato.nn.opening import hx_of, state_of
from ostinato.probes.batches import split_batch
from ostinato.probes.cases import BACKWARDS, Case, Form, Found
from ostinato.probes.subject import by_stack, through
from ostinato.types import Ragged, State

NUM_CHUNKS = 5


def _dense_through(
    stacks: Sequence[RecurrentStack], x: Tensor, states: Sequence[State] | None = None, lengths: Tensor | None = None
) -> tuple[Tensor, list[State]]:
    """(L, N, I) through all stacks, whichever axis they want first."""
    finals: list[State] = []
    for number, stack in enumerate(stacks):
        hx = None if states is None else hx_of(states[number])
        x = x.transpose(0, 1) if stack.batch_first else x
        x, final = stack(x, hx, lengths=lengths)
        x = x.transpose(0, 1) if stack.batch_first else x
        finals.append(state_of(final))
    return x, finals


def ragged(case: Case, vectors: Ragged) -> Found:
    """Packed rows of unequal length: how everything in the library reads."""
    if isinstance(case, WholeCase):
        return case.answers(case.batch), None
    hidden, finals = through(case.stacks, vectors, case.initial)
    return case.outputs(hidden, case.inputs), finals


def padded(case: Case, vectors: Ragged) -> Found:
    """(L, N, I) with `lengths`; behind a row's end is NaN, which must never be read."""
    x, lengths = vectors.to_padded(batch_first=False, padding_value=torch.nan)
    x, finals = _dense_through(case.stacks, x, case.initial, lengths)
    return case.outputs(Ragged.from_padded(x, lengths, batch_first=False), case.inputs), finals


def without_lengths(case: Case, vectors: Ragged) -> Found:
    """(L, N, I) without `lengths`, noise behind each row's end: what comes later must not change what came before."""
    x, lengths = _noisy(vectors, case.seed)
    x, _ = _dense_through(case.stacks, x, case.initial)
    return case.outputs(Ragged.from_padded(x, lengths, batch_first=False), case.inputs), None


def one_at_a_time(case: Case, vectors: Ragged) -> Found:
    """Each row alone, (L, I), head included."""
    outputs: list[Tensor] = []
    finals: list[list[State]] = []
    for number, (row, x) in enumerate(zip(case.inputs.split_rows(), vectors.split_rows(), strict=True)):
        last: list[State] = []
        begins = [None] * len(case.stacks) if case.initial is None else case.initial
        for stack, begin in zip(case.stacks, begins, strict=True):
            x, final = stack(x, None if begin is None else hx_of(tuple(part[:, number] for part in begin)))
            last.append(state_of(final))
        finals.append(last)
        outputs.append(case.outputs(Ragged.from_padded(x.unsqueeze(0)), Ragged.from_padded(row.unsqueeze(0))))
    states = [
        tuple(torch.stack(parts, dim=1) for parts in zip(*rows, strict=True)) for rows in zip(*finals, strict=True)
    ]
    return torch.cat(outputs), states


def step_by_step(case: Case, vectors: Ragged) -> Found:
    """One call a step on the rows that are alive, with the state of the call before."""
    alive = vectors.batch_sizes.tolist()
    order = vectors.sorted_indices
    states = [tuple(part.index_select(1, order) for part in state) for state in _first(case, vectors)]
    outputs: list[Tensor] = []
    finished: list[list[State]] = []  # of the rows that ended, the shortest first
    for x in torch.split(vectors.values, alive):
        finished.append([tuple(part[:, len(x) :] for part in state) for state in states])
        states = [tuple(part[:, : len(x)] for part in state) for state in states]
        y, states = _dense_through(case.stacks, x.unsqueeze(0), states)
        outputs.append(y.squeeze(0))
    ends = [*finished, states][::-1]
    back = vectors.unsorted_indices
    finals = [
        tuple(torch.cat(parts, dim=1).index_select(1, back) for parts in zip(*each, strict=True))
        for each in zip(*ends, strict=True)
    ]
    return case.outputs(vectors.with_values(torch.cat(outputs)), case.inputs), finals


def chunked(case: Case, vectors: Ragged) -> Found:
    """Ragged chunks cut at other places in each row, some of them empty, the state carried on from chunk to chunk."""
    lengths = vectors.lengths
    bounds = _bounds(lengths, case.seed)
    flat, starts = vectors.row_major(), lengths.cumsum(0) - lengths
    states = case.initial
    pieces: list[list[Tensor]] = []
    for first, last in itertools.pairwise(bounds):
        hidden, states = through(case.stacks, Ragged.from_rows(flat, starts + first, last - first), states)
        pieces.append(hidden.split_rows())
    joined = torch.cat([piece for row in zip(*pieces, strict=True) for piece in row])
    return case.outputs(Ragged.from_rows(joined, starts, lengths), case.inputs), states


def streamed(case: Case, vectors: Ragged) -> Found:
    """`nn.Stream`, all rows at once; a row that has ended reads noise, its state was taken before."""
    x, lengths = _noisy(vectors, case.seed)
    stream = Stream(case.stacks, vectors.num_rows)
    if case.initial is not None:
        stream.states = [
            tuple(part[layer] for part in state) for state in case.initial for layer in range(len(state[0]))
        ]
    outputs: list[Tensor] = []
    finals = [tuple(part.clone() for part in state) for state in stream.states]
    for step in range(len(x)):
        outputs.append(stream.step(x[step]))
        ended = (lengths == step + 1).nonzero().flatten()
        if len(ended):
            for kept, state in zip(finals, stream.states, strict=True):
                for part, now in zip(kept, state, strict=True):
                    part[ended] = now[ended]
    hidden = Ragged.from_padded(torch.stack(outputs), lengths, batch_first=False)
    return case.outputs(hidden, case.inputs), _by_stack(case, finals)


def token_ids(case: Case, vectors: Ragged) -> Found:
    """The model called on token ids, as in training and prediction."""
    return case.read_ids()


def rows_alone(case: Case, vectors: Ragged) -> Found:
    """A batch of each row, the whole model run again for each."""
    whole = cast("WholeCase", case)
    return torch.cat([whole.answers(row) for row in split_batch(whole.batch)]), None


RAGGED = Form("ragged", ragged)
AGAIN = Form("ragged, repeated", ragged)
SAVED = Form("saved and loaded", ragged)
_STACK_FORMS = (
    Form("padded", padded),
    Form("padded, no lengths", without_lengths, undefined="a layer reads the padding first"),
    Form("one at a time", one_at_a_time),
    Form("step by step", step_by_step, undefined=BACKWARDS),
    Form("chunked", chunked, undefined=BACKWARDS),
    Form("stream", streamed, undefined=BACKWARDS, differentiable=False, bf16=False),
)
_TOKEN_IDS = Form("token ids", token_ids, embeds=False)
_ROWS_ALONE = Form("one at a time", rows_alone)


def forms_of(case: Case) -> tuple[Form, ...]:
    """All ways to run a model besides the plain one, in the table's order."""
    if case.whole:
        return (_ROWS_ALONE,)
    own: tuple[Form, ...] = (_TOKEN_IDS,) if case.reads_ids else ()
    return (*own, *_STACK_FORMS, *case.own_forms)


def _noisy(vectors: Ragged, seed: int) -> tuple[Tensor, Tensor]:
    """(L, N, I) with noise of three times the values' size behind each row's end, and the lengths."""
    x, lengths = vectors.to_padded(batch_first=False)
    over = torch.arange(len(x)).unsqueeze(1) >= lengths.unsqueeze(0)  # (L, N)
    noise = torch.randn(x.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)).to(x)
    size = 3 * vectors.values.detach().abs().mean()
    return torch.where(over.unsqueeze(2).to(x.device), noise * size, x), lengths


def _bounds(lengths: Tensor, seed: int) -> Tensor:
    """(chunks + 1, N): where the chunks of each row begin and end; one falls inside every row of two steps or more."""
    random = np.random.default_rng(seed)
    cuts = [
        np.sort([0, length, *random.integers(0, length + 1, NUM_CHUNKS - 2), random.integers(1, max(length, 2))])
        if length
        else np.zeros(NUM_CHUNKS + 1, dtype=np.int64)
        for length in lengths.tolist()
    ]
    return torch.from_numpy(np.stack(cuts, axis=1))


def _first(case: Case, vectors: Ragged) -> list[State]:
    """The states that the rows begin in, (D*num_layers, N, H) a tensor."""
    return case.initial or [
        tuple(
            vectors.values.new_zeros(stack.num_directions * stack.num_layers, vectors.num_rows, size)
            for size in stack.cell.state_sizes(stack.hidden_size, stack.proj_size)
        )
        for stack in case.stacks
    ]


def _by_stack(case: Case, layers: Sequence[State]) -> list[State]:
    """From a state for each layer, (N, H) a tensor, to one for each stack."""
    return [tuple(torch.stack(parts) for parts in zip(*own, strict=True)) for own in by_stack(case.stacks, layers)]
