"""Triton's binary form of a tensor, the same over gRPC and HTTP."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

import numpy as np

from endcap_client.inputs import Array

DTYPES: dict[str, Any] = {"INT32": np.int32, "INT64": np.int64, "FP32": np.float32, "FP64": np.float64}


def pack(values: Array, datatype: str) -> bytes:
    """The values in row-major order; each string has its length in four bytes before it."""
    if datatype != "BYTES":
        return values.tobytes()
    parts = []
    for value in values.ravel().tolist():
        parts.append(len(value).to_bytes(4, "little"))
        parts.append(value)
    return b"".join(parts)


def unpack(data: bytes | memoryview, datatype: str, shape: Sequence[int]) -> Array:
    """The tensor of such bytes.

    Raises:
        ValueError, KeyError, struct.error: the bytes are not of this datatype and shape.
    """
    if datatype != "BYTES":
        return np.frombuffer(data, DTYPES[datatype]).reshape(shape)
    strings = []
    at = 0
    end = len(data)
    while at < end:
        (length,) = struct.unpack_from("<I", data, at)
        at += 4
        strings.append(bytes(data[at : at + length]))
        at += length
    array = np.empty(len(strings), np.object_)
    array[:] = strings
    return array.reshape(shape)
