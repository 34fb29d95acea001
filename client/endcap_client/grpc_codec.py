"""Requests and answers as KServe's gRPC messages.

Put together here, not by ``tritonclient``'s ``InferInput``: that one copies each tensor twice.
"""

from __future__ import annotations

import struct
from typing import Any

from tritonclient.grpc import service_pb2

from endcap_client.errors import IncompatibleServer
from endcap_client.inputs import Array
from endcap_client.operations import Operation
from endcap_client.tensors import pack, unpack


def encode_request(operation: Operation[Any]) -> Any:
    """The ``ModelInferRequest`` of an operation."""
    request = service_pb2.ModelInferRequest(model_name=operation.target)
    contents = []
    for name, datatype, values in operation.inputs:
        request.inputs.add(name=name, datatype=datatype, shape=values.shape)
        contents.append(pack(values, datatype))
    request.raw_input_contents.extend(contents)
    for name in operation.outputs:
        request.outputs.add(name=name)
    return request


def decode_answer(response: Any, url: str) -> dict[str, Array]:
    """The output tensors of a ``ModelInferResponse`` by name.

    Raises:
        IncompatibleServer: a tensor has another datatype or shape than it says.
    """
    try:
        return {
            output.name: unpack(content, output.datatype, output.shape)
            for output, content in zip(response.outputs, response.raw_output_contents, strict=True)
        }
    except (ValueError, KeyError, struct.error) as error:
        raise IncompatibleServer(f"{url}: the answer is not an inference response ({error!r})") from error
