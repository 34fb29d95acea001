"""A plain encoder graph to one with ONNX Runtime's fused operators, for CPUs.

ONNX Runtime's own optimizer recognizes little of what the dynamo exporter writes, and less once products are
in int8. At batch 1 a node costs about as much as what it computes, so the graph is rewritten here: 210 nodes
of MiniLM-L6 become 108. All operators are in ONNX Runtime since 1.17, in C++ as well as in Python. TensorRT
knows none of them: it is given the plain graph.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
from endcap_rerank.errors import EndcapError
from onnxscript.rewriter import pattern

CONTRIB = "com.microsoft"

V = ir.Value


def fuse(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same encoder in fewer nodes: attention and position embeddings fused.

    Args:
        model: what ``export_onnx`` wrote. Patterns that are not in it are left as they are.

    Returns:
        A new model.

    Raises:
        EndcapError: the graph lacks an input ``attention_mask``.
    """
    graph = ir.from_proto(model)
    if "attention_mask" not in {value.name for value in graph.graph.inputs}:
        raise EndcapError("the graph to fuse has no input attention_mask")
    rules = [
        pattern.RewriteRule(_attention, _fused_attention),
        pattern.RewriteRule(_embeddings, _fused_embeddings, _types_are_zero),
    ]
    pattern.RewriteRuleSet(rules).apply_to_model(graph)
    ir.passes.Sequential(
        ir.passes.common.RemoveUnusedNodesPass(), ir.passes.common.CommonSubexpressionEliminationPass()
    )(graph)
    return ir.to_proto(graph)


def _attention(
    op: Any, x: V, wq: V, bq: V, wk: V, bk: V, wv: V, bv: V, split: V, scale: V, mask: V, joined: V
) -> Any:
    query = op.Transpose(op.Reshape(op.Add(op.MatMul(x, wq), bq), split), perm=[0, 2, 1, 3])
    key = op.Transpose(op.Reshape(op.Add(op.MatMul(x, wk), bk), split), perm=[0, 2, 3, 1])
    value = op.Transpose(op.Reshape(op.Add(op.MatMul(x, wv), bv), split), perm=[0, 2, 1, 3])
    scores = op.Softmax(op.Add(op.Mul(op.MatMul(query, key), scale), mask), axis=-1)
    return op.Reshape(op.Transpose(op.MatMul(scores, value), perm=[0, 2, 1, 3]), joined)


def _fused_attention(
    op: Any, x: V, wq: V, bq: V, wk: V, bk: V, wv: V, bv: V, split: V, scale: V, mask: V, joined: V
) -> Any:
    """One product for query, key and value: one larger matrix, and one quantization of its input.

    The mask of the operator is a boolean of pieces, its fill value that of ``model.MASKED``.
    """
    name = wq.name
    weight = op.initializer(
        ir.tensor(np.concatenate([_array(w) for w in (wq, wk, wv)], axis=1)), name=f"{name}_qkv"
    )
    bias = op.initializer(
        ir.tensor(np.concatenate([_array(b) for b in (bq, bk, bv)])), name=f"{name}_qkv_bias"
    )
    heads = round(_array(wq).shape[1] * float(_array(scale)) ** 2)
    pieces = op.Cast(_input(mask, "attention_mask"), to=ir.DataType.INT32)
    query, key, value = op.Split(op.Add(op.MatMul(x, weight), bias), axis=-1, num_outputs=3, _outputs=3)
    return op.MultiHeadAttention(
        query, key, value, None, pieces, num_heads=heads, mask_filter_value=-1e4, _domain=CONTRIB, _version=1
    )


def _embeddings(op: Any, words: V, ids: V, types: V, type_ids: V, positions: V, position_ids: V) -> Any:
    tokens = op.Add(op.Gather(words, ids), op.Gather(types, type_ids))
    return op.Add(tokens, op.Gather(positions, position_ids))


def _types_are_zero(context: Any, types: V, positions: V, type_ids: V, **_: Any) -> bool:
    """The exporter's type ids come from a buffer of zeros, and both tables are constants."""
    return types.const_value is not None and positions.const_value is not None and _all_zero(type_ids)


def _fused_embeddings(op: Any, words: V, ids: V, types: V, type_ids: V, positions: V, position_ids: V) -> Any:
    """Position i of every text is i and its type 0, so both tables are one, read from its start."""
    table = op.initializer(ir.tensor(_array(positions) + _array(types)[0]), name=f"{positions.name}_typed")
    start = op.initializer(ir.tensor(np.zeros(1, np.int64)), name=f"{positions.name}_start")
    length = op.Shape(ids, start=1, end=2)
    return op.Add(op.Gather(words, ids), op.Slice(table, start, length, start))


def _all_zero(value: V) -> bool:
    """Whether only zeros can come out: a constant, or a selection from one."""
    while value.const_value is None:
        node = value.producer()
        if (
            node is None
            or node.op_type not in ("Expand", "GatherElements", "Slice")
            or node.inputs[0] is None
        ):
            return False
        value = node.inputs[0]
    return not _array(value).any()


def _array(value: V) -> np.ndarray:
    if value.const_value is None:
        raise EndcapError(f"{value.name}: a constant is expected in the graph to fuse")
    return value.const_value.numpy()


def _input(value: V, name: str) -> V:
    """The graph's input called ``name``, found from any value that a node of the graph made."""
    node = value.producer()
    if node is None or node.graph is None:
        raise EndcapError(f"{value.name}: a node is expected to make it in the graph to fuse")
    return next(one for one in node.graph.inputs if one.name == name)
