"""The four flavours of the client behind one blocking face: each behaviour is tested on all of them."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import socket
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest
from endcap_client import AsyncClient, Client

sys.path.insert(0, str(Path(__file__).parent))


class Awaited:
    """An AsyncClient whose methods are run to their end on one loop."""

    def __init__(self, *arguments, **keywords):
        self._runner = asyncio.Runner()
        self._client = AsyncClient(*arguments, **keywords)

    @property
    def servers(self):
        return self._client.servers

    def __getattr__(self, name):
        method = getattr(self._client, name)
        assert inspect.iscoroutinefunction(method), f"{name} is not a coroutine"
        # In the caller's context, as a task of the caller would be.
        return lambda *arguments, **keywords: self._runner.run(
            method(*arguments, **keywords), context=contextvars.copy_context()
        )

    def __enter__(self):
        self._runner.run(self._client.__aenter__())
        return self

    def __exit__(self, *failure):
        self._runner.run(self._client.__aexit__(*failure))
        self._runner.close()


@pytest.fixture(params=["grpc", "grpc-async", "http", "http-async"])
def flavour(request):
    return request.param


@pytest.fixture
def new_client(flavour):
    """``new_client(url, **keywords)`` makes a client of this flavour that the test itself closes."""
    protocol, _, kind = flavour.partition("-")
    return lambda url=None, **keywords: (Awaited if kind else Client)(url, protocol, **keywords)


@pytest.fixture
def open_client(new_client):
    """``open_client(url, **keywords)`` makes a client of this flavour that is closed after the test."""
    with ExitStack() as stack:
        yield lambda url=None, **keywords: stack.enter_context(new_client(url, **keywords))


@pytest.fixture
def silent_port():
    """A port that accepts connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as server:
        yield server.getsockname()[1]


@pytest.fixture
def free_port():
    """A port where nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    return port


@pytest.fixture
def stand_in(flavour):
    """``stand_in(…)`` starts a server of this flavour's protocol that is stopped after the test."""
    from stand_ins import GrpcStandIn, HttpStandIn

    with ExitStack() as stack:
        kind = GrpcStandIn if flavour.startswith("grpc") else HttpStandIn
        yield lambda *arguments, **keywords: stack.enter_context(kind(*arguments, **keywords))
