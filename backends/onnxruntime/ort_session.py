"""An ONNX Runtime session as a model's ``config.pbtxt`` asks for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnxruntime as ort

DEFAULT_MODEL = "model.onnx"

# The C++ backend's values of optimization.graph.level; everything is on where it is left out.
GRAPH_LEVELS = {
    -1: ort.GraphOptimizationLevel.ORT_ENABLE_BASIC,
    0: ort.GraphOptimizationLevel.ORT_ENABLE_ALL,
    1: ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED,
    2: ort.GraphOptimizationLevel.ORT_DISABLE_ALL,
}
CPU_ACCELERATORS = {"openvino": "OpenVINOExecutionProvider", "dnnl": "DnnlExecutionProvider"}
SWITCHES = ("enable_mem_arena", "enable_mem_pattern")
READ_PARAMETERS = {"intra_op_thread_count", "inter_op_thread_count", "execution_mode", *SWITCHES}


def open_session(config: dict[str, Any], version: str | Path) -> tuple[ort.InferenceSession, list[str]]:
    """Open the model file of a version folder.

    Args:
        config: the model configuration as Triton passes it (JSON of ``ModelConfig``).
        version: folder of the version; it holds ``default_model_filename``.

    Returns:
        The session, and warnings about settings that have no effect on this CPU backend.

    Raises:
        ValueError: no model file, or a setting has an impossible value.
    """
    file = Path(version) / (config.get("default_model_filename") or DEFAULT_MODEL)
    if not file.exists():
        raise ValueError(f"{file} does not exist")
    options, notes = session_options(config)
    providers, more = execution_providers(config)
    try:
        return ort.InferenceSession(str(file), options, providers=providers), notes + more
    except Exception as error:
        raise ValueError(f"{file}: ONNX Runtime cannot open it: {error}") from error


def session_options(config: dict[str, Any]) -> tuple[ort.SessionOptions, list[str]]:
    """Threads, execution mode and graph optimizations; names as in the C++ backend's documentation.

    Raises:
        ValueError: names the parameter.
    """
    options, notes = ort.SessionOptions(), []
    options.log_severity_level = 3
    parameters = {name: entry["string_value"] for name, entry in config.get("parameters", {}).items()}
    options.intra_op_num_threads = _integer(parameters, "intra_op_thread_count")
    options.inter_op_num_threads = _integer(parameters, "inter_op_thread_count")
    if _integer(parameters, "execution_mode", most=1):
        options.execution_mode = ort.ExecutionMode.ORT_PARALLEL
    options.enable_cpu_mem_arena = bool(_integer(parameters, "enable_mem_arena", default=1, most=1))
    options.enable_mem_pattern = bool(_integer(parameters, "enable_mem_pattern", default=1, most=1))
    graph = config.get("optimization", {}).get("graph", {})
    level = int(graph.get("level", 0))
    if level not in GRAPH_LEVELS:
        raise ValueError(f"optimization.graph.level: got {level}; -1, 1 or 2 is expected")
    options.graph_optimization_level = GRAPH_LEVELS[level]
    notes += [
        f"parameter {name!r} has no effect on the CPU stand-in"
        for name in sorted(set(parameters) - READ_PARAMETERS)
    ]
    return options, notes


def execution_providers(config: dict[str, Any]) -> tuple[list[str], list[str]]:
    """CPU accelerators that this ONNX Runtime has, then the plain CPU; warnings about the rest."""
    providers, notes = [], []
    accelerators = config.get("optimization", {}).get("execution_accelerators", {})
    for accelerator in accelerators.get("cpu_execution_accelerator", []):
        name = accelerator["name"]
        provider = CPU_ACCELERATORS.get(name)
        if provider in ort.get_available_providers():
            providers.append(provider)
        else:
            notes.append(f"CPU accelerator {name!r} is not in this ONNX Runtime; served by the plain CPU")
    notes += [
        f"GPU accelerator {accelerator['name']!r} is ignored: this stand-in serves on the CPU"
        for accelerator in accelerators.get("gpu_execution_accelerator", [])
    ]
    if any(group.get("kind") == "KIND_GPU" for group in config.get("instance_group", [])):
        notes.append("instance_group asks for KIND_GPU: this stand-in serves on the CPU")
    return [*providers, "CPUExecutionProvider"], notes


def _integer(parameters: dict[str, str], name: str, *, default: int = 0, most: int = 1024) -> int:
    raw = parameters.get(name, str(default))
    try:
        value = int(raw)
    except ValueError:
        value = -1
    if not 0 <= value <= most:
        raise ValueError(f"parameter {name}: got {raw!r}; an integer from 0 to {most} is expected")
    return value
