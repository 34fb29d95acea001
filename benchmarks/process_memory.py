"""Memory of a process and all that it started, from Linux' /proc."""

from __future__ import annotations

from pathlib import Path


def tree(pid: int) -> list[int]:
    """A process and its descendants, those that still live."""
    found, waiting = [], [pid]
    while waiting:
        each = waiting.pop()
        try:
            children = [
                child
                for task in Path(f"/proc/{each}/task").iterdir()
                for child in (task / "children").read_text("ascii").split()
            ]
        except OSError:
            continue
        found.append(each)
        waiting += [int(child) for child in children]
    return found


def memory(pid: int) -> float:
    """MiB of a process and its descendants: proportional set size, which counts a shared page once."""
    return sum(_kibibytes(each) for each in tree(pid)) / 1024


def _kibibytes(pid: int) -> float:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text("ascii").splitlines()
    except OSError:
        # It ended since it was listed.
        return 0.0
    return next(float(line.split()[1]) for line in lines if line.startswith("Pss:"))
