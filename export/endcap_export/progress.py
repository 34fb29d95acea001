"""How long work tells where it is, without knowing who listens."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Told of each stage at its start, during it where that is known, and at its end."""

    def __call__(self, stage: str, done: int, total: int) -> None:
        """``done`` of ``total`` units of ``stage``; a stage is over when they are equal."""


def silent(stage: str, done: int, total: int) -> None:
    """Nobody listens."""
