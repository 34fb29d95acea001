"""The transformers Trainer without its habits: it prints, saves and logs nothing that it was not told to."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, Protocol

import torch
from transformers import Trainer, TrainerCallback, TrainingArguments
from transformers.trainer_callback import PrinterCallback

from endcap_export.progress import Progress


class Hyperparameters(Protocol):
    """What every kind of training here is told."""

    @property
    def epochs(self) -> float:
        """Passes over the data."""

    @property
    def max_steps(self) -> int | None:
        """Optimizer steps; None is as many as ``epochs`` need."""

    @property
    def batch_size(self) -> int:
        """Examples of one step."""

    @property
    def learning_rate(self) -> float:
        """After warm-up."""

    @property
    def seed(self) -> int:
        """Of everything random."""


def training_arguments(
    folder: str | Path, settings: Hyperparameters, *, warmup: float, weight_decay: float, **others: Any
) -> TrainingArguments:
    """The Trainer's arguments.

    Args:
        folder: for checkpoints, where ``others`` or a callback ask for any.
        settings: epochs, steps, batch and learning rate.
        warmup: share of the steps in which the learning rate rises.
        weight_decay: of matrices.
        others: further arguments of ``TrainingArguments``, in place of what is set here.
    """
    arguments: dict[str, Any] = {
        "output_dir": str(folder),
        "num_train_epochs": settings.epochs,
        "max_steps": settings.max_steps or -1,
        "per_device_train_batch_size": settings.batch_size,
        "learning_rate": settings.learning_rate,
        # Below 1, transformers takes it for a share of the steps.
        "warmup_steps": warmup,
        "weight_decay": weight_decay,
        "seed": settings.seed,
        "use_cpu": not torch.cuda.is_available(),
        "logging_strategy": "no",
        "save_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
        "remove_unused_columns": False,
        "dataloader_pin_memory": False,
    }
    return TrainingArguments(**{**arguments, **others})


def with_callbacks(trainer: Trainer, *callbacks: TrainerCallback) -> None:
    """Give a Trainer its callbacks and take away the one that prints."""
    trainer.remove_callback(PrinterCallback)
    for callback in callbacks:
        trainer.add_callback(callback)


class Watch(TrainerCallback):
    """Tells of the steps of a stage, and ends the run when its time is over.

    Args:
        stage: its name.
        progress: told of each step.
        seconds: after which the run ends; None lets it go on.

    Attributes:
        spent: seconds from the first step's beginning to the last step's end.
    """

    def __init__(self, stage: str, progress: Progress, seconds: float | None = None) -> None:
        self._stage = stage
        self._progress = progress
        self._seconds = seconds
        self._began = time.monotonic()
        self.spent = 0.0

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """The first step is about to begin."""
        self._began = time.monotonic()
        self._progress(self._stage, 0, state.max_steps)

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """One optimizer step is done."""
        self.spent = time.monotonic() - self._began
        self._progress(self._stage, state.global_step, state.max_steps)
        if self._seconds is not None and self.spent >= self._seconds:
            control.should_training_stop = True

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """The last step is done, whether all were made or time was over."""
        self._progress(self._stage, state.max_steps, state.max_steps)
