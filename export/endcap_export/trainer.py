"""The transformers Trainer with two heads, two kinds of data, and checkpoints of all that a run knows."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, cast

import torch
from torch import Tensor
from torch.utils.data import DataLoader
from transformers import Trainer, TrainingArguments

from endcap_export.adapters import Adapter
from endcap_export.averaging import Averaging
from endcap_export.batches import JointDataset
from endcap_export.best import Best
from endcap_export.checkpoints import STATE, read_state
from endcap_export.losses import LOSSES, batch_counts, batch_losses, loss_weights
from endcap_export.processes import from_first, is_first, world_size
from endcap_export.sharding import ShardedBatches
from endcap_export.training_settings import TrainingSettings


class Kept(Protocol):
    """A part of a run that a checkpoint keeps."""

    def state_dict(self) -> dict[str, Any]:
        """Tensors, numbers and texts."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from there."""


class Figures(Protocol):
    """Looks at the held-out data with the model as it is."""

    def __call__(self) -> dict[str, float]:
        """Name → figure; ``held`` decides. Empty where there is nothing to look at."""


@dataclass(frozen=True)
class Parts:
    """What a run has beside the model and the data.

    Attributes:
        figures: looks at the held-out data.
        adapter, averaging, best: what the settings ask for.
        kept: by name, what a checkpoint keeps beside the weights.
        made_of: what the run is made of; a checkpoint of another is refused.
        metrics: a file that gets a JSON line of losses or figures.
    """

    figures: Figures
    adapter: Adapter | None
    averaging: Averaging | None
    best: Best | None
    kept: Mapping[str, Kept] = field(default_factory=dict)
    made_of: Mapping[str, Any] = field(default_factory=dict)
    metrics: Path | None = None


