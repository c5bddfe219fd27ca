"""`ostinato evaluate`."""

from __future__ import annotations

from typing import Annotated

import typer

from ostinato.cli.adapting import USUAL, Cache, CacheLambda, CacheTheta, Dynamic, DynamicDecay
from ostinato.cli.console import note, print_json
from ostinato.cli.deciding import Abstain, Threshold, decide
from ostinato.cli.runs_given import AnyRun, any_run
from ostinato.cli.tables import print_metrics
from ostinato.cli.train import Reading


def evaluate(
    run: AnyRun,
    data: Annotated[
        str | None, typer.Argument(help="A file or catalogue name; default: the recipe's test data.")
    ] = None,
    threshold: Threshold = None,
    abstain: Abstain = None,
    dynamic: Dynamic = USUAL.dynamic,
    dynamic_decay: DynamicDecay = USUAL.dynamic_decay,
    cache: Cache = USUAL.cache,
    cache_theta: CacheTheta = USUAL.cache_theta,
    cache_lambda: CacheLambda = USUAL.cache_lambda,
    settings: Reading = None,
    json: Annotated[bool, typer.Option("--json", help="Print the metrics as JSON.")] = False,
) -> None:
    """Score a run's model on a file, as the validation data was."""
    run = any_run(run, settings)
    from ostinato.run import load
    from ostinato.training.progress import ConsoleObserver

    opened = load(run, settings or [])
    decide(opened, threshold=threshold, abstain=abstain)
    metrics = opened.evaluate(
        data,
        ConsoleObserver(),
        dynamic=dynamic,
        dynamic_decay=dynamic_decay,
        cache=cache,
        cache_theta=cache_theta,
        cache_lambda=cache_lambda,
        flags=True,
    )
    if json:
        print_json(metrics)
        return
    note(f"{run} on {data or opened.recipe.data.test or f'the part held back of {opened.recipe.data.train}'}")
    print_metrics(metrics)
