"""ONNX to a TensorRT engine: one code path for NVIDIA's container and for RTX cards.

``tensorrt`` is taken where it can be imported (NVIDIA's container, a GPU), else ``tensorrt_rtx``, which
builds for a named compute capability without a GPU. Networks are strongly typed in both: the precision is
the ONNX graph's own, see ``endcap_export.half``.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from endcap_rerank.errors import EndcapError, InvalidInputError
from endcap_rerank.release import checksum
from endcap_rerank.schema import ENCODE

LIBRARIES = ("tensorrt", "tensorrt_rtx")
DEFAULT_CAPABILITY = "SM120"
"""What an engine is built for where no GPU tells: RTX 50 series."""

_WORKSPACE_BYTES = 1 << 30


@dataclass(frozen=True)
class Profile:
    """The shapes an engine is made for: (least, usual, most).

    Attributes:
        batch: requests at a time; the most must be ``max_batch_size`` of the Triton model at least.
        length: word pieces of a query or a product text.
    """

    batch: tuple[int, int, int] = (1, 1, 32)
    length: tuple[int, int, int] = (1, 12, 64)

    @classmethod
    def of_lengths(cls, lengths: Sequence[int], longest: int) -> Profile:
        """Fit a profile to texts: the engine is fastest at the median length, and takes up to ``longest``.

        Args:
            lengths: word pieces of each text, with the padding that they are served with.
            longest: word pieces at which a text is cut off.

        Raises:
            InvalidInputError: there is no length, or one above ``longest``.
        """
        if not lengths or not 1 <= min(lengths) <= max(lengths) <= longest:
            raise InvalidInputError("lengths", list(lengths)[:8], f"some are expected, of 1 to {longest}")
        return cls(length=(1, int(np.median(lengths)), longest))


@dataclass(frozen=True)
class Engine:
    """What was built; the same is in the ``.json`` beside the plan.

    Attributes:
        tensors: name → (``input`` or ``output``, TensorRT's dtype, dims with -1 where they vary).
        onnx: checksum of the ONNX file.
        timing_cache: whether measured times were read from a file, or kept in one.
    """

    plan: Path
    library: str
    version: str
    hardware: str
    profiles: tuple[Profile, ...]
    tensors: dict[str, tuple[str, str, tuple[int, ...]]]
    onnx: str
    timing_cache: bool
    created_at: str


class TensorRTError(EndcapError):
    """An engine cannot be built; the message holds TensorRT's own lines."""


def build_engine(
    onnx: Path,
    plan: Path,
    *,
    profiles: Sequence[Profile] = (Profile(),),
    capability: str | None = None,
    timing_cache: Path | None = None,
) -> Engine:
    """Build ``plan`` and ``plan``'s ``.json`` from an exported encoder.

    Args:
        onnx: fp32, or fp16 where the graph says so; the int8 forms are for CPUs.
        plan: the file to write.
        profiles: optimization profiles.
        capability: ``SM89`` …, of an RTX card; None is the GPU that is there for ``tensorrt``, and
            ``DEFAULT_CAPABILITY`` for ``tensorrt_rtx``.
        timing_cache: read when it exists and written again: the next build is faster.

    Raises:
        TensorRTError: no library, a graph that cannot be built, an unknown capability, or tensors that
            are not those of ``schema.ENCODE``.
    """
    name, trt = tensorrt_library()
    logger = collecting_logger(trt)
    try:
        builder = trt.Builder(logger)
    except (RuntimeError, TypeError) as error:
        raise TensorRTError(f"{name} cannot start: {error}; it needs an NVIDIA GPU{logger.said()}") from error
    network = builder.create_network(_strongly_typed(trt))
    parser = trt.OnnxParser(network, logger)
    if not parser.parse_from_file(str(onnx)):
        reasons = "; ".join(str(parser.get_error(index)) for index in range(parser.num_errors))
        raise TensorRTError(f"{onnx}: {name} cannot read this graph: {reasons or logger.said()}")
    tensors = _tensors(trt, network)
    _check_tensors(onnx, tensors)
    config = builder.create_builder_config()
    config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, _WORKSPACE_BYTES)
    hardware = _target(trt, name, config, capability)
    for profile in profiles:
        config.add_optimization_profile(_optimization_profile(builder, profile))
    cache = _timing_cache(config, timing_cache)
    serialized = builder.build_serialized_network(network, config)
    if serialized is None:
        raise TensorRTError(f"{onnx}: {name} {trt.__version__} cannot build this graph{logger.said()}")
    plan.write_bytes(serialized)
    if timing_cache is not None and cache is not None:
        timing_cache.write_bytes(cache.serialize())
    engine = Engine(
        plan,
        name,
        trt.__version__,
        hardware,
        tuple(profiles),
        tensors,
        checksum(onnx),
        timing_cache is not None,
        datetime.now(UTC).isoformat(timespec="seconds"),
    )
    described = {**asdict(engine), "plan": plan.name}
    plan.with_suffix(".json").write_text(json.dumps(described, indent=2), "utf-8")
    return engine


