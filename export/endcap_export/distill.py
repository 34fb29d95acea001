"""A student with fewer layers than its teacher, taught on the shop's own texts, on the transformers Trainer.

It starts from some of the teacher's layers, as DistilBERT does (Sanh et al. 2019,
https://arxiv.org/abs/1910.01108), and learns to give the teacher's last hidden states (TinyBERT, Jiao et al.
2020, https://arxiv.org/abs/1909.10351), its embeddings, how alike it finds the texts of a batch (the
relations that MiniLM distils, Wang et al. 2020, https://arxiv.org/abs/2002.10957, here of texts instead of
pieces) and its tags at a temperature (Hinton et al. 2015, https://arxiv.org/abs/1503.02531). Texts need no
labels.
"""

from __future__ import annotations

import copy
import json
import shutil
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from endcap_rerank.errors import InvalidInputError
from endcap_rerank.release import TOKENIZER, checksum
from endcap_rerank.tokenizer import QueryTokenizer
from torch import Tensor
from torch.nn import functional
from torch.utils.data import DataLoader
from transformers import Trainer, TrainingArguments, set_seed

from endcap_export.alignment import IGNORED
from endcap_export.base import quiet
from endcap_export.model import TwoHeadBert
from endcap_export.progress import Progress, silent
from endcap_export.release import library_versions
from endcap_export.shop import Shop
from endcap_export.shop_texts import product_texts, trained_queries
from endcap_export.student_batches import LengthBatches, StudentDataset, student_texts
from endcap_export.trained import RECORD, TrainedEncoder
from endcap_export.trainer_setup import Watch, training_arguments, with_callbacks

WEIGHTS = "model.safetensors"


@dataclass(frozen=True)
class DistillationSettings:
    """Every hyperparameter.

    Attributes:
        keep: layers of the teacher that the student starts from, from 0; None spreads them evenly, the last
            layer among them.
        epochs: passes over the texts.
        max_steps: optimizer steps; None is as many as ``epochs`` need.
        products: most product texts to learn on, chosen by ``seed``; queries are all used.
        batch_size: texts of one step.
        learning_rate: after warm-up; it falls linearly to zero.
        warmup: share of the steps in which the learning rate rises.
        weight_decay: of matrices.
        state_weight: of the mean squared difference of last hidden states.
        embedding_weight: of one minus the cosine of both embeddings.
        similarity_weight: of the divergence of similarities in the batch, a softmax at
            ``similarity_temperature``.
        tag_weight: of the divergence of tags at ``tag_temperature``.
        label_weight: of cross-entropy with the labels of tagged queries.
        seed: of everything random.
    """

    keep: tuple[int, ...] | None = None
    epochs: float = 4.0
    max_steps: int | None = None
    products: int = 8_000
    batch_size: int = 32
    learning_rate: float = 4e-4
    warmup: float = 0.06
    weight_decay: float = 0.01
    state_weight: float = 1.0
    embedding_weight: float = 1.0
    similarity_weight: float = 1.0
    similarity_temperature: float = 0.05
    tag_weight: float = 1.0
    tag_temperature: float = 2.0
    label_weight: float = 0.0
    seed: int = 7

    def __post_init__(self) -> None:
        for name in (
            "epochs",
            "batch_size",
            "learning_rate",
            "similarity_temperature",
            "tag_temperature",
        ):
            if not getattr(self, name) > 0:
                raise InvalidInputError(name, getattr(self, name), "a number above 0 is expected")
        if self.max_steps is not None and not self.max_steps > 0:
            raise InvalidInputError("max_steps", self.max_steps, "a number above 0, or nothing, is expected")


