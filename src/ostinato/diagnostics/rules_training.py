"""Rules about how the model was trained: windows, clipping, what was cut off; and notes on what is fine."""

from __future__ import annotations

import math
from collections.abc import Iterator

from ostinato.diagnostics import thresholds as at
from ostinato.diagnostics.diagnosis import Diagnosis
from ostinato.diagnostics.facts import Clipping, Training
from ostinato.diagnostics.horizon import NOISE_ERRORS, Horizon
from ostinato.diagnostics.rules_recurrence import Found


def window_too_short(diagnosis: Diagnosis) -> Iterator[Found]:
    """The data depend on something further back than gradients reach, or memory ends where they do."""
    training, unused = diagnosis.training, diagnosis.unused
    if training is None or training.reach is None:
        return
    reach = training.reach
    lag = unused and unused.stands_out(reach, at.UNUSED_SHARE, at.UNUSED_DEVIATIONS)
    if unused is not None and lag:
        gain = unused.gain[lag - 1]
        yield (
            "window_too_short",
            f"The data depend on the {training.unit} {lag} steps back, and the model does not use it: in training, "
            f"gradients reach back {reach} steps only. Let them reach further.",
            (
                f"the {training.unit} {lag} back would explain about {gain:.4f} nats of the loss of {unused.loss:.4f} "
                f"(any other lag: {unused.usual:.4f} ± {unused.spread:.4f})",
                f"training.bptt reaches {reach} steps",
                f"memory horizon: {describe(diagnosis.horizon)}",
            ),
            _reach_change(training, lag),
        )
        return
    steps = diagnosis.horizon.steps
    if steps is not None and steps >= at.WINDOW_FILLED * reach:
        yield (
            "window_too_short",
            "The model uses all the context that gradients reached in training: with longer windows it may use more.",
            (
                f"memory horizon: {describe(diagnosis.horizon)}",
                f"training.bptt reaches {reach} steps",
                *_gradient_beyond(diagnosis, reach),
            ),
            _reach_change(training, max(reach, math.ceil(steps))),
        )


def truncation(diagnosis: Diagnosis) -> Iterator[Found]:
    """Rows were cut, and the model uses what was left to near its end."""
    training, steps = diagnosis.training, diagnosis.horizon.steps
    if not _cuts(training) or training is None or training.max_length is None:
        return
    if steps is None or steps < at.CUT_FILLED * training.max_length:
        return
    kept = {"tail": "beginning", "head": "end", "middle": "beginning and end"}[training.truncate]
    yield (
        "truncation",
        f"Many rows are cut to {training.max_length} steps (keeping their {kept}), and the model uses most of what is "
        "left: what was cut off may help as well.",
        (
            f"{training.share_cut:.1%} of the rows are {training.max_length} steps long, the most that is allowed",
            f"memory horizon: {describe(diagnosis.horizon)}",
        ),
        f"--set features.input.max_length={2 * training.max_length}",
    )


def lookback_too_short(diagnosis: Diagnosis) -> Iterator[Found]:
    """A model that uses the window it is given to the end."""
    training, steps = diagnosis.training, diagnosis.horizon.steps
    longest = diagnosis.horizon.context[-1]
    if training is None or training.lookback is None or steps is None or steps < at.WINDOW_FILLED * longest:
        return
    yield (
        "lookback_too_short",
        "The model uses its whole lookback window: earlier steps may help as well.",
        (
            f"memory horizon: {describe(diagnosis.horizon)}, of {longest}",
            f"{training.lookback_option}: {training.lookback}",
        ),
        f"--set {training.lookback_option}={2 * training.lookback}",
    )


def clipping(diagnosis: Diagnosis) -> Iterator[Found]:
    """Most late steps were clipped."""
    found = diagnosis.training and diagnosis.training.clipping
    if not found or found.late_share <= at.CLIPPED_SHARE:
        return
    yield (
        "clipping",
        "Most steps were clipped, up to the end: clipping is meant for rare spikes, but sets the size of every step. "
        "Raise the threshold, and lower the learning rate if training then becomes unstable.",
        (
            f"clipped: {found.late_share:.0%} of the last {math.ceil(found.num_steps * at.LATE_SHARE):,} steps",
            f"median norm there {found.typical_norm:.3g}, {_threshold(found)}",
        ),
        _clipping_change(found),
    )


def drift(diagnosis: Diagnosis) -> Iterator[Found]:
    """The loss rises beyond the length that training saw."""
    found = diagnosis.drift
    if found is None:
        return
    wide = max(at.DRIFT_SHARE * abs(diagnosis.horizon.full_loss), NOISE_ERRORS * found.loss_change_error)
    if found.loss_change <= wide:
        return
    yield (
        "drift",
        f"Reading further than the {found.trained_steps} steps that training saw makes the model worse: its state "
        "drifts out of the range seen in training. Train on longer windows, or read in pieces of that length.",
        (
            f"loss after {diagnosis.num_steps} steps: {found.loss_change:+.4f} ± {found.loss_change_error:.4f} to "
            f"that after {found.trained_steps}",
            f"size of the state there: {found.growth:.2f} times that after {found.trained_steps}",
        ),
        _drift_change(diagnosis.training, diagnosis.num_steps),
    )


