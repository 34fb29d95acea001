"""Fine-tuning both heads of one BERT at once, on the transformers Trainer."""

from __future__ import annotations

import contextlib
import json
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from importlib import util
from pathlib import Path
from typing import Any

import torch
from endcap_rerank.errors import EndcapError, InvalidInputError
from endcap_rerank.tokenizer import QueryTokenizer
from transformers import TrainerCallback, TrainingArguments, set_seed
from transformers.integrations.integration_utils import TensorBoardCallback

from endcap_export.adapters import Adapter
from endcap_export.averaging import Averaging
from endcap_export.batches import Examples, JointBatches, JointDataset
from endcap_export.best import Best
from endcap_export.callbacks import AfterStep, Progress, Schedule
from endcap_export.checkpoints import FOLDER, KEPT, last_checkpoint
from endcap_export.heldout import HeldOut
from endcap_export.model import TwoHeadBert
from endcap_export.precision import resolve_precision
from endcap_export.processes import is_first, rank, world_size
from endcap_export.sharding import ShardedBatches
from endcap_export.trainer import JointTrainer, Parts, is_metric, steps_of
from endcap_export.trainer_setup import training_arguments, with_callbacks
from endcap_export.training_settings import TrainingSettings

__all__ = ["METRICS", "TENSORBOARD", "Run", "Told", "Trained", "TrainingSettings", "check_reporter", "train"]

METRICS = "metrics.jsonl"
TENSORBOARD = "tensorboard"

Told = Callable[[int, Mapping[str, float]], None]
"""Called with (step, held-out figures) after each evaluation; what it raises ends the run."""


@dataclass(frozen=True)
class Trained:
    """What a run did.

    Attributes:
        precision: what matrices were multiplied in.
        processes: that trained together.
        losses: (step, tag loss, embedding loss), means since the line before; None for a part without data.
        held: of each evaluation, ``step``, ``held_f1`` and ``held_ndcg10`` where there are data, ``held``.
        best_step: the step whose weights were kept, with early stopping.
    """

    steps: int
    seconds: float
    settings: TrainingSettings
    precision: str
    processes: int
    losses: tuple[tuple[int, float | None, float | None], ...]
    held: tuple[Mapping[str, float], ...] = ()
    best_step: int | None = None

    def as_mapping(self) -> dict[str, Any]:
        """The run as JSON-ready values."""
        return asdict(self)


@dataclass(frozen=True)
class Run:
    """Where a run writes and what it tells.

    Attributes:
        folder: gets checkpoints, ``metrics.jsonl`` and TensorBoard's files; nothing is kept when None.
        resume: go on from the last checkpoint in ``folder``.
        made_of: what the run is made of beside its settings; a resumed run must be made of the same.
        told: told of each evaluation.
    """

    folder: Path | None = None
    resume: bool = False
    made_of: Mapping[str, Any] = field(default_factory=dict)
    told: Told | None = None


