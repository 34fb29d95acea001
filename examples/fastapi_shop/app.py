"""A shop's back end with FastAPI: one client for the application, feedback in the background.

Run with: ENDCAP_URL=localhost:8001 uvicorn --app-dir examples/fastapi_shop app:app
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any, Literal

from endcap_client import AsyncClient, BufferFull, EndcapError, InvalidRequest
from fastapi import FastAPI, HTTPException, Query, Request
from pydantic import BaseModel


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """One client, and one stream of feedback, from start to shutdown."""
    servers = os.environ.get("ENDCAP_URL", "localhost:8001").split(",")
    # A shopper waits no longer for better products than this.
    timeout = float(os.environ.get("ENDCAP_TIMEOUT", "0.5"))
    async with AsyncClient(servers, timeout=timeout) as shop, shop.feedback_stream() as feedback:
        app.state.shop, app.state.feedback = shop, feedback
        yield


app = FastAPI(title="Shop", lifespan=lifespan)


class Click(BaseModel):
    """What a shopper did with a product."""

    user: str
    item: str
    event: Literal["view", "click", "cart", "purchase"] = "click"
    query: str | None = None


@app.get("/search")
async def search(
    request: Request,
    q: Annotated[str, Query(min_length=1)],
    user: str | None = None,
    price_max: Annotated[float | None, Query(ge=0)] = None,
) -> dict[str, Any]:
    """Products for a query. The page stays up when Endcap does not answer."""
    filters = {} if price_max is None else {"price_max": price_max}
    try:
        found = await request.app.state.shop.search(
            q, user=user, k=20, filters=filters, fields=["title", "price"]
        )
    except InvalidRequest as error:
        raise HTTPException(422, str(error)) from error
    except EndcapError:
        return {"items": [], "degraded": True}
    items = [{"id": item.id, **(item.product or {})} for item in found]
    return {"items": items, "degraded": False}


@app.post("/events", status_code=202)
async def events(request: Request, click: Click) -> dict[str, str]:
    """Takes an event; it is stored a moment later."""
    try:
        await request.app.state.feedback.add(click.model_dump(), timeout=0.1)
    except BufferFull as error:
        raise HTTPException(503, "try again") from error
    return {"status": "taken"}


@app.get("/health")
async def health(request: Request) -> dict[str, bool]:
    """For a load balancer."""
    return {"search": await request.app.state.shop.ready()}
