"""A trained encoder on disk: what ``endcap train`` writes and ``endcap export`` reads."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from endcap_rerank.errors import EndcapError
from endcap_rerank.release import TOKENIZER, TextSettings
from endcap_rerank.tokenizer import QueryTokenizer

from endcap_export.base import Base, find_base, load_model, quiet, save_tokenizer
from endcap_export.batches import Examples
from endcap_export.model import TwoHeadBert
from endcap_export.pairs import training_pairs
from endcap_export.progress import Progress, silent
from endcap_export.release import library_versions
from endcap_export.shop import Shop, texts_of
from endcap_export.train import TrainingSettings, train

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
    progress: Progress = silent,
) -> TrainedEncoder:
    """Fine-tune a base on the shop's data and write it to ``folder``.

    Args:
        shop: what there is of tagged queries, judgments, events and titles is used.
        base: as ``find_base`` takes it.
        folder: made when absent; an older run in it is replaced.
        settings: hyperparameters.
        limit: most pairs, and most tagged queries, to learn from.
        progress: told of the stages ``load`` and ``train``.

    Raises:
        EndcapError: the base cannot be loaded.
    """
    progress("load", 0, 1)
    found = find_base(base)
    folder.mkdir(parents=True, exist_ok=True)
    save_tokenizer(found, folder / TOKENIZER)
    model = load_model(found, shop.labels, seed=settings.seed)
    draft = TrainedEncoder(folder, found.text, {})
    progress("load", 1, 1)
    pairs, source = training_pairs(shop, seed=settings.seed, limit=limit)
    examples = Examples(shop.tags[:limit], pairs, texts_of(shop.products))
    run = train(
        model, QueryTokenizer(draft), examples, settings, lambda done, of: progress("train", done, of)
    )
    record = {
        "base": base,
        "labels": list(shop.labels),
        "text": asdict(found.text),
        "data": {
            "files": shop.fingerprint,
            "pairs": len(pairs),
            "pairs_from": source,
            "tagged_queries": len(examples.tagged),
            "left_out": len(shop.warnings),
        },
        "training": run.as_mapping(),
        "versions": library_versions(),
    }
    with quiet():
        model.save_pretrained(folder)
    (folder / RECORD).write_text(json.dumps(record, indent=2, ensure_ascii=False), "utf-8")
    return TrainedEncoder(folder, found.text, record)
