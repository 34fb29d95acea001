"""What both gRPC transports share: channel settings and how a request is put together."""

from __future__ import annotations

import socket
from functools import cache
from typing import Any

from tritonclient.grpc import InferInput, InferRequestedOutput
from tritonclient.utils import InferenceServerException

from endcap_client.errors import EndcapError, IncompatibleServer
from endcap_client.failures import error_from
from endcap_client.operations import Operation

CHANNEL_ARGUMENTS: list[tuple[str, int]] = [
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
    # gRPC waits up to two minutes between attempts by default; a restarted server is back in seconds.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 1000),
    ("grpc.max_reconnect_backoff_ms", 2000),
]


def request_inputs(operation: Operation[Any]) -> list[Any]:
    """The inputs as tritonclient takes them."""
    inputs = []
    for name, datatype, values in operation.inputs:
        tensor = InferInput(name, values.shape, datatype)
        tensor.set_data_from_numpy(values)
        inputs.append(tensor)
    return inputs


@cache
def requested_outputs(names: tuple[str, ...]) -> list[Any]:
    """The outputs as tritonclient takes them. It copies them into each request, so they can be shared."""
    return [InferRequestedOutput(name) for name in names]


def error_of(failure: InferenceServerException, url: str) -> EndcapError:
    """The SDK's error for a failed gRPC call."""
    message = failure.message() or ""
    # A server that hangs up while gRPC says hello: gRPC cannot tell why, a line of HTTP/1.1 can.
    if "failed to connect" in message and "Socket closed" in message and _speaks_http1(url):
        return IncompatibleServer(f"{url}: speaks HTTP/1.1, not gRPC; is it the port of another protocol?")
    return error_from(failure.status(), message, url=url)


def _speaks_http1(url: str, timeout: float = 0.2) -> bool:
    host, _, port = url.rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout) as connection:
            connection.sendall(f"GET / HTTP/1.1\r\nHost: {url}\r\nConnection: close\r\n\r\n".encode())
            return connection.recv(7) == b"HTTP/1."
    except OSError:
        return False
