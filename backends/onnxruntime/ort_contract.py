"""What a model's config says about its tensors, held against the ONNX model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnxruntime as ort

ONNX_TYPES = {
    "TYPE_BOOL": "tensor(bool)",
    "TYPE_UINT8": "tensor(uint8)",
    "TYPE_UINT16": "tensor(uint16)",
    "TYPE_UINT32": "tensor(uint32)",
    "TYPE_UINT64": "tensor(uint64)",
    "TYPE_INT8": "tensor(int8)",
    "TYPE_INT16": "tensor(int16)",
    "TYPE_INT32": "tensor(int32)",
    "TYPE_INT64": "tensor(int64)",
    "TYPE_FP16": "tensor(float16)",
    "TYPE_FP32": "tensor(float)",
    "TYPE_FP64": "tensor(double)",
}


@dataclass(frozen=True)
class Tensor:
    """One input or output.

    Attributes:
        name: the same in the config and in the ONNX model.
        shape: the ONNX shape, batch dimension included; a size, or the name (or None) of a varying dimension.
        ragged: whether requests with different sizes may be batched (``allow_ragged_batch``).
    """

    name: str
    shape: tuple[int | str | None, ...]
    ragged: bool = False


@dataclass(frozen=True)
class Contract:
    """The tensors of a model in the order of the ONNX model (inputs) and of the config (outputs)."""

    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    batched: bool

    @classmethod
    def of(cls, config: dict[str, Any], session: ort.InferenceSession) -> Contract:
        """Compare a config with a model, by the rules of the C++ backend.

        Raises:
            ValueError: a tensor is missing or unknown, or its datatype or dims differ.
        """
        batched = int(config.get("max_batch_size", 0)) > 0
        model = config["name"]
        inputs, outputs = session.get_inputs(), session.get_outputs()
        configured = {entry["name"]: entry for entry in config.get("input", [])}
        known = [node.name for node in inputs]
        if set(configured) != set(known):
            raise ValueError(
                f"model '{model}': its inputs are {sorted(known)}, "
                f"the model configuration names {sorted(configured)}"
            )
        nodes = {node.name: node for node in outputs}
        read_inputs = [_tensor(model, node, configured[node.name], batched) for node in inputs]
        read_outputs = []
        for entry in config.get("output", []):
            if entry["name"] not in nodes:
                raise ValueError(
                    f"model '{model}': unexpected inference output '{entry['name']}', "
                    f"its outputs are {sorted(nodes)}"
                )
            read_outputs.append(_tensor(model, nodes[entry["name"]], entry, batched))
        return cls(tuple(read_inputs), tuple(read_outputs), batched)

    def check(self, arrays: Sequence[np.ndarray]) -> None:
        """Check that dimensions with the same name have the same size in all inputs of one request.

        Raises:
            ValueError: names the input, its shape and the dimension.
        """
        sizes: dict[str, tuple[int, str]] = {}
        for spec, array in zip(self.inputs, arrays, strict=True):
            for axis, (dimension, size) in enumerate(zip(spec.shape, array.shape, strict=True)):
                if not isinstance(dimension, str) or (axis == 0 and self.batched):
                    continue
                expected, where = sizes.setdefault(dimension, (size, spec.name))
                if size != expected:
                    raise ValueError(
                        f"{spec.name}: got shape {list(array.shape)}; "
                        f"'{dimension}' is {expected} in {where}, the same is expected"
                    )


def _tensor(model: str, node: ort.NodeArg, entry: dict[str, Any], batched: bool) -> Tensor:
    name, data_type = node.name, entry["data_type"]
    if ONNX_TYPES.get(data_type) != node.type:
        raise ValueError(
            f"model '{model}', tensor '{name}': the model has {node.type}, "
            f"the model configuration specifies {data_type}"
        )
    if entry.get("reshape", {}).get("shape"):
        raise ValueError(f"model '{model}', tensor '{name}': this stand-in does not reshape")
    shape = tuple(node.shape)
    dims = tuple(int(size) for size in entry["dims"])
    expected = shape[1:] if batched else shape
    shown = [size if isinstance(size, int) else -1 for size in shape]
    if batched and isinstance(shape[0], int):
        raise ValueError(
            f"model '{model}', tensor '{name}': its shape is {shown}, whose first dimension is fixed, "
            "but max_batch_size is above 0"
        )
    fits = len(dims) == len(expected) and all(
        size == dim for dim, size in zip(dims, expected, strict=True) if isinstance(size, int)
    )
    if not fits:
        asked = [-1, *dims] if batched else list(dims)
        raise ValueError(
            f"model '{model}', tensor '{name}': the model's shape is {shown}, "
            f"the model configuration specifies {asked}; fixed dimensions must be equal"
        )
    return Tensor(name, shape, bool(entry.get("allow_ragged_batch", False)))
