"""An encoder with only the word pieces that a shop's texts are made of.

A catalogue uses a fraction of a vocabulary, and the table of word pieces is half of MiniLM's weights and most
of a multilingual model's. What the remaining pieces make of a text does not change when unused ones go:
WordPiece takes the longest piece that fits, Unigram the likeliest path, and both still have what they took.

Kept besides: special pieces and every single character, so that no text becomes unknown that was known
before; new words are only cut smaller.
"""

from __future__ import annotations

import copy
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from endcap_rerank.errors import EndcapError, InvalidInputError
from endcap_rerank.release import TOKENIZER
from endcap_rerank.tokenizer import QueryTokenizer

from endcap_export.base import quiet
from endcap_export.model import TwoHeadBert
from endcap_export.release import library_versions
from endcap_export.shop import Shop
from endcap_export.shop_texts import product_texts, trained_queries
from endcap_export.trained import RECORD, TrainedEncoder

_CHUNK = 8192


@dataclass(frozen=True)
class Pruned:
    """What pruning left.

    Attributes:
        pieces: in the vocabulary now.
        pieces_before: in the vocabulary before.
        saved_bytes: of fp32 weights.
    """

    pieces: int
    pieces_before: int
    saved_bytes: int


def prune_vocabulary(trained: TrainedEncoder, shop: Shop, folder: Path, *, floor: int = 1) -> TrainedEncoder:
    """Write to ``folder`` the same encoder without the word pieces that the shop's texts do not use.

    Args:
        trained: the encoder.
        shop: its product texts, its queries of training and those of its event log are what counts.
        folder: made when absent.
        floor: a piece that occurs less often goes too; above 1, texts with such a piece are cut into smaller
            ones and change a little.

    Returns:
        The pruned encoder; its record says under ``vocabulary`` what was saved.

    Raises:
        InvalidInputError: ``floor`` is below 1.
        EndcapError: a tokenizer that is neither WordPiece nor Unigram.
    """
    if floor < 1:
        raise InvalidInputError("floor", floor, "1 or more is expected")
    tokenizer = QueryTokenizer(trained)
    counts = piece_counts(tokenizer, trained_queries(shop), product_texts(shop))
    document = json.loads(trained.tokenizer.read_text("utf-8"))
    model = trained.load()
    kept = kept_pieces(document, {piece for piece, count in counts.items() if count >= floor})
    folder.mkdir(parents=True, exist_ok=True)
    renumbered = renumber(document, kept)
    (folder / TOKENIZER).write_text(json.dumps(renumbered, ensure_ascii=False), "utf-8")
    before = model.config.vocab_size
    smaller = _with_rows(model, kept)
    saved = (before - len(kept)) * model.config.hidden_size * 4
    result = Pruned(len(kept), before, saved)
    record = {**trained.record, "vocabulary": vars(result) | {"floor": floor}, "versions": library_versions()}
    with quiet():
        smaller.save_pretrained(folder)
    (folder / RECORD).write_text(json.dumps(record, indent=2, ensure_ascii=False), "utf-8")
    return TrainedEncoder(folder, trained.text, record)


def piece_counts(tokenizer: QueryTokenizer, queries: Sequence[str], products: Sequence[str]) -> Counter[int]:
    """How often each word piece occurs, by id."""
    counts: Counter[int] = Counter()
    for texts, encode in ((queries, tokenizer.encode), (products, tokenizer.encode_products)):
        for first in range(0, len(texts), _CHUNK):
            tokens = encode(texts[first : first + _CHUNK])
            ids, numbers = np.unique(tokens.input_ids[tokens.attention_mask == 1], return_counts=True)
            counts.update(dict(zip(ids.tolist(), numbers.tolist(), strict=True)))
    return counts


def kept_pieces(document: dict[str, Any], seen: set[int]) -> list[int]:
    """Ids that stay, rising: seen pieces, special ones, single characters, and those that they cannot spell.

    Args:
        document: a ``tokenizer.json``.
        seen: ids that occur in the shop's texts.

    Raises:
        EndcapError: the tokenizer is neither WordPiece nor Unigram.
    """
    model = document["model"]
    keep = seen | {token["id"] for token in document.get("added_tokens") or []}
    if model["type"] == "WordPiece":
        pieces: dict[str, int] = model["vocab"]
        prefix = model["continuing_subword_prefix"]
        keep.add(pieces[model["unk_token"]])
        for piece, number in pieces.items():
            inner = piece.startswith(prefix) and len(piece) > len(prefix)
            text = piece.removeprefix(prefix) if inner else piece
            spelled = [prefix + sign if inner or place else sign for place, sign in enumerate(text)]
            if len(text) == 1 or not all(sign in pieces for sign in spelled):
                keep.add(number)
    elif model["type"] == "Unigram":
        listed: list[tuple[str, float]] = model["vocab"]
        known = {piece for piece, _ in listed}
        keep.add(model["unk_id"])
        # The penalty of an unknown character is counted from the least likely piece.
        keep.add(min(range(len(listed)), key=lambda number: listed[number][1]))
        for number, (piece, _) in enumerate(listed):
            # Raw bytes, where a model falls back on them, are written <0x0A>.
            raw = piece.startswith("<0x")
            if raw or len(piece) == 1 or not all(sign in known for sign in piece):
                keep.add(number)
    else:
        raise EndcapError(
            f"tokenizer: a {model['type']} vocabulary; only WordPiece and Unigram can be pruned"
        )
    return sorted(keep)


def renumber(document: dict[str, Any], kept: Sequence[int]) -> dict[str, Any]:
    """A ``tokenizer.json`` with the pieces ``kept`` only, numbered from 0 in their order."""
    new = {old: number for number, old in enumerate(kept)}
    changed = copy.deepcopy(document)
    model = changed["model"]
    if model["type"] == "WordPiece":
        pieces = sorted((number, piece) for piece, number in model["vocab"].items() if number in new)
        model["vocab"] = {piece: new[number] for number, piece in pieces}
    else:
        model["vocab"] = [model["vocab"][number] for number in kept]
        model["unk_id"] = new[model["unk_id"]]
    for token in changed.get("added_tokens") or []:
        token["id"] = new[token["id"]]
    for processor in _processors(changed.get("post_processor")):
        if processor["type"] == "TemplateProcessing":
            for token in processor["special_tokens"].values():
                token["ids"] = [new[number] for number in token["ids"]]
        for name in ("cls", "sep"):
            if name in processor:
                processor[name][1] = new[processor[name][1]]
    if changed.get("padding"):
        changed["padding"]["pad_id"] = new[changed["padding"]["pad_id"]]
    return changed


def _processors(processor: dict[str, Any] | None) -> list[dict[str, Any]]:
    """A post-processor, or those in a sequence of them."""
    if processor is None:
        return []
    return list(processor["processors"]) if processor["type"] == "Sequence" else [processor]


def _with_rows(model: TwoHeadBert, kept: Sequence[int]) -> TwoHeadBert:
    """A copy with only some rows of the table of word pieces."""
    config = copy.deepcopy(model.config)
    config.vocab_size = len(kept)
    for name in ("pad_token_id", "bos_token_id", "eos_token_id"):
        number = getattr(config, name, None)
        if number is not None:
            setattr(config, name, kept.index(number) if number in kept else None)
    smaller = TwoHeadBert(config)
    weights = dict(model.state_dict())
    table = "bert.embeddings.word_embeddings.weight"
    weights[table] = weights[table][torch.tensor(kept)].clone()
    smaller.load_state_dict(weights)
    return smaller.eval()
