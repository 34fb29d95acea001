"""Fast kernels of OpenBLAS on processors that its copy in numpy does not recognize.

numpy 1.26 comes with OpenBLAS 0.3.23. On an Intel of model 207 (Emerald Rapids) it took the kernels of a
Pentium 4 (Prescott): the similarities of one vector of 384 to 200 others took 24 µs instead of 5, and a
search has some 60 such products. OpenBLAS reads OPENBLAS_CORETYPE when it is loaded.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from pathlib import Path

CORETYPE = "OPENBLAS_CORETYPE"
CPUINFO = Path("/proc/cpuinfo")

_AVX512 = frozenset({"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"})
_AVX2 = frozenset({"avx2", "fma"})


def core_type(cpuinfo: Path = CPUINFO) -> str | None:
    """The kernels for what this processor says it can do; None where OpenBLAS is left to choose."""
    try:
        lines = cpuinfo.read_text("utf-8", "replace").splitlines()
    except OSError:
        return None
    said: dict[str, str] = {}
    for name, _, value in (line.partition(":") for line in lines):
        said.setdefault(name.strip(), value.strip())
    can = set(said.get("flags", "").split())
    if not can >= _AVX2:
        return None
    if said.get("vendor_id") == "AuthenticAMD":
        return "Zen"
    if said.get("vendor_id") == "GenuineIntel":
        return "SkylakeX" if can >= _AVX512 else "Haswell"
    return None


def choose_kernels(environment: MutableMapping[str, str]) -> None:
    """Name the kernels for processes that start with ``environment``, unless it names some already."""
    if CORETYPE not in environment and (kernels := core_type()) is not None:
        environment[CORETYPE] = kernels
