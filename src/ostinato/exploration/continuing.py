"""What a model writes with its units changed, beside what it writes untouched."""

from __future__ import annotations

from typing import Any, TypedDict

from ostinato.errors import RecipeError, RunError
from ostinato.tasks.encoder_streaming import EncoderStreaming
from ostinato.tasks.generation import OpenRun
from ostinato.tasks.intervened import read_changed, write_changed
from ostinato.tasks.intervening import Edit, Intervene, edits_of, later
from ostinato.tasks.registry import task_of
from ostinato.tasks.streaming import Reading, Writing, WritingModel


class Continuing(TypedDict, total=False):
    """Options of `continue_run`."""

    begin: int
    max_new_tokens: int
    temperature: float
    seed: int


def continue_run(
    run: OpenRun,
    interventions: Intervene,
    prompt: Any,
    *,
    begin: int = 0,
    max_new_tokens: int = 200,
    temperature: float = 1.0,
    seed: int = 0,
) -> dict[str, Any]:
    """Two texts, `untouched` and `changed`, from the same prompt and seed; and `untouched_nll` and `changed_nll`: the
    surprise of the prompt from the first step on that is changed, in nats a step.

    Args:
        run: opened by `ostinato.load`.
        interventions: as `intervene` of `Run.predict`; their steps are counted from `begin` on.
        prompt: a text, or frames: what a session's step takes.
        begin: steps of the prompt that both read untouched, >= 0.
        max_new_tokens: that are written.
        temperature: of what is drawn.
        seed: of what is drawn.

    Raises:
        RunError: for a model that doesn't write.
        RecipeError: for what is no intervention, or a `begin` beyond the prompt.
    """
    untouched = task_of(run.recipe).streaming(run.model, run.features, run.recipe)
    if not isinstance(untouched, WritingModel) or not isinstance(untouched, EncoderStreaming):
        raise RunError("only a model that writes shows what an intervention does: a language model, say.")
    edits, steps = edits_of(interventions), untouched.encode(prompt)
    untouched.changed(later(edits, max((edit.begin for edit in edits), default=0)))  # whether all of them can be made
    if not 0 <= begin <= len(steps):
        raise RecipeError(f"`begin` must be from 0 to the prompt's {len(steps)} steps. Received: {begin}.")
    (same,) = untouched.read([Reading(steps.cut(0, begin), untouched.zero(), "none")])
    read, found = steps.cut(begin, len(steps)), dict[str, Any]()
    nothing: tuple[Edit, ...] = ()
    for name, some in (("untouched", nothing), ("changed", edits)):
        begun = read_changed(untouched, Reading(read, same.state, "each"), some)
        how = Writing(begun.state, max_new_tokens, temperature=temperature, seed=seed)
        written = write_changed(untouched, how, later(some, len(read)), max_new_tokens)
        pieces = [piece for one in written for piece in one.pieces]
        costs = [one["nll"] for one in begun.answers if one.get("nll") is not None]
        found[name] = "".join(map(str, pieces))
        found[f"{name}_nll"] = sum(costs) / len(costs) if costs else None
    return found
