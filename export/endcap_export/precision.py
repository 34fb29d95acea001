"""Which numbers matrices are multiplied in."""

from __future__ import annotations

from pathlib import Path

import torch

_CPU = Path("/proc/cpuinfo")
_FAST = {"avx512_bf16", "amx_bf16", "bf16"}
"""Flags of processors that multiply bfloat16 faster than float32: Intel and AMD, and ARM's ``bf16``."""


def resolve_precision(name: str) -> str:
    """``auto`` becomes ``bf16`` where this machine multiplies it fast, else ``fp32``; others stay."""
    if name != "auto":
        return name
    fast = torch.cuda.is_bf16_supported(False) if torch.cuda.is_available() else bool(_FAST & _flags())
    return "bf16" if fast else "fp32"


def _flags() -> set[str]:
    if not _CPU.is_file():
        return set()
    for line in _CPU.read_text("utf-8").splitlines():
        name, _, values = line.partition(":")
        if name.strip() in ("flags", "Features"):
            return set(values.split())
    return set()
