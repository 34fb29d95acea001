"""fp32 ONNX to int8 ONNX: which method, and how each compares.

Measured on MiniLM-L6 with a tag head, 200 Home Depot queries, one thread of an AMD EPYC with AVX512-VNNI,
ONNX Runtime 1.32, in turns of 20 runs, least time (``cos``: worst and mean cosine to fp32; ``padded``: worst
cosine between a query alone and the same query in a padded batch of 20):

    ======== ======= ======== ========= ======= =============== ========
    method   size    8 pieces 12 pieces 32 x 16 cos             padded
    ======== ======= ======== ========= ======= =============== ========
    fp32     90.8 MB 3.24 ms  3.92 ms   120 ms  1               0.999999
    static   23.7 MB 0.80 ms  1.12 ms   47 ms   0.9951, 0.9982  0.999999
    rowwise  23.7 MB 0.91 ms  1.33 ms   52 ms   0.9942, 0.9978  0.999999
    dynamic  23.6 MB 0.93 ms  1.32 ms   53 ms   0.9865, 0.9949  0.985311
    nbits    59.3 MB 1.57 ms  2.41 ms   102 ms  0.9989, 0.9995  0.999999
    ======== ======= ======== ========= ======= =============== ========

``static`` is the default: the fastest, closer to fp32 than all but ``nbits``, and a query's embedding does
not depend on which other queries Triton happened to batch it with, because no scale depends on what else is
there. (u8 x u8 weights were slower; without VNNI, u8 x s8 products may saturate.)

int8 forms are made of the fused graph (``fuse``). The fp32 encoder of a release stays plain: fused it gains
2% at batch 1, loses 25% at 32 x 16, and TensorRT could not read it.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import onnx
from endcap_rerank.errors import InvalidInputError
from endcap_rerank.tokenizer import Tokens
from onnx import TensorProto

from endcap_export.fuse import fuse
from endcap_export.rowwise import quantize_rowwise
from endcap_export.static import activation_ranges, quantize_static

METHODS = ("static", "rowwise", "dynamic", "nbits")


def quantize(source: Path, target: Path, method: str = "static", samples: Sequence[Tokens] = ()) -> None:
    """Write the int8 form of an fp32 encoder.

    Args:
        source: what ``export_onnx`` wrote.
        target: the file to write.
        method: ``static`` (int8 weights a column, int8 activations with scales from ``samples``),
            ``rowwise`` (the same weights, activations a word piece), ``dynamic`` (ONNX Runtime's, activations
            a tensor), or ``nbits`` (8-bit blocks of 64, activations a row).
        samples: texts of every kind that will be encoded; only ``static`` looks at them, and needs some.

    Raises:
        InvalidInputError: an unknown method, or ``static`` without samples.
    """
    if method not in METHODS:
        raise InvalidInputError("method", method, f"one of {', '.join(METHODS)} is expected")
    if method == "static" and not sum(len(tokens.input_ids) for tokens in samples):
        raise InvalidInputError("samples", len(samples), "static quantization needs texts")
    fused = fuse(onnx.load(source))
    with _quiet():
        if method == "static":
            onnx.save(quantize_static(fused, activation_ranges(fused, samples)), target)
        elif method == "rowwise":
            onnx.save(quantize_rowwise(fused), target)
        elif method == "dynamic":
            from onnxruntime.quantization import QuantType, quantize_dynamic

            quantize_dynamic(
                fused,
                target,
                op_types_to_quantize=["MatMul", "Gather"],
                per_channel=True,
                weight_type=QuantType.QInt8,
                extra_options={"DefaultTensorType": TensorProto.FLOAT},
            )
        else:
            from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer

            quantizer = MatMulNBitsQuantizer(
                fused, bits=8, block_size=64, is_symmetric=True, accuracy_level=4
            )
            quantizer.process()
            quantizer.model.save_model_to_file(str(target), False)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the quantizers' line for every node, which they send to the root logger."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)
