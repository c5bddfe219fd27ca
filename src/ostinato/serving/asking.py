"""Who asks, and whom: what routes depend on."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Path, Query, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from ostinato.serving.access import Access
from ostinato.serving.house import House


async def owner_of(
    request: Request, _: Annotated[HTTPAuthorizationCredentials | None, Depends(HTTPBearer(auto_error=False))]
) -> str:
    """The owner of a request's token, who has made one request more.

    Raises:
        RefusedError: without a token that is known, or for too many requests.
    """
    access: Access = request.app.state.access
    owner = access.owner(request.headers.get("authorization"))
    access.count(owner, request.scope)
    return owner


async def house_of(request: Request) -> House:
    """What is served."""
    house: House = request.app.state.house
    return house


TheHouse = Annotated[House, Depends(house_of)]
Owner = Annotated[str, Depends(owner_of)]
Model = Annotated[str, Path(description="The name that a run is served by.")]
SessionId = Annotated[str, Path(description="As the session's creation has answered it.")]
FileName = Annotated[str, Query(description="Of a file that is sent; its suffix says its form.")]
