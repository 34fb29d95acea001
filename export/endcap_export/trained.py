"""A trained encoder on disk: what ``endcap train`` writes and ``endcap export`` reads."""

from __future__ import annotations

import json
import shutil
import tempfile
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from endcap_rerank.errors import EndcapError
from endcap_rerank.release import TOKENIZER, TextSettings
from endcap_rerank.tokenizer import QueryTokenizer

from endcap_export.augment import Augmentation
from endcap_export.base import Base, find_base, load_model, quiet, save_tokenizer
from endcap_export.batches import Examples
from endcap_export.checkpoints import last_checkpoint, remove_checkpoints
from endcap_export.heldout import HeldOut
from endcap_export.model import TwoHeadBert
from endcap_export.normalization import parse_normalization
from endcap_export.pairs import training_answers, with_hard_negatives
from endcap_export.processes import is_first
from endcap_export.progress import Progress, silent
from endcap_export.release import library_versions
from endcap_export.shop import Shop, texts_of
from endcap_export.torch_encoder import TorchEncoder
from endcap_export.train import METRICS, TENSORBOARD, Run, Told, check_reporter, train
from endcap_export.training_config import CONFIG, TrainingConfig, config_toml
from endcap_export.training_settings import TrainingSettings

RECORD = "endcap.json"


@dataclass(frozen=True)
class TrainedEncoder:
    """A folder with the weights, the tokenizer and the record of the run.

    Attributes:
        text: prefixes and lengths that it was trained with.
        record: base, settings, data fingerprint, losses, library versions.
    """

    path: Path
    text: TextSettings
    record: dict[str, Any] = field(repr=False)

    @property
    def tokenizer(self) -> Path:
        """Path of ``tokenizer.json``."""
        return self.path / TOKENIZER

    @classmethod
    def open(cls, path: Path) -> TrainedEncoder:
        """Open what ``train_encoder`` wrote.

        Raises:
            EndcapError: the folder has no readable record.
        """
        try:
            record = json.loads((path / RECORD).read_text("utf-8"))
            return cls(path, TextSettings(**record["text"]), record)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise EndcapError(f"{path}: not a trained encoder; `endcap train` makes one ({error})") from error

    def load(self) -> TwoHeadBert:
        """The trained model, in evaluation mode.

        Raises:
            EndcapError: the weights cannot be loaded.
        """
        model = load_model(Base(str(self.path), self.text), self.record["labels"])
        return model.eval()


def train_encoder(
    shop: Shop,
    base: str,
    folder: Path,
    settings: TrainingSettings,
    *,
    limit: int | None = None,
    normalize: str = "",
    progress: Progress = silent,
    resume: bool = False,
    told: Told | None = None,
) -> TrainedEncoder:
    """Fine-tune a base on the shop's data and write it to ``folder``.

    Beside the model it writes ``config.toml``, ``endcap.json`` (the record, with library versions),
    ``metrics.jsonl`` (losses and held-out figures) and, where the settings say so, ``tensorboard/``. While
    it runs there are ``checkpoints/``, which go at the end. Of several processes, the first writes.

    Args:
        shop: what there is of tagged queries, judgments, events and titles is used.
        base: as ``find_base`` takes it.
        folder: made when absent; an older run in it is replaced, unless it is resumed.
        settings: hyperparameters.
        limit: most queries with products, and most tagged queries, to learn from.
        normalize: ``width``, ``simplified`` or both with a comma between; part of the tokenizer.
        progress: told of the stages ``load``, ``negatives`` and ``train``.
        resume: go on from the last checkpoint in ``folder``.
        told: told of each evaluation on held-out data.

    Raises:
        EndcapError: the base cannot be loaded, or there is nothing to resume.
    """
    check_reporter(settings.report_to)
    normalized = parse_normalization(normalize)
    progress("load", 0, 1)
    found = find_base(base)
    folder.mkdir(parents=True, exist_ok=True)
    if resume:
        _check_unfinished(folder)
    elif is_first():
        _remove_run(folder)
        config = TrainingConfig(base, limit, settings, search={}, normalize=normalize)
        (folder / CONFIG).write_text(config_toml(config), "utf-8")
    with tempfile.TemporaryDirectory(prefix="endcap-tokenizer-") as own:
        # Each process has its own copy, so that none reads what another is writing.
        draft = TrainedEncoder(Path(own), found.text, {})
        save_tokenizer(found, draft.tokenizer, normalized)
        tokenizer = QueryTokenizer(draft)
        if is_first():
            shutil.copyfile(draft.tokenizer, folder / TOKENIZER)
    model = load_model(found, shop.labels, seed=settings.seed)
    progress("load", 1, 1)
    texts = texts_of(shop.products)
    answers, source = training_answers(shop, seed=settings.seed, limit=limit)
    if settings.hard_negatives:
        progress("negatives", 0, 1)
        answers = with_hard_negatives(
            answers, texts, TorchEncoder(model), tokenizer, count=settings.hard_negatives, seed=settings.seed
        )
        progress("negatives", 1, 1)
    changes = Augmentation(settings.typo, settings.case, settings.order)
    examples = Examples(shop.tags[:limit], answers, texts, changes)
    made_of = {
        "base": base,
        "limit_train": limit,
        "labels": shop.labels,
        "files": shop.fingerprint,
        "normalize": list(normalized),
    }
    run = train(
        model,
        tokenizer,
        examples,
        settings,
        lambda done, of: progress("train", done, of),
        held=HeldOut.of(shop),
        run=Run(folder, resume, made_of, told),
    )
    record = {
        "base": base,
        "untuned": _untuned(base),
        "normalize": list(normalized),
        "labels": list(shop.labels),
        "text": asdict(found.text),
        "data": {
            "files": shop.fingerprint,
            "queries": len(answers),
            "pairs": examples.pairs,
            "pairs_from": source,
            "tagged_queries": len(examples.tagged),
            "left_out": len(shop.warnings),
        },
        "training": run.as_mapping(),
        "versions": library_versions(),
    }
    if is_first():
        with quiet():
            model.save_pretrained(folder)
        (folder / RECORD).write_text(json.dumps(record, indent=2, ensure_ascii=False), "utf-8")
        remove_checkpoints(folder)
    return TrainedEncoder(folder, found.text, record)


def _untuned(base: str) -> str:
    """The base as it was before any training: a base that was trained here names its own."""
    if (Path(base) / RECORD).is_file():
        record = TrainedEncoder.open(Path(base)).record
        return str(record.get("untuned", record["base"]))
    return base


def _check_unfinished(folder: Path) -> None:
    """Before a run is resumed."""
    if (folder / RECORD).is_file():
        steps = TrainedEncoder.open(folder).record["training"]["steps"]
        raise EndcapError(
            f"{folder}: that run is finished, after {steps} steps; leave out --resume to train anew"
        )
    last_checkpoint(folder)


def _remove_run(folder: Path) -> None:
    """What an older run left; other files stay."""
    (folder / RECORD).unlink(missing_ok=True)
    (folder / METRICS).unlink(missing_ok=True)
    shutil.rmtree(folder / TENSORBOARD, ignore_errors=True)
    remove_checkpoints(folder)
