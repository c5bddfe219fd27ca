"""The workshop over HTTP."""

from __future__ import annotations

import asyncio
from importlib import resources
from typing import Annotated, Any
from urllib.parse import urlsplit

from fastapi import APIRouter, Depends, Query, Request
from pydantic import Field

from ostinato.recipe.sections import sections
from ostinato.serving.asking import owner_of
from ostinato.serving.bodies import Body
from ostinato.serving.refused import RefusedError
from ostinato.serving.workshop.describing import Choice, described_file
from ostinato.serving.workshop.files import PART_BYTES
from ostinato.serving.workshop.workshop import Workshop

OWN_HEADER = "x-ostinato"
"""What a page of another site can't send without asking first, which is refused."""
_Column = Annotated[str | None, Field(max_length=400)]


class Announced(Body):
    """A file that is to come."""

    name: str = Field(min_length=1, max_length=1000)
    bytes: int = Field(ge=1)


class Chosen(Body):
    """A file, and what a person says of it; what is null is inferred."""

    file: str = Field(max_length=200)
    input: _Column = None
    target: _Column = None
    task: _Column = None
    minutes: float | None = Field(None, gt=0, le=10_000)
    settings: list[Annotated[str, Field(max_length=400)]] = Field(default=[], max_length=40)

    def choice(self) -> Choice:
        """Without the file."""
        return Choice(self.input or None, self.target or None, self.task or None, self.minutes, tuple(self.settings))


class Resumed(Body):
    """How a run goes on."""

    longer: bool = Field(False, description="One that has ended: to twice its budget.")


def samples() -> list[str]:
    """Files of the package to try it on."""
    folder = resources.files("ostinato.data") / "samples"
    return sorted(one.name for one in folder.iterdir() if one.name.endswith(".csv"))


def own_page(request: Request) -> None:
    """Raises `RefusedError` for a request that a page of another site may have made."""
    origin, site = request.headers.get("origin"), request.headers.get("sec-fetch-site")
    foreign = origin is not None and urlsplit(origin).netloc != request.headers.get("host")
    if foreign or site not in (None, "same-origin", "none") or request.headers.get(OWN_HEADER) != "page":
        raise RefusedError(
            403,
            f"a request of this server's own page was expected, which sends `{OWN_HEADER}: page`. Received: another.",
        )


def workshop_router(workshop: Workshop) -> APIRouter:
    """The routes."""
    router = APIRouter(prefix="/v1/workshop", tags=["page"], dependencies=[Depends(owner_of), Depends(own_page)])

    @router.get("")
    def about() -> dict[str, Any]:
        """What may be trained here."""
        return {
            "folder": str(workshop.runs),
            "max_bytes": workshop.files.most_bytes,
            "part_bytes": PART_BYTES,
            "tasks": [one.name for one in sections()],
            "samples": samples(),
        }

    @router.post("/files")
    def begin(body: Announced) -> dict[str, Any]:
        """Announce a file; the name that it gets, and how large its parts may be."""
        return {"file": workshop.files.begin(body.name, body.bytes), "part_bytes": PART_BYTES}

    @router.post("/samples/{name}")
    def sample(name: str) -> dict[str, Any]:
        """A sample of the package as if it had been dropped; the name of the file."""
        if name not in samples():
            raise RefusedError(
                404, f"the name of a sample was expected: {', '.join(samples())}. Received: {name[:80]!r}."
            )
        content = (resources.files("ostinato.data") / "samples" / name).read_bytes()
        announced = workshop.files.begin(name, len(content))
        return {"file": workshop.files.part(announced, 0, content, len(content))}

    @router.put("/files/{file}")
    async def part(
        file: str, request: Request, at: Annotated[int, Query(ge=0)], of: Annotated[int, Query(ge=1)]
    ) -> dict[str, Any]:
        """The next part of a file, from byte `at` on; `file` in the answer once it is whole."""
        return {"file": await asyncio.to_thread(workshop.files.part, file, at, await request.body(), of)}

    @router.post("/describe")
    def describe(body: Chosen) -> dict[str, Any]:
        """What a file holds, what would be trained on it, and why."""
        return described_file(workshop.files.find(body.file), body.choice())

    @router.post("/trainings")
    def train(body: Chosen) -> dict[str, str]:
        """Train on a file; the name of the run."""
        return {"run": workshop.trainings.start(workshop.files.find(body.file), body.choice())}

    @router.post("/trainings/{run}/stop")
    def stop(run: str) -> dict[str, str]:
        """Stop a training after the step in hand; what is best so far is kept."""
        workshop.trainings.stop(run)
        return {"run": run}

    @router.delete("/trainings/{run}", status_code=204)
    def forget(run: str) -> None:
        """Forget a training that never came to a run."""
        workshop.trainings.forget(run)

    @router.post("/trainings/{run}/resume")
    def resume(run: str, body: Resumed) -> dict[str, str]:
        """Go on with a run that was stopped."""
        workshop.trainings.resume(workshop.folder_of(run), longer=body.longer)
        return {"run": run}

    return router
