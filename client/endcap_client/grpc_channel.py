"""What both gRPC transports share: channel settings and how a request is put together."""

from __future__ import annotations

from functools import cache
from typing import Any

from tritonclient.grpc import InferInput, InferRequestedOutput

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
