"""The best weights so far on the held-out data, and when to stop looking for better ones."""

from __future__ import annotations

from typing import Any

import torch


class Best:
    """Remembers the weights of the best evaluation.

    Args:
        model: whose trained weights are remembered.
        patience: evaluations without gain after which training should stop.
    """

    def __init__(self, model: torch.nn.Module, patience: int) -> None:
        self._trained = {name: weight for name, weight in model.named_parameters() if weight.requires_grad}
        self._patience = patience
        self._weights: dict[str, torch.Tensor] = {}
        self._figure: float | None = None
        self._without_gain = 0
        self.step: int | None = None

    def consider(self, step: int, figure: float) -> bool:
        """Take note of an evaluation of the weights that the model has now; more is better.

        Returns:
            Whether training should stop.
        """
        if self._figure is None or figure > self._figure:
            self._figure, self.step, self._without_gain = figure, step, 0
            self._weights = {name: weight.detach().clone() for name, weight in self._trained.items()}
        else:
            self._without_gain += 1
        return self._without_gain >= self._patience

    @torch.no_grad()
    def restore(self) -> None:
        """Give the model its best weights."""
        for name, weight in self._weights.items():
            self._trained[name].copy_(weight)

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        return {
            "weights": self._weights,
            "figure": self._figure,
            "without_gain": self._without_gain,
            "step": self.step,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        device = next(iter(self._trained.values())).device
        self._weights = {name: weight.to(device) for name, weight in state["weights"].items()}
        self._figure, self.step = state["figure"], state["step"]
        self._without_gain = state["without_gain"]
