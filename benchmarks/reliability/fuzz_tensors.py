"""Requests for Triton's models: valid ones, then damaged in one to three ways."""

from __future__ import annotations

import json
import random
import struct
from dataclasses import dataclass, field
from typing import Any

from endcap_rerank.schema import EVENT_WEIGHTS, MODELS, TensorSpec
from tritonclient.grpc import service_pb2

from benchmarks.reliability import fuzz_values

DTYPES = ("BYTES", "INT32", "INT64", "FP32", "FP64", "BOOL", "UINT8", "FP16", "BF16", "STRING", "")


@dataclass
class Tensor:
    """An input as it will be sent; values may not fit its type."""

    name: str
    dtype: str
    shape: list[int]
    values: list[Any]


@dataclass
class Asked:
    """One request, independent of a protocol."""

    model: str
    inputs: list[Tensor]
    outputs: list[str] = field(default_factory=list)
    request_id: str = ""
    version: str = ""

    def proto(self, rng: random.Random) -> bytes:
        """As gRPC sends it: contents typed or raw, sometimes both."""
        request = service_pb2.ModelInferRequest(model_name=self.model, model_version=self.version)
        request.id = self.request_id.encode("utf-8", "replace").decode()
        as_raw = rng.random() < 0.5
        for tensor in self.inputs:
            made = request.inputs.add(name=tensor.name, datatype=tensor.dtype, shape=tensor.shape)
            packed = _packed(tensor)
            if as_raw or packed is None:
                request.raw_input_contents.append(fuzz_values.raw(rng) if packed is None else packed)
            elif tensor.dtype == "BYTES":
                made.contents.bytes_contents.extend(_bytes(value) for value in tensor.values)
            else:
                _typed(made.contents, tensor)
        for name in self.outputs:
            request.outputs.add(name=name)
        content: bytes = request.SerializeToString()
        return content

    def document(self) -> bytes:
        """As HTTP sends it in JSON."""
        inputs = [
            {
                "name": one.name,
                "datatype": one.dtype,
                "shape": one.shape,
                "data": [_jsonable(v) for v in one.values],
            }
            for one in self.inputs
        ]
        document: dict[str, Any] = {"inputs": inputs}
        if self.request_id:
            document["id"] = self.request_id
        if self.outputs:
            document["outputs"] = [{"name": name} for name in self.outputs]
        return json.dumps(document).encode("utf-8", "replace")

    def binary(self) -> tuple[bytes, int]:
        """As HTTP sends it with binary tensors: the body, and the length of the JSON before them."""
        inputs, tail = [], b""
        for one in self.inputs:
            content = _packed(one) or b""
            parameters = {"binary_data_size": len(content)}
            inputs.append(
                {"name": one.name, "datatype": one.dtype, "shape": one.shape, "parameters": parameters}
            )
            tail += content
        head = json.dumps({"inputs": inputs}).encode()
        return head + tail, len(head)


def asked(rng: random.Random, users: list[str], items: list[str]) -> Asked:
    """A request for one of the models, damaged in most cases."""
    model = rng.choice([*MODELS, "search", "search", "recommend", "feedback"])
    rows = rng.choice((1, 1, 1, 1, 2, 5))
    inputs = [
        _valid(rng, model, spec, rows, users, items)
        for spec in MODELS[model].inputs
        if not spec.optional or rng.random() < 0.6
    ]
    request = Asked(model, inputs, [spec.name for spec in MODELS[model].outputs])
    if rng.random() < 0.7:
        for _ in range(rng.randrange(1, 4)):
            _damage(rng, request)
    return request


def _valid(
    rng: random.Random, model: str, spec: TensorSpec, rows: int, users: list[str], items: list[str]
) -> Tensor:
    if spec.name in ("input_ids", "attention_mask", "query_embedding", "tag_logits", "offsets"):
        # The sizes of a release are not known here: what does not fit has to be refused.
        width = rng.choice((0, 1, 4, 8, 64, 384))
        dims = [rows, width, *([rng.choice((1, 2, 7))] if len(spec.dims) == 2 else [])]
        count = rows * width * (dims[2] if len(dims) == 3 else 1)
        numbers: tuple[float, ...] = (
            (0, 1, 2, 101, 30_000, -1, 10**6) if spec.dtype != "FP32" else (0.0, 0.1, -1.0, float("nan"))
        )
        return Tensor(spec.name, spec.dtype, dims, [rng.choice(numbers) for _ in range(count)])
    return Tensor(
        spec.name, spec.dtype, [rows, 1], [_value(rng, model, spec.name, users, items) for _ in range(rows)]
    )


