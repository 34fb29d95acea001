"""Every hyperparameter of ``endcap train``, with its meaning and its limits."""

from __future__ import annotations

import inspect
import re
from dataclasses import dataclass
from typing import Any

from endcap_rerank.errors import InvalidInputError

CHOICES = {
    "precision": ("auto", "fp32", "bf16"),
    "adapter": ("none", "lora", "adalora"),
    "evaluate": ("epoch", "steps", "never"),
    "report_to": ("tensorboard", "wandb", "mlflow", "none"),
}
"""What a setting of text can be."""

_ABOVE_ZERO = (
    "epochs",
    "max_steps",
    "seconds",
    "batch_size",
    "products_per_query",
    "tag_batch_size",
    "accumulation",
    "learning_rate",
    "head_learning_rate",
    "temperature",
    "grade_spread",
    "adapter_rank",
    "adapter_alpha",
    "evaluate_steps",
)
_NOT_BELOW_ZERO = (
    "weight_decay",
    "clip",
    "tag_weight",
    "consistency",
    "grade_weight",
    "hard_negatives",
    "early_stopping",
    "checkpoint_steps",
)
_SHARES = ("warmup", "ema", "adapter_dropout", "label_smoothing", "typo", "case", "order")


@dataclass(frozen=True)
class TrainingSettings:
    """Every hyperparameter.

    Attributes:
        epochs: passes over the larger of the two data sets; the smaller one comes round again.
        max_steps: optimizer steps; left out, as many as ``epochs`` need.
        seconds: time budget; training stops at the first step after it. Left out, there is no limit.
        batch_size: products of one batch, about: of as many queries, each with ``products_per_query`` of its
            graded products at most, as come with so many. The negatives of a query are the products of the
            others.
        products_per_query: of more graded products of a query others are drawn each time, a right one among
            them. With fewer, a batch of one size holds more queries: they tell more of the catalogue apart,
            and less of the order of each query's own products.
        tag_batch_size: tagged queries of one batch; they are much shorter than products.
        accumulation: batches of one optimizer step; their losses are averaged over all that they hold.
        learning_rate: of the trunk or of its adapter, after warm-up; it falls linearly to zero.
        head_learning_rate: of the tag head, which starts from nothing.
        warmup: share of the steps in which the learning rate rises.
        weight_decay: of matrices; biases and layer norms have none.
        clip: longest gradient of a step, as a norm; a longer one is shortened to it. 0 is no limit.
        temperature: divides cosines before the softmax over the batch's products.
        tag_weight: of the tag loss beside the loss of pairs.
        grade_weight: of the loss that orders each query's products by their grades, beside the loss of pairs.
        grade_spread: the grade, on a scale from 0 to 1, that makes a product e times as likely the best one.
        hard_negatives: products of each query that BM25 and the base take for answers and that are none; 0
            mines none.
        label_smoothing: share of a label's probability that is spread over all labels.
        consistency: of the tag head. Above 0, each tagged query is read twice, with dropout of its own each
            time, and the distance of both answers is a loss with this weight (R-Drop).
        matryoshka: also train embeddings cut off at these widths, for an index of shorter vectors.
        typo: share of the training queries that get a misspelling, others each time.
        case: share of them whose case is changed.
        order: share of them in which a word or an entity moves.
        precision: ``fp32``; ``bf16``, which multiplies matrices in bfloat16 and keeps weights and losses in
            float32; ``auto`` is bf16 where the processor or the GPU multiplies it fast.
        ema: weight of the past in a moving average of the weights, which is then what is evaluated and saved;
            0.999, say. It starts lower: step t has at most (1 + t) / (10 + t). 0 is off.
        adapter: ``lora`` or ``adalora`` trains small matrices beside the trunk's, which stay as they are
            until the small ones are merged into them at the end. ``none`` trains all weights.
        adapter_rank: of the adapter's matrices; of AdaLoRA the mean after pruning, from half as much again.
        adapter_alpha: the adapter's part is multiplied by alpha / rank.
        adapter_dropout: share of the adapter's inputs that is dropped.
        evaluate: when the held-out data are looked at: after each ``epoch``, every ``evaluate_steps``
            ``steps``, ``never``; and, but for never, at the end.
        evaluate_steps: optimizer steps between two evaluations, where ``evaluate`` is ``steps``.
        early_stopping: stop after so many evaluations without gain in held-out F1 + nDCG@10, and keep the
            weights of the best one. 0 is off: the last weights are kept.
        checkpoint_steps: optimizer steps between two checkpoints, from which ``--resume`` goes on; 0 is none.
        report_to: who is told of losses and figures beside ``metrics.jsonl``: ``tensorboard``, ``wandb``,
            ``mlflow`` or ``none``.
        seed: of everything random.
    """

    epochs: float = 1.0
    max_steps: int | None = None
    seconds: float | None = None
    batch_size: int = 96
    products_per_query: int = 4
    tag_batch_size: int = 64
    accumulation: int = 1
    learning_rate: float = 1e-4
    head_learning_rate: float = 1e-3
    warmup: float = 0.1
    weight_decay: float = 0.01
    clip: float = 1.0
    temperature: float = 0.05
    tag_weight: float = 1.0
    grade_weight: float = 1.0
    grade_spread: float = 0.25
    hard_negatives: int = 0
    label_smoothing: float = 0.0
    consistency: float = 0.0
    matryoshka: tuple[int, ...] = ()
    typo: float = 0.2
    case: float = 0.05
    order: float = 0.0
    precision: str = "auto"
    ema: float = 0.0
    adapter: str = "none"
    adapter_rank: int = 8
    adapter_alpha: float = 16.0
    adapter_dropout: float = 0.05
    evaluate: str = "epoch"
    evaluate_steps: int = 500
    early_stopping: int = 0
    checkpoint_steps: int = 500
    report_to: str = "tensorboard"
    seed: int = 7

    def __post_init__(self) -> None:
        for name in _ABOVE_ZERO:
            value = getattr(self, name)
            optional = type(self).__dataclass_fields__[name].default is None
            if not (value is None and optional) and not value > 0:
                nothing = ", or nothing," if optional else ""
                raise InvalidInputError(name, value, f"a number above 0{nothing} is expected")
        for name in _NOT_BELOW_ZERO:
            if not getattr(self, name) >= 0:
                raise InvalidInputError(name, getattr(self, name), "0 or a number above it is expected")
        for name in _SHARES:
            if not 0 <= getattr(self, name) < 1:
                raise InvalidInputError(name, getattr(self, name), "a number from 0 to below 1 is expected")
        for width in self.matryoshka:
            if not (isinstance(width, int) and width > 0):
                raise InvalidInputError("matryoshka", width, "whole numbers above 0 are expected")
        for name, choices in CHOICES.items():
            if getattr(self, name) not in choices:
                raise InvalidInputError(name, getattr(self, name), f"one of {', '.join(choices)} is expected")
        if self.early_stopping and self.evaluate == "never":
            raise InvalidInputError(
                "evaluate",
                self.evaluate,
                "epoch or steps is expected, since early_stopping needs evaluations",
            )


def descriptions(kind: type[Any]) -> dict[str, str]:
    """What the ``Attributes`` section of a class's docstring says of each field, on one line."""
    section = (inspect.getdoc(kind) or "").split("Attributes:", 1)[1]
    entries = re.findall(r"^    (\w+): (.+(?:\n {8}.+)*)", section, re.MULTILINE)
    return {name: " ".join(text.split()) for name, text in entries}
