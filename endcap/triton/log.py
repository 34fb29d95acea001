"""Reading tritonserver's log: how far it has come, and what it says when it fails."""

from __future__ import annotations

import re
from pathlib import Path

_LOADED = re.compile(r"successfully loaded '([^']+)'")
_LINE = re.compile(r"^[EWI]\d{4} [\d:.]+ \d+ \S+?:\d+\] ?")
_HARMLESS = ("CUDA", "CudaDriver", "NVML", "pinned memory", "DCGM", "GPU metrics")
_ADDRESS_IN_USE = ("Address already in use", "failed to start HTTP", "Unable to start", "in use")


def loaded_models(log: str) -> list[str]:
    """Names of the models that were loaded so far, in order."""
    return list(dict.fromkeys(_LOADED.findall(log)))


def failure(log: str, *, limit: int = 40) -> str:
    """The part of a log that says why the server did not start, in Triton's own words.

    Error lines, the lines that belong to them (a Python traceback, the table of models that are not
    READY), and the last words (``error: creating server: …``); the whole tail where none is found.
    """
    kept: list[str] = []
    keeping = False
    for line in log.splitlines():
        if start := _LINE.match(line):
            # The status tables of backends and of models are INFO; only the models' tells of failures.
            keeping = line.startswith("E") and not any(word in line for word in _HARMLESS)
            text = line[start.end() :].strip('"')
        else:
            keeping = keeping or line.startswith("error:") or "UNAVAILABLE" in line
            if any(word in line for word in _HARMLESS):
                continue
            text = line
            if not (keeping or "UNAVAILABLE" in line):
                continue
        if (keeping or "UNAVAILABLE" in text) and text.strip() and text not in kept:
            kept.append(text)
    return "\n".join(kept[-limit:] if kept else log.splitlines()[-limit:])


def port_taken(log: str) -> bool:
    """Whether the server ended because a port was taken between choosing and binding it."""
    return any(phrase in log for phrase in _ADDRESS_IN_USE)


def read(file: Path) -> str:
    """The log so far; bytes that are not UTF-8 are replaced (users' queries can stand in tracebacks)."""
    return file.read_bytes().decode("utf-8", "replace") if file.exists() else ""