def distill(
    trained: TrainedEncoder,
    shop: Shop,
    folder: Path,
    *,
    layers: int,
    settings: DistillationSettings | None = None,
    progress: Progress = silent,
) -> TrainedEncoder:
    """Teach a student of ``layers`` layers and write it to ``folder``.

    A student that is already there, of the same teacher, texts and settings, is returned as it is.

    Args:
        trained: the teacher.
        shop: its training queries and product texts are what the student learns on.
        folder: made when absent; another student in it is replaced.
        layers: of the student, fewer than the teacher has.
        settings: hyperparameters; the defaults when None.
        progress: told of the stages ``teach`` (the teacher reads) and ``distill``.

    Raises:
        InvalidInputError: ``layers``, or the layers to keep, do not fit the teacher.
        EndcapError: the teacher cannot be loaded.
    """
    settings = settings or DistillationSettings()
    made_of = {
        "teacher": checksum(trained.path / WEIGHTS),
        "files": shop.fingerprint,
        "layers": layers,
        "settings": json.loads(json.dumps(asdict(settings))),
    }
    if (folder / RECORD).is_file():
        before = TrainedEncoder.open(folder)
        if (before.record.get("distillation") or {}).get("made_of") == made_of:
            return before
    started = time.perf_counter()
    teacher = trained.load()
    keep = kept_layers(teacher.config.num_hidden_layers, layers, settings.keep)
    set_seed(settings.seed)
    student = first_layers(teacher, keep)
    products = product_texts(shop)
    chosen = np.random.default_rng(settings.seed).permutation(len(products))[: settings.products]
    texts = student_texts(
        QueryTokenizer(trained),
        trained_queries(shop),
        [products[place] for place in sorted(chosen)],
        shop.tags,
        teacher.labels,
    )
    dataset = StudentDataset(teacher, texts, lambda done, of: progress("teach", done, of))
    taught = time.perf_counter()
    steps = _teach(student, teacher, dataset, settings, progress)
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(trained.tokenizer, folder / TOKENIZER)
    record = {
        **trained.record,
        "distillation": {
            "made_of": made_of,
            "kept_layers": list(keep),
            "texts": len(texts),
            "pieces": int(dataset.lengths().sum()),
            "steps": steps,
            "seconds": {
                "teach": round(taught - started, 2),
                "distill": round(time.perf_counter() - taught, 2),
            },
        },
        "versions": library_versions(),
    }
    with quiet():
        student.save_pretrained(folder)
    (folder / RECORD).write_text(json.dumps(record, indent=2, ensure_ascii=False), "utf-8")
    return TrainedEncoder(folder, trained.text, record)


