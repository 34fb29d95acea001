"""Whether a TensorRT plan fits the Triton config that will serve it, and computes what its graph does."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from endcap_rerank.errors import EndcapError
from endcap_rerank.schema import ENCODE
from endcap_rerank.tokenizer import QueryTokenizer
from tritonclient.grpc import model_config_pb2

from endcap_export.encoder import OnnxEncoder
from endcap_export.generation import read_config
from endcap_export.tensorrt import TensorRTError, collecting_logger, tensorrt_library

PLAN_TOLERANCE = 0.01
"""How far below one the cosine of a plan's embedding to that of fp32 may lie: fp16 keeps three digits."""

_TRITON_TYPES = {"FLOAT": "TYPE_FP32", "HALF": "TYPE_FP16", "INT64": "TYPE_INT64", "INT32": "TYPE_INT32"}
_BATCH = 16


class PlanError(EndcapError):
    """A plan that its config cannot serve; every disagreement is named."""


def check_plan(plan: Path, config: Path) -> None:
    """Hold what was built against a ``config.pbtxt``: Triton would find a disagreement only when it loads.

    Names, dtypes and dims of all tensors; the profile must reach from one text to ``max_batch_size`` of them,
    and every warm-up request must lie in it.

    Args:
        plan: with the ``.json`` that ``build_engine`` wrote beside it.
        config: the file that serves it, ``encode/configs/tensorrt.pbtxt``.

    Raises:
        PlanError: with all disagreements.
        ReleaseError: the config cannot be parsed.
    """
    described = plan.with_suffix(".json")
    try:
        record = json.loads(described.read_text("utf-8"))
        tensors, profiles = dict(record["tensors"]), list(record["profiles"])
    except (OSError, ValueError, KeyError) as error:
        raise PlanError(f"{described}: a record of the engine is expected ({error})") from error
    served = read_config(config)
    wrong = [*_tensor_errors(tensors, served), *_profile_errors(profiles, served)]
    if wrong:
        raise PlanError(f"{plan.name} does not fit {config}: " + "; ".join(wrong))


def _tensor_errors(tensors: dict[str, Any], config: model_config_pb2.ModelConfig) -> list[str]:
    wrong = []
    declared = {node.name: ("input", node) for node in config.input}
    declared |= {node.name: ("output", node) for node in config.output}
    for name in sorted(declared.keys() | tensors.keys()):
        if name not in tensors or name not in declared:
            wrong.append(f"{name} is only in the {'config' if name in declared else 'plan'}")
            continue
        (role, dtype, dims), (kind, node) = tensors[name], declared[name]
        triton = model_config_pb2.DataType.Name(node.data_type)
        if role != kind:
            wrong.append(f"{name} is an {role} of the plan, an {kind} of the config")
        if _TRITON_TYPES.get(dtype) != triton:
            wrong.append(f"{name} is {dtype} in the plan, {triton} in the config")
        if len(dims) != len(node.dims) + 1 or any(
            -1 not in (built, wanted) and built != wanted
            for built, wanted in zip(dims[1:], node.dims, strict=False)
        ):
            wrong.append(f"{name} has dims {dims[1:]} in the plan, {list(node.dims)} in the config")
    return wrong


def _profile_errors(profiles: Sequence[dict[str, Any]], config: model_config_pb2.ModelConfig) -> list[str]:
    if not profiles:
        return ["the plan has no profile"]
    wrong = []
    # Triton takes the first profile where the config names none.
    batch, length = profiles[0]["batch"], profiles[0]["length"]
    for name, (least, usual, most) in (("batch", batch), ("length", length)):
        if not least <= usual <= most:
            wrong.append(f"profile: {name} {least}, {usual}, {most} does not rise")
    if batch[0] > 1 or batch[2] < config.max_batch_size:
        wrong.append(
            f"profile: batches of {batch[0]} to {batch[2]}, max_batch_size is {config.max_batch_size}"
        )
    for request in config.model_warmup:
        pieces = {int(tensor.dims[0]) for tensor in request.inputs.values()}
        fits = all(length[0] <= number <= length[2] for number in pieces)
        if not fits or not batch[0] <= request.batch_size <= batch[2]:
            wrong.append(
                f"warm-up {request.name}: {request.batch_size} x {max(pieces)}; the profile takes "
                f"{batch[0]} to {batch[2]} x {length[0]} to {length[2]}"
            )
    return wrong


def plan_parity(plan: Path, fp32: Path, tokenizer: QueryTokenizer, texts: Sequence[str]) -> float:
    """The least cosine of the plan's embeddings to those of the fp32 graph, on the GPU that is there.

    Raises:
        PlanError: it is more than ``PLAN_TOLERANCE`` below one, or not a number.
        TensorRTError: the plan cannot be run here: no TensorRT, no GPU, or another GPU than it is for.
    """
    exact = OnnxEncoder(fp32)
    worst = 1.0
    with _Running(plan) as running:
        for first in range(0, len(texts), _BATCH):
            tokens = tokenizer.encode(texts[first : first + _BATCH])
            expected, _ = exact.encode(tokens.input_ids, tokens.attention_mask)
            actual = running.embeddings(tokens.input_ids, tokens.attention_mask)
            cosine = float((expected * actual).sum(axis=1).min())
            worst = min(worst, cosine) if np.isfinite(cosine) else -1.0
    if worst < 1 - PLAN_TOLERANCE:
        raise PlanError(
            f"{plan}: refused, an embedding has cosine {worst:.4f} to that of {fp32.name}; "
            f"at least {1 - PLAN_TOLERANCE:g} is expected"
        )
    return worst


class _Running:
    """A plan on the GPU; PyTorch holds the memory."""

    def __init__(self, plan: Path) -> None:
        import torch

        name, trt = tensorrt_library()
        if not torch.cuda.is_available():
            raise TensorRTError(
                f"{plan}: no GPU that PyTorch can use; run this on a machine with an NVIDIA GPU, "
                "in NVIDIA's container or with a CUDA build of PyTorch"
            )
        logger = collecting_logger(trt)
        self._runtime = trt.Runtime(logger)
        self._engine = self._runtime.deserialize_cuda_engine(plan.read_bytes())
        if self._engine is None:
            raise TensorRTError(f"{plan}: {name} {trt.__version__} cannot load it here{logger.said()}")
        self._context = self._engine.create_execution_context()
        self._torch = torch

    def __enter__(self) -> _Running:
        return self

    def __exit__(self, *_: object) -> None:
        del self._context, self._engine, self._runtime

    def embeddings(self, input_ids: np.ndarray, attention_mask: np.ndarray) -> np.ndarray:
        """Embeddings float32 [B, D] of a padded batch."""
        torch = self._torch
        feeds = {"input_ids": input_ids, "attention_mask": attention_mask}
        held = {name: torch.from_numpy(value).contiguous().cuda() for name, value in feeds.items()}
        for name, tensor in held.items():
            self._context.set_input_shape(name, tuple(tensor.shape))
        for spec in ENCODE.outputs:
            shape = tuple(self._context.get_tensor_shape(spec.name))
            held[spec.name] = torch.empty(shape, dtype=torch.float32, device="cuda")
        for name, tensor in held.items():
            self._context.set_tensor_address(name, tensor.data_ptr())
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        if not self._context.execute_async_v3(stream.cuda_stream):
            raise TensorRTError(f"the engine did not run for {list(input_ids.shape)} word pieces")
        stream.synchronize()
        return held["query_embedding"].cpu().numpy()
