"""Domain adaptation: a base BERT learns a shop's words by masked language modelling, before fine-tuning.

Gururangan et al., "Don't Stop Pretraining: Adapt Language Models to Domains and Tasks" (ACL 2020). No
labels are needed: a share of the word pieces of titles, descriptions and queries is hidden, and the
trunk learns to fill them in.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from endcap_rerank.errors import EndcapError, InvalidInputError
from endcap_rerank.release import TextSettings
from transformers import (
    AutoConfig,
    AutoTokenizer,
    BertForMaskedLM,
    DataCollatorForLanguageModeling,
    PreTrainedTokenizerBase,
    Trainer,
    set_seed,
)

from endcap_export.base import Base, find_base, quiet
from endcap_export.progress import Progress, silent
from endcap_export.release import library_versions
from endcap_export.shop import Shop
from endcap_export.trainer_setup import Watch, training_arguments, with_callbacks

RECORD = "adapted.json"
_PROMPTS = "config_sentence_transformers.json"
_MOST_HELD = 512


@dataclass(frozen=True)
class AdaptSettings:
    """Hyperparameters of masked language modelling.

    Attributes:
        epochs: passes over the texts.
        max_steps: stop after so many steps; by epochs when None.
        seconds: stop after so many seconds.
        batch_size: texts of one step.
        learning_rate: after warm-up, falling to 0.
        masked_share: word pieces that are hidden, in (0, 1).
        length: most word pieces of a text.
        held_share: texts that only measure; at most 512.
        seed: of masks, order and what is held out.
    """

    epochs: float = 1.0
    max_steps: int | None = None
    seconds: float | None = None
    batch_size: int = 32
    learning_rate: float = 5e-5
    masked_share: float = 0.15
    length: int = 64
    held_share: float = 0.05
    seed: int = 7


def adaptation_texts(shop: Shop) -> list[str]:
    """The shop's own words: product texts, descriptions, and every query but the held-out ones."""
    held = {one.query for one in shop.held_judgments} | {one.text for one in shop.held_tags}
    queries = [one.query for one in shop.judgments]
    queries += [one.text for one in shop.tags]
    queries += [one.query for one in shop.events if one.query.strip()]
    texts = [product.encoder_text() for product in shop.products]
    texts += [product.description for product in shop.products if product.description]
    return list(dict.fromkeys(texts + [query for query in queries if query not in held]))


def adapt(
    base: str,
    texts: Sequence[str],
    folder: Path,
    settings: AdaptSettings | None = None,
    progress: Progress = silent,
) -> Path:
    """Adapt a base to texts and write it as a base of its own: ``find_base(str(folder))`` finds it.

    A base without a head for masked words gets one on its own word embeddings. The head is not kept.

    Args:
        base: as ``find_base`` takes it.
        texts: distinct texts, see ``adaptation_texts``.
        folder: gets the trunk, the tokenizer, the prefixes and ``adapted.json``: the settings, and the loss
            on held-out texts before and after.
        settings: hyperparameters.
        progress: told of each step as stage ``adapt``.

    Returns:
        ``folder``.

    Raises:
        EndcapError: the base cannot be loaded, or fewer than ten texts.
        InvalidInputError: it is no BERT, or its tokenizer has no mask.
    """
    settings = settings or AdaptSettings()
    if len(texts) < 10:
        raise EndcapError(f"{len(texts)} texts are too few to adapt a base to; 10 or more are expected")
    found = find_base(base)
    set_seed(settings.seed)
    model, tokenizer = _load(found)
    order = np.random.default_rng(settings.seed).permutation(len(texts))
    held = max(1, min(_MOST_HELD, int(len(texts) * settings.held_share)))
    rows = _tokenize(tokenizer, texts, settings.length)
    learned = [rows[index] for index in order[held:]]
    measured = [rows[index] for index in order[:held]]
    hide = DataCollatorForLanguageModeling(tokenizer, mlm_probability=settings.masked_share)
    watch = Watch("adapt", progress, settings.seconds)
    with tempfile.TemporaryDirectory(prefix="endcap-adapt-") as scratch:
        arguments = training_arguments(scratch, settings, warmup=0.06, weight_decay=0.01)
        trainer = Trainer(model, arguments, data_collator=hide, train_dataset=learned)
        with_callbacks(trainer, watch)
        before = masked_loss(model, tokenizer, measured, settings)
        trainer.train()
        after = masked_loss(model, tokenizer, measured, settings)
    folder.mkdir(parents=True, exist_ok=True)
    with quiet():
        model.bert.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
    _write_prompts(folder, found.text)
    record: dict[str, Any] = {
        "base": base,
        "texts": len(learned),
        "steps": trainer.state.global_step,
        "seconds": round(watch.spent, 2),
        "held_loss_before": before,
        "held_loss_after": after,
        "settings": asdict(settings),
        "versions": library_versions(),
    }
    (folder / RECORD).write_text(json.dumps(record, indent=1) + "\n", "utf-8")
    return folder


