"""int8 with fixed scales, from the ranges that activations have on the shop's own texts.

Each activation X [.., K] gets one scale for good, so a text's result can depend neither on padding nor on the
batch, and a product with its bias is a single node. One scale would be coarse where a few channels are far
larger than the rest (in MiniLM some reach 28, most stay below 2), so these are scaled down before and their
weights up: SmoothQuant, Xiao et al. 2023, https://arxiv.org/abs/2211.10438. Where it is coarse even so, the
product stays in fp32.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime as ort
from endcap_rerank.tokenizer import Tokens
from onnx import helper, numpy_helper

from endcap_export.fuse import CONTRIB
from endcap_export.integers import Arrays, Product, find_products, int8, quantize_tables, with_nodes

SMOOTHING = 0.7
"""SmoothQuant's alpha: 0 leaves the range to the activations, 1 moves it all to the weights.

Mean cosine to fp32 on queries, MiniLM: 0.994 at 0.5, 0.998 at 0.7, 0.9987 at 0.85, 0.997 at 1; the worst
query and texts of other kinds are best near 0.7.
"""

LEFT = 24
"""One product in so many stays in fp32: those that int8 would make the largest errors in.

Of MiniLM's 24 that is the second one of the first feed-forward block, whose result is added to the states
that all later layers read. What is lost with it, and the speed, are ``int8_f1_loss`` and
``int8_speedup_onnx`` of ``endcap bench quality``.
"""

Smoothing = Mapping[str, npt.NDArray[np.float32]]
"""Activation → what each of its channels is divided by, float32 [K]."""

_STEPS = 255
_BATCH = 16


@dataclass(frozen=True)
class Range:
    """Least and largest value of each channel of an activation: float32 [K] both."""

    low: npt.NDArray[np.float32]
    high: npt.NDArray[np.float32]


def activation_ranges(model: onnx.ModelProto, samples: Sequence[Tokens]) -> dict[str, Range]:
    """Run ``model`` on ``samples`` and see how large each product's input gets, padding left out.

    Args:
        model: a fused fp32 encoder.
        samples: texts as they will come; the more kinds of them, the fewer values are cut off later.
    """
    names = list(dict.fromkeys(product.source for product in find_products(model.graph).values()))
    watched = onnx.ModelProto()
    watched.CopyFrom(model)
    watched.graph.output.extend(
        helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in names
    )
    options = ort.SessionOptions()
    options.log_severity_level = 3
    session = ort.InferenceSession(watched.SerializeToString(), options, providers=["CPUExecutionProvider"])
    ranges: dict[str, Range] = {}
    for tokens in samples:
        for first in range(0, len(tokens.input_ids), _BATCH):
            mask = tokens.attention_mask[first : first + _BATCH]
            feeds = {"input_ids": tokens.input_ids[first : first + _BATCH], "attention_mask": mask}
            for name, values in zip(names, session.run(names, feeds), strict=True):
                pieces = values[mask == 1]
                low, high = pieces.min(axis=0), pieces.max(axis=0)
                before = ranges.get(name, Range(low, high))
                ranges[name] = Range(np.minimum(before.low, low), np.maximum(before.high, high))
    return ranges


def quantize_static(model: onnx.ModelProto, ranges: Mapping[str, Range]) -> onnx.ModelProto:
    """Replace products with constant matrices, and the vocabulary table, by int8 forms with fixed scales.

    For X [.., K], W [K, N] and bias b, with s [K] that evens the channels out, a step a and a zero point z:

        X W + b ≈ a (round(X / s / a) + z - z) · round(s W / c) c + b

    Returns:
        ``model`` itself, changed.
    """
    graph = model.graph
    products = find_products(graph)
    smoothing = _smoothing(products.values(), ranges)
    for made in _roughest(products, ranges, smoothing)[: len(products) // LEFT]:
        del products[made]
    replaced = {name for product in products.values() for name in product.nodes}
    added: Arrays = {}
    nodes: list[onnx.NodeProto] = []
    for node in graph.node:
        made = node.output[0]
        if made not in replaced:
            nodes.append(node)
        if made not in products:
            continue
        product = products[made]
        source, name = product.source, product.weight.name
        if f"{source}_step" not in added:
            nodes += _quantized_input(source, ranges[source], smoothing[source], added)
        scaled = smoothing[source][:, None] * numpy_helper.to_array(product.weight)
        integers, steps = int8(scaled, axis=0)
        added[f"{name}_int8"], added[f"{name}_step"] = integers, steps.ravel()
        # Weights have no zero point: left out, ONNX Runtime need not sum each row of X for it.
        zero = [f"{source}_zero", ""]
        operands = [f"{source}_int8", f"{name}_int8", f"{source}_step", f"{name}_step", *zero]
        bias = [product.bias] if product.bias else []
        nodes.append(
            helper.make_node("MatMulIntegerToFloat", [*operands, *bias], [product.result], domain=CONTRIB)
        )
    return with_nodes(model, quantize_tables(nodes, graph, added), added)


def _roughest(
    products: Mapping[str, Product], ranges: Mapping[str, Range], smoothing: Smoothing
) -> list[str]:
    """The products, that with the largest error first.

    Rounding to steps of a leaves an error of variance a² / 12 in each channel, so a / √12 · √Σₖ (sₖ Wₖⱼ)² in
    column j; its root mean square over the columns.
    """
    errors = {}
    for made, product in products.items():
        evened = smoothing[product.source]
        scaled = evened[:, None] * numpy_helper.to_array(product.weight)
        errors[made] = _step(ranges[product.source], evened)[0] * np.sqrt((scaled**2).sum(axis=0).mean() / 12)
    return sorted(errors, key=errors.__getitem__, reverse=True)


def _smoothing(products: Iterable[Product], ranges: Mapping[str, Range]) -> Smoothing:
    """What each channel of an activation is divided by, [K]: max|x|^alpha / max|w|^(1 - alpha)."""
    largest: dict[str, npt.NDArray[np.float32]] = {}
    for product in products:
        weight = np.abs(numpy_helper.to_array(product.weight)).max(axis=1)
        largest[product.source] = np.maximum(weight, largest.get(product.source, 1e-5))
    found = {}
    for source, weight in largest.items():
        activation = np.maximum(np.maximum(ranges[source].high, -ranges[source].low), 1e-5)
        found[source] = (activation**SMOOTHING / weight ** (1 - SMOOTHING)).astype(np.float32)
    return found


def _step(seen: Range, smoothing: npt.NDArray[np.float32]) -> tuple[float, int]:
    """The scale of an evened-out activation and its zero point."""
    low = min(float((seen.low / smoothing).min()), 0.0)
    high = max(float((seen.high / smoothing).max()), 0.0)
    step = max(high - low, 1e-9) / _STEPS
    return step, round(-low / step)


def _quantized_input(
    source: str, seen: Range, smoothing: npt.NDArray[np.float32], added: Arrays
) -> list[onnx.NodeProto]:
    """Nodes that make ``source_int8``, u8 with a zero point: after GELU nearly all is positive."""
    step, zero = _step(seen, smoothing)
    added[f"{source}_even"] = 1 / smoothing
    added[f"{source}_step"] = np.array(step, np.float32)
    added[f"{source}_zero"] = np.array(zero, np.uint8)
    scale = [f"{source}_step", f"{source}_zero"]
    return [
        helper.make_node("Mul", [source, f"{source}_even"], [f"{source}_smooth"]),
        helper.make_node("QuantizeLinear", [f"{source}_smooth", *scale], [f"{source}_int8"]),
    ]
