"""PyTorch to ONNX, with a free batch and a free length."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path

import torch
from endcap_rerank.schema import ENCODE

from endcap_export.model import TwoHeadBert


def export_onnx(model: TwoHeadBert, file: Path) -> None:
    """Write ``model`` as fp32 ONNX with the tensors of ``schema.ENCODE``, the last dims fixed.

    The dynamo exporter is the only one that is right: with transformers 5 the older one bakes the
    example's padding in and is silently wrong (by 0.05) on other batches. ``check_parity`` proves the
    result.
    """
    model.eval()
    # Plain attention: ONNX Runtime fuses it, and has nothing to guard against NaN.
    model.set_attn_implementation("eager")
    # Two rows and unlike lengths: a dimension of 1 in the example would be taken for a constant.
    input_ids = torch.ones((2, 7), dtype=torch.int64)
    attention_mask = torch.ones_like(input_ids)
    attention_mask[1, 4:] = 0
    batch, length = torch.export.Dim("batch"), torch.export.Dim("length")
    levels = {name: logging.getLogger(name).level for name in ("torch.onnx", "onnxscript", "onnx_ir")}
    try:
        for name in levels:
            logging.getLogger(name).setLevel(logging.ERROR)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.onnx.export(
                model,
                (input_ids, attention_mask),
                str(file),
                dynamo=True,
                external_data=False,
                verbose=False,
                input_names=[tensor.name for tensor in ENCODE.inputs],
                output_names=[tensor.name for tensor in ENCODE.outputs],
                dynamic_shapes={
                    "input_ids": {0: batch, 1: length},
                    "attention_mask": {0: batch, 1: length},
                },
            )
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)