def kept_layers(depth: int, layers: int, keep: Sequence[int] | None = None) -> tuple[int, ...]:
    """Which of ``depth`` layers a student of ``layers`` starts from: (1, 3, 5) of 6, the last always.

    Raises:
        InvalidInputError: ``layers`` is not below ``depth``, or ``keep`` names other layers.
    """
    if not 1 <= layers < depth:
        raise InvalidInputError("layers", layers, f"1 to {depth - 1} are expected: the teacher has {depth}")
    if keep is None:
        return tuple((number + 1) * depth // layers - 1 for number in range(layers))
    if len(keep) != layers or sorted(set(keep)) != list(keep) or not 0 <= keep[0] <= keep[-1] < depth:
        raise InvalidInputError("keep", keep, f"{layers} rising layers from 0 to {depth - 1} are expected")
    return tuple(keep)


def first_layers(teacher: TwoHeadBert, keep: Sequence[int]) -> TwoHeadBert:
    """A copy of the teacher with only some of its layers, without dropout: the teacher's noise is none."""
    config = copy.deepcopy(teacher.config)
    config.num_hidden_layers = len(keep)
    for name in ("hidden_dropout_prob", "attention_probs_dropout_prob", "classifier_dropout"):
        setattr(config, name, 0.0)
    student = TwoHeadBert(config)
    weights = {}
    for name, value in teacher.state_dict().items():
        prefix, found, rest = name.partition("encoder.layer.")
        if not found:
            weights[name] = value
            continue
        number, _, inner = rest.partition(".")
        if int(number) in keep:
            weights[f"{prefix}{found}{list(keep).index(int(number))}.{inner}"] = value
    student.load_state_dict(weights)
    return student


def _teach(
    student: TwoHeadBert,
    teacher: TwoHeadBert,
    dataset: StudentDataset,
    settings: DistillationSettings,
    progress: Progress,
) -> int:
    """Train the student in place; the number of steps."""
    on_cpu = not torch.cuda.is_available()
    with tempfile.TemporaryDirectory(prefix="endcap-distill-") as folder:
        arguments = training_arguments(
            folder,
            settings,
            warmup=settings.warmup,
            weight_decay=settings.weight_decay,
            # Half the time of fp32, where the processor has products of bf16; elsewhere it would be slower.
            bf16=torch.cpu.get_capabilities().get("avx512_bf16", False) if on_cpu else True,
        )
        trainer = _StudentTrainer(student, teacher, dataset, arguments, settings)
        with_callbacks(trainer, Watch("distill", progress))
        trainer.train()
    student.eval()
    return int(trainer.state.global_step)


class _StudentTrainer(Trainer):
    """The Trainer with the teacher's states as what is to be learned."""

    def __init__(
        self,
        student: TwoHeadBert,
        teacher: TwoHeadBert,
        dataset: StudentDataset,
        arguments: TrainingArguments,
        settings: DistillationSettings,
    ) -> None:
        super().__init__(model=student, args=arguments, train_dataset=dataset)
        self._settings = settings
        self._classifier = copy.deepcopy(teacher.classifier).requires_grad_(False).to(self.args.device)

    def get_train_dataloader(self) -> DataLoader[Any]:
        """Batches of like length."""
        dataset = cast(StudentDataset, self.train_dataset)
        batches = LengthBatches(dataset.lengths(), self.args.per_device_train_batch_size, self._settings.seed)
        return self.accelerator.prepare(
            DataLoader(dataset, batch_sampler=batches, collate_fn=dataset.collate, pin_memory=False)
        )

    def compute_loss(
        self,
        model: torch.nn.Module,
        inputs: dict[str, Tensor],
        return_outputs: bool = False,
        num_items_in_batch: Tensor | int | None = None,
    ) -> Any:
        """Weighted sum of the five differences between student and teacher."""
        student = cast(TwoHeadBert, self.accelerator.unwrap_model(model))
        states = student.states(inputs["ids"], inputs["mask"]).float()
        logits = student.classifier(states).float()
        with torch.no_grad():
            wanted_logits = self._classifier(inputs["states"]).float()
            wanted = student.pool(inputs["states"], inputs["mask"])
        embeddings = student.pool(states, inputs["mask"])
        real, words, weights = inputs["mask"].bool(), inputs["words"], self._settings
        loss = weights.state_weight * functional.mse_loss(states[real], inputs["states"][real])
        loss = loss + weights.embedding_weight * (1 - (embeddings * wanted).sum(dim=-1)).mean()
        loss = loss + weights.similarity_weight * similarity_loss(
            embeddings, wanted, weights.similarity_temperature
        )
        if words.any():
            loss = loss + weights.tag_weight * tag_loss(
                logits[words], wanted_logits[words], weights.tag_temperature
            )
        labelled = inputs["classes"] != IGNORED
        if weights.label_weight and labelled.any():
            loss = loss + weights.label_weight * functional.cross_entropy(
                logits[labelled], inputs["classes"][labelled]
            )
        return (loss, {}) if return_outputs else loss


def similarity_loss(embeddings: Tensor, wanted: Tensor, temperature: float) -> Tensor:
    """KL(softmax(W Wᵀ / t) ‖ softmax(E Eᵀ / t)) over the rows, each text's likeness to itself left out.

    Args:
        embeddings: the student's, [B, D] of unit length.
        wanted: the teacher's, [B, D].
        temperature: t.
    """
    itself = torch.eye(len(wanted), dtype=torch.bool, device=wanted.device)
    if len(wanted) < 2:
        return embeddings.sum() * 0
    student = (embeddings @ embeddings.T / temperature).masked_fill(itself, -1e4)
    teacher = (wanted @ wanted.T / temperature).masked_fill(itself, -1e4)
    return functional.kl_div(
        student.log_softmax(dim=-1), teacher.log_softmax(dim=-1), log_target=True, reduction="batchmean"
    )


def tag_loss(logits: Tensor, wanted: Tensor, temperature: float) -> Tensor:
    """T² KL(softmax(wanted / T) ‖ softmax(logits / T)) over pieces [N, L]; T² keeps the gradient's size."""
    student, teacher = (values / temperature for values in (logits, wanted))
    return temperature**2 * functional.kl_div(
        student.log_softmax(dim=-1), teacher.log_softmax(dim=-1), log_target=True, reduction="batchmean"
    )
