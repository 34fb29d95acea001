"""Triton's binary tensor format over HTTP: a JSON header, then the tensors' bytes.

Source: https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_binary_data.md
"""

from __future__ import annotations

import json
import struct
from typing import Any

import numpy as np

from endcap_client.errors import IncompatibleServer
from endcap_client.operations import Array, Operation

HEADER_LENGTH = "Inference-Header-Content-Length"

_DTYPES: dict[str, Any] = {"INT32": np.int32, "INT64": np.int64, "FP32": np.float32, "FP64": np.float64}


def encode_request(operation: Operation[Any]) -> tuple[bytes, int]:
    """The body of an inference request, and the length of its JSON header in bytes."""
    inputs = []
    payload = []
    for name, datatype, values in operation.inputs:
        data = _pack(values) if datatype == "BYTES" else values.tobytes()
        payload.append(data)
        inputs.append(
            {
                "name": name,
                "shape": values.shape,
                "datatype": datatype,
                "parameters": {"binary_data_size": len(data)},
            }
        )
    outputs = [{"name": name, "parameters": {"binary_data": True}} for name in operation.outputs]
    header = json.dumps({"inputs": inputs, "outputs": outputs}, separators=(",", ":")).encode()
    return b"".join((header, *payload)), len(header)


def decode_answer(body: bytes, header_length: str | None) -> dict[str, Array]:
    """The output tensors by name.

    Raises:
        IncompatibleServer: the body is not in Triton's format.
    """
    try:
        length = len(body) if header_length is None else int(header_length)
        header = json.loads(body[:length])
        view = memoryview(body)[length:]
        tensors = {}
        for output in header["outputs"]:
            size = output.get("parameters", {}).get("binary_data_size")
            if size is None:
                values = np.array(output["data"], _DTYPES.get(output["datatype"], np.object_))
            else:
                values = _unpack(view[:size], output["datatype"])
                view = view[size:]
            tensors[output["name"]] = values.reshape(output["shape"])
    except (ValueError, KeyError, TypeError, AttributeError, struct.error) as error:
        raise IncompatibleServer(f"the answer is not an inference response ({error!r})") from error
    return tensors


def _pack(values: Array) -> bytes:
    parts = []
    for value in values.ravel().tolist():
        parts.append(len(value).to_bytes(4, "little"))
        parts.append(value)
    return b"".join(parts)


def _unpack(data: memoryview, datatype: str) -> Array:
    if datatype != "BYTES":
        return np.frombuffer(data, _DTYPES[datatype])
    strings = []
    at = 0
    while at < len(data):
        (length,) = struct.unpack_from("<I", data, at)
        at += 4
        strings.append(bytes(data[at : at + length]))
        at += length
    array = np.empty(len(strings), np.object_)
    array[:] = strings
    return array
