"""fp32 ONNX to int8 ONNX.

Measured on MiniLM-L6 with a tag head, 200 Home Depot queries, one thread of an AMD EPYC with AVX512-VNNI,
ONNX Runtime 1.32 (``cos``: worst and mean cosine to fp32; ``padded``: worst cosine between a query alone and
the same query in a padded batch of 20):

    ======== ======= ========== =========== =============== ========
    method   size    9 pieces   32 x 16     cos             padded
    ======== ======= ========== =========== =============== ========
    fp32     90.8 MB 3.8 ms     122 ms      1               1.000000
    rowwise  23.9 MB 1.25 ms    56 ms       0.9942, 0.9971  0.999999
    dynamic  23.2 MB 1.07 ms    49 ms       0.9863, 0.9930  0.982648
    nbits    59.5 MB 2.12 ms    97 ms       0.9990, 0.9994  0.999999
    ======== ======= ========== =========== =============== ========

``rowwise`` is the default: nearly as fast as ONNX Runtime's own dynamic quantization, closer to fp32, and a
query's embedding does not depend on which other queries Triton happened to batch it with, because each word
piece has its own scale. (u8 x u8 weights took 1.75 ms; without VNNI, u8 x s8 products may saturate.)
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from endcap_rerank.errors import InvalidInputError
from onnx import TensorProto, helper, numpy_helper

METHODS = ("rowwise", "dynamic", "nbits")

_ACTIVATION_LEVELS = 127
_SMALLEST_TABLE = 1000
"""Rows from which an embedding table is worth quantizing: the vocabulary, not the positions."""


def quantize(source: Path, target: Path, method: str = "rowwise") -> None:
    """Write the int8 form of an fp32 encoder.

    Args:
        source: what ``export_onnx`` wrote.
        target: the file to write.
        method: ``rowwise`` (int8 weights a column, int8 activations a word piece), ``dynamic`` (ONNX
            Runtime's, activations a tensor), or ``nbits`` (8-bit blocks of 64, activations a row).

    Raises:
        InvalidInputError: an unknown method.
    """
    if method not in METHODS:
        raise InvalidInputError("method", method, f"one of {', '.join(METHODS)} is expected")
    with _quiet():
        if method == "rowwise":
            onnx.save(quantize_rowwise(onnx.load(source)), target)
        elif method == "dynamic":
            from onnxruntime.quantization import QuantType, quantize_dynamic

            quantize_dynamic(
                source,
                target,
                op_types_to_quantize=["MatMul", "Gather"],
                per_channel=True,
                weight_type=QuantType.QInt8,
                extra_options={"DefaultTensorType": TensorProto.FLOAT},
            )
        else:
            from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer

            quantizer = MatMulNBitsQuantizer(
                onnx.load(source), bits=8, block_size=64, is_symmetric=True, accuracy_level=4
            )
            quantizer.process()
            quantizer.model.save_model_to_file(str(target), False)


def quantize_rowwise(model: onnx.ModelProto) -> onnx.ModelProto:
    """Replace products with constant matrices, and the vocabulary table, by int8 forms.

    For X [.., K] and a constant W [K, N], with p = max|x| of each row of X and c = max|w| / 127 of each
    column of W:

        X W ≈ p (round(127 X / p) · round(W / c)) c / 127

    The middle product is one integer matrix product (``MatMulIntegerToFloat``, u8 with zero point 128
    times s8, which is one VNNI instruction). Inputs that several products share are quantized once.

    Returns:
        ``model`` itself, changed.
    """
    graph = model.graph
    constants = {tensor.name: tensor for tensor in graph.initializer}
    added: dict[str, npt.NDArray[Any]] = {
        "row_epsilon": np.array(1e-9, np.float32),
        "row_step": np.array(1 / _ACTIVATION_LEVELS, np.float32),
        "row_zero": np.array(128, np.uint8),
        "row_axis": np.array([-1], np.int64),
    }
    nodes: list[onnx.NodeProto] = []
    quantized: set[str] = set()
    for node in graph.node:
        weight = constants.get(node.input[1]) if node.op_type == "MatMul" else None
        table = constants.get(node.input[0]) if node.op_type == "Gather" else None
        if weight is not None and len(weight.dims) == 2:
            source, name, result = node.input[0], node.input[1], node.output[0]
            if source not in quantized:
                nodes += _quantize_rows(source)
                quantized.add(source)
            if f"{name}_int8" not in added:
                integers, steps = _int8(numpy_helper.to_array(weight), axis=0)
                added[f"{name}_int8"] = integers
                added[f"{name}_step"] = steps.ravel()
                added[f"{name}_zero"] = np.zeros(steps.size, np.int8)
            operands = [
                f"{source}_int8",
                f"{name}_int8",
                "row_step",
                f"{name}_step",
                "row_zero",
                f"{name}_zero",
            ]
            nodes += [
                helper.make_node(
                    "MatMulIntegerToFloat", operands, [f"{result}_unit"], domain="com.microsoft"
                ),
                helper.make_node("Mul", [f"{result}_unit", f"{source}_peak"], [result]),
            ]
        elif table is not None and len(table.dims) == 2 and table.dims[0] >= _SMALLEST_TABLE:
            name, indices, result = node.input[0], node.input[1], node.output[0]
            added[f"{name}_int8"], added[f"{name}_step"] = _int8(numpy_helper.to_array(table), axis=1)
            nodes += [
                helper.make_node("Gather", [f"{name}_int8", indices], [f"{result}_int8"]),
                helper.make_node("Gather", [f"{name}_step", indices], [f"{result}_step"]),
                helper.make_node("Cast", [f"{result}_int8"], [f"{result}_unit"], to=TensorProto.FLOAT),
                helper.make_node("Mul", [f"{result}_unit", f"{result}_step"], [result]),
            ]
        else:
            nodes.append(node)
    used = {name for node in nodes for name in node.input}
    kept = [tensor for name, tensor in constants.items() if name in used]
    kept += [numpy_helper.from_array(np.ascontiguousarray(value), name) for name, value in added.items()]
    for field, values in ((graph.node, nodes), (graph.initializer, kept)):
        del field[:]
        field.extend(values)
    if not any(opset.domain == "com.microsoft" for opset in model.opset_import):
        model.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    return model


def _quantize_rows(source: str) -> list[onnx.NodeProto]:
    """Nodes that make ``source_int8`` [.., K] and ``source_peak`` [.., 1]."""
    return [
        helper.make_node("Abs", [source], [f"{source}_abs"]),
        helper.make_node("ReduceMax", [f"{source}_abs", "row_axis"], [f"{source}_max"], keepdims=1),
        helper.make_node("Add", [f"{source}_max", "row_epsilon"], [f"{source}_peak"]),
        helper.make_node("Div", [source, f"{source}_peak"], [f"{source}_scaled"]),
        helper.make_node("QuantizeLinear", [f"{source}_scaled", "row_step", "row_zero"], [f"{source}_int8"]),
    ]


def _int8(
    weights: npt.NDArray[np.float32], axis: int
) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.float32]]:
    """Integers from -127 to 127 and the step of each slice along ``axis``, with kept dims."""
    steps = np.maximum(np.abs(weights).max(axis=axis, keepdims=True), 1e-9) / 127
    return np.round(weights / steps).astype(np.int8), steps.astype(np.float32)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the quantizers' line for every node, which they send to the root logger."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)
