"""What routes of the page depend on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from ostinato.serving.page.jobs import Jobs
from ostinato.serving.page.shown import Shown
from ostinato.serving.page.tracking import Tracking


@dataclass(frozen=True)
class Page:
    """What the page shows.

    Args:
        shown: the runs that it lists.
        tracking: their tracks.
        jobs: what works in the background.
    """

    shown: Shown
    tracking: Tracking
    jobs: Jobs


async def page_of(request: Request) -> Page:
    """What the page shows."""
    page: Page = request.app.state.page
    return page


ThePage = Annotated[Page, Depends(page_of)]