@torch.inference_mode()
def masked_loss(
    model: BertForMaskedLM,
    tokenizer: PreTrainedTokenizerBase,
    rows: Sequence[dict[str, list[int]]],
    settings: AdaptSettings,
) -> float:
    """Mean cross-entropy of the hidden pieces of tokenized texts; the same pieces are hidden each time."""
    hide = DataCollatorForLanguageModeling(
        tokenizer, mlm_probability=settings.masked_share, seed=settings.seed
    )
    model.eval()
    total, count = 0.0, 0
    for start in range(0, len(rows), settings.batch_size):
        batch = hide(list(rows[start : start + settings.batch_size]))
        hidden = int((batch["labels"] != -100).sum())
        if hidden:
            total += (
                float(model(**{name: part.to(model.device) for name, part in batch.items()}).loss) * hidden
            )
            count += hidden
    return total / max(1, count)


def _load(base: Base) -> tuple[BertForMaskedLM, PreTrainedTokenizerBase]:
    try:
        with quiet():
            config = AutoConfig.from_pretrained(base.source)
            if config.model_type != "bert":
                raise InvalidInputError(
                    "base", base.source, f"a BERT is expected, this is {config.model_type!r}"
                )
            config.tie_word_embeddings = True
            tokenizer = AutoTokenizer.from_pretrained(base.source)
            pretrained: Any = BertForMaskedLM.from_pretrained(
                base.source, config=config, dtype=torch.float32, output_loading_info=True
            )
    except (OSError, ValueError) as error:
        raise EndcapError(f"base {base.source!r} cannot be loaded: {error}") from error
    model: BertForMaskedLM = pretrained[0]
    if tokenizer.mask_token is None:
        raise InvalidInputError("base", base.source, "a tokenizer with a mask token is expected")
    if any("predictions.transform.dense" in name for name in pretrained[1]["missing_keys"]):
        # A fresh head that passes the trunk's vectors on disturbs the trunk least.
        torch.nn.init.eye_(model.cls.predictions.transform.dense.weight)
    return model, tokenizer


def _tokenize(
    tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], length: int
) -> list[dict[str, list[int]]]:
    made = tokenizer(
        list(texts), truncation=True, max_length=length, padding=False, return_special_tokens_mask=True
    )
    names = ("input_ids", "attention_mask", "special_tokens_mask")
    return [{name: made[name][row] for name in names} for row in range(len(texts))]


def _write_prompts(folder: Path, text: TextSettings) -> None:
    """Keep the prefixes of the base: the new folder's name does not tell them."""
    if text.query_prefix or text.product_prefix:
        prompts = {"query": text.query_prefix, "passage": text.product_prefix}
        (folder / _PROMPTS).write_text(json.dumps({"prompts": prompts}) + "\n", "utf-8")
