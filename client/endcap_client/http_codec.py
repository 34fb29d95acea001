"""Triton's binary tensor format over HTTP: a JSON header, then the tensors' bytes.

Source: https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_binary_data.md
"""

from __future__ import annotations

import json
import struct
from typing import Any, NamedTuple

import numpy as np

from endcap_client.errors import EndcapError, IncompatibleServer, WrongProtocol
from endcap_client.failures import error_from
from endcap_client.inputs import Array
from endcap_client.operations import Answer, Operation
from endcap_client.tensors import DTYPES, pack, unpack

HEADER_LENGTH = "Inference-Header-Content-Length"


class HttpReply(NamedTuple):
    """What a server answered, read to the end."""

    status: int
    reason: str
    body: bytes
    header_length: str | None
    will_close: bool = False

    def answer(self, url: str) -> Answer:
        """The tensors of an inference.

        Raises:
            EndcapError: the server refused it, or this is no inference response.
        """
        if self.status != 200:
            raise self.refusal(url)
        return decode_answer(self.body, self.header_length, url).get

    def ready(self, url: str) -> bool:
        """Whether what was asked for is ready.

        Raises:
            AccessDenied: the server wants a key first.
        """
        if self.status in (401, 403):
            raise self.refusal(url)
        return self.status == 200

    def refusal(self, url: str) -> EndcapError:
        """The SDK's error for a reply that is not 200."""
        return error_from(str(self.status), error_text(self.body) or self.reason, url=url)


def ready_paths(model: str) -> tuple[str, str]:
    """Where a server says whether it and a model take requests."""
    return "/v2/health/ready", f"/v2/models/{model}/ready"


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
