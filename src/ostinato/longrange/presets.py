"""Settings that solve a hard task, each found on validation data; results: docs/concepts/long-range-tasks.md."""

from __future__ import annotations

from dataclasses import dataclass

from ostinato.longrange.fitting import Curriculum, Training
from ostinato.longrange.model import ModelSettings
from ostinato.longrange.registry import one_of


@dataclass(frozen=True)
class Preset:
    """A hard task and settings that solve it.

    Args:
        title: what is shown, in one line.
        length: trained and validated at.
        test_length: scored at; none: `length`.
    """

    title: str
    task: str
    length: int
    model: ModelSettings
    training: Training
    test_length: int | None = None


def _adding(length: int) -> Preset:
    """Gates with time constants up to the length, and lengths doubling from 50 up as each goes well.

    Each length is learnt to the threshold itself: errors at one length grow at the next.
    """
    return Preset(
        f"adding over {length:,} steps to an error below 0.001, within 15 minutes of one processor",
        "adding",
        length,
        ModelSettings("gru", hidden_size=32, recurrent_init="orthogonal", chrono=length),
        Training(max_minutes=12.0, schedule="linear", curriculum=Curriculum(50, 0.001)),
    )


PRESETS: dict[str, Preset] = {
    "adding-1000": _adding(1000),
    "adding-5000": _adding(5000),
    "parity-400": Preset(
        "parity, trained on 1 to 40 steps, over 400",
        "parity",
        40,
        ModelSettings("lstm", hidden_size=32),
        Training(batch_size=64, shortest=1, confirmations=10, num_evaluated=5000, max_minutes=5.0),
        test_length=400,
    ),
    "permuted-mnist": Preset(
        "permuted MNIST, pixel by pixel, to 95 % within an hour of one processor",
        "permuted-mnist",
        784,
        ModelSettings(
            "gru",
            hidden_size=48,
            bidirectional=True,
            pooling=("mean", "max", "last"),
            recurrent_init="orthogonal",
            stride=8,
            upper_size=96,
        ),
        Training(batch_size=50, beta2=0.99, schedule="cosine", warmup_steps=100, max_minutes=30.0, evaluate_every=1100),
    ),
}
"""Every preset by its name."""


def find_preset(name: str) -> Preset:
    """The preset called `name`; a RecipeError with the nearest name if there is none."""
    return PRESETS[one_of(name, PRESETS, "preset")]