def train(
    model: TwoHeadBert,
    tokenizer: QueryTokenizer,
    examples: Examples,
    settings: TrainingSettings,
    progress: Progress | None = None,
    *,
    held: HeldOut | None = None,
    run: Run | None = None,
) -> Trained:
    """Fine-tune ``model`` in place, by the losses of ``endcap_export.losses``.

    The same seed gives the same weights, and so does a run that was stopped and resumed.

    Args:
        model: any adapter is merged, and averaged or best weights are in it, when this returns.
        tokenizer: of the model.
        examples: what there is to learn from.
        settings: hyperparameters.
        progress: told of each step.
        held: what to evaluate with.
        run: where to write; nowhere when None.

    Raises:
        EndcapError: there is nothing to learn from, or no checkpoint to resume.
        InvalidInputError: a library that the settings ask for is not installed, or a resumed run is made of
            something else.
    """
    if not examples.tagged and not examples.pairs:
        raise EndcapError("nothing to learn from: neither tagged queries nor pairs of query and product")
    run, held = run or Run(), held or HeldOut()
    check_reporter(settings.report_to)
    set_seed(settings.seed)
    classes = {label: index for index, label in enumerate(model.labels)}
    dataset = JointDataset(examples, tokenizer, classes, settings.seed, settings.products_per_query)
    # One query has no negatives but its own.
    queries = max(2, round(settings.batch_size / dataset.items_per_query()))
    sizes = settings.tag_batch_size, queries
    batches = JointBatches(dataset.lengths(), dataset.tagged_count, sizes, settings.seed)
    shard = ShardedBatches(batches, rank(), world_size())
    per_epoch, steps = steps_of(settings, len(shard))
    # A head without data keeps the weights it has, weight decay included.
    model.classifier.requires_grad_(bool(examples.tagged))
    adapter = None if settings.adapter == "none" else Adapter(model, settings, steps)
    averaging = Averaging(model, settings.ema) if settings.ema else None
    best = Best(model, settings.early_stopping) if settings.early_stopping else None
    evaluates = settings.evaluate != "never" and bool(held.tagged or held.judgments)
    schedule = Schedule(
        settings,
        per_epoch,
        evaluates=evaluates,
        checkpoints=run.folder is not None,
        progress=progress if is_first() else None,
    )
    kept = {"schedule": schedule, "adapter": adapter, "averaging": averaging, "best": best}
    precision = resolve_precision(settings.precision)
    checkpoint = last_checkpoint(run.folder) if run.resume and run.folder else None
    with _folder(run.folder) as folder:
        parts = Parts(
            lambda: held.figures(model, tokenizer),
            adapter,
            averaging,
            best,
            {name: part for name, part in kept.items() if part is not None},
            {**run.made_of, **_shaping(settings), "precision": precision, "processes": world_size()},
            None if run.folder is None else folder / METRICS,
        )
        arguments = _arguments(settings, precision, folder)
        trainer = JointTrainer(model, dataset, shard, arguments, settings, parts)
        with_callbacks(
            trainer,
            schedule,
            AfterStep(adapter, averaging),
            *_reporters(settings, run),
            _Told(run.told),
        )
        if checkpoint is not None and is_first():
            _cut_metrics(folder / METRICS, checkpoint)
        trainer.train(resume_from_checkpoint=None if checkpoint is None else str(checkpoint))
    # The Trainer has wrapped ``forward`` for mixed precision.
    trainer.accelerator.unwrap_model(trainer.model, keep_fp32_wrapper=False)
    if best is not None and best.step is not None:
        best.restore()
    elif averaging is not None:
        averaging.apply()
    if adapter is not None:
        adapter.merge()
    model.requires_grad_(True)
    model.eval()
    history = [row for row in trainer.state.log_history if is_metric(row)]
    return Trained(
        trainer.state.global_step,
        round(schedule.spent, 2),
        settings,
        precision,
        world_size(),
        tuple(
            (int(row["step"]), row.get("tags_loss"), row.get("pairs_loss"))
            for row in history
            if "held" not in row
        ),
        tuple(
            {name: value for name, value in row.items() if name == "step" or name.startswith("held")}
            for row in history
            if "held" in row
        ),
        best.step if best is not None else None,
    )


def check_reporter(name: str) -> None:
    """Make sure that who shall be told of the run can be.

    Raises:
        InvalidInputError: the library is not installed.
    """
    if name != "none" and util.find_spec(name) is None:
        raise InvalidInputError(
            "report_to", name, f"it must be installed (pip install {name}), or none is expected"
        )


def _shaping(settings: TrainingSettings) -> dict[str, Any]:
    """The settings that shape the weights, which a resumed run must not change."""
    aside = ("seconds", "checkpoint_steps", "report_to")
    return {name: value for name, value in asdict(settings).items() if name not in aside}


def _arguments(settings: TrainingSettings, precision: str, folder: Path) -> TrainingArguments:
    on_cpu = not torch.cuda.is_available()
    # ``Schedule`` says when to log, evaluate and save.
    return training_arguments(
        folder / FOLDER,
        settings,
        warmup=settings.warmup,
        weight_decay=settings.weight_decay,
        gradient_accumulation_steps=settings.accumulation,
        max_grad_norm=settings.clip,
        bf16=precision == "bf16",
        ddp_backend="gloo" if on_cpu and world_size() > 1 else None,
        ddp_find_unused_parameters=False,
        # A batch is several forward passes; a buffer sent in between would spoil the backward pass.
        ddp_broadcast_buffers=False,
        save_total_limit=KEPT,
        report_to=settings.report_to if settings.report_to in ("wandb", "mlflow") else "none",
    )


def _reporters(settings: TrainingSettings, run: Run) -> list[TrainerCallback]:
    if settings.report_to != "tensorboard" or run.folder is None:
        return []
    callback = TensorBoardCallback()
    callback.logging_dir = str(run.folder / TENSORBOARD)
    return [callback]


class _Told(TrainerCallback):
    def __init__(self, told: Told | None) -> None:
        self._told = told

    def on_evaluate(self, args: Any, state: Any, control: Any, metrics: Any = None, **_: Any) -> None:
        if self._told is not None and metrics:
            self._told(state.global_step, metrics)


@contextlib.contextmanager
def _folder(folder: Path | None) -> Iterator[Path]:
    if folder is not None:
        yield folder
    else:
        with tempfile.TemporaryDirectory(prefix="endcap-train-") as made:
            yield Path(made)


def _cut_metrics(file: Path, checkpoint: Path) -> None:
    """Leave the lines that the checkpoint knows of; those after it are written again."""
    state = json.loads((checkpoint / "trainer_state.json").read_text("utf-8"))
    rows = [row for row in state["log_history"] if is_metric(row)]
    file.write_text("".join(json.dumps(row, sort_keys=True) + "\n" for row in rows), "utf-8")
