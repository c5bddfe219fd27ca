"""Signatures of models: names, dtypes and shapes of inputs, outputs and states, with free axes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from ostinato.data.dataset import Features
from ostinato.data.features import Feature
from ostinato.layers.encoder import RecurrentEncoder
from ostinato.nn.modes import evaluating
from ostinato.probes.subject import stacks_of
from ostinato.recipe import Recipe
from ostinato.types import Ragged

if TYPE_CHECKING:
    from ostinato.layers.decoder import Decoder

BATCH, TIME = "batch", "time"
"""Free axes: rows, and steps of what is read."""
STEPS = "steps"
"""Free axis: steps of what is written."""

_DTYPES = {"ids": "int32", "words": "int32", "pictures": "uint8"}
_NOTES = "uint8"


@dataclass(frozen=True)
class TensorSpec:
    """A tensor of a model.

    Args:
        name: what it is called.
        dtype: as torch spells it: `float32`.
        shape: of each axis its size, or, where that is free, its name; equal names have equal sizes.

    Example:
        >>> axes: dict[str, int] = {}
        >>> TensorSpec("scores", "float32", ("batch", 3)).fits(torch.zeros(2, 3), axes), axes
        (True, {'batch': 2})
    """

    name: str
    dtype: str
    shape: tuple[int | str, ...]

    def fits(self, tensor: Tensor, axes: dict[str, int]) -> bool:
        """Whether a tensor fits; sizes of free axes are looked up in `axes`, new ones added."""
        if len(tensor.shape) != len(self.shape) or dtype_name(tensor) != self.dtype:
            return False
        pairs = zip(self.shape, tensor.shape, strict=True)
        return all((axes.setdefault(axis, size) if isinstance(axis, str) else axis) == size for axis, size in pairs)


@dataclass(frozen=True)
class Signature:
    """The signature of a model; rows of unequal length are padded.

    Args:
        inputs: what it reads.
        outputs: what it returns.
        states: what it carries from step to step, as it begins.
    """

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    states: tuple[TensorSpec, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


def dtype_name(tensor: Tensor) -> str:
    """As torch spells it."""
    return str(tensor.dtype).removeprefix("torch.")


def float_name(model: nn.Module) -> str:
    """The dtype of a model's weights."""
    return dtype_name(next(model.parameters()))


def feature_spec(name: str, feature: Feature) -> TensorSpec:
    """A column as its feature encodes it; one that is no sequence has one value a row."""
    dtype = _DTYPES.get(feature.form, _NOTES if feature.kind == "notes" else "float32")
    return TensorSpec(name, dtype, (BATCH, *((TIME,) if feature.ragged else ()), *feature.value_shape))


def input_specs(features: Features, recipe: Recipe) -> tuple[TensorSpec, ...]:
    """The input column and further ones."""
    first = feature_spec(str(recipe.data.input or "input"), features.input)
    return (first, *(feature_spec(name, feature) for name, feature in features.extra.items()))


def state_specs(name: str, encoder: RecurrentEncoder, rows: str = BATCH) -> Iterator[TensorSpec]:
    """The state of each layer: `encoder.0.h`, (directions, rows, units)."""
    for layer, (stack, state) in enumerate(zip(stacks_of(encoder), encoder.zero_states(1), strict=True)):
        for part, tensor in zip(stack.cell.state_names, state, strict=True):
            yield TensorSpec(f"{name}.{layer}.{part}", dtype_name(tensor), (tensor.shape[0], rows, *tensor.shape[2:]))


def decoder_specs(decoder: Decoder, memory_size: int = 0) -> Iterator[TensorSpec]:
    """The state of a decoder: the states of its layers, what it attends to, what it is fed at every step, and what
    attention made of the step before."""
    dtype = float_name(decoder)
    yield from state_specs("decoder", decoder.stack)
    if decoder.attention is not None:
        yield TensorSpec("memory", dtype, (BATCH, TIME, memory_size))
    if getattr(decoder, "lexicon", None) is not None:
        yield TensorSpec("memory.ids", "int64", (BATCH, TIME))
    if decoder.fed_size:
        yield TensorSpec("fed", dtype, (BATCH, decoder.fed_size))
    if decoder.feeds_back:
        yield TensorSpec("fed_back", dtype, (BATCH, memory_size if decoder.additive else decoder.read_size))
    yield from ngram_specs(decoder)


def ngram_specs(model: nn.Module) -> Iterator[TensorSpec]:
    """The last tokens, of a model or decoder that builds on n-grams."""
    ngrams = getattr(model, "ngrams", None)
    if ngrams is not None:
        yield TensorSpec("ngrams.tokens", "float32", (1, BATCH, ngrams.order - 1))


def encoder_signature(model: nn.Module, features: Features, recipe: Recipe, output: str) -> Signature:
    """Of a model called on its input (and on further columns), with every `RecurrentEncoder` in it that reads the
    input: those called `encoder`."""
    inputs = input_specs(features, recipe)
    encoders = {name: each for name, each in model.named_modules() if isinstance(each, RecurrentEncoder)}
    own = {name: each for name, each in encoders.items() if name.split(".")[-1] == "encoder"}
    states = (spec for name, encoder in own.items() for spec in state_specs(name, encoder))
    return Signature(inputs, (_output_spec(model, inputs, features, output),), tuple(states))


@torch.no_grad()
def _output_spec(model: nn.Module, inputs: tuple[TensorSpec, ...], features: Features, name: str) -> TensorSpec:
    """Of what the model gives for two rows of ones, of unequal length."""
    device = next(model.parameters()).device
    read = [_ones(spec).to(device) for spec in inputs]
    extra: Mapping[str, Ragged] = dict(zip(features.extra, read[1:], strict=True))
    with evaluating(model):
        found = model(read[0], extra) if extra else model(read[0])
    values: Tensor = found.values if isinstance(found, Ragged) else found
    lead = (BATCH, TIME) if isinstance(found, Ragged) else (BATCH,)
    return TensorSpec(name, dtype_name(values), (*lead, *values.shape[1:]))


def _ones(spec: TensorSpec) -> Ragged:
    lengths = [3, 2] if TIME in spec.shape else [1, 1]
    shape = [axis for axis in spec.shape if not isinstance(axis, str)]
    values = torch.ones(sum(lengths), *shape, dtype=getattr(torch, spec.dtype))
    return Ragged.from_rows(values, [0, lengths[0]], lengths)
