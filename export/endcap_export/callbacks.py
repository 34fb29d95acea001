"""What happens between the steps of a training run."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from transformers import TrainerCallback

from endcap_export.adapters import Adapter
from endcap_export.averaging import Averaging
from endcap_export.processes import from_first
from endcap_export.training_settings import TrainingSettings

LOG_EVERY = 10
"""Steps whose mean losses make one line of ``metrics.jsonl``."""

Progress = Callable[[int, int], None]
"""Called with (steps done, steps in all)."""


class Schedule(TrainerCallback):
    """Says when to log, evaluate, checkpoint and stop; keeps the time budget; tells the progress.

    All by the number of the step, so that a resumed run does the same at the same steps.

    Args:
        settings: of the run.
        steps_per_epoch: optimizer steps of one epoch.
        evaluates: whether there is anything to evaluate with.
        checkpoints: whether there is a folder for checkpoints.
        progress: told of each step.
    """

    def __init__(
        self,
        settings: TrainingSettings,
        steps_per_epoch: int,
        *,
        evaluates: bool,
        checkpoints: bool,
        progress: Progress | None,
    ) -> None:
        self._seconds = settings.seconds
        self._checkpoint_every = settings.checkpoint_steps if checkpoints else 0
        every = {"epoch": steps_per_epoch, "steps": settings.evaluate_steps, "never": 0}[settings.evaluate]
        self._evaluate_every = every if evaluates else 0
        self._progress = progress
        self._spent_before = 0.0
        self._started = time.monotonic()

    @property
    def spent(self) -> float:
        """Seconds of training, those before a checkpoint included."""
        return self._spent_before + time.monotonic() - self._started

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """The first step is about to begin."""
        self._started = time.monotonic()

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """One optimizer step is done."""
        step = state.global_step
        if self._seconds is not None and from_first(self.spent > self._seconds):
            control.should_training_stop = True
        last = control.should_training_stop or step >= state.max_steps
        control.should_log = step == 1 or step % LOG_EVERY == 0 or last
        control.should_evaluate = bool(self._evaluate_every) and (step % self._evaluate_every == 0 or last)
        control.should_save = bool(self._checkpoint_every) and step % self._checkpoint_every == 0
        if self._progress is not None:
            self._progress(step, state.max_steps)

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        return {"spent": self.spent}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        self._spent_before = state["spent"]


class AfterStep(TrainerCallback):
    """What looks at the weights after each optimizer step, while gradients are still there."""

    def __init__(self, adapter: Adapter | None, averaging: Averaging | None) -> None:
        self._adapter = adapter
        self._averaging = averaging

    def on_optimizer_step(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """The optimizer has changed the weights."""
        if self._adapter is not None:
            self._adapter.after_step(state.global_step)
        if self._averaging is not None:
            self._averaging.update()
