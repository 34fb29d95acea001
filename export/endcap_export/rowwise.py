"""int8 with a scale for each word piece, found while encoding: needs no texts to calibrate on."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import helper, numpy_helper

from endcap_export.fuse import CONTRIB
from endcap_export.integers import LEVELS, Arrays, find_products, int8, quantize_tables, with_nodes


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
    products = find_products(graph)
    added: Arrays = {
        "row_epsilon": np.array(1e-9, np.float32),
        "row_step": np.array(1 / LEVELS, np.float32),
        "row_zero": np.array(128, np.uint8),
        "row_axis": np.array([-1], np.int64),
    }
    nodes: list[onnx.NodeProto] = []
    quantized: set[str] = set()
    for node in graph.node:
        made = node.output[0]
        if made not in products:
            nodes.append(node)
            continue
        source, name = products[made].source, products[made].weight.name
        if source not in quantized:
            nodes += _quantize_rows(source)
            quantized.add(source)
        if f"{name}_int8" not in added:
            integers, steps = int8(numpy_helper.to_array(products[made].weight), axis=0)
            added[f"{name}_int8"], added[f"{name}_step"] = integers, steps.ravel()
        operands = [f"{source}_int8", f"{name}_int8", "row_step", f"{name}_step", "row_zero"]
        nodes += [
            helper.make_node("MatMulIntegerToFloat", operands, [f"{made}_unit"], domain=CONTRIB),
            helper.make_node("Mul", [f"{made}_unit", f"{source}_peak"], [made]),
        ]
    return with_nodes(model, quantize_tables(nodes, graph, added), added)


def _quantize_rows(source: str) -> list[onnx.NodeProto]:
    """Nodes that make ``source_int8`` [.., K] and ``source_peak`` [.., 1]."""
    return [
        helper.make_node("Abs", [source], [f"{source}_abs"]),
        helper.make_node("ReduceMax", [f"{source}_abs", "row_axis"], [f"{source}_max"], keepdims=1),
        helper.make_node("Add", [f"{source}_max", "row_epsilon"], [f"{source}_peak"]),
        helper.make_node("Div", [source, f"{source}_peak"], [f"{source}_scaled"]),
        helper.make_node("QuantizeLinear", [f"{source}_scaled", "row_step", "row_zero"], [f"{source}_int8"]),
    ]
