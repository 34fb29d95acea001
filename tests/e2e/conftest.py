"""Requests to the session's server through tritonclient itself, over both protocols."""

from __future__ import annotations

import pytest
import tritonclient.grpc
import tritonclient.http
from asking import Raw


@pytest.fixture(params=["grpc", "http"])
def raw(request, server):
    """tritonclient over gRPC and over HTTP."""
    module, url = (
        (tritonclient.grpc, server.grpc_url)
        if request.param == "grpc"
        else (tritonclient.http, server.http_url)
    )
    connected = Raw(module, url)
    yield connected
    connected.client.close()


@pytest.fixture
def grpc(server):
    """tritonclient over gRPC, for what does not depend on the protocol."""
    connected = Raw(tritonclient.grpc, server.grpc_url)
    yield connected
    connected.client.close()


@pytest.fixture(params=["grpc", "http"])
def shop(request, server):
    """The SDK over gRPC and over HTTP."""
    from endcap_client import Client

    with Client(server.grpc_url if request.param == "grpc" else server.http_url, request.param) as client:
        yield client


@pytest.fixture(scope="session")
def local(repository, shop_release, server):
    """The pipeline in this process, on the server's own stores."""
    from endcap_rerank.settings import Settings

    from endcap.local import LocalSearch

    return LocalSearch.open(shop_release, Settings(state=repository / "state"), precision="fp32")
