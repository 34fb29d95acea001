"""The console as an ASGI app: its files, and what they ask for under ``/api``."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from endcap_client import AsyncClient, EndcapError
from endcap_rerank.errors import InvalidInputError
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from endcap.webconsole.answers import answer_document, error_document
from endcap.webconsole.protection import ProtectiveHeaders
from endcap.webconsole.questions import Question, ask, read_columns, read_event
from endcap.webconsole.setup import Setup
from endcap.webconsole.traffic import INTERVAL, Traffic

STATIC = Path(__file__).parent / "static"
MAX_BYTES = 64 << 10
"""Of a request's body."""


def console_app(setup: Setup) -> Starlette:
    """The app for a setup. Its clients live from startup to shutdown, in the event loop that serves it."""
    console = _Console(setup)
    return Starlette(
        routes=[
            Route("/", console.page),
            Route("/api/setup", console.setup),
            Route("/api/suggest", console.suggest),
            Route("/api/traffic", console.traffic),
            Route("/api/search", console.search, methods=["POST"]),
            Route("/api/feedback", console.feedback, methods=["POST"]),
            Mount("/static", StaticFiles(directory=STATIC)),
        ],
        middleware=[
            Middleware(ProtectiveHeaders, pictures=setup.pictures),
            Middleware(TrustedHostMiddleware, allowed_hosts=list(setup.hosts), www_redirect=False),
        ],
        exception_handlers={InvalidInputError: _refused, EndcapError: _failed},
        lifespan=console.lifespan,
    )


class _Console:
    """The app's end points."""

    def __init__(self, setup: Setup) -> None:
        self._setup = setup
        # Made here, so that an address that cannot be used is an error of whoever starts the console.
        self._clients = [
            AsyncClient(
                server.url,
                server.protocol,
                timeout=setup.timeout,
                api_key=setup.api_key,
                tls=setup.tls,
                # A person waits, and is told: one more attempt will do.
                retries=1,
            )
            for server in setup.servers
        ]
        self._traffic = [Traffic(server.metrics) for server in setup.servers]

    @contextlib.asynccontextmanager
    async def lifespan(self, app: Starlette) -> AsyncIterator[None]:
        """Watch each server's metrics page; close the clients at the end."""
        watching = [asyncio.create_task(traffic.watch()) for traffic in self._traffic]
        try:
            yield
        finally:
            for task in watching:
                task.cancel()
            await asyncio.gather(*watching, return_exceptions=True)
            for client in self._clients:
                await client.close()

    async def page(self, request: Request) -> Response:
        """The one page."""
        return FileResponse(STATIC / "index.html")

    async def setup(self, request: Request) -> Response:
        """What the page needs to know before its first question."""
        return JSONResponse(
            {
                "servers": [server.url for server in self._setup.servers],
                "shoppers": [shopper._asdict() for shopper in self._setup.shoppers],
                "queries": len(self._setup.queries),
                "pictures": list(self._setup.pictures),
                "language": self._setup.language,
                "query": self._setup.query,
                "interval": INTERVAL,
            }
        )

    async def suggest(self, request: Request) -> Response:
        """Suggestions for ``?q=``."""
        return JSONResponse(self._setup.queries.suggest(request.query_params.get("q", "")))

    async def traffic(self, request: Request) -> Response:
        """The last minutes of each server."""
        return JSONResponse([traffic.document() for traffic in self._traffic])

    async def search(self, request: Request) -> Response:
        """The answers to one or two columns; those that fit share one batch request."""
        questions = read_columns(await _json(request), len(self._clients))
        batches: dict[str, list[Question]] = {}
        for question in questions:
            batches.setdefault(question.batch, []).append(question)
        asked = await asyncio.gather(
            *(ask(self._clients[batch[0].server], batch) for batch in batches.values())
        )
        # Two equal questions are two rows: taken in the order in which they went in.
        found = {key: iter(answers) for key, answers in zip(batches, asked, strict=True)}
        columns = [_column(next(found[question.batch])) for question in questions]
        return JSONResponse({"columns": columns})

    async def feedback(self, request: Request) -> Response:
        """Pass one event on."""
        server, event = read_event(await _json(request), len(self._clients))
        return JSONResponse({"accepted": await self._clients[server].feedback(event)})


def _column(answer: Any) -> dict[str, Any]:
    if isinstance(answer, EndcapError):
        return {"error": error_document(answer)}
    return {"answer": answer_document(answer)}


async def _json(request: Request) -> object:
    """The body. Only JSON: a form on another site cannot send that without the browser asking first."""
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        raise InvalidInputError(
            "Content-Type", request.headers.get("content-type"), "application/json is expected"
        )
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > MAX_BYTES:
            raise InvalidInputError("body", f"{len(body)} bytes", f"at most {MAX_BYTES} bytes are allowed")
    try:
        document: object = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise InvalidInputError("body", body[:80], f"JSON is expected ({error})") from None
    return document


async def _refused(request: Request, error: Exception) -> Response:
    return JSONResponse({"error": error_document(error)}, status_code=400)


async def _failed(request: Request, error: Exception) -> Response:
    return JSONResponse({"error": error_document(error)}, status_code=502)
