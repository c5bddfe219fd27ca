"""Rules about the recurrence itself; each yields (kind, says, evidence, change) or nothing."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TypeAlias

from ostinato import cells
from ostinato.cells import Cell
from ostinato.diagnostics import thresholds as at
from ostinato.diagnostics.activations import LayerActivations
from ostinato.diagnostics.diagnosis import Diagnosis
from ostinato.diagnostics.gradients import LayerGradients
from ostinato.diagnostics.horizon import Horizon
from ostinato.diagnostics.lyapunov import LayerDynamics

Found: TypeAlias = tuple[str, str, tuple[str, ...], "str | None"]
_NORM_CLIPPING = "--set training.clip=norm --set training.max_norm=1"


def vanishing(diagnosis: Diagnosis) -> Iterator[Found]:
    """Every layer forgets within a step or two; closed gates are named where they are the cause."""
    dynamics = diagnosis.dynamics
    if not dynamics or not all(_vanishes(each) for each in dynamics) or diagnosis.num_steps < 2:
        return
    evidence = tuple(_exponent(each) for each in dynamics)
    evidence += tuple(_factor(each) for each in diagnosis.gradients if each.factor_per_step is not None)
    gated = [each for each in diagnosis.activations if each.time_constants is not None]
    if gated and all(_slowest(each) < at.SHUT_STEPS for each in gated):
        yield (
            "forget_gates_shut",
            "The gates that keep the state are closed: each step erases what the earlier ones left. "
            "Initialise them open.",
            (*(_constants(each) for each in gated), *evidence),
            "--set model.forget_bias=1",
        )
        return
    spectra = tuple(
        f"{each.layer}: spectral radius of its weights {each.spectral_radius:.3g}"
        for each in diagnosis.spectra
        if each.block == "whole"
    )
    memory = cells.lightest(lambda cell: cell.writing_gate is not None).name
    yield (
        "vanishing",
        "The recurrence forgets almost everything within a few steps, and gradients vanish on their way back: nothing "
        "further away can be learnt. Initialise the recurrent weights orthogonally, or use a gated cell.",
        evidence + spectra,
        "--set model.recurrent_init=orthogonal" if gated else f"--set model.cell={memory} --set model.forget_bias=1",
    )


def exploding(diagnosis: Diagnosis) -> Iterator[Found]:
    """Small changes of the state grow from step to step."""
    worst = [
        each
        for each in diagnosis.dynamics
        if each.regime == "exploding" and each.exponents_nats_per_step[0] > at.EXPLODING_NATS_PER_STEP
    ]
    if not worst and math.isfinite(diagnosis.horizon.full_loss):
        return
    evidence = tuple(_exponent(each) for each in worst)
    names = {each.layer for each in worst}
    evidence += tuple(
        _factor(each) for each in diagnosis.gradients if each.layer in names and each.factor_per_step is not None
    )
    evidence += tuple(
        f"{each.layer}: spectral radius of its weights {each.spectral_radius:.3g}"
        for each in diagnosis.spectra
        if each.layer in names and each.block == "whole"
    )
    if not math.isfinite(diagnosis.horizon.full_loss):
        evidence += (f"loss on the whole rows: {diagnosis.horizon.full_loss}",)
    yield (
        "exploding",
        "The recurrence amplifies small changes of its state until they dominate it: predictions far ahead depend on "
        "noise, and gradients explode on their way back. Start from smaller weights, and clip gradients.",
        evidence,
        f"--set model.recurrent_init=orthogonal {_NORM_CLIPPING}",
    )


def forget_bias(diagnosis: Diagnosis) -> Iterator[Found]:
    """Gates that forget far too fast for the distance to bridge: the context used (a trained model), or the rows."""
    if diagnosis.reads_every_step or next(vanishing(diagnosis), None) is not None:
        return
    gated = [each for each in diagnosis.activations if each.time_constants is not None]
    if not gated:
        return
    slowest = max(_slowest(each) for each in gated)
    trained = diagnosis.training is not None
    wanted = diagnosis.horizon.steps if trained else float(diagnosis.num_steps)
    if wanted is None or wanted < at.FORGET_BIAS_RATIO * slowest:
        return
    what = "the memory horizon" if trained else "the rows"
    yield (
        "forget_bias",
        f"The gates forget too fast for {what}: a unit loses what it holds within a few steps. A higher initial bias "
        "(or biases spread over the distances, `model.chrono`) makes them start slower.",
        (*(_constants(each) for each in gated), f"{what}: {wanted:.0f} steps"),
        f"--set model.chrono={max(3, round(wanted))}",
    )


def saturated(diagnosis: Diagnosis) -> Iterator[Found]:
    """A plain recurrence whose tanh is saturated nearly everywhere."""
    training = diagnosis.training
    variant = cells.normalised(cells.lightest().name if training is None else training.cell)
    for layer in diagnosis.activations:
        for gate in layer.gates:
            if layer.time_constants is None and gate.activation == "tanh" and gate.saturated > at.SATURATED_SHARE:
                yield (
                    "saturated",
                    f"The units of {layer.layer} are nearly always saturated, and let no gradient through. Smaller "
                    "initial weights or layer normalisation avoid that.",
                    (f"{layer.layer}: {gate.saturated:.0%} of its values beyond ±0.95",),
                    None if variant is None else f"--set model.cell={variant}",
                )


def dead_units(diagnosis: Diagnosis) -> Iterator[Found]:
    """Dead units: a smaller layer does the same."""
    worst = max(diagnosis.activations, key=lambda each: each.dead_share)
    if worst.dead_share <= at.DEAD_SHARE or (diagnosis.training is None and worst.dead_share == 1.0):
        return
    alive = [round(each.num_units * (1 - each.dead_share)) for each in diagnosis.activations]
    yield (
        "dead_units",
        f"Many units of {worst.layer} output the same number at every step: a smaller layer would do as well.",
        tuple(f"{each.layer}: {len(each.dead_units)} of {each.num_units} units dead" for each in diagnosis.activations),
        f"--set model.{'decoder.' if diagnosis.name == 'decoder' else ''}hidden_size={max(1, *alive)}",
    )


def cheaper(diagnosis: Diagnosis) -> Iterator[Found]:
    """A trained model that hardly needs its recurrence."""
    training, horizon = diagnosis.training, diagnosis.horizon
    if training is None or not math.isfinite(horizon.full_loss) or not _short(diagnosis.horizon_ahead):
        return
    own, gated = cells.get(training.cell), cells.lightest(_gated)
    lasts = max((each.time_constant_steps or math.inf for each in diagnosis.dynamics), default=math.inf)
    if diagnosis.reads_every_step:
        if len(own.gates) <= len(gated.gates) or horizon.steps is None or horizon.steps < at.LOCAL_RATIO * lasts:
            return
        yield (
            "cheaper_recurrence",
            "The head, which reads every step, provides the memory; the recurrence only mixes neighbouring steps. Try "
            "a cheaper or smaller one.",
            (f"memory horizon: {horizon.steps:.0f} steps", *(_exponent(each) for each in diagnosis.dynamics)),
            f"--set model.cell={gated.name}",
        )
    elif horizon.context[-1] > at.SHORT_MEMORY_STEPS and len(horizon.context) > 1 and _short(horizon):
        found = "no gain from memory beyond noise" if horizon.steps is None else f"{horizon.steps:.1f} steps"
        smaller = f"--set model.hidden_size={max(1, training.hidden_size // 2)}"
        change = f"--set model.cell={cells.lightest().name}" if _gated(own) else smaller
        yield (
            "cheaper_recurrence",
            "The model looks back a few steps at most: a plain or smaller recurrence, and shorter windows, would "
            "probably do as well.",
            (f"memory horizon: {found}", f"gain from memory: {horizon.gain:.4f} ± {horizon.gain_error:.4f}"),
            None if diagnosis.name else change,  # of several recurrences the others may need more
        )


def one_direction(diagnosis: Diagnosis) -> Iterator[Found]:
    """A trained model in both directions whose answers gain nothing from what comes after them."""
    ahead = diagnosis.horizon_ahead
    if ahead is None or diagnosis.training is None or ahead.steps is not None or not math.isfinite(ahead.full_loss):
        return
    yield (
        "one_direction",
        "Context after the answer gives no gain beyond noise: one direction does as well at half the cost.",
        (f"gain from context after the answer: {ahead.gain:.4f} ± {ahead.gain_error:.4f}",),
        "--set model.bidirectional=false",
    )


SICK = (vanishing, exploding, forget_bias, saturated)
SAVING = (dead_units, cheaper, one_direction)


def _gated(cell: Cell) -> bool:
    return cell.keeping_gate is not None


def _short(horizon: Horizon | None) -> bool:
    """Whether there is no such context, or little of it is used."""
    return horizon is None or horizon.steps is None or (horizon.high or math.inf) <= at.SHORT_MEMORY_STEPS


def _vanishes(dynamics: LayerDynamics) -> bool:
    constant = dynamics.time_constant_steps
    return dynamics.regime == "vanishing" and constant is not None and constant < at.VANISHING_STEPS


def _slowest(layer: LayerActivations) -> float:
    """The 95 % quantile of the time constants."""
    slowest = (layer.time_constants or [None])[-1]
    return math.inf if slowest is None else slowest


def _constants(layer: LayerActivations) -> str:
    middle, slowest = (layer.time_constants or [None] * 5)[2], (layer.time_constants or [None])[-1]
    written = ["forever" if value is None else f"{value:.2g} steps" for value in (middle, slowest)]
    return f"{layer.layer}: gate {layer.keeping_gate} lasts {written[0]} (median unit), {written[1]} (the slowest 5 %)"


def _exponent(dynamics: LayerDynamics) -> str:
    largest, lasts = dynamics.exponents_nats_per_step[0], dynamics.time_constant_steps
    tail = "" if lasts is None else f": a change falls to 1/e in {lasts:.3g} steps"
    return (
        f"{dynamics.layer}: largest Lyapunov exponent {largest:+.3g} nats a step ({dynamics.low:+.3g} to "
        f"{dynamics.high:+.3g}){tail}"
    )


def _factor(gradients: LayerGradients) -> str:
    return f"{gradients.layer}: a gradient is multiplied by {gradients.factor_per_step:.3g} with each step back"
