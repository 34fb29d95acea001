"""Triton's binary tensor format over HTTP: a JSON header, then the tensors' bytes.

Source: https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_binary_data.md
"""

from __future__ import annotations

import json
import struct
from typing import Any

import numpy as np

from endcap_client.errors import IncompatibleServer, WrongProtocol
from endcap_client.inputs import Array
from endcap_client.operations import Operation
from endcap_client.tensors import DTYPES, pack, unpack

HEADER_LENGTH = "Inference-Header-Content-Length"


def encode_request(operation: Operation[Any]) -> tuple[bytes, int]:
    """The body of an inference request, and the length of its JSON header in bytes."""
    inputs = []
    payload = []
    for name, datatype, values in operation.inputs:
        data = pack(values, datatype)
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


def decode_answer(body: bytes, header_length: str | None, url: str) -> dict[str, Array]:
    """The output tensors by name.

    Raises:
        WrongProtocol: the body is no JSON at all: an ordinary web server.
        IncompatibleServer: the body is not in Triton's format.
    """
    try:
        length = len(body) if header_length is None else int(header_length)
        header = json.loads(body[:length])
    except ValueError as error:
        raise WrongProtocol(
            f"{url}: the answer is not an inference response; is it the port of another server?"
        ) from error
    try:
        view = memoryview(body)[length:]
        tensors = {}
        for output in header["outputs"]:
            size = output.get("parameters", {}).get("binary_data_size")
            if size is None:
                data = np.array(output["data"], DTYPES.get(output["datatype"], np.object_))
                tensors[output["name"]] = data.reshape(output["shape"])
            else:
                tensors[output["name"]] = unpack(view[:size], output["datatype"], output["shape"])
                view = view[size:]
    except (ValueError, KeyError, TypeError, AttributeError, struct.error) as error:
        raise IncompatibleServer(f"{url}: the answer is not an inference response ({error!r})") from error
    return tensors


def error_text(body: bytes) -> str | None:
    """Triton's ``{"error": "…"}``, or the text as it is."""
    text = body.decode("utf-8", "replace")
    try:
        return str(json.loads(text)["error"])
    except (ValueError, KeyError, TypeError):
        return text.strip() or None