def _value(rng: random.Random, model: str, name: str, users: list[str], items: list[str]) -> Any:
    odd = rng.random() < 0.4
    if name == "user":
        return fuzz_values.text(rng) if odd else rng.choice(users)
    if name == "item":
        return fuzz_values.text(rng) if odd else rng.choice(items)
    if name == "event":
        return fuzz_values.text(rng) if odd else rng.choice(list(EVENT_WEIGHTS))
    if name == "k":
        return rng.choice((0, -1, 1, 10, 200, 201, 2**31 - 1))
    if name == "diversity":
        return rng.choice((0.0, 0.3, 1.0, -0.1, 1.1, float("nan"), float("inf")))
    if name == "options":
        return fuzz_values.document(rng)
    if name == "document":
        return fuzz_values.document(rng) if odd else json.dumps(fuzz_values.product(rng))
    if name == "operation":
        return fuzz_values.text(rng) if odd else rng.choice(("upsert", "delete"))
    if name == "timestamp":
        return rng.choice((0.0, 1.7e9, 4e9, -1.0, 1e300, float("nan"), float("inf")))
    if name == "position":
        return rng.choice((0, 5, -1, 2**31 - 1))
    return fuzz_values.text(rng)


def _damage(rng: random.Random, request: Asked) -> None:
    kind = rng.randrange(11)
    tensor = rng.choice(request.inputs) if request.inputs else None
    if kind == 0:
        request.model = rng.choice((fuzz_values.text(rng), "search2", "", "../search"))
    elif kind == 1:
        request.version = rng.choice(("1", "0", "-1", "99", "abc", fuzz_values.text(rng, longest=5)))
    elif kind == 2:
        request.request_id = fuzz_values.text(rng)
    elif kind == 3:
        request.outputs = [*fuzz_values.some(rng, ("item_id", "nothing", "", "score")), *request.outputs[:1]]
    elif tensor is None:
        request.inputs.append(Tensor("query", "BYTES", [1, 1], ["lamp"]))
    elif kind == 4:
        request.inputs.remove(tensor)
    elif kind == 5:
        request.inputs.append(tensor)
    elif kind == 6:
        tensor.name = rng.choice((fuzz_values.text(rng), "Query", "user", ""))
    elif kind == 7:
        tensor.dtype = rng.choice(DTYPES)
    elif kind == 8:
        tensor.shape = fuzz_values.shape(rng)
    elif kind == 9:
        tensor.values = tensor.values[: rng.randrange(len(tensor.values) + 1)]
    else:
        tensor.values = [
            fuzz_values.raw(rng) if rng.random() < 0.5 else fuzz_values.value(rng) for _ in tensor.values
        ]


def _bytes(value: Any) -> bytes:
    if isinstance(value, bytes):
        return value
    return (value if isinstance(value, str) else str(value)).encode("utf-8", "surrogatepass")


_FORMATS = {"INT32": "i", "INT64": "q", "FP32": "f", "FP64": "d", "BOOL": "?", "UINT8": "B", "FP16": "e"}


def _packed(tensor: Tensor) -> bytes | None:
    """The tensor's bytes; None where its values do not fit its type."""
    if tensor.dtype == "BYTES":
        return b"".join(struct.pack("<I", len(raw)) + raw for raw in map(_bytes, tensor.values))
    form = _FORMATS.get(tensor.dtype)
    try:
        return b"".join(struct.pack("<" + str(form), value) for value in tensor.values)
    except (struct.error, OverflowError, TypeError, ValueError):
        return None


def _typed(contents: Any, tensor: Tensor) -> None:
    target = {
        "INT32": "int_contents",
        "INT64": "int64_contents",
        "FP32": "fp32_contents",
        "FP64": "fp64_contents",
    }
    try:
        getattr(contents, target.get(tensor.dtype, "uint_contents")).extend(tensor.values)
    except (TypeError, ValueError, OverflowError):
        contents.bytes_contents.extend(_bytes(value) for value in tensor.values)


def _jsonable(value: Any) -> Any:
    return value.decode("latin-1") if isinstance(value, bytes) else value
