"""The four flavours of the client behind one blocking face: each behaviour is tested on all of them."""

from __future__ import annotations

import asyncio
import inspect
import socket
from contextlib import ExitStack

import pytest
from endcap_client import AsyncClient, Client


class Awaited:
    """An AsyncClient whose methods are run to their end on one loop."""

    def __init__(self, *arguments, **keywords):
        self._runner = asyncio.Runner()
        self._client = AsyncClient(*arguments, **keywords)

    def __getattr__(self, name):
        method = getattr(self._client, name)
        assert inspect.iscoroutinefunction(method), f"{name} is not a coroutine"
        return lambda *arguments, **keywords: self._runner.run(method(*arguments, **keywords))

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
def open_client(flavour):
    """``open_client(url, **keywords)`` makes a client of this flavour that is closed after the test."""
    protocol, _, kind = flavour.partition("-")
    with ExitStack() as stack:
        yield lambda url=None, **keywords: stack.enter_context(
            (Awaited if kind else Client)(url, protocol, **keywords)
        )


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
