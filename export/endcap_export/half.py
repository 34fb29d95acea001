"""An fp32 encoder graph to mixed half precision, said in the graph itself.

TensorRT builds networks as they are typed: since version 11 it chooses no precision of its own. Products, and
what merely moves or bends their results, are fp16; sums that lose digits in it stay fp32: layer norms and the
residual stream, softmax with its mask, the mean over pieces and its norm.
"""

from __future__ import annotations

import numpy as np
import onnx
from endcap_rerank.errors import EndcapError
from onnx import TensorProto, helper, numpy_helper

_HALF = ("MatMul", "Gelu", "Transpose")
_RESHAPED = ("Reshape",)
"""Half where their input is: shapes are integers."""


def half_precision(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same encoder with products in fp16; inputs and outputs keep their types.

    Args:
        model: what ``export_onnx`` wrote.

    Returns:
        A new model.

    Raises:
        EndcapError: a constant does not fit fp16.
    """
    mixed = onnx.ModelProto()
    mixed.CopyFrom(model)
    graph = mixed.graph
    constants = {tensor.name: tensor for tensor in graph.initializer}
    outputs = {value.name for value in graph.output}
    nodes: list[onnx.NodeProto] = []
    halves: set[str] = set()
    """Values that a node makes as fp16."""
    made: dict[str, onnx.TensorProto | None] = {}
    """Casts and constants that are there already, by name."""

    def cast(name: str, to: int, suffix: str) -> str:
        if f"{name}{suffix}" not in made:
            made[f"{name}{suffix}"] = None
            nodes.append(helper.make_node("Cast", [name], [f"{name}{suffix}"], to=to))
        return f"{name}{suffix}"

    def as_half(name: str) -> str:
        if name in halves:
            return name
        constant = constants.get(name)
        if constant is None:
            return cast(name, TensorProto.FLOAT16, "_half")
        if constant.data_type != TensorProto.FLOAT:
            return name
        made.setdefault(f"{name}_half", _half_constant(constant))
        return f"{name}_half"

    for node in graph.node:
        floats = list(node.input[:1]) if node.op_type in _RESHAPED else list(node.input)
        if _is_half(node, halves, constants):
            node.input[: len(floats)] = [as_half(name) for name in floats]
            nodes.append(node)
            (result,) = node.output
            if result in outputs:
                node.output[0] = f"{result}_half"
                nodes.append(helper.make_node("Cast", [f"{result}_half"], [result], to=TensorProto.FLOAT))
            else:
                halves.add(result)
        else:
            node.input[:] = [
                cast(name, TensorProto.FLOAT, "_float") if name in halves else name for name in node.input
            ]
            nodes.append(node)
    used = {name for node in nodes for name in node.input}
    kept = [tensor for tensor in graph.initializer if tensor.name in used]
    kept += [tensor for tensor in made.values() if tensor is not None]
    for field, values in ((graph.node, nodes), (graph.initializer, kept), (graph.value_info, [])):
        del field[:]
        field.extend(values)
    onnx.checker.check_model(mixed, full_check=True)
    return mixed


def _is_half(node: onnx.NodeProto, halves: set[str], constants: dict[str, onnx.TensorProto]) -> bool:
    """Products and Gelu always; a bias or a new shape where its input is half already."""
    if node.op_type in _HALF:
        return True
    if node.op_type in _RESHAPED:
        return node.input[0] in halves
    biased = node.op_type == "Add" and any(name in constants for name in node.input)
    return biased and any(name in halves for name in node.input)


def _half_constant(tensor: onnx.TensorProto) -> onnx.TensorProto:
    values = numpy_helper.to_array(tensor)
    largest = float(np.abs(values).max(initial=0.0))
    if not largest <= float(np.finfo(np.float16).max):
        raise EndcapError(f"{tensor.name}: {largest:g} does not fit half precision, which ends at 65504")
    return numpy_helper.from_array(values.astype(np.float16), f"{tensor.name}_half")
