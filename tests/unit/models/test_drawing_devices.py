"""Draws are made where their generator is, wherever the model is, and are the same with and without a copy."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from ostinato.heads.frames import FrameHead
from ostinato.heads.mixture import MixtureDensity
from ostinato.heads.notes import IndependentNotes, Nade
from ostinato.heads.sampling import pick
from ostinato.layers.frame_decoder import FrameDecoder
from ostinato.layers.frames import Frames, NoteFrames, PictureFrames
from ostinato.recipe.parts import WrittenNumbersRecipe
from ostinato.tasks.seq2seq.recipe import SequenceToSequenceRecipe

RANDOM = ("rand", "randn", "multinomial", "_standard_gamma")


class _Seen(TorchDispatchMode):
    """The devices that random operations ran on; ones are copied from `meta`."""

    def __init__(self) -> None:
        super().__init__()
        self.devices: list[tuple[str, str]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.overloadpacket.__name__
        if name == "_to_copy" and args[0].is_meta and str(kwargs.get("device", "meta")) == "cpu":
            return torch.ones(args[0].shape, dtype=args[0].dtype)  # `meta` has no numbers to copy
        found = func(*args, **(kwargs or {}))
        if name in RANDOM:
            self.devices.append((name, found.device.type))
        return found


OUTPUTS: dict[str, tuple[Any, set[str]]] = {
    "normal": (lambda: MixtureDensity(4, 3, WrittenNumbersRecipe()), {"randn"}),
    "mixture": (lambda: MixtureDensity(4, 3, WrittenNumbersRecipe(components=2)), {"randn", "multinomial"}),
    "factors": (lambda: MixtureDensity(4, 3, WrittenNumbersRecipe(factors=2)), {"randn"}),
    "student_t": (
        lambda: MixtureDensity(4, 3, WrittenNumbersRecipe(distribution="student_t")),
        {"randn", "_standard_gamma"},
    ),
    "independent": (lambda: IndependentNotes(4, 3), {"rand"}),
    "nade": (lambda: Nade(4, 3, 2), {"rand"}),
}


@pytest.mark.parametrize("name", OUTPUTS)
def test_a_generator_draws_on_its_own_device(name: str) -> None:
    """A generator of the processor can't draw for a graphics card; `meta` stands for one here."""
    make, wanted = OUTPUTS[name]
    output: FrameHead = make().to("meta")
    hidden = torch.zeros(5, 4, device="meta")
    with torch.no_grad(), _Seen() as seen:
        drawn = output.sample(hidden, torch.Generator().manual_seed(0))
    assert drawn.device.type == "meta"
    assert set(seen.devices) == {(one, "cpu") for one in wanted}


def test_without_a_generator_draws_are_made_where_the_model_is() -> None:
    output = MixtureDensity(4, 3, WrittenNumbersRecipe(components=2, factors=1)).to("meta")
    with torch.no_grad(), _Seen() as seen:
        output.sample(torch.zeros(5, 4, device="meta"))
    assert {device for _, device in seen.devices} == {"meta"}


def test_places_are_picked_as_their_shares_are() -> None:
    shares = torch.tensor([[0.2, 0.0, 0.8]]).expand(20_000, 3)
    counts = pick(shares.log(), torch.Generator().manual_seed(0)).bincount(minlength=3) / 20_000
    torch.testing.assert_close(counts, shares[0], atol=0.01, rtol=0)


@pytest.mark.parametrize("kind", [Frames, NoteFrames, PictureFrames])
def test_own_frames_are_drawn_in_training(kind: type[Frames]) -> None:
    """Scheduled sampling has no generator: torch's own seed decides."""
    torch.manual_seed(0)
    decoder = FrameDecoder(SequenceToSequenceRecipe(hidden_size=4), kind(2))
    read = torch.zeros(3, decoder.read_size + decoder.frames.skipped)
    torch.manual_seed(1)
    first = decoder.output.sample(read)
    torch.manual_seed(1)
    assert torch.equal(first, decoder.output.sample(read))


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_components_are_drawn_with_shares_to_the_power_of_one_over_the_temperature(temperature: float) -> None:
    output = MixtureDensity(1, 1, WrittenNumbersRecipe(components=2))
    assert output.shares is not None
    with torch.no_grad():
        output.shares.bias.copy_(torch.tensor([0.8, 0.2]).log())
        output.raw.bias.copy_(torch.tensor([100.0, -5.0, -100.0, -5.0]))  # mean and deviation of each
    drawn = output.sample(torch.zeros(20_000, 1), torch.Generator().manual_seed(0), temperature)
    powers = torch.tensor([0.8, 0.2]) ** (1 / temperature)
    assert float((drawn > 0).double().mean()) == pytest.approx(float(powers[0] / powers.sum()), abs=0.015)
