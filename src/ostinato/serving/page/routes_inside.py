"""Interventions, ablations, diagnosis, fixed points and attributions over HTTP."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query
from pydantic import Field

from ostinato.diagnostics.of_run import diagnose_run
from ostinato.exploration import ablate_run, attribute, continue_run, reaching, standing_points
from ostinato.report.diagnosis import DIAGNOSIS_FILE
from ostinato.run import load
from ostinato.serving.asking import TheHouse, owner_of
from ostinato.serving.bodies import Body
from ostinato.serving.cells import refuse_files
from ostinato.serving.page.asking import ThePage
from ostinato.serving.page.jobs import Progress
from ostinato.serving.refused import RefusedError
from ostinato.serving.served import Served
from ostinato.storage.files import read_json
from ostinato.tasks.encoder_streaming import EncoderStreaming
from ostinato.tasks.streaming import WritingModel

Kind = Literal["ablation", "diagnosis", "points", "reaching"]


class Intervene(Body):
    """Units and gates to change while a text is continued."""

    interventions: list[Annotated[str, Field(max_length=500)]] = Field(
        max_length=50, description="As of `ostinato explore --intervene`."
    )
    prompt: str | list[Any] = Field(description="What is gone on from.")
    begin: int = Field(0, ge=0, description="Steps of it that are read untouched.")
    max_new_tokens: int = Field(200, ge=1, le=2000, description="That are written.")
    temperature: float = Field(0.7, ge=0, le=100, description="Of what is drawn.")
    seed: int = Field(0, ge=0, lt=2**63, description="Of what is drawn.")


class Ablate(Body):
    """Units to hold at their mean, one after the other."""

    windows: int = Field(12, ge=2, le=200, description="Of the validation data.")
    steps: int | None = Field(None, ge=1, le=1000, description="Of a window; none: 48, fewer where rows are short.")
    layer: int | None = Field(None, ge=1, description="Only of this one.")


class Points(Body):
    """Fixed and slow points to look for."""

    track: str = Field(max_length=80, description="Where states are begun from.")
    layer: int = Field(1, ge=1, description="From 1 on.")
    token: str | None = Field(None, max_length=80, description="Read at every step; none: the mean of what is read.")
    starts: int = Field(48, ge=1, le=500, description="States to begin from.")
    iterations: int = Field(600, ge=1, le=20_000, description="Of the minimisation.")


class Reach(Body):
    """Losses to look for whose gradient is large at a lag."""

    track: str = Field(max_length=80, description="Whose steps they are of.")
    lag: int = Field(ge=0, le=5_000, description="Steps.")
    layer: str = Field("layer 1", max_length=80, description="As the diagnosis calls it.")
    tried: int = Field(96, ge=1, le=2_000, description="Losses that are looked at.")


router = APIRouter(prefix="/v1/runs/{run}", tags=["page"], dependencies=[Depends(owner_of)])


@router.post("/intervene")
async def intervene(house: TheHouse, run: str, body: Intervene) -> dict[str, Any]:
    """What is written with units changed, beside what is written untouched."""
    served = await house.found(run)
    refuse_files(served.run, body.prompt)
    return await served.work(_continued, served, body)


@router.get("/parts")
async def parts(house: TheHouse, run: str) -> dict[str, Any]:
    """What can be changed: parts of the state and gates, with their units."""
    return await (served := await house.found(run)).work(_parts, served)


@router.get("/tracks/{key}/attribution")
async def attribution(
    house: TheHouse,
    page: ThePage,
    run: str,
    key: str,
    at: Annotated[int, Query(ge=0, description="The step.")],
    method: Literal["gradient", "integrated"] = "integrated",
    steps: Annotated[int, Query(ge=1, le=1000, description="That are looked at.")] = 200,
) -> dict[str, Any]:
    """Which earlier steps the surprise at a step came from."""
    served = await house.found(run)
    track = page.tracking.find(page.shown.folder_of(run), key)
    return (await served.work(attribute, served.run, track, at, method, steps)).to_dict()


@router.get("/jobs/{kind}")
def job(house: TheHouse, page: ThePage, run: str, kind: Kind) -> dict[str, Any]:
    """How far some work is, or what came of it."""
    served = house.find(run)
    found = page.jobs.last(run, kind)
    kept = read_json(served.run.folder / DIAGNOSIS_FILE, missing_ok=True) if kind == "diagnosis" else {}
    return {"job": found, "kept": kept or None}


@router.delete("/jobs/{kind}", status_code=204)
def stop(page: ThePage, run: str, kind: Kind) -> None:
    """End some work."""
    page.jobs.stop(run, kind)


@router.post("/jobs/ablation", status_code=202)
def ablation(house: TheHouse, page: ThePage, run: str, body: Ablate) -> dict[str, Any]:
    """Measure what each unit is worth."""
    folder = house.find(run).run.folder

    def work(progress: Progress) -> dict[str, Any]:
        found = ablate_run(
            load(folder), num_windows=body.windows, num_steps=body.steps, layer=body.layer, progress=progress
        )
        return found.to_dict()

    return page.jobs.start(run, "ablation", body.model_dump(), work)


@router.post("/jobs/diagnosis", status_code=202)
def diagnosis(house: TheHouse, page: ThePage, run: str) -> dict[str, Any]:
    """Measure gradients by lag, exponents and the memory horizon; kept as `diagnosis.json`."""
    folder = house.find(run).run.folder

    def work(progress: Progress) -> dict[str, Any]:
        progress(0, 0)
        diagnose_run(load(folder))
        return {}

    return page.jobs.start(run, "diagnosis", {}, work)


@router.post("/jobs/points", status_code=202)
def points(house: TheHouse, page: ThePage, run: str, body: Points) -> dict[str, Any]:
    """Look for fixed and slow points of a layer under a constant input."""
    folder = house.find(run).run.folder
    track = page.tracking.find(folder, body.track)
    if body.token == "":
        raise RefusedError(422, "`token` must be one step, or none.")

    def work(progress: Progress) -> dict[str, Any]:
        found = standing_points(
            load(folder),
            track,
            layer=body.layer,
            token=body.token,
            num_starts=body.starts,
            num_steps=body.iterations,
            progress=progress,
        )
        return found.to_dict()

    return page.jobs.start(run, "points", body.model_dump(), work)


@router.post("/jobs/reaching", status_code=202)
def reach(house: TheHouse, page: ThePage, run: str, body: Reach) -> dict[str, Any]:
    """Look for the moments whose loss reaches furthest at a lag."""
    folder = house.find(run).run.folder
    track = page.tracking.find(folder, body.track)

    def work(progress: Progress) -> dict[str, Any]:
        found = reaching(load(folder), track, body.lag, layer=body.layer, num_tried=body.tried, progress=progress)
        return found.to_dict()

    return page.jobs.start(run, "reaching", body.model_dump(), work)


def _parts(served: Served) -> dict[str, Any]:
    run = served.run
    model = run.spec.streaming(run.model, run.features, run.recipe)
    shapes = model.shapes if isinstance(model, EncoderStreaming) else []
    parts, gates, ideas = dict[str, int](), dict[str, int](), dict[str, str]()
    for number, (cell, sizes, hidden) in enumerate(shapes, 1):
        layer = f"layer {number}"
        parts |= {f"{layer}.{name}": size for name, size in zip(cell.state_names, sizes, strict=True)}
        gates |= {f"{layer}.{name}": hidden for name in cell.gates if name not in cell.state_names}
        ideas[f"silence {layer}"] = f"{layer}.{cell.state_names[0]} *= 0"
        if cell.keeping_gate is not None:
            ideas[f"keep all in {layer}"] = f"{layer}.{cell.keeping_gate} = 1"
            ideas[f"forget all in {layer}"] = f"{layer}.{cell.keeping_gate} = 0"
    return {"parts": parts, "gates": gates, "ideas": ideas, "writes": bool(shapes) and isinstance(model, WritingModel)}


def _continued(served: Served, body: Intervene) -> dict[str, Any]:
    return continue_run(
        served.run,
        body.interventions,
        body.prompt,
        begin=body.begin,
        max_new_tokens=body.max_new_tokens,
        temperature=body.temperature,
        seed=body.seed,
    )
