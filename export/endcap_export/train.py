"""Fine-tuning both heads of one BERT at once, on the transformers Trainer."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, cast

import torch
from endcap_rerank.errors import EndcapError, InvalidInputError
from endcap_rerank.tokenizer import QueryTokenizer
from torch import Tensor
from torch.nn import functional
from torch.utils.data import DataLoader
from transformers import Trainer, TrainerCallback, TrainingArguments, set_seed
from transformers.trainer_callback import PrinterCallback

from endcap_export.alignment import IGNORED
from endcap_export.batches import Examples, JointBatches, JointDataset
from endcap_export.model import TwoHeadBert

Progress = Callable[[int, int], None]
"""Called with (steps done, steps in all)."""


@dataclass(frozen=True)
class TrainingSettings:
    """Every hyperparameter.

    Attributes:
        epochs: passes over the larger of the two data sets; the smaller one comes round again.
        max_steps: optimizer steps; None is as many as ``epochs`` need.
        seconds: time budget; training stops at the first step after it. None is no limit.
        batch_size: pairs of one step.
        tag_batch_size: tagged queries of one step; they are much shorter than products.
        learning_rate: of the trunk, after warm-up; it falls linearly to zero.
        head_learning_rate: of the tag head, which starts from nothing.
        warmup: share of the steps in which the learning rate rises.
        weight_decay: of matrices; biases and layer norms have none.
        temperature: divides cosines before the softmax over the batch's products.
        tag_weight: of the tag loss beside the embedding loss.
        seed: of everything random.
    """

    epochs: float = 1.0
    max_steps: int | None = None
    seconds: float | None = None
    batch_size: int = 32
    tag_batch_size: int = 64
    learning_rate: float = 1e-4
    head_learning_rate: float = 1e-3
    warmup: float = 0.1
    weight_decay: float = 0.01
    temperature: float = 0.05
    tag_weight: float = 1.0
    seed: int = 7

    def __post_init__(self) -> None:
        for name in (
            "epochs",
            "batch_size",
            "tag_batch_size",
            "learning_rate",
            "head_learning_rate",
            "temperature",
        ):
            if not getattr(self, name) > 0:
                raise InvalidInputError(name, getattr(self, name), "a number above 0 is expected")
        for name in ("max_steps", "seconds"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise InvalidInputError(name, value, "a number above 0, or nothing, is expected")


@dataclass(frozen=True)
class Trained:
    """What a run did.

    Attributes:
        losses: (step, tag loss, embedding loss) now and then; None for a part without data.
    """

    steps: int
    seconds: float
    settings: TrainingSettings
    losses: tuple[tuple[int, float | None, float | None], ...]

    def as_mapping(self) -> dict[str, Any]:
        """The run as JSON-ready values."""
        return asdict(self)


def train(
    model: TwoHeadBert,
    tokenizer: QueryTokenizer,
    examples: Examples,
    settings: TrainingSettings,
    progress: Progress | None = None,
) -> Trained:
    """Fine-tune ``model`` in place.

    The tag head learns by cross-entropy over the pieces that carry a label; the embedding by softmax
    cross-entropy over the products of the batch, f(q, n) = softmax(M(q) · v_n / temperature), where a
    product that also answers the query is no negative. The same seed gives the same weights.

    Raises:
        EndcapError: there is nothing to learn from.
    """
    if not examples.tagged and not examples.pairs:
        raise EndcapError("nothing to learn from: neither tagged queries nor pairs of query and product")
    set_seed(settings.seed)
    dataset = JointDataset(examples, tokenizer, {label: index for index, label in enumerate(model.labels)})
    with tempfile.TemporaryDirectory(prefix="endcap-train-") as folder:
        arguments = TrainingArguments(
            output_dir=folder,
            num_train_epochs=settings.epochs,
            max_steps=settings.max_steps or -1,
            per_device_train_batch_size=settings.batch_size,
            learning_rate=settings.learning_rate,
            warmup_steps=settings.warmup,
            weight_decay=settings.weight_decay,
            seed=settings.seed,
            logging_strategy="no",
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
            remove_unused_columns=False,
            dataloader_pin_memory=False,
        )
        trainer = JointTrainer(model, dataset, arguments, settings)
        trainer.remove_callback(PrinterCallback)
        trainer.add_callback(_Watch(progress, settings.seconds))
        started = time.perf_counter()
        trainer.train()
    model.eval()
    seconds = time.perf_counter() - started
    return Trained(trainer.state.global_step, round(seconds, 2), settings, tuple(trainer.losses))


class JointTrainer(Trainer):
    """The Trainer with a batch of both kinds a step and the sum of both losses."""

    def __init__(
        self,
        model: TwoHeadBert,
        dataset: JointDataset,
        arguments: TrainingArguments,
        settings: TrainingSettings,
    ) -> None:
        super().__init__(model=model, args=arguments, train_dataset=dataset)
        self._settings = settings
        self.losses: list[tuple[int, float | None, float | None]] = []

    def get_train_dataloader(self) -> DataLoader[Any]:
        """Batches of like length, from both data sets."""
        dataset = cast(JointDataset, self.train_dataset)
        sizes = self._settings.tag_batch_size, self.args.per_device_train_batch_size
        batches = JointBatches(dataset.lengths(), dataset.tagged_count, sizes, self._settings.seed)
        return self.accelerator.prepare(
            DataLoader(dataset, batch_sampler=batches, collate_fn=dataset.collate, pin_memory=False)
        )

    def create_optimizer(self, model: torch.nn.Module | None = None) -> torch.optim.Optimizer:
        """AdamW with a learning rate of its own for the tag head."""
        if self.optimizer is None:
            groups: dict[tuple[float, float], list[torch.nn.Parameter]] = {}
            trained = cast(torch.nn.Module, model or self.model)
            for name, parameter in trained.named_parameters():
                head = name.startswith("classifier")
                rate = self._settings.head_learning_rate if head else self.args.learning_rate
                decay = self.args.weight_decay if parameter.ndim > 1 else 0.0
                groups.setdefault((rate, decay), []).append(parameter)
            self.optimizer = torch.optim.AdamW(
                [
                    {"params": group, "lr": rate, "weight_decay": decay}
                    for (rate, decay), group in groups.items()
                ]
            )
        return self.optimizer

    def compute_loss(
        self,
        model: torch.nn.Module,
        inputs: dict[str, Tensor],
        return_outputs: bool = False,
        num_items_in_batch: Tensor | int | None = None,
    ) -> Any:
        """Weighted sum of the tag loss and the embedding loss of the parts that the batch has."""
        tags = pairs = None
        if "tag_ids" in inputs:
            _, logits = model(inputs["tag_ids"], inputs["tag_mask"])
            tags = functional.cross_entropy(
                logits.flatten(0, 1), inputs["tag_labels"].flatten(), ignore_index=IGNORED
            )
        if "query_ids" in inputs:
            queries, _ = model(inputs["query_ids"], inputs["query_mask"])
            items, _ = model(inputs["item_ids"], inputs["item_mask"])
            scores = queries @ items.T / self._settings.temperature
            scores = scores.masked_fill(inputs["false_negatives"], -torch.inf)
            pairs = functional.cross_entropy(scores, torch.arange(len(scores), device=scores.device))
        if self.state.global_step % 10 == 0:
            self.losses.append((self.state.global_step, _figure(tags), _figure(pairs)))
        parts = [
            part
            for part in (None if tags is None else self._settings.tag_weight * tags, pairs)
            if part is not None
        ]
        loss = torch.stack(parts).sum()
        return (loss, {}) if return_outputs else loss


class _Watch(TrainerCallback):
    """Reports progress and keeps the time budget."""

    def __init__(self, progress: Progress | None, seconds: float | None) -> None:
        self._progress = progress
        self._until = None if seconds is None else time.monotonic() + seconds

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """One optimizer step is done."""
        if self._progress is not None:
            self._progress(state.global_step, state.max_steps)
        if self._until is not None and time.monotonic() > self._until:
            control.should_training_stop = True


def _figure(loss: Tensor | None) -> float | None:
    return None if loss is None else round(float(loss.detach()), 4)
