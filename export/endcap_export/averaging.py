"""A moving average of the weights, which is steadier than the last ones."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch


class Averaging:
    """The exponential moving average of the trained weights of a model.

    After step t (from 0): average ← d·average + (1 - d)·weights, d = min(decay, (1 + t) / (10 + t)), so that
    the first weights are soon forgotten.
    """

    def __init__(self, model: torch.nn.Module, decay: float) -> None:
        self._decay = decay
        self._step = 0
        self._trained = {name: weight for name, weight in model.named_parameters() if weight.requires_grad}
        self._average = {name: weight.detach().clone() for name, weight in self._trained.items()}

    @torch.no_grad()
    def update(self) -> None:
        """Take in the weights after an optimizer step."""
        decay = min(self._decay, (1 + self._step) / (10 + self._step))
        for name, average in self._average.items():
            average.lerp_(self._trained[name].to(average.device), 1 - decay)
        self._step += 1

    @torch.no_grad()
    def apply(self) -> None:
        """Give the model the averaged weights."""
        for name, average in self._average.items():
            self._trained[name].copy_(average)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """The model has the averaged weights inside, and its own again after."""
        own = {name: weight.detach().clone() for name, weight in self._trained.items()}
        self.apply()
        try:
            yield
        finally:
            with torch.no_grad():
                for name, weight in own.items():
                    self._trained[name].copy_(weight)

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        return {"step": self._step, "average": self._average}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        self._step = state["step"]
        for name, average in self._average.items():
            average.copy_(state["average"][name])
