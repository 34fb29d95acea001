"""The processes of one training run: one, or those that ``torchrun`` starts."""

from __future__ import annotations

import os
from typing import TypeVar

T = TypeVar("T")


def rank() -> int:
    """Number of this process; process 0 writes and prints."""
    return int(os.environ.get("RANK", "0"))


def world_size() -> int:
    """How many processes train together."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def is_first() -> bool:
    """Whether this process writes and prints."""
    return rank() == 0


def from_first(value: T) -> T:
    """The value that process 0 has; a picklable one. The processes wait for each other."""
    if world_size() == 1:
        return value
    from torch import distributed

    box = [value]
    distributed.broadcast_object_list(box, src=0)
    return box[0]