class JointTrainer(Trainer):
    """The Trainer with a batch of both kinds a step and the weighted sum of both losses.

    The loss of a step is the mean over all that its batches hold, of every process: accumulated batches, and
    batches of several processes, weigh by what they hold.
    """

    loss_is_scaled_for_ga = True

    def __init__(
        self,
        model: torch.nn.Module,
        dataset: JointDataset,
        batches: ShardedBatches,
        arguments: TrainingArguments,
        settings: TrainingSettings,
        parts: Parts,
    ) -> None:
        super().__init__(model=model, args=arguments, train_dataset=dataset)
        self._batches = batches
        self._settings = settings
        self._parts = parts
        self._weights = loss_weights(settings)
        self._totals: dict[str, int] = {}
        self._means = _Means()

    def get_train_dataloader(self) -> DataLoader[Any]:
        """Batches of this process; without a loader of accelerate's, whose order a resumed run would lose."""
        dataset = cast(JointDataset, self.train_dataset)
        return DataLoader(dataset, batch_sampler=self._batches, collate_fn=dataset.collate)

    def create_optimizer(self, model: torch.nn.Module | None = None) -> torch.optim.Optimizer:
        """AdamW with a learning rate of its own for the tag head."""
        if self.optimizer is None:
            groups: dict[tuple[float, float], list[torch.nn.Parameter]] = {}
            trained = cast(torch.nn.Module, model or self.model)
            for name, parameter in trained.named_parameters():
                if parameter.requires_grad:
                    head = name.startswith("classifier")
                    rate = self._settings.head_learning_rate if head else self._settings.learning_rate
                    decay = self._settings.weight_decay if parameter.ndim > 1 else 0.0
                    groups.setdefault((rate, decay), []).append(parameter)
            self.optimizer = torch.optim.AdamW(
                [
                    {"params": group, "lr": rate, "weight_decay": decay}
                    for (rate, decay), group in groups.items()
                ]
            )
        return self.optimizer

    def get_batch_samples(
        self, epoch_iterator: Iterator[Any], num_batches: int, device: torch.device
    ) -> tuple[list[Any], None]:
        """The batches of one step; what they hold is counted over all of them and over all processes."""
        samples, _ = super().get_batch_samples(epoch_iterator, num_batches, device)
        counts = torch.zeros(len(LOSSES), dtype=torch.int64, device=device)
        for sample in samples:
            for name, count in batch_counts(sample).items():
                counts[LOSSES.index(name)] += count
        if world_size() > 1:
            counts = cast(Tensor, self.accelerator.reduce(counts, "sum"))
        self._totals = dict(zip(LOSSES, counts.tolist(), strict=True))
        self._means.step(self._totals)
        return samples, None

    def compute_loss(
        self,
        model: torch.nn.Module,
        inputs: dict[str, Tensor],
        return_outputs: bool = False,
        num_items_in_batch: Tensor | int | None = None,
    ) -> Any:
        """This batch's part of the step's loss."""
        losses = batch_losses(model, inputs, self._settings)
        counts = batch_counts(inputs)
        loss = torch.zeros((), device=self.args.device)
        for name, mean in losses.items():
            part = mean * (counts[name] / max(1, self._totals[name]))
            self._means.add(name, part)
            # The processes' gradients are averaged; their sum is meant.
            loss = loss + self._weights[name] * world_size() * part
        if world_size() > 1 and len(losses) < len(LOSSES):
            # Each process must have a gradient for each weight, or the others wait for it.
            loss = loss + 0.0 * sum(one.sum() for one in model.parameters() if one.requires_grad)
        if self._parts.adapter is not None and (penalty := self._parts.adapter.penalty()) is not None:
            loss = loss + penalty / self.current_gradient_accumulation_steps
        return (loss, {}) if return_outputs else loss

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Losses and figures go to ``state.log_history``, to the reporters and to the metrics file."""
        if "loss" in logs:
            # The Trainer's own mean forgets what was before a checkpoint.
            del logs["loss"]
            logs |= {f"{name}_loss": value for name, value in self._means.take(self.accelerator).items()}
        super().log(logs, start_time)
        if self._parts.metrics is not None and is_first() and is_metric(logs):
            with self._parts.metrics.open("a", encoding="utf-8") as stream:
                stream.write(json.dumps(self.state.log_history[-1], sort_keys=True) + "\n")

    def evaluate(self, *_: Any, **__: Any) -> dict[str, float]:
        """Look at the held-out data, with the averaged weights where there are any."""
        parts = self._parts
        if parts.averaging is None:
            self._look()
        else:
            with parts.averaging.applied():
                self._look()
        return {}

    def _look(self) -> None:
        figures = from_first(self._parts.figures() if is_first() else {})
        if figures:
            self.log(dict(figures))
            best = self._parts.best
            if best is not None and best.consider(self.state.global_step, figures["held"]):
                self.control.should_training_stop = True
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, figures)

    def _save(self, output_dir: str | None = None, state_dict: dict[str, Any] | None = None) -> None:
        """Everything but what the Trainer keeps itself: weights, averages, the best so far."""
        if not is_first():
            return
        folder = Path(cast(str, output_dir))
        folder.mkdir(parents=True, exist_ok=True)
        state = {
            "made_of": json.dumps(self._parts.made_of),
            "model": cast(torch.nn.Module, self.model).state_dict(),
            "means": self._means.state_dict(),
            **{name: part.state_dict() for name, part in self._parts.kept.items()},
        }
        torch.save(state, folder / STATE)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        state = read_state(Path(resume_from_checkpoint), self._parts.made_of)
        cast(torch.nn.Module, self.model).load_state_dict(state["model"])
        self._means.load_state_dict(state["means"])
        for name, part in self._parts.kept.items():
            part.load_state_dict(state[name])


class _Means:
    """Mean losses over the steps since the last line of the log."""

    def __init__(self) -> None:
        self._sums = [torch.zeros(()) for _ in LOSSES]
        self._steps = [0 for _ in LOSSES]

    def step(self, totals: Mapping[str, int]) -> None:
        """A step begins, with so much of each part."""
        for index, name in enumerate(LOSSES):
            self._steps[index] += totals[name] > 0

    def add(self, name: str, part: Tensor) -> None:
        """A part of a step's loss."""
        index = LOSSES.index(name)
        # Nothing waits for a GPU here; the sum is read when a line is written.
        self._sums[index] = self._sums[index].to(part.device) + part.detach()

    def take(self, accelerator: Any) -> dict[str, float]:
        """The means of all processes; begin anew."""
        sums = torch.stack([one.to(accelerator.device) for one in self._sums])
        if world_size() > 1:
            sums = accelerator.reduce(sums, "sum")
        means = {
            name: round(float(value) / steps, 4)
            for name, value, steps in zip(LOSSES, sums, self._steps, strict=True)
            if steps
        }
        self.__init__()  # type: ignore[misc]
        return means

    def state_dict(self) -> dict[str, Any]:
        return {"sums": torch.stack([one.cpu() for one in self._sums]), "steps": list(self._steps)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._sums, self._steps = list(state["sums"]), list(state["steps"])


def is_metric(row: Mapping[str, float]) -> bool:
    """Whether a line of the log has losses or figures, rather than the times of the whole run."""
    return "held" in row or any(f"{name}_loss" in row for name in LOSSES)


def steps_of(settings: TrainingSettings, batches: int) -> tuple[int, int]:
    """Optimizer steps of an epoch of so many batches, and of the whole run; as the Trainer counts them."""
    per_epoch = -(-batches // settings.accumulation)
    return per_epoch, settings.max_steps or math.ceil(settings.epochs * per_epoch)
