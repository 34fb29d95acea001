"""Processes as Linux's /proc shows them, so that tests need no further library."""

from __future__ import annotations

import time
from pathlib import Path


def alive(pid):
    """Whether a process runs; one that ended and only waits to be collected does not."""
    state = _state(pid)
    return state is not None and state[0] not in "ZX"


def name_of(pid):
    """The program's name, at most 15 characters."""
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def children_of(pid):
    """Ids of a process's children, their children and so on."""
    parents = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and (state := _state(folder.name)) is not None:
            parents[int(folder.name)] = int(state[1])
    found, layer = [], {pid}
    while layer:
        layer = {child for child, parent in parents.items() if parent in layer}
        found += sorted(layer)
    return found


def wait_until(condition, seconds=30):
    """Poll until a condition holds."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "timed out"
        time.sleep(0.05)


def _state(pid):
    """State letter and parent of a process."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[:2]
    except OSError:
        return None