def tensorrt_library() -> tuple[str, ModuleType]:
    """The TensorRT that is there, and its name.

    Raises:
        TensorRTError: none is.
    """
    for name in LIBRARIES:
        try:
            return name, importlib.import_module(name)
        except ImportError:
            continue
    raise TensorRTError(
        "no TensorRT: run this in NVIDIA's container (it has tensorrt), "
        "or `pip install tensorrt-rtx` to build for RTX cards, which needs no GPU"
    )


def _strongly_typed(trt: ModuleType) -> int:
    """The creation flag; TensorRT 11 knows no other kind of network and may have dropped it."""
    flag = getattr(trt.NetworkDefinitionCreationFlag, "STRONGLY_TYPED", None)
    return 0 if flag is None else 1 << int(flag)


def _tensors(trt: ModuleType, network: Any) -> dict[str, tuple[str, str, tuple[int, ...]]]:
    found = {}
    for kind, count, get in (
        ("input", network.num_inputs, network.get_input),
        ("output", network.num_outputs, network.get_output),
    ):
        for index in range(count):
            tensor = get(index)
            found[tensor.name] = (kind, tensor.dtype.name, tuple(tensor.shape))
    return found


def _check_tensors(onnx: Path, tensors: dict[str, tuple[str, str, tuple[int, ...]]]) -> None:
    """Hold names and dtypes against the contract: Triton refuses a plan that differs from its config."""
    spelled = {"FP32": "FLOAT", "FP16": "HALF"}
    expected = {
        spec.name: (kind, spelled.get(spec.dtype, spec.dtype))
        for kind, specs in (("input", ENCODE.inputs), ("output", ENCODE.outputs))
        for spec in specs
    }
    actual = {name: (kind, dtype) for name, (kind, dtype, _) in tensors.items()}
    if actual != expected:
        raise TensorRTError(f"{onnx}: has tensors {actual}; {expected} are expected")


def _target(trt: ModuleType, name: str, config: Any, capability: str | None) -> str:
    """Say for which hardware to build, and return its name for the record."""
    if name == "tensorrt":
        if capability is not None:
            raise TensorRTError(
                f"capability: got {capability!r}; tensorrt builds for the GPU that is there, "
                "tensorrt_rtx for a named one"
            )
        return "the GPU of the building machine"
    known = [one for one in trt.ComputeCapability.__members__ if one.startswith("SM")]
    wanted = capability or DEFAULT_CAPABILITY
    if wanted not in known:
        raise TensorRTError(f"capability: got {wanted!r}; one of {', '.join(known)} is expected")
    config.num_compute_capabilities = 1
    config.set_compute_capability(getattr(trt.ComputeCapability, wanted), 0)
    return wanted


def _optimization_profile(builder: Any, profile: Profile) -> Any:
    made = builder.create_optimization_profile()
    for spec in ENCODE.inputs:
        made.set_shape(spec.name, *zip(profile.batch, profile.length, strict=True))
    return made


def _timing_cache(config: Any, file: Path | None) -> Any:
    if file is None:
        return None
    cache = config.create_timing_cache(file.read_bytes() if file.is_file() else b"")
    config.set_timing_cache(cache, False)
    return cache


def collecting_logger(trt: ModuleType) -> Any:
    """A logger that keeps warnings and errors for the message instead of printing them."""

    class Collecting(trt.ILogger):  # type: ignore[name-defined]
        """Keeps TensorRT's warnings and errors."""

        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self.lines: list[str] = []

        def log(self, severity: Any, message: str) -> None:
            """Called by TensorRT."""
            if severity in (trt.ILogger.INTERNAL_ERROR, trt.ILogger.ERROR):
                self.lines.append(message)

        def said(self) -> str:
            return ": " + "; ".join(self.lines[-5:]) if self.lines else ""

    return Collecting()