def window_too_long(diagnosis: Diagnosis) -> Iterator[Found]:
    """Gradients reach many times further than memory."""
    training, high = diagnosis.training, diagnosis.horizon.high
    if training is None or training.reach is None or high is None or high * at.WINDOW_UNNEEDED > training.reach:
        return
    yield (
        "window_too_long",
        "Gradients reach much further back than the model looks: shorter windows would learn the same with less memory "
        "and more updates.",
        (f"memory horizon: {describe(diagnosis.horizon)}", f"training.bptt reaches {training.reach} steps"),
        _reach_change(training, max(15, math.ceil(high))),
    )


def fine(diagnosis: Diagnosis) -> Iterator[Found]:
    """What was checked and needs no change."""
    training, horizon = diagnosis.training, diagnosis.horizon
    if training is None:
        return
    found = training.clipping
    if found and found.clip != "none" and found.late_share <= at.CLIPPED_SHARE:
        half = math.ceil(found.num_steps * at.LATE_SHARE)
        said = (
            f"Clipping never acted: without it, all {found.num_steps:,} steps would have been the same."
            if found.share == 0
            else "Clipping caught rare spikes only: most of the later steps were not clipped."
        )
        shares = f"{found.share:.1%} of {found.num_steps:,} steps, {found.late_share:.1%} of the last {half:,}"
        yield "fine", said, (f"clipped: {shares}",), None
    if training.reach is not None and horizon.steps is not None and not any(window_too_short(diagnosis)):
        numbers = (f"memory horizon: {describe(horizon)}", f"training.bptt reaches {training.reach} steps")
        yield "fine", "Training windows are longer than the memory horizon.", numbers, None
    if _cuts(training) and training.max_length and horizon.steps and not any(truncation(diagnosis)):
        numbers = (f"memory horizon: {describe(horizon)}", f"features.input.max_length: {training.max_length}")
        yield "fine", "Rows are cut far beyond the memory horizon.", numbers, None
    grown = diagnosis.drift
    if grown is not None and grown.growth > at.GROWTH and not any(drift(diagnosis)):
        numbers = (
            f"size of the state after {diagnosis.num_steps} steps: {grown.growth:.2f} times that after "
            f"{grown.trained_steps}",
            f"loss: {grown.loss_change:+.4f} ± {grown.loss_change_error:.4f}",
        )
        yield "fine", "The state still grows beyond the trained length, but the loss is not affected.", numbers, None


HELD_BACK = (window_too_short, lookback_too_short, truncation, drift, clipping)
SAVING = (window_too_long,)
FINE = (fine,)


def describe(horizon: Horizon) -> str:
    """The horizon with its interval."""
    if horizon.steps is None:
        return "none (no gain from memory beyond noise)"
    return f"{horizon.steps:.0f} steps (90 % interval {horizon.low:.0f} to {horizon.high:.0f})"


def _gradient_beyond(diagnosis: Diagnosis, reach: int) -> tuple[str, ...]:
    return tuple(
        f"{each.layer}: {1 - each.cumulative_share[reach - 1]:.1%} of the gradient lies beyond that"
        for each in diagnosis.gradients
        if reach <= len(each.cumulative_share)
    )


def _cuts(training: Training | None) -> bool:
    return training is not None and training.share_cut is not None and training.share_cut > at.CUT_SHARE


def _threshold(found: Clipping) -> str:
    return "threshold a quantile of recent norms" if found.clip == "adaptive" else f"threshold {found.max_norm:g}"


def _clipping_change(found: Clipping) -> str:
    """A threshold of twice the usual norm, of the same kind of clipping where that has norms."""
    change = f"--set training.max_norm={_round_up(2 * found.typical_norm):g}"
    return change if found.clip in ("norm", "group") else f"--set training.clip=norm {change}"


def _drift_change(training: Training | None, num_steps: int) -> str | None:
    """Whole rows: no option makes them longer."""
    if training is None or training.reach is None:
        return None
    return _reach_change(training, num_steps) if training.carry_state else "--set training.bptt.carry_state=true"


def _reach_change(training: Training, wanted: int) -> str:
    """The next power of two above, written so that nothing else of `training.bptt` changes."""
    steps = 1 << wanted.bit_length()
    if training.window is not None and training.reach != training.window:
        change = f"--set training.bptt.backprop={steps}"
        return change if steps > training.window else f"--set training.bptt.window={steps // 2} {change}"
    return f"--set training.bptt={steps}" if training.carry_state else f"--set training.bptt.window={steps}"


def _round_up(value: float) -> float:
    """To one digit."""
    scale = 10.0 ** math.floor(math.log10(value)) if value > 0 and math.isfinite(value) else 1.0
    return math.ceil(value / scale) * scale if math.isfinite(value) else 1.0
