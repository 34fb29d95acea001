"""LoRA and AdaLoRA: small trained matrices beside the trunk's, merged into them at the end."""

from __future__ import annotations

from importlib import util
from typing import Any

import torch
from endcap_rerank.errors import InvalidInputError
from torch import Tensor

from endcap_export.model import TwoHeadBert
from endcap_export.training_settings import TrainingSettings

_MATRICES = ["query", "key", "value", "dense"]
"""The trunk's linear layers: attention and feed-forward."""

_NAME = "default"
_ORTHOGONALITY = 0.5
"""Weight of AdaLoRA's penalty, as in its paper and in peft."""


class Adapter:
    """Matrices of low rank in every linear layer of a trunk; only they and the tag head are trained.

    LoRA (Hu et al. 2022, https://arxiv.org/abs/2106.09685): W + alpha/rank·B·A. AdaLoRA (Zhang et al. 2023,
    https://arxiv.org/abs/2303.10512): W + alpha/rank·P·diag(E)·Q with P, Q kept orthogonal; it starts with
    half as much rank again and spends the rank where it matters.

    Args:
        model: changed in place until ``merge``.
        settings: which adapter, rank, alpha and dropout.
        steps: optimizer steps of the whole run.

    Raises:
        InvalidInputError: ``peft`` is not installed, or the run is too short for AdaLoRA.
    """

    def __init__(self, model: TwoHeadBert, settings: TrainingSettings, steps: int) -> None:
        if util.find_spec("peft") is None:
            raise InvalidInputError("adapter", settings.adapter, "peft must be installed: pip install peft")
        from peft import AdaLoraConfig, AdaLoraModel, LoraConfig, LoraModel

        self._model = model
        head = model.classifier.weight.requires_grad
        shared: dict[str, Any] = {
            "target_modules": _MATRICES,
            "lora_alpha": settings.adapter_alpha,
            "lora_dropout": settings.adapter_dropout,
        }
        self._adaptive = settings.adapter == "adalora"
        if self._adaptive:
            warm, last = steps // 10, steps // 5
            if steps < 5:
                raise InvalidInputError("adapter", "adalora", f"at least 5 steps are expected, not {steps}")
            config: Any = AdaLoraConfig(
                target_r=settings.adapter_rank,
                init_r=-(-settings.adapter_rank * 3 // 2),
                tinit=warm,
                tfinal=last,
                deltaT=max(1, steps // 100),
                total_step=steps,
                **shared,
            )
            self._tuner: Any = AdaLoraModel(model, {_NAME: config}, _NAME)
        else:
            config = LoraConfig(r=settings.adapter_rank, **shared)
            self._tuner = LoraModel(model, {_NAME: config}, _NAME)
        self._config = self._tuner.peft_config[_NAME]
        model.classifier.requires_grad_(head)

    def after_step(self, step: int) -> None:
        """Let AdaLoRA move its rank: after the optimizer's ``step`` (from 0), while gradients are there."""
        if self._adaptive:
            self._tuner.update_and_allocate(step)

    def penalty(self) -> Tensor | None:
        """AdaLoRA's loss for matrices that are not orthogonal: mean of ‖P'P - I‖; None for LoRA."""
        if not self._adaptive:
            return None
        norms = []
        for name, weight in self._model.named_parameters():
            if "lora_A" in name or "lora_B" in name:
                square = weight @ weight.T if "lora_A" in name else weight.T @ weight
                norms.append(torch.linalg.norm(square - torch.eye(len(square), device=square.device)))
        return _ORTHOGONALITY * torch.stack(norms).mean()

    def merge(self) -> None:
        """Add the adapter to the trunk's matrices; the model is a plain one again."""
        self._tuner.merge_and_unload()
        self._model.requires_grad_(True)

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps beside the weights: how important AdaLoRA finds each."""
        if not self._adaptive:
            return {}
        allocator = self._tuner.rankallocator
        return {
            "ipt": allocator.ipt,
            "mean": allocator.exp_avg_ipt,
            "spread": allocator.exp_avg_unc,
            "ranks": self._config.rank_pattern,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        if self._adaptive:
            allocator = self._tuner.rankallocator
            allocator.ipt, allocator.exp_avg_ipt = state["ipt"], state["mean"]
            allocator.exp_avg_unc = state["spread"]
            self._config.rank_pattern = state["ranks"]
