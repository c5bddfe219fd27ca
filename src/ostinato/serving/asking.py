"""Who asks: what routes depend on."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Path, Query, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from ostinato.serving.access import Access


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


Owner = Annotated[str, Depends(owner_of)]
Model = Annotated[str, Path(description="The name that a run is served by.")]
SessionId = Annotated[str, Path(description="As the session's creation has answered it.")]
FileName = Annotated[str, Query(description="Of a file that is sent; its suffix says its form.")]
